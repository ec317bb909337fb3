//! Requests of peers, from the open session to the handler.
//!
//! Outermost first: session → open → token → call limit → handler. Each request
//! ends exactly once, since whoever takes it out of the table answers it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    core::Core,
    events::{AbortCause, Request, RequestId, StreamId},
    session::{End, Role, Session, lock},
    streams::{Queued, Streams},
    timers::{Timer, TimerKey},
};
use crate::{
    auth::AuthError,
    error::{Code, Coded, Reason},
    record::{
        RecordError,
        message::{CancelCause, Encoded, Failure, Payload, RequestFields},
    },
};

/// Requests under way.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    pub(super) requests: HashMap<RequestId, Active>,
    /// Requests nobody waits for any more, whose handlers still run. They keep
    /// their place, or a peer could start any number by cancelling each.
    abandoned: HashMap<RequestId, Arc<Session>>,
    pub(super) last: RequestId,
}

impl Inbound {
    /// Requests under way, and those that nobody waits for.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.requests.len(), self.abandoned.len())
    }
}

#[derive(Debug)]
pub(super) struct Active {
    pub(super) session: Arc<Session>,
    pub(super) wire: u32,
    pub(super) streams: Streams,
    timer: Option<TimerKey>,
    /// Its handler is done, though not all it said has gone.
    done: bool,
}

impl Core {
    /// A request arrived on an inbound session.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn on_request(
        &self,
        session: &Arc<Session>,
        wire: u32,
        token: Result<(), AuthError>,
        time_left_ms: u32,
        method: &str,
        fields: RequestFields<'_>,
        payload: Payload<'_>,
    ) -> Result<(), RecordError> {
        let Role::Server(side) = &session.role else { return Err(RecordError::Format) };
        let limits = &self.config.limits;
        let in_flight = {
            let mut side = lock(side);
            if wire <= side.last {
                return Err(RecordError::Format);
            }
            if side.leaving {
                // The peer knows from the goaway that this one never ran.
                return Ok(());
            }
            if let Err(error) = &token
                && error.is_about_time()
            {
                drop(side);
                self.refuse_time(session, error);
                return Ok(());
            }
            side.last = wire;
            side.requests.len() + side.abandoned
        };
        let refusal = if let Err(error) = token {
            Some((error.code(), error.reason(), format!("the request's token: {error}"), None))
        } else if in_flight >= limits.max_calls as usize {
            let text = format!("{} calls are under way on one session", limits.max_calls);
            Some((Code::ResourceExhausted, Reason::CallLimit, text, Some(50)))
        } else if !is_metadata(fields.metadata) {
            let text = "the metadata is not a JSON object of strings".to_owned();
            Some((Code::InvalidArgument, Reason::Payload, text, None))
        } else if payload.bytes.len() > limits.max_message as usize {
            let text = format!("the input is larger than {} bytes", limits.max_message);
            Some((Code::ResourceExhausted, Reason::TooLarge, text, None))
        } else {
            None
        };
        if let Some((code, reason, message, retry_after_ms)) = refusal {
            self.stats.count_request(false);
            let retryable = retry_after_ms.is_some();
            let failure = Failure { retryable, retry_after_ms, ..Failure::new(code, reason, &message) };
            session.send(Encoded::error(wire, &failure));
            return Ok(());
        }

        // A caller without a deadline, or with a generous one, does not get
        // to hold a place here for ever; a stream does, as long as it lives.
        let time_left = match time_left_ms {
            0 if fields.kind.is_stream() => None,
            0 => Some(MAX_TIME),
            ms => Some(Duration::from_millis(ms.into()).min(MAX_TIME)),
        };
        let id = {
            let mut inbound = lock(&self.inbound);
            let Inbound { requests, abandoned, last } = &mut *inbound;
            loop {
                *last = last.wrapping_add(1);
                if !requests.contains_key(last) && !abandoned.contains_key(last) {
                    break;
                }
            }
            let timer = time_left.map(|time_left| self.timers.insert(Timer::Request(*last), time_left));
            let streams = Streams::of_request(fields.kind, method);
            requests
                .insert(*last, Active { session: Arc::clone(session), wire, streams, timer, done: false });
            *last
        };
        lock(side).requests.insert(wire, id);
        self.events.request(Request {
            id,
            session: &session.info,
            method,
            kind: fields.kind,
            payload,
            metadata: fields.metadata,
            time_left,
            attempt: fields.attempt,
        });
        Ok(())
    }

    /// A clock was set while a request was on its way. The request never ran:
    /// the goaway says so, and its caller makes it again on a new session.
    fn refuse_time(&self, session: &Session, error: &AuthError) {
        self.stats.count_request(false);
        let peer = session.info.peer.to_string();
        let fields = vec![("peer", peer.clone()), ("reason", error.reason().to_string())];
        self.log_refusal("request.refused", peer, format!("the request's token: {error}"), fields);
        leave(session);
    }

    /// The caller gave a request up.
    pub(super) fn on_cancel(&self, session: &Session, wire: u32, cause: CancelCause) {
        let Role::Server(side) = &session.role else { return };
        let Some(id) = lock(side).requests.get(&wire).copied() else { return };
        let cause = match cause {
            CancelCause::Cancelled => AbortCause::Cancelled,
            CancelCause::Deadline => AbortCause::Deadline,
        };
        self.abort(id, cause);
    }

    /// Answers a request. A late answer only says that the handler is done.
    pub(super) fn respond(&self, id: RequestId, metadata: &[u8], payload: Payload<'_>) {
        let Some(active) = self.take_request(id) else { return self.release(id) };
        let limit = active.session.parameters.max_message as usize;
        let encoded = if payload.bytes.len() > limit {
            let len = payload.bytes.len();
            Err(format!("the result is {len} bytes, more than the caller accepts ({limit})"))
        } else {
            Encoded::response(active.wire, metadata, payload)
                .map_err(|_| "the response metadata is larger than 8 KiB".to_owned())
        };
        self.stats.count_request(encoded.is_ok());
        active.session.send(encoded.unwrap_or_else(|message| {
            Encoded::error(active.wire, &Failure::new(Code::ResourceExhausted, Reason::TooLarge, &message))
        }));
    }

    /// Fails a request, after the items that are queued. A late failure only
    /// says that the handler is done.
    pub(super) fn fail(&self, id: RequestId, failure: &Failure<'_>) {
        let queued = {
            let mut inbound = lock(&self.inbound);
            let Some(active) = inbound.requests.get_mut(&id) else {
                drop(inbound);
                return self.release(id);
            };
            let limit = active.session.parameters.max_message as usize;
            let data = if failure.data.bytes.len() > limit { Payload::EMPTY } else { failure.data };
            let message = Encoded::error(active.wire, &Failure { data, ..*failure });
            if active.streams.sends() { Ok(message) } else { Err(message) }
        };
        match queued {
            Ok(message) => self.finish_stream(id, message, false),
            Err(message) => {
                let Some(active) = self.take_request(id) else { return };
                self.stats.count_request(false);
                active.session.send(message);
            }
        }
    }

    /// The handler of a stream is done; its last message follows its items.
    pub(super) fn finish_stream(&self, id: RequestId, last: Encoded, ok: bool) {
        if self.queue(StreamId::Request(id), last, true) == Queued::Taken {
            self.stats.count_request(ok);
        } else {
            self.release(id);
        }
    }

    /// The last message of a stream is on its way.
    pub(super) fn answered(&self, id: RequestId) {
        self.take_request(id);
    }

    /// Ends a request that is not as it should be, whatever its handler does.
    pub(super) fn refuse_request(&self, id: RequestId, code: Code, reason: Reason, message: &str) {
        self.stop_request(id, AbortCause::Cancelled, Some(&Failure::new(code, reason, message)));
    }

    /// A request's time is over.
    pub(super) fn request_expired(&self, id: RequestId) {
        let failure =
            Failure::new(Code::DeadlineExceeded, Reason::Deadline, "the handler did not answer in time");
        self.stop_request(id, AbortCause::Deadline, Some(&failure));
    }

    fn abort(&self, id: RequestId, cause: AbortCause) {
        self.stop_request(id, cause, None);
    }

    /// Tells the caller, if it is told anything, and the handler, if it still runs.
    fn stop_request(&self, id: RequestId, cause: AbortCause, failure: Option<&Failure<'_>>) {
        let Some(active) = self.take_request(id) else { return };
        if let Some(failure) = failure {
            active.session.send(Encoded::error(active.wire, failure));
        }
        if active.done {
            return;
        }
        self.stats.count_request(false);
        if let Role::Server(side) = &active.session.role {
            lock(side).abandoned += 1;
        }
        lock(&self.inbound).abandoned.insert(id, active.session);
        self.events.aborted(id, cause);
        self.events.flush();
    }

    /// Nobody waits for the requests of `session` any more.
    pub(super) fn abort_session(&self, session: &Session, cause: AbortCause) {
        for id in requests_of(session) {
            self.guarded(|| self.abort(id, cause));
        }
        self.events.flush();
    }

    /// The same when nobody is there any more to be told of it.
    pub(super) fn forget_requests(&self, session: &Session) {
        for id in requests_of(session) {
            self.take_request(id);
        }
    }

    /// The handler of an abandoned request is done.
    fn release(&self, id: RequestId) {
        if let Some(session) = lock(&self.inbound).abandoned.remove(&id)
            && let Role::Server(side) = &session.role
        {
            lock(side).abandoned -= 1;
        }
    }

    fn take_request(&self, id: RequestId) -> Option<Active> {
        let mut active = lock(&self.inbound).requests.remove(&id)?;
        if let Some(key) = active.timer {
            self.timers.remove(key);
        }
        if let Role::Server(side) = &active.session.role {
            lock(side).requests.remove(&active.wire);
        }
        active.done = active.streams.has_ended();
        active.streams.release(&active.session, active.wire);
        Some(active)
    }
}

/// The requests of a session, in the order in which they began.
fn requests_of(session: &Session) -> Vec<RequestId> {
    let Role::Server(side) = &session.role else { return Vec::new() };
    let mut ids: Vec<RequestId> = lock(side).requests.values().copied().collect();
    ids.sort_unstable();
    ids
}

/// Takes no more requests on a session; true if none is under way.
pub(super) fn leave(session: &Session) -> bool {
    let Role::Server(side) = &session.role else { return true };
    let mut side = lock(side);
    if !side.leaving {
        side.leaving = true;
        session.send(Encoded::go_away(side.last, Code::Unavailable));
    }
    let idle = side.requests.is_empty();
    if idle {
        session.finish(End::Closed);
    }
    idle
}

/// The longest a request may hold its place.
const MAX_TIME: Duration = Duration::from_hours(24);

/// Whether this is nothing, or a JSON object of strings.
pub(super) fn is_metadata(text: &[u8]) -> bool {
    text.is_empty() || serde_json::from_slice::<HashMap<String, String>>(text).is_ok()
}
