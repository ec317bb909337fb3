//! The parameters that the two sides of a handshake announce and agree on.

/// The only version of this protocol.
pub const PROTOCOL_VERSION: u8 = 2;

/// The method by which the two sides agree on a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum Suite {
    /// ML-KEM-768 and X25519: a recorded session stays secret even from a later quantum computer.
    Hybrid = 1,
    /// X25519 alone.
    X25519 = 2,
}

impl Suite {
    pub(super) const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Hybrid),
            2 => Some(Self::X25519),
            _ => None,
        }
    }

    /// The suite's name in logs and statistics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hybrid => "X25519MLKEM768",
            Self::X25519 => "X25519",
        }
    }
}

/// The limits that each side announces and the other observes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Largest message accepted, in bytes.
    pub max_message: u32,
    /// Calls in flight accepted.
    pub max_calls: u32,
}
