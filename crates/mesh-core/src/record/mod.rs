//! The record layer of `docs/protocol.md`, section 5: one [`Sealer`] and one
//! [`Opener`] for each direction, without sockets or a clock.

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
/// Bytes of a record in addition to its plaintext: header, GCM tag and HMAC.
pub const OVERHEAD: usize = HEADER_LEN + TAG_LEN + MAC_LEN;
/// The limit of discarded records, above which the session ends.
pub const MAX_DISCARDED: u32 = 8;

/// Requests that are refused, and pings, that one frame may carry. A frame of small
/// messages has 64 KiB, and each request its token: an honest one has fewer of them.
pub const MAX_UNWELCOME: u32 = 256;

const TAG_LEN: usize = 16;
const MAC_LEN: usize = 32;
const VERSION: u8 = 2;

/// The number of records after which a sender changes keys, unless
/// [`REKEY_AGE`] comes first.
pub(crate) const REKEY_RECORDS: u64 = 1 << 20;
pub(crate) const REKEY_BYTES: u64 = 1 << 30;
pub(crate) const REKEY_AGE: Duration = Duration::from_hours(1);
/// The limit of hasty rekeys that a receiver tolerates. A rekey is hasty if its
/// epoch had fewer records than [`HASTY_RECORDS`] and was shorter than
/// [`HASTY_AGE`].
const MAX_HASTY_REKEYS: u32 = 8;
const HASTY_RECORDS: u64 = 1024;
/// The age from which a rekey is never hasty, however few records the epoch
/// had. It is half of [`REKEY_AGE`], because two clocks run at different
/// speeds.
const HASTY_AGE: Duration = Duration::from_mins(30);

/// The type of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum RecordType {
    Messages = 1,
    Rekey = 2,
}

/// The reason why a record was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The record is malformed.
    #[error("a record that is not well formed")]
    Format,
    /// The peer did not make the record, or made it in another epoch.
    #[error("a record that was not made by the peer")]
    Auth,
    /// The record was received before.
    #[error("a record received a second time")]
    Replay,
    /// An authentic record is missing.
    #[error("a record of the peer was lost")]
    Gap,
    /// The record is authentic, with flags that this version does not know.
    #[error("a record of the peer has flags that this version does not know")]
    Flags,
    /// The record is authentic but does not decrypt.
    #[error("the peer's record does not decrypt")]
    Corrupt,
    /// The peer changes keys too often.
    #[error("the peer changes keys too often")]
    RekeyLimit,
    /// Too many records were discarded.
    #[error("more than {MAX_DISCARDED} records were discarded")]
    Discarded,
    /// No epoch or sequence is left.
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
    /// Returns whether the session continues: the record came from a third
    /// party, and no record of the peer is lost.
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
