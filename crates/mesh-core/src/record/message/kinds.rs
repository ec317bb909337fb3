//! The kinds of calls and of payloads, by their numbers. `xtask` reads this file,
//! which needs nothing but the standard library, and writes JavaScript's side.

/// The encoding of a payload. The number is also its flags on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// JSON text.
    Json = 0,
    /// Bytes as they are.
    Raw = 1,
    /// There is none.
    Empty = 2,
}

impl Encoding {
    /// Every encoding, at its number.
    pub const ALL: [Self; 3] = [Self::Json, Self::Raw, Self::Empty];

    /// The encoding with this number, if there is one.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// Which sides of a call are streams of items, in gRPC's words. The first bit of the
/// number is the caller's side, the second the answer's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum CallKind {
    /// One input, one result.
    #[default]
    Unary = 0,
    /// Many inputs, one result.
    ClientStream = 1,
    /// One input, many results.
    ServerStream = 2,
    /// Many inputs, many results.
    BidiStream = 3,
}

impl CallKind {
    /// Every kind, at its number.
    pub const ALL: [Self; 4] = [Self::Unary, Self::ClientStream, Self::ServerStream, Self::BidiStream];

    /// The kind with this number, if there is one.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether the caller sends items.
    #[must_use]
    pub const fn streams_input(self) -> bool {
        self as u8 & 1 != 0
    }

    /// Whether the answer is items.
    #[must_use]
    pub const fn streams_output(self) -> bool {
        self as u8 & 2 != 0
    }

    /// Whether any side is a stream.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        self as u8 != 0
    }
}
