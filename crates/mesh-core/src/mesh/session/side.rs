//! The side of a session that this process is on, as the session sees it.

use std::sync::Arc;

use super::state::Session;
use crate::{
    auth::AuthError,
    clock::Timestamp,
    record::{RecordError, message::Message},
};

/// Takes the messages of a session, in order.
pub(crate) trait Side: Send + Sync + 'static {
    /// Takes one message. `verify` checks a request's token.
    fn on_message(
        &self,
        session: &Arc<Session>,
        message: Message<'_>,
        verify: &mut dyn FnMut(&[u8]) -> Result<(), AuthError>,
        now: Timestamp,
    ) -> Result<(), RecordError>;
    /// A record was discarded.
    fn on_discarded(&self, session: &Arc<Session>, error: RecordError);
    /// A burst of messages is over.
    fn on_burst(&self);
    /// Queued messages were handed to the connection: streams may go on.
    fn on_written(&self, session: &Session);
    /// Bytes handed on and not yet dealt with.
    fn backlog(&self) -> usize;
}
