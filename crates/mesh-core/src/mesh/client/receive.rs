//! Messages of the servers that this side calls, and the streams of its calls.

use std::sync::Arc;

use super::{calls::Client, session::ClientSession};
use crate::{
    auth::AuthError,
    error::{Code, Reason},
    mesh::{
        events::{CallError, CallId, Reply, StreamId},
        metadata::metadata_or_nothing,
        session::{Carrier, End, Session, Sessions, Side, StreamError, Streams},
        shared::Shared,
    },
    record::{
        RecordError,
        message::{CallKind, Encoded, Failure, Message, Payload},
    },
};

impl Side for Client {
    fn sessions(&self) -> &Sessions<ClientSession> {
        &self.sessions
    }

    fn on_message(
        self: &Arc<Self>,
        session: &Arc<ClientSession>,
        message: Message<'_>,
        _verify: impl FnMut(&[u8]) -> Result<(), AuthError>,
    ) -> Result<(), RecordError> {
        match message {
            Message::Response { call, metadata, payload } => {
                let reply = Reply { payload, metadata: metadata_or_nothing(metadata) };
                self.on_response(session, call, Ok(reply));
            }
            Message::Error { call, failure } => self.on_response(session, call, Err(&failure)),
            // The server disowns a call to which it has already responded.
            Message::GoAway { last, .. } if session.has_heard_beyond(last) => {
                return Err(RecordError::Format);
            }
            Message::GoAway { last, .. } => self.leave(session, last),
            // Only a client sends this message. It was reflected, or the peer is faulty.
            _ => return Err(RecordError::Format),
        }
        Ok(())
    }

    fn ended(self: &Arc<Self>, session: &Arc<ClientSession>, end: &End, unwritten: &[Encoded]) {
        self.session_ended(session, end, unwritten);
    }

    fn forgotten(&self, _: &ClientSession) {}
}

impl Client {
    /// Handles a response.
    fn on_response(
        self: &Arc<Self>,
        session: &ClientSession,
        number: u32,
        outcome: Result<Reply<'_>, &Failure<'_>>,
    ) {
        let Some(id) = session.heard_of(number) else { return };
        if outcome.is_ok() && self.kind(id).is_some_and(CallKind::streams_output) {
            return self.break_stream(id, StreamError::Unexpected);
        }
        let outcome = match outcome {
            Ok(reply) => self.light(reply.payload).map(|()| reply),
            Err(failure) => Err(match self.light(failure.data) {
                Ok(()) => CallError::remote(failure),
                // Without room the failure is reported without its data.
                Err(_) => CallError::remote(&Failure { data: Payload::EMPTY, ..*failure }),
            }),
        };
        if let Err(error) = &outcome
            && self.goes_elsewhere(id, error)
        {
            return;
        }
        self.tried(id, outcome);
    }

    /// Whether the application may parse a payload. A heavy one would block its event loop or
    /// exhaust its heap.
    fn light(&self, payload: Payload<'_>) -> Result<(), CallError> {
        let heavy = |error| format!("the service sent {error}");
        match self.shared.weigh(payload) {
            Ok(_) => Ok(()),
            Err(error) => Err(CallError::local(Code::ResourceExhausted, Reason::TooLarge, heavy(error))),
        }
    }

    /// The kind of a call in flight.
    fn kind(&self, id: CallId) -> Option<CallKind> {
        self.under_way().calls.get(&id).map(|call| call.kind)
    }
}

impl Carrier for Client {
    type Held = ClientSession;

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn stream(id: CallId) -> StreamId {
        StreamId::Call(id)
    }

    fn find(&self, session: &ClientSession, number: u32) -> Option<CallId> {
        session.heard_of(number)
    }

    fn with<T>(&self, id: CallId, work: impl FnOnce(&mut Streams) -> T) -> Option<T> {
        Some(work(&mut self.under_way().calls.get_mut(&id)?.streams))
    }

    fn with_placed<T>(&self, id: CallId, work: impl FnOnce(&mut Streams, &Session, u32) -> T) -> Option<T> {
        let mut under_way = self.under_way();
        let call = under_way.calls.get_mut(&id)?;
        let (session, number) = call.placed.as_ref()?;
        Some(work(&mut call.streams, session, *number))
    }

    fn each(&self, mut work: impl FnMut(CallId, &mut Streams, &Session)) {
        for (id, call) in &mut self.under_way().calls {
            if let Some((session, _)) = &call.placed {
                work(*id, &mut call.streams, session);
            }
        }
    }

    fn peer_ended(&self, id: CallId, metadata: &[u8]) {
        if self.kind(id).is_some_and(CallKind::streams_output) {
            self.settle(id, Ok(Reply { payload: Payload::EMPTY, metadata }));
        } else {
            self.break_stream(id, StreamError::Unexpected);
        }
    }

    fn all_gone(&self, _: CallId) {}

    fn break_stream(&self, id: CallId, error: StreamError) {
        let (code, reason) = match error {
            StreamError::Unread | StreamError::NoRoom => (Code::ResourceExhausted, Reason::MemoryLimit),
            _ => (Code::Internal, Reason::StreamProtocol),
        };
        self.fail(id, CallError::local(code, reason, format!("the service sent {error}")));
    }

    fn fail_own(&self, id: CallId, code: Code, reason: Reason, text: &str) {
        self.fail(id, CallError::local(code, reason, text));
    }
}
