//! The facts about an instance.

/// The facts about an instance that are known beforehand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Facts {
    /// The [`hash`](super::hash) of its address.
    pub hash: u64,
    /// Its share of the calls beside the shares of the others, above 0.
    pub weight: f64,
    /// Whether it is in the zone of the caller.
    pub local: bool,
}
