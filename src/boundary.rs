//! The numbers that both sides of the boundary must agree on. `xtask` compiles
//! this file, which may use only the standard library, and generates the
//! JavaScript side from it: `js/base/boundary.ts`.

/// A table of names and numbers, as `xtask` reads it.
#[derive(Debug)]
#[allow(dead_code, reason = "only xtask reads the tables")]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) meaning: &'static str,
    /// Name, number, meaning.
    pub(crate) rows: &'static [(&'static str, usize, &'static str)],
}

macro_rules! tables {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident { $($(#[doc = $row:literal])+ $variant:ident = $number:literal,)+ }
    )+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            #[repr(u8)]
            pub(crate) enum $name { $($(#[doc = $row])+ $variant = $number,)+ }

            #[allow(dead_code, reason = "some tables are only written")]
            impl $name {
                /// The row with this number, if there is one.
                pub(crate) const fn from_number(number: u8) -> Option<Self> {
                    Some(match number { $($number => Self::$variant,)+ _ => return None })
                }
            }
        )+

        /// Every table of numbers.
        #[allow(dead_code, reason = "only xtask reads the tables")]
        pub(crate) const TABLES: &[Table] = &[$(Table {
            name: stringify!($name),
            meaning: concat!($($doc),+).trim_ascii(),
            rows: &[$((stringify!($variant), $number, concat!($($row),+).trim_ascii()),)+],
        },)+];
    };
}

tables! {
    /// Frames to the addon.
    Command {
        /// A call to be made.
        Call = 1,
        /// The cancellation of a call.
        Cancel = 2,
        /// The result of a request.
        Respond = 3,
        /// The failure of a request.
        Fail = 4,
        /// An item of a stream.
        Item = 5,
        /// No more items of a stream follow.
        End = 6,
        /// Items that have been consumed.
        Consumed = 7,
        /// A request whose time was over before its handler could run.
        Late = 8,
    }
    /// Frames from the addon.
    Event {
        /// The result of a call.
        Result = 1,
        /// The failure of a call.
        Error = 2,
        /// A request to be answered.
        Request = 3,
        /// The abort of a request whose answer is no longer wanted.
        Abort = 4,
        /// A session with a service that has proved its identity.
        SessionOpened = 5,
        /// The end of a session.
        SessionClosed = 6,
        /// A line for the log.
        Log = 7,
        /// A next batch waits.
        More = 8,
        /// An item of a stream.
        Item = 9,
        /// The caller of a request has no more inputs.
        InputEnded = 10,
        /// Items that have been sent.
        Sent = 11,
        /// A service whose instances nobody has reported.
        Wanted = 12,
        /// A request whose time was over before JavaScript took it.
        Late = 13,
    }
    /// The table that the number of a stream belongs to.
    Side {
        /// A call made here.
        Call = 0,
        /// A request received here.
        Request = 1,
    }
    /// The cause for which an answer is no longer wanted.
    AbortCause {
        /// The caller gave up.
        Cancelled = 1,
        /// The deadline passed.
        Deadline = 2,
        /// The caller is gone.
        SessionLost = 3,
        /// This mesh is closing.
        Shutdown = 4,
    }
}

macro_rules! constants {
    ($($(#[doc = $doc:literal])+ $name:ident = $value:literal;)+) => {
        $($(#[doc = $doc])+ pub(crate) const $name: usize = $value;)+

        /// Every constant.
        #[allow(dead_code, reason = "only xtask reads the table")]
        pub(crate) const CONSTANTS: Table = Table {
            name: "",
            meaning: "",
            rows: &[$((stringify!($name), $value, concat!($($doc),+).trim_ascii()),)+],
        };
    };
}

constants! {
    /// Bytes of a frame before its own content.
    HEADER = 12;
    /// A batch is closed once it has this many frames…
    BATCH_FRAMES = 32;
    /// …or this many bytes. A larger frame has a batch of its own.
    BATCH_BYTES = 65_536;
}
