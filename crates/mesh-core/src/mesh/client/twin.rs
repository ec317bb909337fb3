//! The reference of a call to its other copy.

use crate::mesh::events::CallId;

/// The occasion on which a call gets a spare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    Hedge,
    Rescue,
}

/// The other copy of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Twin {
    pub(super) id: CallId,
    /// Whether this copy is the spare.
    pub(super) is_spare: bool,
    pub(super) occasion: Occasion,
}
