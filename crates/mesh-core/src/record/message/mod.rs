//! The messages inside a record: `docs/protocol.md`, section 6.

mod encoded;
mod kinds;
mod read;

pub(crate) use self::encoded::is_late;
pub use self::{
    encoded::Encoded,
    kinds::{CallKind, Encoding, Priority},
    read::{Messages, is_method_name},
};
use crate::{
    error::{Code, Reason},
    wire::Malformed,
};

/// Longest method name, in bytes.
pub const MAX_METHOD: usize = 200;
/// Largest block of fields, in bytes.
pub const MAX_FIELDS: usize = 8 * 1024;
/// Longest path of a chain, in bytes.
pub const MAX_PATH: usize = 1024;
/// Bytes of a message before its body.
pub const MESSAGE_HEADER: usize = 10;

/// The numbers of the message types on the wire.
mod kind {
    pub(super) const REQUEST: u8 = 1;
    pub(super) const RESPONSE: u8 = 2;
    pub(super) const ERROR: u8 = 3;
    pub(super) const CANCEL: u8 = 4;
    pub(super) const PING: u8 = 5;
    pub(super) const PONG: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const ITEM: u8 = 8;
    pub(super) const END: u8 = 9;
    pub(super) const WINDOW: u8 = 10;
}

/// The tags of fields.
mod tag {
    pub(super) const ATTEMPT: u8 = 2;
    pub(super) const METADATA: u8 = 3;
    pub(super) const DEPTH: u8 = 4;
    pub(super) const PATH: u8 = 5;
    pub(super) const PRIORITY: u8 = 6;
    pub(super) const CODE: u8 = 16;
    pub(super) const REASON: u8 = 17;
    pub(super) const TEXT: u8 = 18;
    pub(super) const RETRY_AFTER: u8 = 19;
    pub(super) const ERROR_ID: u8 = 20;
    pub(super) const RETRYABLE: u8 = 21;
}

const STREAMS_INPUT: u8 = 4;
const STREAMS_OUTPUT: u8 = 8;

/// A payload, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    /// The encoding of the bytes.
    pub encoding: Encoding,
    /// The bytes; empty if `encoding` is [`Encoding::Empty`].
    pub bytes: &'a [u8],
}

impl<'a> Payload<'a> {
    /// No payload.
    pub const EMPTY: Payload<'static> = Payload { encoding: Encoding::Empty, bytes: &[] };

    fn read(flags: u8, bytes: &'a [u8]) -> Result<Self, Malformed> {
        match Encoding::from_number(flags) {
            Some(encoding) if encoding != Encoding::Empty || bytes.is_empty() => Ok(Self { encoding, bytes }),
            _ => Err(Malformed),
        }
    }

    const fn flags(self) -> u8 {
        self.encoding as u8
    }
}

impl CallKind {
    const fn flags(self) -> u8 {
        self as u8 * STREAMS_INPUT
    }

    const fn from_flags(flags: u8) -> Self {
        match flags & (STREAMS_INPUT | STREAMS_OUTPUT) {
            0 => Self::Unary,
            STREAMS_INPUT => Self::ClientStream,
            STREAMS_OUTPUT => Self::ServerStream,
            _ => Self::BidiStream,
        }
    }
}

/// The fields of a request in addition to its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFields<'a> {
    /// The kind of call.
    pub kind: CallKind,
    /// The number of the attempt, from 1.
    pub attempt: u8,
    /// A JSON object of strings, or empty.
    pub metadata: &'a [u8],
    /// The position of the call in its chain, from 1.
    pub depth: u8,
    /// The calls that led to this one, as the caller states them: printable
    /// ASCII, at most [`MAX_PATH`] bytes. Empty for the first call of a chain.
    pub path: &'a str,
    /// How much the call matters, as the caller states it.
    pub priority: Priority,
}

impl RequestFields<'_> {
    /// The fields of the first attempt of a unary call outside any request.
    pub const FIRST: RequestFields<'static> = RequestFields {
        kind: CallKind::Unary,
        attempt: 1,
        metadata: &[],
        depth: 1,
        path: "",
        priority: Priority::Normal,
    };
}

impl Default for RequestFields<'_> {
    fn default() -> Self {
        Self::FIRST
    }
}

/// The failure of a call on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure<'a> {
    /// The kind of failure.
    pub code: Code,
    /// The stable reason, or empty.
    pub reason: &'a str,
    /// The message, for people.
    pub message: &'a str,
    /// Whether the same call can succeed later.
    pub retryable: bool,
    /// The earliest time of a sensible retry, in milliseconds from now.
    pub retry_after_ms: Option<u32>,
    /// The id of the failure in the server's log.
    pub error_id: &'a str,
    /// Structured details as JSON, or empty.
    pub data: Payload<'a>,
}

impl<'a> Failure<'a> {
    /// Creates a failure that the mesh itself detects, without a retry time, an
    /// id or data.
    #[must_use]
    pub const fn new(code: Code, reason: Reason, message: &'a str) -> Self {
        let reason = reason.as_str();
        Self {
            code,
            reason,
            message,
            retryable: false,
            retry_after_ms: None,
            error_id: "",
            data: Payload::EMPTY,
        }
    }
}

/// The cause of a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CancelCause {
    /// The caller gave up.
    Cancelled = 1,
    /// The deadline passed.
    Deadline = 2,
}

/// A message, borrowed from the record that carried it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Message<'a> {
    Request {
        call: u32,
        token: &'a [u8],
        /// Milliseconds; 0 if the call has no deadline.
        time_left_ms: u32,
        method: &'a str,
        fields: RequestFields<'a>,
        payload: Payload<'a>,
    },
    Response {
        call: u32,
        metadata: &'a [u8],
        payload: Payload<'a>,
    },
    Error {
        call: u32,
        failure: Failure<'a>,
    },
    Cancel {
        call: u32,
        cause: CancelCause,
    },
    Ping([u8; 8]),
    Pong([u8; 8]),
    GoAway {
        last: u32,
        code: Code,
    },
    /// One of the items of a stream.
    Item {
        call: u32,
        payload: Payload<'a>,
    },
    /// The end of items: the inputs of a caller, or the results of a successful
    /// request.
    End {
        call: u32,
        metadata: &'a [u8],
    },
    /// More credit for the peer; call 0 means the whole session.
    Window {
        call: u32,
        credit: u32,
    },
    /// A malformed message of a stream. It ends only that stream.
    Malformed {
        call: u32,
    },
}
