//! What happens to the items of streams, on the side that calls and on the
//! side that answers.
//!
//! A peer that breaks the rules of a stream loses that stream and nothing
//! else. What belongs to no stream, or to one that is over, is dropped: it may
//! have crossed with the end.

use std::sync::Arc;

use super::{
    core::Core,
    events::{CallError, CallId, RequestId, StreamId},
    outbound::abandon,
    session::{Role, Session, lock},
    streams::{Pumped, Queued, StreamError, Streams, shares},
};
use crate::{
    error::{Code, Reason},
    record::{
        RecordError,
        message::{CallKind, CancelCause, Encoded, Payload},
    },
};

impl Core {
    /// An item arrived.
    pub(super) fn on_item(
        &self,
        session: &Arc<Session>,
        wire: u32,
        payload: Payload<'_>,
    ) -> Result<(), RecordError> {
        // Only a peer that does not count sends more than all streams may share.
        let shared = shares(payload).shared;
        session.receive_shared(shared).map_err(|_| RecordError::Format)?;
        let limit = self.config.limits.max_message;
        let Some(stream) = stream_of(session, wire) else {
            session.return_shared(shared);
            return Ok(());
        };
        match self.with(stream, |streams| streams.receive(payload, limit)) {
            Some(Ok(())) => self.events.item(stream, payload),
            Some(Err(error)) => {
                // What the stream did not take, it will not give back.
                session.return_shared(shared);
                self.break_stream(stream, error);
            }
            None => session.return_shared(shared),
        }
        Ok(())
    }

    /// The peer's items are all there.
    pub(super) fn on_end(&self, session: &Arc<Session>, wire: u32, metadata: &[u8]) {
        let Some(stream) = stream_of(session, wire) else { return };
        match self.with(stream, Streams::receive_end) {
            Some(Ok(())) => match stream {
                StreamId::Call(id) if self.kind(id).is_some_and(CallKind::streams_output) => {
                    let reply = super::events::Reply { payload: Payload::EMPTY, metadata };
                    self.settle(id, Ok(reply));
                }
                StreamId::Call(id) => self.break_call(id, StreamError::Unexpected),
                StreamId::Request(id) => self.events.input_ended(id),
            },
            Some(Err(error)) => self.break_stream(stream, error),
            None => {}
        }
    }

    /// The peer lets this side send more.
    pub(super) fn on_window(
        &self,
        session: &Arc<Session>,
        wire: u32,
        credit: u32,
    ) -> Result<(), RecordError> {
        if wire == 0 {
            session.grant(credit).map_err(|_| RecordError::Format)?;
            self.call_waiting(session);
        } else if let Some(stream) = stream_of(session, wire) {
            match self.with(stream, |streams| streams.grant(credit)) {
                Some(Ok(())) => self.pump(stream, false),
                Some(Err(error)) => self.break_stream(stream, error),
                None => {}
            }
        }
        Ok(())
    }

    /// Lets streams go on that wait for the session's window or for the budget,
    /// each for its turn, while there is room.
    pub(super) fn call_waiting(&self, session: &Session) {
        while let Some(wire) = session.next_unblocked() {
            if let Some(stream) = stream_of(session, wire) {
                self.pump(stream, true);
            }
        }
    }

    /// A message of a stream could not be read.
    pub(super) fn on_malformed(&self, session: &Arc<Session>, wire: u32) {
        if let Some(stream) = stream_of(session, wire) {
            self.break_stream(stream, StreamError::Malformed);
        }
    }

    /// Sends an item, or queues it.
    pub(super) fn send_item(&self, stream: StreamId, payload: Payload<'_>) {
        let limit = self.limit(stream);
        if payload.bytes.len() > limit as usize {
            let text = format!(
                "an item is {} bytes, more than limits.maxMessageBytes of one of the sides ({limit})",
                payload.bytes.len()
            );
            return self.fail_own(stream, Code::ResourceExhausted, Reason::TooLarge, &text);
        }
        if self.queue(stream, Encoded::item(0, payload), false) == Queued::Full {
            let text = "the stream's items were sent without waiting for earlier ones to go";
            self.fail_own(stream, Code::ResourceExhausted, Reason::MemoryLimit, text);
        }
    }

    /// Ends this side's items.
    pub(super) fn send_end(&self, stream: StreamId, metadata: &[u8]) {
        let Ok(end) = Encoded::end(0, metadata) else {
            let text = "the response metadata is larger than 8 KiB";
            return self.fail_own(stream, Code::ResourceExhausted, Reason::TooLarge, text);
        };
        match stream {
            StreamId::Call(_) => {
                self.queue(stream, end, true);
            }
            StreamId::Request(id) => self.finish_stream(id, end, true),
        }
    }

    /// The application is done with what it was given.
    pub(super) fn consumed(&self, stream: StreamId, cost: usize) {
        self.with_placed(stream, |streams, session, wire| streams.consume(session, wire, cost));
    }

    /// The kind of a call that is under way.
    pub(super) fn kind(&self, id: CallId) -> Option<CallKind> {
        lock(&self.outbound).calls.get(&id).map(|call| call.kind)
    }

    /// Sends what a call's windows allow.
    pub(super) fn pump_call(&self, id: CallId) {
        self.pump(StreamId::Call(id), false);
    }

    /// Ends a call over what its server sent.
    pub(super) fn break_call(&self, id: CallId, error: StreamError) {
        let text = format!("the service sent {error}");
        let (code, reason) = match error {
            StreamError::Unread => (Code::ResourceExhausted, Reason::MemoryLimit),
            _ => (Code::Internal, Reason::StreamProtocol),
        };
        self.fail_call(id, CallError::local(code, reason, text));
    }

    pub(super) fn break_stream(&self, stream: StreamId, error: StreamError) {
        match stream {
            StreamId::Call(id) => self.break_call(id, error),
            StreamId::Request(id) => {
                let (code, reason) = match error {
                    StreamError::TooLarge => (Code::ResourceExhausted, Reason::TooLarge),
                    StreamError::Unread => (Code::ResourceExhausted, Reason::MemoryLimit),
                    _ => (Code::InvalidArgument, Reason::StreamProtocol),
                };
                self.refuse_request(id, code, reason, &format!("the caller sent {error}"));
            }
        }
    }

    /// Ends a stream over what this side's application wants to send.
    fn fail_own(&self, stream: StreamId, code: Code, reason: Reason, text: &str) {
        match stream {
            StreamId::Call(id) => self.fail_call(id, CallError::local(code, reason, text)),
            StreamId::Request(id) => self.refuse_request(id, code, reason, text),
        }
    }

    fn fail_call(&self, id: CallId, error: CallError) {
        let Some(call) = self.take(id) else { return };
        abandon(&call, CancelCause::Cancelled);
        self.stats.count_call(false);
        self.events.settled(id, Err(error));
        self.events.flush();
    }

    /// Queues a message of a stream and sends what may go.
    pub(super) fn queue(&self, stream: StreamId, message: Encoded, last: bool) -> Queued {
        let queued = self.with(stream, |streams| streams.queue(message, last)).unwrap_or(Queued::Over);
        if queued == Queued::Taken {
            self.pump(stream, false);
        }
        queued
    }

    fn pump(&self, stream: StreamId, called: bool) {
        let pumped = self.with_placed(stream, |streams, session, wire| streams.pump(session, wire, called));
        let Some(Pumped { cost, finished }) = pumped else { return };
        if cost > 0 {
            self.events.sent(stream, cost);
            self.events.flush();
        }
        if let StreamId::Request(id) = stream
            && finished
        {
            self.answered(id);
        }
    }

    /// The size of the items that the other side of a stream accepts.
    fn limit(&self, stream: StreamId) -> u32 {
        let own = self.config.limits.max_message;
        self.with_placed(stream, |_, session, _| session.parameters.max_message).unwrap_or(own).min(own)
    }

    fn with<T>(&self, stream: StreamId, work: impl FnOnce(&mut Streams) -> T) -> Option<T> {
        match stream {
            StreamId::Call(id) => Some(work(&mut lock(&self.outbound).calls.get_mut(&id)?.streams)),
            StreamId::Request(id) => Some(work(&mut lock(&self.inbound).requests.get_mut(&id)?.streams)),
        }
    }

    /// The same for a stream that has a session.
    fn with_placed<T>(
        &self,
        stream: StreamId,
        work: impl FnOnce(&mut Streams, &Session, u32) -> T,
    ) -> Option<T> {
        match stream {
            StreamId::Call(id) => {
                let mut outbound = lock(&self.outbound);
                let call = outbound.calls.get_mut(&id)?;
                let (session, wire) = call.placed.as_ref()?;
                Some(work(&mut call.streams, session, *wire))
            }
            StreamId::Request(id) => {
                let mut inbound = lock(&self.inbound);
                let active = inbound.requests.get_mut(&id)?;
                Some(work(&mut active.streams, &active.session, active.wire))
            }
        }
    }
}

/// The call with this number on a session, if it is under way.
pub(super) fn call_of(session: &Session, wire: u32) -> Option<CallId> {
    let Role::Client(side) = &session.role else { return None };
    let mut side = lock(side);
    let id = side.pending.get(&wire).copied()?;
    // What the server has begun to answer it cannot disown later.
    side.heard = side.heard.max(wire);
    Some(id)
}

fn request_of(session: &Session, wire: u32) -> Option<RequestId> {
    let Role::Server(side) = &session.role else { return None };
    lock(side).requests.get(&wire).copied()
}

fn stream_of(session: &Session, wire: u32) -> Option<StreamId> {
    call_of(session, wire).map(StreamId::Call).or_else(|| request_of(session, wire).map(StreamId::Request))
}
