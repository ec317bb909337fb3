//! The complete policy of the statuses that peers receive.
//!
//! A stranger can learn three facts: it is refused, this side is busy, or its version is not
//! supported. A proved peer can also learn that this side lacks a resource, and every peer
//! learns that it is closing. The check that refused a peer appears only in this side's log.

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

/// The answer when a limit is reached. The limit is named only in this side's log.
pub(crate) fn busy() -> Status {
    Status::resource_exhausted("too many handshakes or sessions")
}

/// The answer when this side lacks a resource, such as a writable key directory.
/// The details are only in this side's log.
pub(crate) fn unable() -> Status {
    Status::unavailable("no sessions at present")
}

/// The answer when this mesh is closing.
pub(crate) fn shutting_down() -> Status {
    Status::unavailable("shutting down")
}
