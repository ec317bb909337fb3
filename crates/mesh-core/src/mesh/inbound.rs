//! Streams that peers open, from the first byte to the handler.
//!
//! Outermost first: limits → handshake → session limits → session → open →
//! token → call limit → handler. Each request ends exactly once, since
//! whoever takes it out of the table answers it.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use tokio::time::Instant;
use tonic::Status;

use super::{
    chain::time_left,
    core::Core,
    events::{AbortCause, Request, RequestId, StreamId},
    session::{End, Role, ServerSide, Session, handshake_message, lock},
    sessions::Seat,
    streams::{Queued, Streams},
    timers::{Timer, TimerKey},
    trust::NotRemembered,
};
use crate::{
    auth::AuthError,
    error::{Code, Coded, Reason},
    handshake::{Established, Expectation, HandshakeError, Local, Responder},
    record::{
        RecordError,
        message::{CancelCause, Encoded, Failure, Payload, RequestFields},
    },
    transport::{Accept, ConnectionInfo, Duplex, TransportError, busy, refusal, shutting_down, unable},
};

/// Requests under way.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    pub(super) requests: HashMap<RequestId, Active>,
    /// Requests nobody waits for any more, whose handlers still run. They keep
    /// their place, or a peer could start any number by cancelling each.
    pub(super) abandoned: HashMap<RequestId, (Arc<Session>, AbortCause)>,
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
    /// When the calls made on its behalf are over at the latest.
    pub(super) deadline: Option<Instant>,
    /// Its handler is done, though not all it said has gone.
    done: bool,
}

/// Handshakes under way, in all and by address.
#[derive(Debug, Default)]
pub(super) struct Pending {
    total: u32,
    by_address: HashMap<IpAddr, u32>,
}

impl Pending {
    /// Handshakes under way, and the addresses they are from.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.total as usize, self.by_address.len())
    }
}

/// A place among the pending handshakes.
struct Place {
    core: Arc<Core>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut pending = lock(&self.core.pending);
        pending.total -= 1;
        if let Some(count) = pending.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                pending.by_address.remove(&self.address);
            }
        }
    }
}

/// The core as the server sees it.
pub(super) struct Gate(pub(super) Arc<Core>);

impl Accept for Gate {
    fn admit(&self, connection: &ConnectionInfo) -> Result<(), Status> {
        if self.0.stop.is_cancelled() || self.0.draining.is_cancelled() {
            return Err(shutting_down());
        }
        let limits = &self.0.config.limits;
        let pending = lock(&self.0.pending);
        let here = pending.by_address.get(&connection.subject()).copied().unwrap_or(0);
        if pending.total >= limits.max_pending_handshakes || here >= limits.max_pending_handshakes_per_address
        {
            return Err(busy());
        }
        Ok(())
    }

    fn accept(&self, duplex: Duplex, connection: ConnectionInfo) -> Result<(), Status> {
        let address = connection.subject();
        {
            let mut pending = lock(&self.0.pending);
            pending.total += 1;
            *pending.by_address.entry(address).or_default() += 1;
        }
        let place = Place { core: Arc::clone(&self.0), address };
        tokio::spawn(serve(Arc::clone(&self.0), duplex, connection, place));
        Ok(())
    }
}

enum Refused {
    Handshake(HandshakeError),
    Busy(&'static str),
    Gone,
    Setup(Reason, String),
}

impl From<HandshakeError> for Refused {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

impl From<TransportError> for Refused {
    fn from(_: TransportError) -> Self {
        Self::Gone
    }
}

async fn serve(core: Arc<Core>, mut duplex: Duplex, connection: ConnectionInfo, place: Place) {
    let local = core.local();
    // Boxed, so that its room is not part of a session that lasts for hours.
    let handshake = Box::pin(respond(&core, &local, &mut duplex));
    let handshake = tokio::time::timeout(core.config.limits.handshake_timeout, handshake);
    let result = tokio::select! {
        biased;
        () = core.stop.cancelled() => return duplex.outgoing.fail(shutting_down()).await,
        result = handshake => result.unwrap_or(Err(Refused::Handshake(core.handshake_expired()))),
    };
    drop(place);
    let (established, seat) = match result {
        Ok(accepted) => accepted,
        Err(refused) => return refuse(&core, &duplex, &connection, refused).await,
    };
    let prepared = match core.prepare(established, Role::Server(Mutex::new(ServerSide::default()))) {
        Ok(prepared) => prepared,
        Err(error) => {
            return refuse(&core, &duplex, &connection, Refused::Setup(Reason::Internal, error.to_string()))
                .await;
        }
    };
    let _hold = connection.hold();
    let session = Arc::clone(&prepared.session);
    let open = core.open(&session, Some(seat));
    if !Arc::ptr_eq(&local, &core.local()) || core.draining.is_cancelled() {
        // A key or a secret was rotated meanwhile, or the mesh is closing.
        leave(&session);
    }
    let (end, _) = super::session::run(prepared, duplex, core.receiver()).await;
    open.close(&end, &[]);
}

/// The server's side of the handshake. The RSA private operation comes last,
/// for a peer that has proved itself and that has taken its seat.
async fn respond(
    core: &Arc<Core>,
    local: &Arc<Local>,
    duplex: &mut Duplex,
) -> Result<(Established, Seat), Refused> {
    let m1 = handshake_message(duplex).await?;
    let mut failure = None;
    let expect = |peer: &crate::id::ServiceId| {
        core.trust.expectation(peer).unwrap_or_else(|error| {
            failure = Some(Refused::Setup(error.reason(), error.to_string()));
            Expectation::Unknown
        })
    };
    let (m2, state) = Responder::on_hello(Arc::clone(local), &m1, expect, core.now())?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    duplex.outgoing.send(m2.into()).await;
    let m3 = handshake_message(duplex).await?;
    let proved = state.on_finish(&m3, core.now())?;
    let seat = Seat::take(core, proved.client()).map_err(Refused::Busy)?;
    let clock = core.platform.clock.clone();
    let accepted = core.private_operation(proved.is_resumed(), move || proved.accept(clock.now()));
    let closing = |_| Refused::Setup(Reason::Internal, "the mesh is closing".to_owned());
    let (m4, established) = accepted.await.map_err(closing)??;
    core.trust.remember(&established).map_err(|error| match error {
        NotRemembered::Refused(error) => Refused::Handshake(error),
        NotRemembered::Store(error) => Refused::Setup(error.reason(), error.to_string()),
    })?;
    duplex.outgoing.send(m4.into()).await;
    Ok((established, seat))
}

async fn refuse(core: &Core, duplex: &Duplex, connection: &ConnectionInfo, refused: Refused) {
    core.stats.count_handshake(false);
    let (reason, message, status) = match &refused {
        Refused::Handshake(error) => {
            (error.reason(), format!("{error}{}", core.trust.hint(error)), refusal(error))
        }
        Refused::Busy(limit) => (Reason::Busy, format!("{limit} is reached"), busy()),
        Refused::Setup(reason, message) => (*reason, message.clone(), unable()),
        // The peer is gone; there is nobody to refuse.
        Refused::Gone => return,
    };
    let fields = vec![("address", connection.address.to_string()), ("reason", reason.to_string())];
    core.log_refusal("handshake.refused", connection.subject().to_string(), message, fields);
    core.events.flush();
    duplex.outgoing.fail(status).await;
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
            self.too_deep(fields.depth, fields.path, self.config.service_id.as_str(), method)
                .map(|text| (Code::FailedPrecondition, Reason::CallDepth, text, None))
        };
        if let Some((code, reason, message, retry_after_ms)) = refusal {
            self.stats.count_request(false);
            let retryable = retry_after_ms.is_some();
            let failure = Failure { retryable, retry_after_ms, ..Failure::new(code, reason, &message) };
            session.send(Encoded::error(wire, &failure));
            return Ok(());
        }

        let time_left = time_left(time_left_ms, fields.kind.is_stream());
        let id = {
            let mut inbound = lock(&self.inbound);
            let Inbound { requests, abandoned, last } = &mut *inbound;
            loop {
                *last = last.wrapping_add(1);
                // 0 is no request, for calls made on behalf of none.
                if *last != 0 && !requests.contains_key(last) && !abandoned.contains_key(last) {
                    break;
                }
            }
            let timer = time_left.map(|time_left| self.timers.insert(Timer::Request(*last), time_left));
            let streams = Streams::of_request(fields.kind, method);
            let deadline = time_left.map(|time_left| Instant::now() + time_left);
            let session = Arc::clone(session);
            requests.insert(*last, Active { session, wire, streams, timer, deadline, done: false });
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
            depth: fields.depth,
            path: fields.path,
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
        let limit = active.session.parameters.max_message.min(self.config.limits.max_message) as usize;
        let encoded = if payload.bytes.len() > limit {
            let len = payload.bytes.len();
            Err(format!(
                "the result is {len} bytes, more than limits.maxMessageBytes of one of the sides ({limit})"
            ))
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
            let message = Encoded::error_within(active.wire, failure, limit);
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
        lock(&self.inbound).abandoned.insert(id, (active.session, cause));
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
        if let Some((session, _)) = lock(&self.inbound).abandoned.remove(&id)
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

/// Whether this is nothing, or a JSON object of strings.
pub(super) fn is_metadata(text: &[u8]) -> bool {
    text.is_empty() || serde_json::from_slice::<HashMap<String, String>>(text).is_ok()
}
