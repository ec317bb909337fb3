//! A circuit breaker: after too many failures it stops the calls to a service
//! for a time, then tests the service with a few probes.

use std::time::Duration;

use super::ResilienceError;
use crate::{clock::Timestamp, error::Code};

/// The number of slots in the window, which slides by one slot at a time.
const SLOTS: usize = 10;

/// The settings of a [`CircuitBreaker`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerLimits {
    /// The number of failures within the window that opens the breaker.
    pub failures: u32,
    /// The share of the window's calls that must also have failed, 0 to 1.
    pub failure_rate: f64,
    /// The window in which failures are counted.
    pub window: Duration,
    /// The time for which the breaker stays open.
    pub open_for: Duration,
    /// The number of probes that must succeed to close the breaker. No more
    /// probes than these are admitted at once.
    pub probes: u32,
}

/// The state of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// All calls are admitted.
    Closed,
    /// No call is admitted.
    Open,
    /// Only probes are admitted.
    HalfOpen,
}

impl BreakerState {
    /// The name in metrics and audit entries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// A change of state, which the caller records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: BreakerState,
    /// The state now.
    pub to: BreakerState,
}

/// The right to make one call. Its holder returns it with the [`Outcome`].
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    turn: u64,
}

impl Permit {
    /// Converts the permit to a number, for its way through JavaScript.
    #[must_use]
    pub const fn into_raw(self) -> u64 {
        self.turn
    }

    /// Restores a permit from its number.
    #[must_use]
    pub const fn from_raw(turn: u64) -> Self {
        Self { turn }
    }
}

/// An admitted call.
#[derive(Debug, PartialEq, Eq)]
pub struct Admission {
    /// The permit, to be settled.
    pub permit: Permit,
    /// The change of state that the admission caused.
    pub transition: Option<Transition>,
}

/// The outcome of a call as evidence of the service's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The service answered, possibly with an error that the caller caused.
    Success,
    /// The service failed.
    Failure,
    /// The call is not evidence about the service.
    Ignored,
}

impl Outcome {
    /// Classifies a failed call. Only a fault of the service itself is a
    /// failure. A forged or rejected message must not count, since an attacker
    /// that injects messages could then cut the service off.
    #[must_use]
    pub const fn of_error(code: Code) -> Self {
        match code {
            Code::Unavailable | Code::DeadlineExceeded | Code::Internal | Code::Unknown => Self::Failure,
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Aborted => Self::Success,
            Code::Cancelled | Code::ResourceExhausted | Code::DataLoss | Code::Unauthenticated => {
                Self::Ignored
            }
        }
    }
}

/// Protects one service from calls it cannot answer, and its callers from
/// waiting for it.
#[derive(Debug)]
pub struct CircuitBreaker {
    limits: BreakerLimits,
    state: State,
    /// Increases with each change of state, so that a call counts only in the
    /// state in which it began.
    turn: u64,
}

#[derive(Debug)]
enum State {
    Closed(Window),
    Open { since: Timestamp },
    HalfOpen { since: Timestamp, in_flight: u32, succeeded: u32 },
}

impl CircuitBreaker {
    /// A closed breaker.
    pub fn new(limits: BreakerLimits) -> Result<Self, ResilienceError> {
        const SHORTEST: Duration = Duration::from_millis(1);
        let wrong = if limits.failures == 0 {
            "failureThreshold must be a whole number from 1"
        } else if limits.probes == 0 {
            "successThreshold must be a whole number from 1"
        } else if limits.open_for < SHORTEST {
            "timeout must be at least 1 ms"
        } else if limits.window < SHORTEST {
            "monitoringPeriod must be at least 1 ms"
        } else if !(0.0..=1.0).contains(&limits.failure_rate) {
            "failureRate must be a number from 0 to 1"
        } else {
            return Ok(Self { limits, state: State::Closed(Window::default()), turn: 0 });
        };
        Err(ResilienceError::Setting(wrong))
    }

    /// The time for which no call is admitted; `None` if one would be admitted now.
    #[must_use]
    pub fn refuses(&self, now: Timestamp) -> Option<Duration> {
        let since = match self.state {
            State::Closed(_) => return None,
            State::HalfOpen { in_flight, succeeded, .. } if in_flight + succeeded < self.limits.probes => {
                return None;
            }
            State::Open { since } | State::HalfOpen { since, .. } => since,
        };
        let left = self.limits.open_for.saturating_sub(now.since(since));
        (!left.is_zero()).then_some(left)
    }

    /// Admits a call, or returns the time until the next one can be admitted.
    pub fn acquire(&mut self, now: Timestamp) -> Result<Admission, ResilienceError> {
        if let Some(left) = self.refuses(now) {
            return Err(ResilienceError::CircuitOpen(left));
        }
        let before = self.state();
        match self.state {
            State::Closed(_) => {}
            State::HalfOpen { in_flight, succeeded, .. } if in_flight + succeeded < self.limits.probes => {}
            // Probes that are never settled must not keep the breaker half open
            // for ever.
            State::Open { .. } | State::HalfOpen { .. } => self.half_open(now),
        }
        if let State::HalfOpen { in_flight, .. } = &mut self.state {
            *in_flight += 1;
        }
        Ok(Admission { permit: Permit { turn: self.turn }, transition: self.transition_from(before) })
    }

    /// Settles a permit with the outcome of its call. A permit from before the
    /// last change of state is ignored.
    pub fn settle(&mut self, permit: Permit, outcome: Outcome, now: Timestamp) -> Option<Transition> {
        let before = self.state();
        if permit.into_raw() != self.turn {
            return None;
        }
        match &mut self.state {
            State::Closed(window) => {
                let (failures, calls) = window.record(now, self.limits.window, outcome);
                let share = f64::from(failures) / f64::from(calls.max(1));
                if outcome == Outcome::Failure
                    && failures >= self.limits.failures
                    && share >= self.limits.failure_rate
                {
                    self.enter(State::Open { since: now });
                }
            }
            State::Open { .. } => {}
            State::HalfOpen { in_flight, succeeded, .. } => {
                *in_flight = in_flight.saturating_sub(1);
                match outcome {
                    Outcome::Success => *succeeded += 1,
                    Outcome::Failure => self.enter(State::Open { since: now }),
                    Outcome::Ignored => {}
                }
                if matches!(self.state, State::HalfOpen { succeeded, .. } if succeeded >= self.limits.probes)
                {
                    self.enter(State::Closed(Window::default()));
                }
            }
        }
        self.transition_from(before)
    }

    /// The state. An open breaker whose time is over stays open until the next
    /// call.
    #[must_use]
    pub const fn state(&self) -> BreakerState {
        match self.state {
            State::Closed(_) => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Closes the breaker and forgets all failures.
    pub fn reset(&mut self) -> Option<Transition> {
        let before = self.state();
        self.enter(State::Closed(Window::default()));
        self.transition_from(before)
    }

    fn half_open(&mut self, now: Timestamp) {
        self.enter(State::HalfOpen { since: now, in_flight: 0, succeeded: 0 });
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.turn += 1;
    }

    fn transition_from(&self, from: BreakerState) -> Option<Transition> {
        let to = self.state();
        (from != to).then_some(Transition { from, to })
    }
}

/// Calls and failures of the recent past, in slots that are cleared as time passes.
#[derive(Debug, Default)]
struct Window {
    slots: [Slot; SLOTS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// The number of this tenth of a window since the epoch.
    number: u64,
    calls: u32,
    failures: u32,
}

impl Window {
    /// Counts a call and returns the window's failures and calls.
    fn record(&mut self, now: Timestamp, window: Duration, outcome: Outcome) -> (u32, u32) {
        // Nanoseconds, so that a window of less than ten milliseconds can be
        // divided by ten.
        let tenth = (window.as_nanos() / SLOTS as u128).max(1);
        let number = u64::try_from(u128::from(now.as_millis()) * 1_000_000 / tenth).unwrap_or(u64::MAX);
        let slot = &mut self.slots[(number % SLOTS as u64) as usize];
        // The slot holds a different period, so it starts from zero.
        if slot.number != number {
            *slot = Slot { number, ..Slot::default() };
        }
        slot.calls = slot.calls.saturating_add(u32::from(outcome != Outcome::Ignored));
        slot.failures = slot.failures.saturating_add(u32::from(outcome == Outcome::Failure));
        let recent = |slot: &&Slot| slot.number <= number && number - slot.number < SLOTS as u64;
        self.slots.iter().filter(recent).fold((0, 0), |(failures, calls), slot| {
            (slot.failures.saturating_add(failures), slot.calls.saturating_add(calls))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: BreakerLimits = BreakerLimits {
        failures: 3,
        failure_rate: 0.5,
        window: Duration::from_secs(10),
        open_for: Duration::from_secs(5),
        probes: 2,
    };

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + ms)
    }

    fn breaker() -> CircuitBreaker {
        CircuitBreaker::new(LIMITS).unwrap()
    }

    fn call(breaker: &mut CircuitBreaker, outcome: Outcome, ms: u64) -> Option<Transition> {
        let Admission { permit, .. } = breaker.acquire(at(ms)).unwrap();
        breaker.settle(permit, outcome, at(ms))
    }

    fn opened() -> CircuitBreaker {
        let mut breaker = breaker();
        for _ in 0..3 {
            call(&mut breaker, Outcome::Failure, 0);
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker
    }

    #[test]
    fn it_opens_waits_probes_and_closes() {
        let mut breaker = breaker();
        assert_eq!(call(&mut breaker, Outcome::Failure, 0), None);
        assert_eq!(call(&mut breaker, Outcome::Failure, 10), None);
        let opening = Transition { from: BreakerState::Closed, to: BreakerState::Open };
        assert_eq!(call(&mut breaker, Outcome::Failure, 20), Some(opening));
        let refused = breaker.acquire(at(1020)).unwrap_err();
        assert_eq!(refused, ResilienceError::CircuitOpen(Duration::from_secs(4)));
        let probe = breaker.acquire(at(5020)).unwrap();
        assert_eq!(
            probe.transition,
            Some(Transition { from: BreakerState::Open, to: BreakerState::HalfOpen })
        );
        assert_eq!(breaker.settle(probe.permit, Outcome::Success, at(5030)), None);
        let closing = Transition { from: BreakerState::HalfOpen, to: BreakerState::Closed };
        assert_eq!(call(&mut breaker, Outcome::Success, 5040), Some(closing));
    }

    #[test]
    fn failures_further_apart_than_the_window_never_open_it() {
        let mut breaker = breaker();
        for failure in 0..100 {
            assert_eq!(call(&mut breaker, Outcome::Failure, failure * 5_000), None);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn a_few_failures_among_many_successes_do_not_open_it() {
        let mut breaker = breaker();
        for turn in 0..1000 {
            let outcome = if turn % 3 == 0 { Outcome::Failure } else { Outcome::Success };
            call(&mut breaker, outcome, turn);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn what_says_nothing_about_the_service_counts_for_nothing() {
        let mut breaker = breaker();
        for _ in 0..100 {
            call(&mut breaker, Outcome::of_error(Code::Unauthenticated), 0);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert_eq!(Outcome::of_error(Code::NotFound), Outcome::Success);
        assert_eq!(Outcome::of_error(Code::Unavailable), Outcome::Failure);
    }

    #[test]
    fn one_failed_probe_opens_it_again() {
        let mut breaker = opened();
        assert!(call(&mut breaker, Outcome::Failure, 5000).is_some());
        assert_eq!(
            breaker.acquire(at(5001)).unwrap_err(),
            ResilienceError::CircuitOpen(Duration::from_millis(4999))
        );
    }

    #[test]
    fn probes_are_counted_and_an_ignored_one_makes_room() {
        let mut breaker = opened();
        let first = breaker.acquire(at(5000)).unwrap().permit;
        let second = breaker.acquire(at(5000)).unwrap().permit;
        assert!(breaker.acquire(at(5000)).is_err());
        breaker.settle(first, Outcome::Ignored, at(5001));
        assert!(breaker.acquire(at(5001)).is_ok());
        breaker.settle(second, Outcome::Success, at(5002));
        assert!(breaker.acquire(at(5002)).is_err(), "one is under way and one has succeeded");
    }

    #[test]
    fn probes_that_never_return_are_replaced() {
        let mut breaker = opened();
        let lost = breaker.acquire(at(5000)).unwrap().permit;
        breaker.acquire(at(5000)).unwrap();
        assert!(breaker.acquire(at(9_999)).is_err());
        assert!(breaker.acquire(at(10_000)).is_ok());
        assert_eq!(breaker.settle(lost, Outcome::Failure, at(10_001)), None);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
    }

    #[test]
    fn a_call_from_before_says_nothing_now() {
        let mut breaker = breaker();
        let old = breaker.acquire(at(0)).unwrap().permit;
        for _ in 0..3 {
            call(&mut breaker, Outcome::Failure, 0);
        }
        breaker.acquire(at(5000)).unwrap();
        assert_eq!(breaker.settle(old, Outcome::Failure, at(5001)), None);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert!(breaker.reset().is_some());
        assert!(breaker.acquire(at(5001)).is_ok());
    }

    #[test]
    fn nonsense_is_refused() {
        for limits in [
            BreakerLimits { failures: 0, ..LIMITS },
            BreakerLimits { probes: 0, ..LIMITS },
            BreakerLimits { open_for: Duration::ZERO, ..LIMITS },
            BreakerLimits { window: Duration::ZERO, ..LIMITS },
            BreakerLimits { failure_rate: 1.1, ..LIMITS },
            BreakerLimits { failure_rate: f64::NAN, ..LIMITS },
        ] {
            assert!(CircuitBreaker::new(limits).is_err(), "{limits:?}");
        }
    }

    proptest! {
        /// For every sequence of calls: an open breaker admits none, a
        /// half-open one admits at most its probes at once, and only probes
        /// close an open one.
        #[test]
        fn the_laws_hold(steps in prop::collection::vec((0..3_u8, 0..1_500_u64, any::<u8>()), 1..300)) {
            let mut breaker = breaker();
            let mut out: Vec<Permit> = Vec::new();
            let (mut now, mut opened_at) = (0, 0);
            let mut state = BreakerState::Closed;
            let mut probes_out = 0_u32;
            for (action, step, which) in steps {
                now += step;
                let transition = if action == 0 && !out.is_empty() {
                    let permit = out.remove(usize::from(which) % out.len());
                    let current = permit.turn == breaker.turn;
                    probes_out -= u32::from(current && state == BreakerState::HalfOpen);
                    let outcome =
                        [Outcome::Success, Outcome::Failure, Outcome::Ignored][usize::from(which) % 3];
                    breaker.settle(permit, outcome, at(now))
                } else {
                    let turn = breaker.turn;
                    match breaker.acquire(at(now)) {
                        Ok(Admission { permit, transition }) => {
                            if state == BreakerState::Open {
                                prop_assert!(now - opened_at >= 5_000);
                            }
                            if breaker.turn != turn {
                                probes_out = 0;
                            }
                            probes_out += u32::from(breaker.state() == BreakerState::HalfOpen);
                            prop_assert!(probes_out <= LIMITS.probes);
                            out.push(permit);
                            transition
                        }
                        Err(error) => {
                            prop_assert!(state != BreakerState::Closed);
                            let ResilienceError::CircuitOpen(wait) = error else { unreachable!() };
                            prop_assert!(wait > Duration::ZERO && wait <= LIMITS.open_for);
                            None
                        }
                    }
                };
                if let Some(Transition { from, to }) = transition {
                    prop_assert_eq!(from, state);
                    prop_assert!((from, to) != (BreakerState::Open, BreakerState::Closed));
                    if to == BreakerState::Open {
                        opened_at = now;
                    }
                    probes_out = u32::from(to == BreakerState::HalfOpen);
                }
                state = breaker.state();
            }
        }
    }
}
