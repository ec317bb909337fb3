//! The whole policy of what a peer hears, on one screen.
//!
//! A stranger learns three things at most: refused, busy, or wrong version. A peer that
//! has proved itself also learns that this side lacks something, and anybody that it is closing.
//! Which check refused it stays in this side's log.

use tonic::Status;

use crate::handshake::{HandshakeError, PROTOCOL_VERSION};

/// The answer to a failed handshake.
pub(crate) fn refusal(error: &HandshakeError) -> Status {
    match error {
        HandshakeError::Version => {
            Status::failed_precondition(format!("supported protocol versions: {PROTOCOL_VERSION}"))
        }
        _ => Status::unauthenticated("handshake refused"),
    }
}

/// The answer when a limit is reached. Which one is for this side's log.
pub(crate) fn busy() -> Status {
    Status::resource_exhausted("too many handshakes or sessions")
}

/// The answer when this side lacks something that it needs, such as a key directory
/// that takes files. The details are for this side's log.
pub(crate) fn unable() -> Status {
    Status::unavailable("no sessions at present")
}

/// The answer when this mesh is closing.
pub(crate) fn shutting_down() -> Status {
    Status::unavailable("shutting down")
}
