//! Callers, as policies see them.

/// The verified identity of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller<'a> {
    /// Its service id.
    pub service_id: &'a str,
    /// The SPIFFE id of its certificate, if it has shown one.
    pub spiffe_id: Option<&'a str>,
}
