//! The breakers of the instances that this side calls.
//!
//! A breaker belongs to an instance, not to its service. Calls avoid an
//! instance with an open breaker; a call fails only if the breakers of all
//! instances are open. A breaker outlives the sessions with its instance.

use std::collections::HashMap;

use crate::{
    clock::Timestamp,
    config::Breaker,
    crypto::rsa::PublicKey,
    discovery::{Address, Entry},
    error::Reason,
    id::ServiceId,
    mesh::events::CallError,
    resilience::{
        Admission, BreakerLimits, BreakerState, CircuitBreaker, Outcome, Permit, ResilienceError, Transition,
    },
};

/// The most instances of one service with breakers. Further instances are
/// called without.
const MOST: usize = 1_000;

/// The breakers of one mesh.
#[derive(Debug)]
pub(super) struct Breakers {
    limits: BreakerLimits,
    services: HashMap<ServiceId, HashMap<Address, CircuitBreaker>>,
    /// The number of breakers that are not closed.
    tripped: usize,
}

/// A call at an instance: in flight, or waiting for a connection.
#[derive(Debug)]
pub(super) struct Stand {
    target: Address,
    /// The permit of the breaker, once the call is sent.
    permit: Option<Permit>,
}

/// A change of the state of an instance's breaker.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) service: ServiceId,
    pub(super) target: Address,
    pub(super) state: BreakerState,
}

impl Stand {
    /// A call that waits for a connection to `target`.
    pub(super) fn waiting(target: Address) -> Self {
        Self { target, permit: None }
    }
}

impl Breakers {
    pub(super) fn new(options: Breaker) -> Result<Self, ResilienceError> {
        let Breaker { failures, failure_rate, window, open_for, probes } = options;
        let limits = BreakerLimits { failures, failure_rate, window, open_for, probes };
        CircuitBreaker::new(limits)?;
        Ok(Self { limits, services: HashMap::new(), tripped: 0 })
    }

    /// The instances that may be called now; `None` stands for all.
    ///
    /// # Errors
    /// All breakers are open, and each stays open for at least the time of the error.
    pub(super) fn usable(
        &self,
        service: &ServiceId,
        instances: &[Entry<PublicKey>],
        now: Timestamp,
    ) -> Result<Option<Vec<bool>>, ResilienceError> {
        if self.tripped == 0 {
            return Ok(None);
        }
        let Some(breakers) = self.services.get(service) else { return Ok(None) };
        let refusal = |entry: &Entry<PublicKey>| {
            breakers.get(&entry.endpoint.address).and_then(|breaker| breaker.refuses(now))
        };
        let Some(wait) = instances.iter().filter_map(refusal).min() else { return Ok(None) };
        let usable: Vec<_> = instances.iter().map(|entry| refusal(entry).is_none()).collect();
        if usable.contains(&true) { Ok(Some(usable)) } else { Err(ResilienceError::CircuitOpen(wait)) }
    }

    /// The state of the breaker of an instance, if it has one.
    pub(super) fn state(&self, service: &ServiceId, target: &Address) -> Option<BreakerState> {
        Some(self.services.get(service)?.get(target)?.state())
    }

    /// Takes a permit for a call that is about to be sent to an instance.
    pub(super) fn enter(
        &mut self,
        service: &ServiceId,
        target: &Address,
        now: Timestamp,
        changes: &mut Vec<Change>,
    ) -> Result<Stand, ResilienceError> {
        let permit = match self.breaker(service, target) {
            None => None,
            Some(breaker) => {
                let Admission { permit, transition } = breaker.acquire(now)?;
                self.note(service, target, transition, changes);
                Some(permit)
            }
        };
        Ok(Stand { target: target.clone(), permit })
    }

    /// Records that a call leaves an instance, with its outcome.
    pub(super) fn leave(
        &mut self,
        service: &ServiceId,
        Stand { target, permit }: Stand,
        outcome: Outcome,
        now: Timestamp,
        changes: &mut Vec<Change>,
    ) {
        let permit = match permit {
            Some(permit) => permit,
            // A call that could not be sent has no permit. Only its failure is recorded.
            None if outcome != Outcome::Failure => return,
            None => match self.enter(service, &target, now, changes) {
                Ok(Stand { permit: Some(permit), .. }) => permit,
                _ => return,
            },
        };
        let Some(breaker) = self.breaker(service, &target) else { return };
        let transition = breaker.settle(permit, outcome, now);
        self.note(service, &target, transition, changes);
    }

    /// The breaker of an instance.
    fn breaker(&mut self, service: &ServiceId, target: &Address) -> Option<&mut CircuitBreaker> {
        let breakers = self.services.entry(service.clone()).or_default();
        if !breakers.contains_key(target) {
            if breakers.len() >= MOST {
                return None;
            }
            breakers.insert(target.clone(), CircuitBreaker::new(self.limits).ok()?);
        }
        breakers.get_mut(target)
    }

    fn note(
        &mut self,
        service: &ServiceId,
        target: &Address,
        transition: Option<Transition>,
        changes: &mut Vec<Change>,
    ) {
        let Some(Transition { from, to }) = transition else { return };
        if from == BreakerState::Closed {
            self.tripped += 1;
        } else if to == BreakerState::Closed {
            self.tripped -= 1;
        }
        changes.push(Change { service: service.clone(), target: target.clone(), state: to });
    }
}

/// The verdict of a call's outcome about its instance. A failure that this side
/// noticed counts against the instance only if the instance was unreachable or
/// late. A lost session does not count, because anybody on the network can
/// cause it.
pub(super) fn verdict(failure: Option<&CallError>) -> Outcome {
    let Some(error) = failure else { return Outcome::Success };
    let outcome = Outcome::of_error(error.code);
    let lost = error.reason == Reason::SessionLost.as_str();
    if !error.remote && (lost || outcome == Outcome::Success) { Outcome::Ignored } else { outcome }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc, time::Duration};

    use super::*;
    use crate::{
        discovery::{Endpoint, Registry},
        error::Code,
    };

    const OPEN_FOR: Duration = Duration::from_secs(30);

    fn breakers(failures: u32) -> Breakers {
        let window = Duration::from_mins(1);
        let options = Breaker { failures, failure_rate: 0.5, window, open_for: OPEN_FOR, probes: 1 };
        Breakers::new(options).unwrap()
    }

    fn service() -> ServiceId {
        "server".parse().unwrap()
    }

    fn addresses() -> [Address; 2] {
        [1, 2].map(|port| Address::new("127.0.0.1", port).unwrap())
    }

    fn instances() -> Arc<Vec<Entry<PublicKey>>> {
        let registry = Registry::new();
        for address in addresses() {
            let (id, metadata) = (service(), BTreeMap::new());
            registry.register(Endpoint { id, address, public_key: None, zone: None, weight: 1, metadata });
        }
        registry.lookup(&service())
    }

    fn fail(breakers: &mut Breakers, target: &Address, now: Timestamp) -> Vec<BreakerState> {
        let mut changes = Vec::new();
        if let Ok(stand) = breakers.enter(&service(), target, now, &mut changes) {
            breakers.leave(&service(), stand, Outcome::Failure, now, &mut changes);
        }
        changes.iter().map(|change| change.state).collect()
    }

    #[test]
    fn an_instance_that_fails_is_passed_over_until_its_time_is_over() {
        let (mut breakers, [a, b], now) = (breakers(2), addresses(), Timestamp::from_secs(100));
        let usable = |breakers: &Breakers, now| breakers.usable(&service(), &instances(), now);
        assert_eq!(usable(&breakers, now).unwrap(), None, "all of them");
        assert_eq!(fail(&mut breakers, &a, now), []);
        assert_eq!(fail(&mut breakers, &a, now), [BreakerState::Open]);
        assert_eq!(usable(&breakers, now).unwrap().unwrap(), [false, true]);
        fail(&mut breakers, &b, now);
        fail(&mut breakers, &b, now + Duration::from_secs(1));
        let wait = Duration::from_secs(29);
        let refused = usable(&breakers, now + Duration::from_secs(1)).unwrap_err();
        assert_eq!(refused, ResilienceError::CircuitOpen(wait), "the shortest of them");
        assert_eq!(usable(&breakers, now + OPEN_FOR).unwrap().unwrap(), [true, false]);
        let mut changes = Vec::new();
        let stand = breakers.enter(&service(), &a, now + OPEN_FOR, &mut changes).unwrap();
        assert!(usable(&breakers, now + OPEN_FOR).is_err(), "its only probe is in flight");
        breakers.leave(&service(), stand, Outcome::Success, now + OPEN_FOR, &mut changes);
        assert_eq!(
            changes.iter().map(|change| change.state).collect::<Vec<_>>(),
            [BreakerState::HalfOpen, BreakerState::Closed]
        );
        assert_eq!(breakers.tripped, 1);
    }

    #[test]
    fn a_call_that_could_not_be_sent_counts_as_a_failure_or_not_at_all() {
        let (mut breakers, [a, _], now) = (breakers(1), addresses(), Timestamp::from_secs(100));
        let mut changes = Vec::new();
        for outcome in [Outcome::Ignored, Outcome::Success] {
            breakers.leave(&service(), Stand::waiting(a.clone()), outcome, now, &mut changes);
        }
        assert!(changes.is_empty());
        breakers.leave(&service(), Stand::waiting(a), Outcome::Failure, now, &mut changes);
        assert_eq!(changes[0].state, BreakerState::Open);
    }

    #[test]
    fn what_this_side_notices_counts_only_if_the_instance_was_silent() {
        let local = |code, reason| verdict(Some(&CallError::local(code, reason, "")));
        assert_eq!(verdict(None), Outcome::Success);
        assert_eq!(local(Code::Unavailable, Reason::ConnectFailed), Outcome::Failure);
        assert_eq!(local(Code::DeadlineExceeded, Reason::Deadline), Outcome::Failure);
        assert_eq!(local(Code::Unavailable, Reason::SessionLost), Outcome::Ignored);
        assert_eq!(local(Code::NotFound, Reason::UnknownService), Outcome::Ignored);
        let remote = |code| CallError { remote: true, ..CallError::local(code, Reason::Internal, "") };
        assert_eq!(verdict(Some(&remote(Code::NotFound))), Outcome::Success);
        assert_eq!(verdict(Some(&remote(Code::Internal))), Outcome::Failure);
        assert_eq!(verdict(Some(&remote(Code::Unauthenticated))), Outcome::Ignored);
    }
}
