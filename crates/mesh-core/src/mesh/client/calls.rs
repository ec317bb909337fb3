//! Calls in flight, and the connections and sessions that carry them.
//!
//! A call goes down and up the [`stack`](super::stack). It ends exactly once,
//! because only its removal from the table permits reporting its end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    breakers::Breakers,
    call::{Call, lost, no_instance},
    dial::Dialler,
    links::Links,
    measure::Measured,
    queues::Queues,
    retries::{Again, Ran, Retries},
    session::ClientSession,
    spares::Spares,
};
use crate::{
    crypto::rsa::PublicKey,
    discovery::{Address, Registry},
    error::{Code, Reason},
    id::ServiceId,
    mesh::{
        chain::Inherited,
        events::{CallError, CallId, CallSpec, Reply},
        identity::Identity,
        session::{End, Open, Sessions, prepare, run, streaming},
        shared::Shared,
        sync::lock,
        timers::Timer,
    },
    record::message::{CancelCause, Encoded},
    resilience::{ResilienceError, RetryBudget},
};

/// The share of calls that may go to another instance because one was too busy, in the long run and at once: a
/// service that is too busy everywhere must not get each call several times.
const ELSEWHERE: f64 = 0.2;
const ELSEWHERE_AT_ONCE: u32 = 100;

/// The client: the calls of this side, and everything that they need.
pub(crate) struct Client {
    pub(super) shared: Arc<Shared>,
    pub(super) sessions: Sessions<ClientSession>,
    identity: Arc<Identity>,
    pub(super) registry: Registry<PublicKey>,
    /// The breakers of the instances, if they are configured.
    pub(super) breakers: Option<Mutex<Breakers>>,
    /// `resilience.retry`, if it is configured.
    pub(super) retries: Option<Mutex<Retries>>,
    /// The decisions about spares.
    pub(super) spares: Mutex<Spares>,
    under_way: Mutex<UnderWay>,
    /// Signals that waiting calls may find room.
    pub(super) room: Notify,
}

/// The calls in flight, and the links that carry them.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) calls: HashMap<CallId, Call>,
    pub(super) links: Links,
    /// Calls that wait for room on a session.
    pub(super) queues: Queues,
    /// Calls that may go elsewhere, since one instance was too busy for them.
    pub(super) elsewhere: RetryBudget,
}

impl UnderWay {
    /// A call begins; whether its id was in use.
    fn insert(&mut self, id: CallId, call: Call) -> bool {
        self.elsewhere.deposit();
        self.calls.insert(id, call).is_some()
    }
}

impl Client {
    pub(crate) fn new(
        shared: Arc<Shared>,
        identity: Arc<Identity>,
        registry: Registry<PublicKey>,
    ) -> Result<Arc<Self>, ResilienceError> {
        let options = shared.config.resilience.clone();
        let seed = (shared.platform.chance)().to_bits();
        let links = Links::new(shared.config.balancing.clone(), seed);
        let elsewhere = RetryBudget::new(ELSEWHERE, ELSEWHERE_AT_ONCE)?;
        let queues = Queues::default();
        let under_way = Mutex::new(UnderWay { calls: HashMap::new(), links, queues, elsewhere });
        let sessions = Sessions::default();
        let breakers = options.circuit_breaker.map(Breakers::new).transpose()?.map(Mutex::new);
        let retries = options.retry.map(Retries::new).transpose()?.map(Mutex::new);
        let spares = Mutex::new(Spares::new(options.hedging)?);
        let room = Notify::new();
        Ok(Arc::new(Self {
            shared,
            sessions,
            identity,
            registry,
            breakers,
            retries,
            spares,
            under_way,
            room,
        }))
    }

    pub(crate) fn sessions(&self) -> &Sessions<ClientSession> {
        &self.sessions
    }

    /// The number of calls in flight.
    pub(crate) fn count(&self) -> usize {
        self.under_way().calls.len()
    }

    pub(super) fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        lock(&self.under_way)
    }

    /// Begins a call. `inherited` is from the request on whose behalf it
    /// is made. The events report its end, also if it fails here.
    pub(crate) fn call(
        self: &Arc<Self>,
        id: CallId,
        spec: &CallSpec<'_>,
        inherited: Result<Inherited, CallError>,
    ) {
        let (measured, metadata) = Measured::begin(&self.shared, spec);
        let spec = &CallSpec { metadata: metadata.as_deref().unwrap_or(spec.metadata), ..spec.clone() };
        match inherited.and_then(|inherited| self.begin(spec, inherited)) {
            Ok(mut call) => {
                let deadline = call.deadline;
                call.measured = measured;
                if let Some(retries) = &self.retries
                    && !spec.kind.is_stream()
                {
                    lock(retries).begin();
                }
                if self.under_way().insert(id, call) {
                    // The application has reused the id of a call in flight. The earlier call ends.
                    let error = CallError::local(Code::Internal, Reason::Internal, "call id reused");
                    self.shared.events.settled(id, Err(error));
                }
                if let Some(deadline) = deadline {
                    let left = deadline.saturating_duration_since(Instant::now());
                    let key = self.shared.timers.insert(Timer::Call(id), left);
                    if let Some(call) = self.under_way().calls.get_mut(&id) {
                        call.timer = Some(key);
                    }
                }
                self.place(id);
            }
            Err(error) => {
                if let Some(measured) = measured {
                    measured.end(&self.shared, spec.service, Some(&error));
                }
                self.shared.events.settled(id, Err(error));
            }
        }
        self.shared.events.flush();
    }

    /// Adds a call of the mesh itself that has already been sent.
    pub(super) fn adopt(&self, id: CallId, mut call: Call) {
        if let Some(deadline) = call.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            call.timer = Some(self.shared.timers.insert(Timer::Call(id), left));
        }
        self.under_way().calls.insert(id, call);
    }

    fn begin(&self, spec: &CallSpec<'_>, inherited: Inherited) -> Result<Call, CallError> {
        if self.shared.stop.is_cancelled() {
            let text = "the mesh is closed";
            return Err(CallError::local(Code::FailedPrecondition, Reason::Closed, text));
        }
        Call::new(spec, &self.shared.config, self.shared.budget.own(), self.count(), inherited)
    }

    /// The error of a call of a service without known instances.
    pub(super) fn unknown(&self, service: &ServiceId) -> CallError {
        if self.shared.config.has_provider {
            return no_instance(service);
        }
        let text = if self.identity.trust.is_pinned(service) {
            format!(
                "{service} is known by its key alone, as a service that only calls; to call it, \
                 give its host and port in discovery.services"
            )
        } else {
            format!("no service {service} is known; add it to discovery.services")
        };
        CallError::local(Code::NotFound, Reason::UnknownService, text)
    }

    /// Opens a session with an instance, not before `at`, and runs it to its end.
    pub(super) async fn connect(self: Arc<Self>, service: ServiceId, target: Address, at: Instant) {
        tokio::select! {
            biased;
            () = self.shared.stop.cancelled() => return,
            () = sleep_until(at) => {}
        }
        let local = self.identity.local();
        let dialler = Dialler { shared: &self.shared, identity: &self.identity };
        let began = self.shared.elapsed();
        // The future is boxed, so that its memory does not last as long as the session.
        let dial = Box::pin(dialler.dial(&service, &target, &local));
        let outcome = tokio::select! {
            biased;
            () = self.shared.stop.cancelled() => return,
            outcome = dial => outcome,
            never = self.look_after(&service, &target) => match never {},
        };
        let (established, duplex) = match outcome {
            Ok(opened) => opened,
            Err(error) => return self.link_failed(&service, &target, &error),
        };
        let prepared = match prepare::<ClientSession>(&self.shared, established, false) {
            Ok(prepared) => prepared,
            Err(error) => return self.link_failed(&service, &target, &CallError::from_coded(&error)),
        };
        let session = Arc::clone(&prepared.session);
        session.leads_to(target.clone());
        self.shared.shook_hands(began, &session.info, Some(&target));
        let open = Open::new(&self, &session);
        if let Some(error) = self.identity.refuses(&local, &session.info) {
            // The identity was revoked after its check, so no call may use the session.
            let failed = CallError::from_coded(&error);
            open.close(&End::Refused(Arc::new(error)), &[]);
            return self.link_failed(&service, &target, &failed);
        }
        if !self.link_ready(&service, &target, &session) {
            // The instance was removed in the meantime.
            self.leave(&session, u32::MAX);
        }
        if self.identity.has_changed_since(&local) {
            self.leave(&session, u32::MAX);
        }
        let (end, unwritten) = run(prepared, duplex, &self).await;
        open.close(&end, &unwritten);
    }

    /// Places the calls that waited for a new connection. False if its instance was removed.
    fn link_ready(
        self: &Arc<Self>,
        service: &ServiceId,
        target: &Address,
        session: &Arc<ClientSession>,
    ) -> bool {
        let Some(waiting) = self.under_way().links.ready(service, target, session) else { return false };
        for id in waiting {
            if let Some(call) = self.under_way().calls.get_mut(&id) {
                call.is_reachable_at(target);
            }
            self.place(id);
        }
        self.room();
        self.shared.events.flush();
        true
    }

    /// Handles a failed connection. The calls that waited for it try another
    /// instance, wait for the next attempt, or end.
    fn link_failed(self: &Arc<Self>, service: &ServiceId, target: &Address, error: &CallError) {
        let chance = (self.shared.platform.chance)();
        let (waiting, instances) = {
            let mut under_way = self.under_way();
            let waiting = under_way.links.failed(service, target, error, Instant::now(), chance);
            (waiting, under_way.links.instances(service).len())
        };
        for id in waiting {
            let others = {
                let mut under_way = self.under_way();
                let Some(call) = under_way.calls.get_mut(&id) else { continue };
                call.is_unreachable_at(target, instances)
            };
            if others {
                self.left_instance(id, Some(error));
            }
            if others || error.retryable { self.place(id) } else { self.tried(id, Err(error.clone())) }
        }
        self.room();
        self.shared.events.flush();
    }

    /// Lets resting links connect at once, because this side's identity has changed.
    pub(crate) fn forgive(&self) {
        self.under_way().links.forgive(Instant::now());
    }

    /// Stops placing calls on a session. Calls with numbers above `last` never ran.
    pub(crate) fn leave(self: &Arc<Self>, session: &Arc<ClientSession>, last: u32) {
        let (never_ran, idle) = session.leave(last);
        self.under_way().links.remove(session);
        for id in never_ran {
            self.again(id, Ran::NoByWord, &lost(session, &End::Lost));
        }
        self.room();
        if idle {
            session.finish(End::Closed);
        }
    }

    /// Handles the end of a session: each call that it carried is retried or ends.
    pub(super) fn session_ended(
        self: &Arc<Self>,
        session: &Arc<ClientSession>,
        end: &End,
        unwritten: &[Encoded],
    ) {
        self.under_way().links.remove(session);
        let mut pending = session.take_pending();
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
        self.room();
        self.shared.events.flush();
    }

    /// Places a call again if that is safe and its attempts are not used up.
    fn again(self: &Arc<Self>, id: CallId, ran: Ran, error: &CallError) {
        self.left_instance(id, Some(error));
        let again = {
            let mut under_way = self.under_way();
            let Some(call) = under_way.calls.get_mut(&id) else { return };
            call.displace(ran)
        };
        if again == Again::Yes && !self.shared.stop.is_cancelled() {
            return self.place(id);
        }
        let doubtful = again == Again::Doubtful;
        let mut error = CallError { retryable: ran != Ran::Perhaps && !doubtful, ..error.clone() };
        if doubtful {
            error.message += "; it is the second time that a peer says this call never ran, and the call \
                              is not idempotent, so it is not sent a third time: it may have run";
        }
        self.tried(id, Err(error));
    }

    /// Cancels a call for the application. Nothing more is reported about it.
    pub(crate) fn cancel(&self, id: CallId) {
        if let Some(call) = self.take(id, Some(&cancelled())) {
            call.abandon(CancelCause::Cancelled);
            self.room();
        }
    }

    /// Ends a call whose deadline has passed.
    pub(crate) fn expired(&self, id: CallId) {
        let error = match self.under_way().calls.get(&id) {
            Some(call) => call.expired(),
            None => return,
        };
        let Some(call) = self.take(id, Some(&error)) else { return };
        call.abandon(CancelCause::Deadline);
        self.room();
        self.shared.events.settled(id, Err(error));
        self.shared.events.flush();
    }

    /// Ends every call, because the mesh is closing.
    pub(crate) fn end_all(&self) {
        let is_own = |call: &Call| call.twin.is_none_or(|twin| !twin.is_spare);
        let mut ids: Vec<CallId> =
            self.under_way().calls.iter().filter(|(_, call)| is_own(call)).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        for id in ids {
            let error =
                CallError::local(Code::Cancelled, Reason::Closed, "the mesh was closed during the call");
            if let Some(call) = self.take(id, Some(&error)) {
                call.abandon(CancelCause::Cancelled);
                self.shared.events.settled(id, Err(error));
            }
        }
        self.shared.events.flush();
    }

    /// Ends this side's items of a call.
    pub(crate) fn end_items(&self, id: CallId, metadata: &[u8]) {
        if let Some(end) = streaming::end_of(self, id, metadata) {
            streaming::queue(self, id, end, true);
        }
    }

    /// Ends a call because of a failure of its streams.
    pub(super) fn fail(&self, id: CallId, error: CallError) {
        let Some(call) = self.take(id, Some(&error)) else { return };
        call.abandon(CancelCause::Cancelled);
        self.room();
        self.shared.stats.count_call(false);
        self.shared.events.settled(id, Err(error));
        self.shared.events.flush();
    }

    /// Ends a call with its answer or its error.
    pub(super) fn settle(&self, id: CallId, outcome: Result<Reply<'_>, CallError>) {
        let Some((id, outcome)) = self.outcome_of(id, outcome) else { return };
        let Some(call) = self.take(id, outcome.as_ref().err()) else { return };
        let attempts = call.attempts();
        let outcome = outcome.map_err(|error| CallError { attempts: attempts.max(error.attempts), ..error });
        self.shared.stats.count_call(outcome.is_ok());
        self.shared.events.settled(id, outcome);
        if let Some((session, number)) = &call.placed {
            session.forget(*number);
            session.finish_if_left();
        }
        self.room();
    }

    /// Takes a call out of the table at its end. The caller of this function must report the end.
    pub(super) fn take(&self, id: CallId, failure: Option<&CallError>) -> Option<Call> {
        self.left_instance(id, failure);
        let mut call = self.under_way().calls.remove(&id)?;
        if let Some(queued) = call.queued.take() {
            self.waited(queued);
        }
        for key in call.timer.into_iter().chain(call.pause).chain(call.spare_timer) {
            self.shared.timers.remove(key);
        }
        match call.twin {
            Some(twin) if twin.is_spare => {
                if let Some(first) = self.under_way().calls.get_mut(&twin.id) {
                    first.twin = None;
                }
            }
            Some(spare) => self.end_spare(spare.id, Some(&cancelled()), Some(CancelCause::Cancelled)),
            None => {}
        }
        if let Some(mut measured) = call.measured.take() {
            let session = call.placed.as_ref().map(|(session, _)| session);
            measured.went_to(session.and_then(|session| session.target()), call.attempts());
            measured.end(&self.shared, call.service.as_str(), failure);
        }
        if let Some((session, number)) = &call.placed {
            call.streams.release(session, *number);
        }
        Some(call)
    }
}

/// The error of a call that the application cancelled.
fn cancelled() -> CallError {
    CallError::local(Code::Cancelled, Reason::Cancelled, "")
}
