//! The stack of a call, outermost first:
//!
//! deadline → retries and their budget → choice of an instance → breaker of
//! that instance → session → seal.
//!
//! `place` goes down the stack and `tried` comes back up. The deadline is a timer
//! around the whole stack, which also runs while a call waits for its next
//! attempt.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    breakers::{Change, Stand, verdict},
    call::Call,
    calls::{Client, UnderWay},
    elsewhere::is_shed,
    fleet::{Now, Placement},
    links::Links,
};
use crate::{
    balance::Verdict,
    discovery::Address,
    id::ServiceId,
    mesh::{
        events::{CallError, CallId, Level, Reply},
        session::streaming,
        sync::lock,
        timers::Timer,
    },
    resilience::{BreakerState, Outcome, ResilienceError},
    telemetry::CircuitLabel,
};

impl Client {
    /// Goes down the stack: hands a call to a session, or to a connection that
    /// is being opened.
    pub(super) fn place(self: &Arc<Self>, id: CallId) {
        let mut changes = Vec::new();
        let mut under_way = self.under_way();
        let UnderWay { calls, links, queues, .. } = &mut *under_way;
        if let Some(call) = calls.get(&id)
            && self.is_unreported(&call.service, links)
        {
            let service = call.service.clone();
            let alive = |id: &CallId| calls.contains_key(id);
            let placement = links.wait_for_report(&service, id, calls.len(), alive);
            if let Some(call) = calls.get_mut(&id) {
                call.unreported = true;
            }
            drop(under_way);
            if matches!(placement, Placement::Unreported { first: true }) {
                self.want(&service);
            }
            return;
        }
        let room = calls.get(&id).is_some_and(|call| self.has_room(&call.service, calls, links));
        let Some(call) = calls.get_mut(&id) else { return };
        call.unreported = false;
        if let Some(error) = self.too_stale(&call.service, links) {
            drop(under_way);
            self.unqueue(id);
            return self.tried(id, Err(error));
        }
        // The call queues behind the waiting ones.
        if call.queued.is_none() && queues.has(&call.service) {
            drop(under_way);
            return self.queue(id);
        }
        let chosen =
            if room { self.choose(id, call, links, &mut changes) } else { Ok(Placement::Full(None)) };
        let placement = match chosen {
            Ok(placement) => placement,
            Err(error) => {
                drop(under_way);
                return self.tried(id, Err(CallError::from_coded(&error)));
            }
        };
        if !matches!(placement, Placement::Full(_))
            && let Some(queued) = call.queued.take()
        {
            self.waited(queued);
        }
        match placement {
            Placement::Full(dial) => {
                let service = call.service.clone();
                drop(under_way);
                if let Some(target) = dial {
                    tokio::spawn(Arc::clone(self).connect(service, target, Instant::now()));
                }
                self.queue(id);
            }
            Placement::Wait(_) | Placement::Unreported { .. } => drop(under_way),
            Placement::Dial(target, at) => {
                let service = call.service.clone();
                drop(under_way);
                tokio::spawn(Arc::clone(self).connect(service, target, at));
            }
            Placement::Session(session, _, dial) => {
                let sent = call.send(id, &session);
                if sent.is_ok() {
                    let instances = links.instances(&call.service).len();
                    self.plan_spare(id, call, instances);
                }
                let streams = call.kind.streams_input();
                let dial = dial.map(|target| (call.service.clone(), target));
                drop(under_way);
                if let Some((service, target)) = dial {
                    tokio::spawn(Arc::clone(self).connect(service, target, Instant::now()));
                }
                if session.is_used_up() {
                    // Another session takes the next calls.
                    self.leave(&session, u32::MAX);
                }
                match sent {
                    // Items that the stream has queued in the meantime follow the request.
                    Ok(()) if streams => streaming::pump(&**self, id, false),
                    Ok(()) => {}
                    Err(error) => self.tried(id, Err(error)),
                }
            }
            Placement::Down(_, error) => {
                drop(under_way);
                self.tried(id, Err(error));
            }
            Placement::Nowhere => {
                let service = call.service.clone();
                drop(under_way);
                self.tried(id, Err(self.unknown(&service)));
            }
        }
        self.report(changes);
    }

    /// Whether discovery has yet to report the instances of a service.
    fn is_unreported(&self, service: &ServiceId, links: &Links) -> bool {
        self.shared.config.has_provider && !links.knows(service) && self.registry.lookup(service).is_empty()
    }

    /// Whether the bulkhead of a service has room.
    fn has_room(&self, service: &ServiceId, calls: &HashMap<CallId, Call>, links: &Links) -> bool {
        self.shared.config.resilience.bulkhead.is_none_or(|bulkhead| {
            links.taken(service, |id| calls.contains_key(id)) < bulkhead.max_calls as usize
        })
    }

    /// The time by both clocks.
    pub(super) fn now(&self) -> Now {
        let instant = Instant::now();
        Now { instant, uptime: self.shared.uptime_at(instant) }
    }

    /// Chooses an instance whose breaker is not open.
    ///
    /// # Errors
    /// All breakers are open.
    fn choose(
        &self,
        id: CallId,
        call: &mut Call,
        links: &mut Links,
        changes: &mut Vec<Change>,
    ) -> Result<Placement, ResilienceError> {
        let now = self.now();
        if !links.knows(&call.service) {
            links.set(&call.service, self.registry.lookup(&call.service), now);
        }
        let Some(breakers) = &self.breakers else {
            let placement = links.route(&call.service, call.seeker(id), &|_| true, now);
            enter(call, links, &placement, now);
            return Ok(placement);
        };
        let mut breakers = lock(breakers);
        call.stand = None;
        let usable = breakers.usable(&call.service, links.instances(&call.service), now.uptime)?;
        if let Some(usable) = &usable {
            call.reconsider(links.instances(&call.service), usable);
        }
        let passes = |index: usize| usable.as_ref().is_none_or(|usable| usable[index]);
        let placement = links.route(&call.service, call.seeker(id), &passes, now);
        call.stand = match &placement {
            // A call that is sent takes a permit. The breaker cannot refuse it,
            // because it was checked just before.
            Placement::Session(session, ..) => session
                .target()
                .and_then(|target| breakers.enter(&call.service, target, now.uptime, changes).ok()),
            Placement::Wait(target) | Placement::Dial(target, _) | Placement::Down(target, _) => {
                Some(Stand::waiting(target.clone()))
            }
            Placement::Nowhere | Placement::Full(_) | Placement::Unreported { .. } => None,
        };
        enter(call, links, &placement, now);
        Ok(placement)
    }

    /// Comes back up the stack after an attempt. The call waits for the next one, or ends.
    pub(super) fn tried(&self, id: CallId, outcome: Result<Reply<'_>, CallError>) {
        if let Err(error) = &outcome
            && self.pauses(id, error)
        {
            return;
        }
        self.settle(id, outcome);
    }

    /// Lets a call wait for its next attempt; false if there is none.
    fn pauses(&self, id: CallId, error: &CallError) -> bool {
        let Some(retries) = &self.retries else { return false };
        let chance = (self.shared.platform.chance)();
        let mut under_way = self.under_way();
        let Some(call) = under_way.calls.get_mut(&id) else { return false };
        if call.twin.is_some_and(|twin| twin.is_spare) {
            // A spare is not retried; the first copy has its own retries.
            return false;
        }
        let Some(delay) = call.next_try(&mut lock(retries), error, chance) else { return false };
        self.shared.sight.retried();
        let placed = call.placed.take();
        call.pause = Some(self.shared.timers.insert(Timer::Retry(id), delay));
        drop(under_way);
        self.left_instance(id, Some(error));
        if let Some((session, number)) = placed {
            session.forget(number);
            session.finish_if_left();
            self.room();
        }
        true
    }

    /// Begins the next attempt of a call after its delay.
    pub(crate) fn retry(self: &Arc<Self>, id: CallId) {
        if let Some(call) = self.under_way().calls.get_mut(&id) {
            call.begin_try();
        }
        self.place(id);
        self.shared.events.flush();
    }

    /// Records that a call has left its instance. The balance and the instance's breaker take its outcome.
    pub(super) fn left_instance(&self, id: CallId, failure: Option<&CallError>) {
        let mut changes = Vec::new();
        let mut ejected = None;
        {
            let now = self.now();
            let mut under_way = self.under_way();
            let UnderWay { calls, links, .. } = &mut *under_way;
            let Some(call) = calls.get_mut(&id) else { return };
            if let Some((visit, since)) = call.visit.take() {
                // The duration of a stream is no latency of its instance.
                let latency = (!call.kind.is_stream()).then(|| now.instant.duration_since(since));
                // An instance that refuses at once says nothing about how long the others take.
                if let Some(latency) = latency.filter(|_| !failure.is_some_and(is_shed)) {
                    self.note_latency(call, latency);
                }
                let verdict = match verdict(failure) {
                    _ if failure.is_some_and(is_shed) => Verdict::Busy,
                    Outcome::Success => Verdict::Good,
                    Outcome::Failure => Verdict::Bad,
                    Outcome::Ignored => Verdict::Nothing,
                };
                let targets = links.leave(&call.service, visit, verdict, latency, now);
                ejected = (!targets.is_empty()).then(|| (call.service.clone(), targets));
            }
            if let Some(breakers) = &self.breakers
                && let Some(stand) = call.stand.take()
            {
                lock(breakers).leave(&call.service, stand, verdict(failure), now.uptime, &mut changes);
            }
        }
        if let Some((service, targets)) = ejected {
            self.report_ejected(&service, targets);
        }
        self.report(changes);
    }

    fn report_ejected(&self, service: &ServiceId, targets: Vec<(Address, Duration)>) {
        for (target, time) in targets {
            let millis = time.as_millis();
            let text = format!(
                "{service} at {target} fails more than other instances, and is ejected for {millis} ms"
            );
            let fields = vec![
                ("service", service.to_string()),
                ("target", target.to_string()),
                ("durationMs", millis.to_string()),
            ];
            self.shared.log(Level::Warn, "instance.ejected", text, fields);
        }
    }

    fn report(&self, changes: Vec<Change>) {
        for Change { service, target, state } in changes {
            let (level, label, text) = match state {
                BreakerState::Closed => (Level::Info, CircuitLabel::Closed, "answers again"),
                BreakerState::Open => {
                    (Level::Warn, CircuitLabel::Open, "fails, and gets no calls for a while")
                }
                BreakerState::HalfOpen => (Level::Info, CircuitLabel::HalfOpen, "is probed with a few calls"),
            };
            self.shared.record(|metrics| metrics.circuit(label));
            let text = format!("{service} at {target} {text}");
            let state = state.as_str().to_owned();
            let fields =
                vec![("service", service.to_string()), ("target", target.to_string()), ("state", state)];
            self.shared.log(level, "circuit.changed", text, fields);
        }
    }
}

/// Counts a call that is sent at its instance.
fn enter(call: &mut Call, links: &mut Links, placement: &Placement, now: Now) {
    if let Placement::Session(_, index, _) = placement {
        call.visit = links.enter(&call.service, *index).map(|visit| (visit, now.instant));
    }
}
