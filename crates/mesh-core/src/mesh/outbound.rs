//! Calls made here, from the application to a session and back.
//!
//! Outermost first: limit → deadline → pick an instance → its session, opened
//! once however many calls race for it → seal. A call that provably never ran
//! is tried again; each call ends exactly once, since whoever takes it out of
//! the table tells its end.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    chain::check_time_left,
    core::Core,
    dial,
    events::{CallError, CallId, CallSpec, Reply},
    links::{Links, PATIENCE, Route, Seeker},
    session::{End, Role, Session, lock},
    streaming::call_of,
    streams::{StreamError, Streams},
    timers::{Timer, TimerKey},
};
use crate::{
    discovery::Address,
    error::{Code, Reason},
    id::{IdSyntaxError, ServiceId},
    record::{
        RecordError,
        message::{CallKind, CancelCause, Encoded, Failure, MAX_METHOD, RequestFields, is_method_name},
    },
};

/// Sessions that a call is sent on at most, where trying again is safe.
const MAX_ATTEMPTS: u8 = 3;

/// Calls under way, and the sessions that carry them.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    pub(super) calls: HashMap<CallId, Call>,
    pub(super) links: Links,
}

#[derive(Debug)]
pub(super) struct Call {
    service: ServiceId,
    message: Encoded,
    timer: Option<TimerKey>,
    /// Tries in all, of which these were sent.
    attempts: u8,
    sent: u8,
    /// Attempts before this call, by the application.
    earlier: u8,
    /// A connection that is tried later than this is of no use to it.
    pub(super) latest: Instant,
    deadline: Option<Instant>,
    /// Instances that could not be reached for it, since it last waited.
    unreachable: Vec<Address>,
    idempotent: bool,
    /// It has been sent again because a peer said that it had not run.
    repeated_on_word: bool,
    pub(super) kind: CallKind,
    pub(super) streams: Streams,
    pub(super) placed: Option<(Arc<Session>, u32)>,
}

/// What is known of whether a call ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ran {
    /// It never left this side.
    No,
    /// The peer says that it never ran.
    NoByWord,
    /// Nobody can tell.
    Perhaps,
}

impl Core {
    /// Begins a call. Its end is told through the events, also when it fails here.
    pub(super) fn call(self: &Arc<Self>, id: CallId, spec: &CallSpec<'_>) {
        match self.begin(spec) {
            Ok(call) => {
                let deadline = call.deadline;
                if lock(&self.outbound).calls.insert(id, call).is_some() {
                    // The application broke its promise; the former call is over.
                    self.events.settled(
                        id,
                        Err(CallError::local(Code::Internal, Reason::Internal, "call id reused")),
                    );
                }
                if let Some(deadline) = deadline {
                    let left = deadline.saturating_duration_since(Instant::now());
                    let key = self.timers.insert(Timer::Call(id), left);
                    if let Some(call) = lock(&self.outbound).calls.get_mut(&id) {
                        call.timer = Some(key);
                    }
                }
                self.place(id);
            }
            Err(error) => self.events.settled(id, Err(error)),
        }
        self.events.flush();
    }

    fn begin(&self, spec: &CallSpec<'_>) -> Result<Call, CallError> {
        let refuse = |code, reason, message: String| Err(CallError::local(code, reason, message));
        if self.stop.is_cancelled() {
            return refuse(Code::FailedPrecondition, Reason::Closed, "the mesh is closed".to_owned());
        }
        let service: ServiceId =
            spec.service.parse().map_err(|error: IdSyntaxError| CallError::from_coded(&error))?;
        if service == self.config.service_id {
            let text = format!("{service} is this service; call the handler itself");
            return refuse(Code::InvalidArgument, Reason::Argument, text);
        }
        if !is_method_name(spec.method) {
            let text = format!(
                "a method name is 1 to {MAX_METHOD} printable ASCII characters without spaces or quotes"
            );
            return refuse(Code::InvalidArgument, Reason::Argument, text);
        }
        let limit = self.config.limits.max_message as usize;
        if spec.payload.bytes.len() > limit {
            let text = format!(
                "the input is {} bytes, more than limits.maxMessageBytes ({limit})",
                spec.payload.bytes.len()
            );
            return refuse(Code::ResourceExhausted, Reason::TooLarge, text);
        }
        if lock(&self.outbound).calls.len() >= self.config.limits.max_pending_calls as usize {
            let limit = self.config.limits.max_pending_calls;
            return Err(too_many(format!("limits.maxPendingCalls ({limit}) calls are under way")));
        }
        self.check_depth(spec)?;
        let now = Instant::now();
        let deadline = self.deadline_of(spec, now)?;
        let fields = RequestFields {
            kind: spec.kind,
            attempt: spec.earlier.saturating_add(1),
            metadata: spec.metadata,
            depth: spec.chain.depth,
            path: spec.chain.path,
        };
        let until = deadline.map(Instant::into_std);
        let message = Encoded::request(spec.method, until, fields, spec.payload).map_err(|_| {
            CallError::local(Code::ResourceExhausted, Reason::TooLarge, "the metadata is larger than 8 KiB")
        })?;
        Ok(Call {
            service,
            message,
            timer: None,
            attempts: 0,
            sent: 0,
            earlier: spec.earlier,
            latest: now + PATIENCE,
            deadline,
            unreachable: Vec::new(),
            idempotent: spec.idempotent,
            repeated_on_word: false,
            kind: spec.kind,
            streams: Streams::of_call(spec.kind, spec.method),
            placed: None,
        })
    }

    /// Hands a call to a session, or to the connection that is being made.
    pub(super) fn place(self: &Arc<Self>, id: CallId) {
        let mut outbound = lock(&self.outbound);
        let Outbound { calls, links } = &mut *outbound;
        let Some(call) = calls.get_mut(&id) else { return };
        let instances = self.registry.lookup(&call.service);
        let latest = call.deadline.map_or(call.latest, |deadline| deadline.min(call.latest));
        let seeker = Seeker { id, latest, deadline: call.deadline, tried: &call.unreachable };
        match links.route(&call.service, &instances, seeker, Instant::now()) {
            Route::Wait => {}
            Route::Dial(target, at) => {
                tokio::spawn(dial::dial(Arc::clone(self), call.service.clone(), target, at));
            }
            Route::Session(session) => {
                let sent = send(call, id, &session);
                let streams = call.kind.streams_input();
                drop(outbound);
                self.replace_used_up(&session);
                match sent {
                    // What the stream had to say meanwhile goes with it.
                    Ok(()) if streams => self.pump_call(id),
                    Ok(()) => {}
                    Err(error) => self.settle(id, Err(error)),
                }
            }
            Route::Down(error) => {
                drop(outbound);
                self.settle(id, Err(error));
            }
            Route::Nowhere => {
                let service = call.service.clone();
                drop(outbound);
                let text = if self.trust.is_pinned(&service) {
                    format!(
                        "{service} is known by its key alone, as a service that only calls; to call it, \
                         give its host and port in discovery.services"
                    )
                } else {
                    format!("no service {service} is known; add it to discovery.services")
                };
                self.settle(id, Err(CallError::local(Code::NotFound, Reason::UnknownService, text)));
            }
        }
    }

    /// A connection was made: the calls that waited for it go.
    pub(super) fn link_ready(
        self: &Arc<Self>,
        service: &ServiceId,
        target: &Address,
        session: &Arc<Session>,
    ) {
        let waiting = lock(&self.outbound).links.ready(service, target, session);
        for id in waiting {
            if let Some(call) = lock(&self.outbound).calls.get_mut(&id) {
                call.unreachable.retain(|address| address != target);
            }
            self.place(id);
        }
        self.events.flush();
    }

    /// A connection could not be made: the calls that waited for it try
    /// another instance, wait for the next try, or end.
    pub(super) fn link_failed(self: &Arc<Self>, service: &ServiceId, target: &Address, error: &CallError) {
        let chance = (self.platform.chance)();
        let waiting = lock(&self.outbound).links.failed(service, target, error, Instant::now(), chance);
        let instances = self.registry.lookup(service).len();
        for id in waiting {
            let again = {
                let mut outbound = lock(&self.outbound);
                let Some(call) = outbound.calls.get_mut(&id) else { continue };
                call.attempts = call.attempts.saturating_add(1);
                call.unreachable.push(target.clone());
                let others = call.unreachable.len() < instances;
                if !others {
                    call.unreachable.clear();
                }
                others || error.retryable
            };
            if again { self.place(id) } else { self.settle(id, Err(error.clone())) }
        }
        self.events.flush();
    }

    /// A session takes no more calls.
    fn unlink(&self, session: &Arc<Session>) {
        lock(&self.outbound).links.remove(session);
    }

    /// A response came.
    pub(super) fn on_response(&self, session: &Session, wire: u32, outcome: Result<Reply<'_>, &Failure<'_>>) {
        let Some(id) = call_of(session, wire) else { return };
        if outcome.is_ok() && self.kind(id).is_some_and(CallKind::streams_output) {
            return self.break_call(id, StreamError::Unexpected);
        }
        self.settle(id, outcome.map_err(CallError::remote));
    }

    /// The server says that it takes no more calls, and that those above `last` never ran.
    pub(super) fn go_away_received(
        self: &Arc<Self>,
        session: &Arc<Session>,
        last: u32,
    ) -> Result<(), RecordError> {
        match &session.role {
            // It has said something about a call that it has never heard of now.
            Role::Client(side) if last < lock(side).heard => return Err(RecordError::Format),
            _ => {}
        }
        self.on_go_away(session, last);
        Ok(())
    }

    /// Another session takes the next calls once every number of this one is used.
    fn replace_used_up(self: &Arc<Self>, session: &Arc<Session>) {
        if let Role::Client(side) = &session.role
            && lock(side).last == u32::MAX
        {
            self.on_go_away(session, u32::MAX);
        }
    }

    /// The server takes no more calls; those above `last` never ran.
    pub(super) fn on_go_away(self: &Arc<Self>, session: &Arc<Session>, last: u32) {
        let Role::Client(side) = &session.role else { return };
        let (never_ran, idle) = {
            let mut side = lock(side);
            side.leaving = true;
            let mut wires: Vec<u32> = side.pending.keys().copied().filter(|wire| *wire > last).collect();
            // They are placed again in the order in which they were placed.
            wires.sort_unstable();
            let ids: Vec<CallId> = wires.iter().filter_map(|wire| side.pending.remove(wire)).collect();
            (ids, side.pending.is_empty())
        };
        self.unlink(session);
        for id in never_ran {
            self.again(id, Ran::NoByWord, &lost(session, &End::Lost));
        }
        if idle {
            session.finish(End::Closed);
        }
    }

    /// A session ended: each call it carried is tried again or ends.
    pub(super) fn on_client_end(self: &Arc<Self>, session: &Arc<Session>, end: &End, unwritten: &[Encoded]) {
        let Role::Client(side) = &session.role else { return };
        self.unlink(session);
        let mut pending = std::mem::take(&mut lock(side).pending);
        let error = lost(session, end);
        for message in unwritten {
            if let Some(id) = pending.remove(&message.call()) {
                self.again(id, Ran::No, &error);
            }
        }
        let mut pending: Vec<(u32, CallId)> = pending.into_iter().collect();
        pending.sort_unstable();
        for (_, id) in pending {
            self.again(id, Ran::Perhaps, &error);
        }
        self.events.flush();
    }

    /// Tries a call again if that is safe and not tried too often.
    /// The word of a peer counts once: it may run a call that must not run twice, and say that it did not.
    fn again(self: &Arc<Self>, id: CallId, ran: Ran, error: &CallError) {
        let mut doubtful = false;
        let again = {
            let mut outbound = lock(&self.outbound);
            let Some(call) = outbound.calls.get_mut(&id) else { return };
            call.placed = None;
            call.latest = Instant::now() + PATIENCE;
            let repeatable = call.idempotent && !call.kind.is_stream();
            if ran == Ran::NoByWord && !repeatable {
                doubtful = std::mem::replace(&mut call.repeated_on_word, true);
            }
            let safe = repeatable || (ran != Ran::Perhaps && !doubtful);
            safe && !call.streams.has_started() && call.sent < MAX_ATTEMPTS && !self.stop.is_cancelled()
        };
        if again {
            self.place(id);
        } else {
            let mut error = error.clone();
            error.retryable = ran != Ran::Perhaps && !doubtful;
            if doubtful {
                error.message += "; it is the second time that a peer says this call never ran, and the call \
                                  is not idempotent, so it is not sent a third time: it may have run";
            }
            self.settle(id, Err(error));
        }
    }

    /// The application gave a call up; nothing is told of it any more.
    pub(super) fn cancel(&self, id: CallId) {
        if let Some(call) = self.take(id) {
            abandon(&call, CancelCause::Cancelled);
        }
    }

    /// A call's time is over.
    pub(super) fn call_expired(&self, id: CallId) {
        let Some(call) = self.take(id) else { return };
        abandon(&call, CancelCause::Deadline);
        let mut error = if call.sent == 0 {
            let text = format!("{}: no session was established in the time of the call", call.service);
            CallError::local(Code::Unavailable, Reason::ConnectTimeout, text)
        } else {
            let text = format!("{} did not answer in time", call.service);
            CallError::local(Code::DeadlineExceeded, Reason::Deadline, text)
        };
        error.attempts = call.earlier.saturating_add(call.attempts);
        self.events.settled(id, Err(error));
        self.events.flush();
    }

    /// Ends every call; the mesh is closing.
    pub(super) fn end_all_calls(&self) {
        let mut ids: Vec<CallId> = lock(&self.outbound).calls.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            if let Some(call) = self.take(id) {
                abandon(&call, CancelCause::Cancelled);
                let error =
                    CallError::local(Code::Cancelled, Reason::Closed, "the mesh was closed during the call");
                self.events.settled(id, Err(error));
            }
        }
        self.events.flush();
    }

    pub(super) fn settle(&self, id: CallId, outcome: Result<Reply<'_>, CallError>) {
        let Some(call) = self.take(id) else { return };
        let attempts = call.earlier.saturating_add(call.attempts);
        let outcome = outcome.map_err(|error| CallError { attempts: attempts.max(error.attempts), ..error });
        self.stats.count_call(outcome.is_ok());
        self.events.settled(id, outcome);
        if let Some((session, wire)) = &call.placed {
            if let Role::Client(side) = &session.role {
                lock(side).pending.remove(wire);
            }
            finish_if_left(session);
        }
    }

    /// Takes a call out of the table: whoever gets it tells its end.
    pub(super) fn take(&self, id: CallId) -> Option<Call> {
        let mut call = lock(&self.outbound).calls.remove(&id)?;
        if let Some(key) = call.timer {
            self.timers.remove(key);
        }
        if let Some((session, wire)) = &call.placed {
            call.streams.release(session, *wire);
        }
        Some(call)
    }
}

/// Gives a call a number on `session` and queues it there.
fn send(call: &mut Call, id: CallId, session: &Arc<Session>) -> Result<(), CallError> {
    let Role::Client(side) = &session.role else {
        return Err(CallError::local(Code::Internal, Reason::Internal, "not a client's session"));
    };
    check_time_left(call.deadline, Instant::now(), call.service.as_str())?;
    if call.message.payload_len() > session.parameters.max_message as usize {
        let text = format!(
            "the input is larger than {} accepts ({} bytes)",
            call.service, session.parameters.max_message
        );
        return Err(CallError::local(Code::ResourceExhausted, Reason::TooLarge, text));
    }
    let wire = {
        let mut side = lock(side);
        if side.pending.len() >= session.parameters.max_calls as usize {
            let limit = session.parameters.max_calls;
            return Err(too_many(format!("{} accepts {limit} calls at once", call.service)));
        }
        let Some(wire) = side.last.checked_add(1) else {
            return Err(lost(session, &End::Closed));
        };
        side.last = wire;
        side.pending.insert(wire, id);
        wire
    };
    call.attempts = call.attempts.saturating_add(1);
    call.sent = call.sent.saturating_add(1);
    call.placed = Some((Arc::clone(session), wire));
    if session.send(call.message.with_call(wire)) {
        Ok(())
    } else {
        lock(side).pending.remove(&wire);
        Err(lost(session, &End::Lost))
    }
}

/// A limit of calls is reached: calling again soon can help.
fn too_many(text: String) -> CallError {
    let error = CallError::local(Code::ResourceExhausted, Reason::CallLimit, text);
    CallError { retryable: true, retry_after: Some(Duration::from_millis(50)), ..error }
}

/// Tells the server that nobody waits any more.
pub(super) fn abandon(call: &Call, cause: CancelCause) {
    if let Some((session, wire)) = &call.placed {
        if let Role::Client(side) = &session.role {
            lock(side).pending.remove(wire);
        }
        session.send(Encoded::cancel(*wire, cause));
        finish_if_left(session);
    }
}

/// Ends a session that the server is leaving once its last call is over.
fn finish_if_left(session: &Session) {
    if let Role::Client(side) = &session.role {
        let side = lock(side);
        if side.leaving && side.pending.is_empty() {
            session.finish(End::Closed);
        }
    }
}

fn lost(session: &Session, end: &End) -> CallError {
    let text = format!("the session with {} was lost before it answered: {end}", session.info.peer);
    match end {
        End::Record(error) if *error != RecordError::Gap => {
            CallError { message: text, ..CallError::from_coded(error) }
        }
        End::Closed => CallError::local(Code::Cancelled, Reason::Closed, text),
        _ => CallError::local(Code::Unavailable, Reason::SessionLost, text),
    }
}
