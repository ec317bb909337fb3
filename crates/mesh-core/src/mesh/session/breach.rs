//! Breaches of the rules of a stream by a peer.

use crate::record::Overrun;

/// A breach of the rules of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StreamError {
    #[error("more items than the window allows")]
    Overrun,
    #[error("an item larger than the limit")]
    TooLarge,
    #[error("a message that does not belong to a call of this kind")]
    Unexpected,
    #[error("a message that is not well formed")]
    Malformed,
    #[error("more items than there is room for in memory")]
    NoRoom,
    #[error("items that the application does not read while other streams need their room")]
    Unread,
}

impl From<Overrun> for StreamError {
    fn from(_: Overrun) -> Self {
        Self::Overrun
    }
}
