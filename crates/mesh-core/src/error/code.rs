//! The codes, which are gRPC's.

use std::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal => $text:literal,)+) => {
        /// The sixteen error codes of gRPC, by their canonical names and numbers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Code { $($(#[doc = $doc])+ $variant = $number,)+ }

        impl Code {
            /// Every code, in the order of their numbers.
            pub const ALL: [Self; 16] = [$(Self::$variant,)+];

            /// The canonical name, as in `'NOT_FOUND'`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Its meaning, in a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

codes! {
    /// The caller gave up.
    Cancelled = 1 => "CANCELLED",
    /// A failure that fits nowhere else.
    Unknown = 2 => "UNKNOWN",
    /// An argument is wrong, whatever the state of the system.
    InvalidArgument = 3 => "INVALID_ARGUMENT",
    /// The time allowed ran out; the work may have been done.
    DeadlineExceeded = 4 => "DEADLINE_EXCEEDED",
    /// The requested thing does not exist.
    NotFound = 5 => "NOT_FOUND",
    /// The thing to create already exists.
    AlreadyExists = 6 => "ALREADY_EXISTS",
    /// The caller is known and not allowed.
    PermissionDenied = 7 => "PERMISSION_DENIED",
    /// A limit or quota is used up.
    ResourceExhausted = 8 => "RESOURCE_EXHAUSTED",
    /// The system is not in a state for this; retrying does not help.
    FailedPrecondition = 9 => "FAILED_PRECONDITION",
    /// Broken off by a conflict; retrying at a higher level may help.
    Aborted = 10 => "ABORTED",
    /// Past the valid range.
    OutOfRange = 11 => "OUT_OF_RANGE",
    /// The method does not exist here.
    Unimplemented = 12 => "UNIMPLEMENTED",
    /// A fault in the callee.
    Internal = 13 => "INTERNAL",
    /// Not reachable now; retrying may help.
    Unavailable = 14 => "UNAVAILABLE",
    /// Data is lost or corrupt.
    DataLoss = 15 => "DATA_LOSS",
    /// The peer could not prove who it is.
    Unauthenticated = 16 => "UNAUTHENTICATED",
}

impl Code {
    /// The code with the canonical number `number`.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as u8 == number)
    }

    /// The code with the canonical name `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
