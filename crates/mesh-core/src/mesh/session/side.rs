//! The side of a session in this process, as the session sees it.

use std::{ops::Deref, sync::Arc};

use super::{
    breach::StreamError,
    state::{End, Session},
    streams::Streams,
    table::Sessions,
};
use crate::{
    auth::AuthError,
    error::{Code, Reason},
    mesh::{events::StreamId, shared::Shared},
    record::{
        RecordError,
        message::{Encoded, Message},
    },
};

/// The holder of the streams of one side: the calls of a client, or the
/// requests of a server. `id` is this side's own id of a call or request.
pub(crate) trait Carrier: Send + Sync + 'static {
    /// A session with the numbers of the calls that it carries.
    type Held: Deref<Target = Session> + Send + Sync + 'static;

    fn shared(&self) -> &Shared;
    /// The name of a stream for the application.
    fn stream(id: u32) -> StreamId;
    /// The id of the call with this number on a session, if it is in progress.
    fn find(&self, session: &Self::Held, number: u32) -> Option<u32>;
    /// Works on the streams of a call.
    fn with<T>(&self, id: u32, work: impl FnOnce(&mut Streams) -> T) -> Option<T>;
    /// The same for a call that has a number on a session.
    fn with_placed<T>(&self, id: u32, work: impl FnOnce(&mut Streams, &Session, u32) -> T) -> Option<T>;
    /// Works on the streams of every call that has a session.
    fn each(&self, work: impl FnMut(u32, &mut Streams, &Session));
    /// All items of the peer have arrived.
    fn peer_ended(&self, id: u32, metadata: &[u8]);
    /// The last message of this side was sent.
    fn all_gone(&self, id: u32);
    /// Ends a call whose peer has broken the rules of its stream.
    fn break_stream(&self, id: u32, error: StreamError);
    /// Ends a call because of an invalid item of this side's application.
    fn fail_own(&self, id: u32, code: Code, reason: Reason, text: &str);
}

/// The receiver of the messages of its sessions, in order, and of their ends.
pub(crate) trait Side: Carrier {
    fn sessions(&self) -> &Sessions<Self::Held>;
    /// Takes a message that belongs to no stream. `verify` checks a request's token.
    fn on_message(
        self: &Arc<Self>,
        session: &Arc<Self::Held>,
        message: Message<'_>,
        verify: impl FnMut(&[u8]) -> Result<(), AuthError>,
    ) -> Result<(), RecordError>;
    /// Handles the end of a session. `unwritten` are the messages that were never written.
    fn ended(self: &Arc<Self>, session: &Arc<Self::Held>, end: &End, unwritten: &[Encoded]);
    /// The same after the end of the application, to which nothing is reported.
    fn forgotten(&self, session: &Self::Held);
}
