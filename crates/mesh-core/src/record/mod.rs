//! The record layer of `docs/protocol.md`, section 5: one [`Sealer`] and one
//! [`Opener`] a direction, without sockets or a clock.

mod flow;
pub mod json;
mod keys;
pub mod message;
mod open;
mod seal;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use self::flow::SESSION_GROWTH;
pub use self::{
    flow::{Consumed, ITEM_COST, Inflow, Overrun, ReceiveWindow, SendWindow, Shares},
    open::{Opened, Opener},
    seal::Sealer,
};
use crate::{
    crypto::CryptoError,
    error::{Code, Coded, Reason},
};

/// Bytes of a record before its ciphertext.
pub const HEADER_LEN: usize = 20;
/// Bytes of a record beside its plaintext: header, GCM tag and HMAC.
pub const OVERHEAD: usize = HEADER_LEN + TAG_LEN + MAC_LEN;
/// Records discarded before a session is given up.
pub const MAX_DISCARDED: u32 = 8;

/// Requests that are refused, and pings, that one frame may carry. A frame of small
/// messages has 64 KiB, and each request its token: an honest one has fewer of them.
pub const MAX_UNWELCOME: u32 = 256;

const TAG_LEN: usize = 16;
const MAC_LEN: usize = 32;
const VERSION: u8 = 2;

/// When a sender changes keys, whichever comes first.
pub(crate) const REKEY_RECORDS: u64 = 1 << 20;
pub(crate) const REKEY_BYTES: u64 = 1 << 30;
pub(crate) const REKEY_AGE: Duration = Duration::from_hours(1);
/// Rekeys with fewer records than [`HASTY_RECORDS`] in an epoch shorter than
/// [`HASTY_AGE`] that a receiver puts up with.
const MAX_HASTY_REKEYS: u32 = 8;
const HASTY_RECORDS: u64 = 1024;
/// An epoch this long is over by age, however few its records. Half of
/// [`REKEY_AGE`]: two clocks do not run alike.
const HASTY_AGE: Duration = Duration::from_mins(30);

/// What a record carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum RecordType {
    Messages = 1,
    Rekey = 2,
}

/// Why a record was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not well formed.
    #[error("a record that is not well formed")]
    Format,
    /// Not made by the peer, or of another epoch.
    #[error("a record that was not made by the peer")]
    Auth,
    /// Received before.
    #[error("a record received a second time")]
    Replay,
    /// An authentic record is missing.
    #[error("a record of the peer was lost")]
    Gap,
    /// Authentic, with flags that this version does not know.
    #[error("a record of the peer has flags that this version does not know")]
    Flags,
    /// Authentic, but it does not decrypt.
    #[error("the peer's record does not decrypt")]
    Corrupt,
    /// The peer changes keys too often.
    #[error("the peer changes keys too often")]
    RekeyLimit,
    /// Too many records were discarded.
    #[error("more than {MAX_DISCARDED} records were discarded")]
    Discarded,
    /// No further epoch or sequence is left.
    #[error("the session's keys are used up")]
    Exhausted,
    /// More requests that are refused, or pings, in one frame than an honest peer sends.
    #[error("more than {MAX_UNWELCOME} refused requests or pings in one frame")]
    Flood,
    /// A message larger than the limit.
    #[error("a message larger than the limit")]
    TooLarge,
    /// The cryptographic library failed.
    #[error("a cryptographic operation failed")]
    Crypto,
}

impl RecordError {
    /// Whether the session goes on: the record came from a third party, and
    /// nothing of the peer is lost.
    #[must_use]
    pub const fn is_survivable(self) -> bool {
        matches!(self, Self::Format | Self::Auth | Self::Replay)
    }
}

impl From<CryptoError> for RecordError {
    fn from(_: CryptoError) -> Self {
        Self::Crypto
    }
}

impl Coded for RecordError {
    fn code(&self) -> Code {
        match self {
            Self::TooLarge => Code::ResourceExhausted,
            Self::Crypto | Self::Exhausted => Code::Internal,
            Self::Gap => Code::DataLoss,
            _ => Code::Unauthenticated,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Format | Self::Flags | Self::Flood => Reason::RecordFormat,
            Self::Auth | Self::Corrupt | Self::Discarded => Reason::RecordAuth,
            Self::Replay => Reason::Replay,
            Self::Gap => Reason::SequenceGap,
            Self::RekeyLimit => Reason::RekeyLimit,
            Self::Exhausted | Self::Crypto => Reason::Crypto,
            Self::TooLarge => Reason::TooLarge,
        }
    }
}
