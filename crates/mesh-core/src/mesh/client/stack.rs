//! The stack of a call, outermost first:
//!
//! deadline → tries and their budget → choice of an instance → breaker of that
//! instance → session → seal.
//!
//! `place` goes down the stack and `tried` comes back up. The deadline is a timer
//! around all of it, which also runs while a call waits for its next try.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    breakers::{Change, Stand, verdict},
    call::Call,
    calls::{Client, UnderWay},
    links::{Links, Placement},
};
use crate::{
    crypto::rsa::PublicKey,
    discovery::Entry,
    id::ServiceId,
    mesh::{
        events::{CallError, CallId, Level, Reply},
        session::streaming,
        sync::lock,
        timers::Timer,
    },
    resilience::{BreakerState, ResilienceError},
    telemetry::CircuitLabel,
};

impl Client {
    /// Down the stack: hands a call to a session, or to the connection that is
    /// being made.
    pub(super) fn place(self: &Arc<Self>, id: CallId) {
        let mut changes = Vec::new();
        let mut under_way = self.under_way();
        let UnderWay { calls, links } = &mut *under_way;
        let Some(call) = calls.get_mut(&id) else { return };
        let placement = match self.choose(id, call, links, &mut changes) {
            Ok(placement) => placement,
            Err(error) => {
                drop(under_way);
                return self.tried(id, Err(CallError::from_coded(&error)));
            }
        };
        match placement {
            Placement::Wait(_) => drop(under_way),
            Placement::Dial(target, at) => {
                let service = call.service.clone();
                drop(under_way);
                tokio::spawn(Arc::clone(self).connect(service, target, at));
            }
            Placement::Session(session) => {
                let sent = call.send(id, &session);
                let streams = call.kind.streams_input();
                drop(under_way);
                if session.is_used_up() {
                    // Another session takes the next calls.
                    self.leave(&session, u32::MAX);
                }
                match sent {
                    // What the stream had to say meanwhile goes with it.
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

    /// The instances of a service that their breakers do not leave alone.
    pub(super) fn usable(&self, service: &ServiceId) -> Arc<Vec<Entry<PublicKey>>> {
        let instances = self.registry.lookup(service);
        let Some(breakers) = &self.breakers else { return instances };
        match lock(breakers).usable(service, &instances, self.shared.uptime()) {
            Ok(None) => instances,
            Ok(Some(usable)) => Arc::new(usable),
            Err(_) => Arc::default(),
        }
    }

    /// Chooses an instance that its breaker does not leave alone.
    ///
    /// # Errors
    /// Each instance is left alone.
    fn choose(
        &self,
        id: CallId,
        call: &mut Call,
        links: &mut Links,
        changes: &mut Vec<Change>,
    ) -> Result<Placement, ResilienceError> {
        let instances = self.registry.lookup(&call.service);
        let Some(breakers) = &self.breakers else {
            return Ok(links.route(&call.service, &instances, call.seeker(id), Instant::now()));
        };
        let (mut breakers, now) = (lock(breakers), self.shared.uptime());
        call.stand = None;
        let usable = breakers.usable(&call.service, &instances, now)?;
        if let Some(usable) = &usable {
            call.reconsider(usable);
        }
        let usable = usable.as_deref().unwrap_or(&instances);
        let placement = links.route(&call.service, usable, call.seeker(id), Instant::now());
        call.stand = match &placement {
            // A call that is sent takes a permit.
            Placement::Session(session) => match session.target() {
                Some(target) => Some(breakers.enter(&call.service, target, now, changes)?),
                None => None,
            },
            Placement::Wait(target) | Placement::Dial(target, _) | Placement::Down(target, _) => {
                Some(Stand::waiting(target.clone()))
            }
            Placement::Nowhere => None,
        };
        Ok(placement)
    }

    /// Back up the stack: a try is over. The call waits for its next one, or ends.
    pub(super) fn tried(&self, id: CallId, outcome: Result<Reply<'_>, CallError>) {
        if let Err(error) = &outcome
            && self.pauses(id, error)
        {
            return;
        }
        self.settle(id, outcome);
    }

    /// Lets a call wait for its next try; false if there is none.
    fn pauses(&self, id: CallId, error: &CallError) -> bool {
        let Some(retries) = &self.retries else { return false };
        let chance = (self.shared.platform.chance)();
        let mut under_way = self.under_way();
        let Some(call) = under_way.calls.get_mut(&id) else { return false };
        let Some(delay) = call.next_try(&mut lock(retries), error, chance) else { return false };
        self.shared.sight.retried();
        let placed = call.placed.take();
        call.pause = Some(self.shared.timers.insert(Timer::Retry(id), delay));
        drop(under_way);
        self.left_instance(id, Some(error));
        if let Some((session, number)) = placed {
            session.forget(number);
            session.finish_if_left();
        }
        true
    }

    /// A call has waited for its next try.
    pub(crate) fn retry(self: &Arc<Self>, id: CallId) {
        if let Some(call) = self.under_way().calls.get_mut(&id) {
            call.begin_try();
        }
        self.place(id);
        self.shared.events.flush();
    }

    /// A call is no longer at its instance, whose breaker takes note of how it went.
    pub(super) fn left_instance(&self, id: CallId, failure: Option<&CallError>) {
        let Some(breakers) = &self.breakers else { return };
        let mut changes = Vec::new();
        if let Some(call) = self.under_way().calls.get_mut(&id)
            && let Some(stand) = call.stand.take()
        {
            let now = self.shared.uptime();
            lock(breakers).leave(&call.service, stand, verdict(failure), now, &mut changes);
        }
        self.report(changes);
    }

    fn report(&self, changes: Vec<Change>) {
        for Change { service, target, state } in changes {
            let (level, label, text) = match state {
                BreakerState::Closed => (Level::Info, CircuitLabel::Closed, "answers again"),
                BreakerState::Open => {
                    (Level::Warn, CircuitLabel::Open, "fails, and is left alone for a while")
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
