//! The kinds of calls and of payloads, with their numbers. `xtask` compiles this file, which may use only the
//! standard library, and generates the JavaScript side from it.

/// The encoding of a payload. The number is also its flags on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// JSON text.
    Json = 0,
    /// Bytes as they are.
    Raw = 1,
    /// There is no payload.
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

/// The sides of a call that are streams of items, in gRPC's terms. The first bit of the number is the
/// caller's side, the second the answer's.
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

/// How much a call matters when its service has too much to do. The number is also its field on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Priority {
    /// It goes first: refused while the service is merely busy.
    Sheddable = 1,
    /// It is refused when the service is at its limit.
    #[default]
    Normal = 2,
    /// It is still taken a little beyond the limit.
    Critical = 3,
}

impl Priority {
    /// Every priority, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Sheddable, Self::Normal, Self::Critical];

    /// The priority with this number, if there is one.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| *priority as u8 == number)
    }
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

    /// Whether the answer consists of items.
    #[must_use]
    pub const fn streams_output(self) -> bool {
        self as u8 & 2 != 0
    }

    /// Whether at least one side is a stream.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        self as u8 != 0
    }
}
