//! The side of a session that this process is on, as the session sees it.

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

/// Where the streams of one side are: with the calls of a client, or with the
/// requests of a server. `id` is this side's own number of a call or request.
pub(crate) trait Carrier: Send + Sync + 'static {
    /// A session with the numbers of the calls that it carries.
    type Held: Deref<Target = Session> + Send + Sync + 'static;

    fn shared(&self) -> &Shared;
    /// The name of a stream for the application.
    fn stream(id: u32) -> StreamId;
    /// The call with this number on a session, if it is under way.
    fn find(&self, session: &Self::Held, number: u32) -> Option<u32>;
    /// Works on the streams of a call.
    fn with<T>(&self, id: u32, work: impl FnOnce(&mut Streams) -> T) -> Option<T>;
    /// The same for a call that has a session, and a number there.
    fn with_placed<T>(&self, id: u32, work: impl FnOnce(&mut Streams, &Session, u32) -> T) -> Option<T>;
    /// Works on the streams of every call that has a session.
    fn each(&self, work: impl FnMut(u32, &mut Streams, &Session));
    /// The peer's items are all there.
    fn peer_ended(&self, id: u32, metadata: &[u8]);
    /// The last message of this side is gone.
    fn all_gone(&self, id: u32);
    /// Ends a call whose peer breaks the rules of its stream.
    fn break_stream(&self, id: u32, error: StreamError);
    /// Ends a call over an item of this side's application.
    fn fail_own(&self, id: u32, code: Code, reason: Reason, text: &str);
}

/// Takes the messages of its sessions, in order, and hears of their end.
pub(crate) trait Side: Carrier {
    fn sessions(&self) -> &Sessions<Self::Held>;
    /// Takes a message that is not of a stream. `verify` checks a request's token.
    fn on_message(
        self: &Arc<Self>,
        session: &Arc<Self::Held>,
        message: Message<'_>,
        verify: impl FnMut(&[u8]) -> Result<(), AuthError>,
    ) -> Result<(), RecordError>;
    /// A session has ended; these messages were never written.
    fn ended(self: &Arc<Self>, session: &Arc<Self::Held>, end: &End, unwritten: &[Encoded]);
    /// The same when there is no application any more that could hear of it.
    fn forgotten(&self, session: &Self::Held);
}
