//! The connection to one instance: at rest, being opened, or ready.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::session::ClientSession;
use crate::{
    discovery::Address,
    error::Code,
    mesh::events::{CallError, CallId},
    resilience::ExponentialBackoff,
};

/// The delay after the first failure. It doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const DELAY_FACTOR: f64 = 2.0;
/// The longest delay while calls wait for the instance. It is short, so that they reach the instance soon after
/// its return.
const LONGEST_DELAY: Duration = Duration::from_secs(1);
/// The longest delay once calls no longer wait.
const LONG_REST: Duration = Duration::from_secs(5);
/// The time after its beginning for which a call waits for another attempt. An instance that has been away for
/// longer fails calls at once.
pub(super) const PATIENCE: Duration = Duration::from_millis(4800);
/// The time after which other instances are tried beside a slow connection.
pub(super) const STAGGER: Duration = Duration::from_millis(150);
/// The time without an attempt after which failures are forgotten.
const MEMORY: Duration = Duration::from_mins(1);

/// The connection to one instance.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// The number of failed attempts since the last session.
    failures: u32,
    /// The time of the first of them.
    away_since: Option<Instant>,
    /// The error of the last of them.
    error: Option<CallError>,
    pub(super) state: State,
}

#[derive(Debug, Default)]
pub(super) enum State {
    /// There was no attempt yet, or the last session has ended.
    #[default]
    Idle,
    /// The connection opens at this time, or has been opening since.
    Connecting {
        at: Instant,
        waiting: VecDeque<CallId>,
    },
    /// An attempt failed, and there is none before this time.
    Resting {
        until: Instant,
    },
    Ready(Arc<ClientSession>),
}

/// The requirements of a call on a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seeker<'a> {
    pub(super) id: CallId,
    /// The latest time at which an attempt is of use to it, if the instance does not answer.
    pub(super) latest: Instant,
    /// The same, if the instance answers that it is busy. `None` stands for no
    /// limit.
    pub(super) deadline: Option<Instant>,
    /// The instances that were tried for it.
    pub(super) tried: &'a [Address],
    /// The hash of the string that binds it to an instance.
    pub(super) sticky: Option<u64>,
}

/// The decision of a link about a call that no other link can take.
#[derive(Debug)]
pub(super) enum Taken {
    /// It waits for a connection that is already being opened.
    Waits,
    /// It waits for a connection that must be opened at this time.
    Dials(Instant),
    /// The instance cannot be reached soon enough.
    Down(CallError),
}

impl Link {
    /// The calls that wait for its connection, ended ones included.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &CallId> {
        let waiting = match &self.state {
            State::Connecting { waiting, .. } => Some(waiting),
            _ => None,
        };
        waiting.into_iter().flatten()
    }

    /// The session, if it takes calls.
    pub(super) fn session(&self) -> Option<&Arc<ClientSession>> {
        match &self.state {
            State::Ready(session) if !session.is_over() => Some(session),
            _ => None,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.session().is_some()
    }

    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting { .. })
    }

    /// Whether calls wait for a slow connection.
    pub(super) fn is_slow(&self, now: Instant) -> bool {
        match &self.state {
            State::Connecting { at, waiting } => *at + STAGGER <= now && !waiting.is_empty(),
            State::Idle | State::Resting { .. } | State::Ready(_) => false,
        }
    }

    /// The time of the next attempt, or of the current one; `None` if one can begin now.
    pub(super) fn opens(&self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Connecting { at, .. } => (at > now).then_some(at),
            State::Resting { until } => (until > now).then_some(until),
            State::Idle | State::Ready(_) => None,
        }
    }

    /// Begins a connection for which no call waits, if one can begin now.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        let can = match &self.state {
            State::Idle => true,
            State::Resting { until } => *until <= now,
            // An ended session is no longer a link, even before its end was handled.
            State::Ready(session) => session.is_over(),
            State::Connecting { .. } => false,
        };
        if can {
            self.forget_old_failures(now);
            self.state = State::Connecting { at: now, waiting: VecDeque::new() };
        }
        can
    }

    /// Takes a call to wait for this link, or returns the reason why it cannot wait.
    pub(super) fn take(&mut self, call: Seeker<'_>, now: Instant) -> Taken {
        if let State::Connecting { at, .. } = self.state
            && at > now
            && !self.waits_until(call, at)
        {
            return self.down(at, now);
        }
        match &mut self.state {
            State::Connecting { waiting, .. } => {
                waiting.push_back(call.id);
                Taken::Waits
            }
            State::Idle | State::Ready(_) => self.dial(call.id, now),
            State::Resting { until } => {
                let at = (*until).max(now);
                // A peer that has refused this side would do so again.
                let hopeless = self.error.as_ref().is_some_and(|error| !error.retryable);
                if at > now && (hopeless || !self.waits_until(call, at)) {
                    return self.down(at, now);
                }
                self.forget_old_failures(now);
                self.dial(call.id, at)
            }
        }
    }

    fn dial(&mut self, id: CallId, at: Instant) -> Taken {
        self.state = State::Connecting { at, waiting: VecDeque::from([id]) };
        Taken::Dials(at)
    }

    fn down(&self, at: Instant, now: Instant) -> Taken {
        let error = self.error.clone().unwrap_or_else(|| CallError::internal("a link without an error"));
        let retry_after = error.retryable.then_some(at - now);
        Taken::Down(CallError { retry_after, ..error })
    }

    fn forget_old_failures(&mut self, now: Instant) {
        if let State::Resting { until } = self.state
            && now.duration_since(until) > MEMORY
        {
            (self.failures, self.away_since) = (0, None);
        }
    }

    /// Whether a call waits until `at` for the next attempt. It waits longer for a busy instance than for a
    /// silent one, and not at all for one that has been away for long.
    fn waits_until(&self, call: Seeker<'_>, at: Instant) -> bool {
        let busy = self.error.as_ref().is_some_and(|error| error.code == Code::ResourceExhausted);
        if busy {
            return call.deadline.is_none_or(|deadline| at <= deadline);
        }
        let given_up = self.away_since.is_some_and(|since| at.duration_since(since) > PATIENCE);
        !given_up && at <= call.latest
    }

    /// Records a new session; returns the calls that waited for it.
    pub(super) fn ready(&mut self, session: &Arc<ClientSession>) -> VecDeque<CallId> {
        let former = std::mem::take(self);
        self.state = State::Ready(Arc::clone(session));
        former.state.into_waiting()
    }

    /// Records a failed connection; returns the calls that waited for it.
    pub(super) fn failed(&mut self, error: &CallError, now: Instant, chance: f64) -> VecDeque<CallId> {
        self.failures = self.failures.saturating_add(1);
        let since = *self.away_since.get_or_insert(now);
        let delay = delay(self.failures, now.duration_since(since), chance);
        let delay = delay.max(error.retry_after.unwrap_or_default());
        self.error = Some(error.clone());
        std::mem::replace(&mut self.state, State::Resting { until: now + delay }).into_waiting()
    }

    /// Permits an attempt at once after failures.
    pub(super) fn forgive(&mut self, now: Instant) {
        if matches!(self.state, State::Resting { .. }) {
            (self.failures, self.away_since) = (0, None);
            self.state = State::Resting { until: now };
        }
    }
}

impl State {
    /// The calls that wait for this connection.
    pub(super) fn into_waiting(self) -> VecDeque<CallId> {
        match self {
            Self::Connecting { waiting, .. } => waiting,
            Self::Idle | Self::Resting { .. } | Self::Ready(_) => VecDeque::new(),
        }
    }
}

/// The rest of a link after `failures` failures: a random time from half of the
/// current delay to the whole. The minimum spares a service that is starting;
/// the jitter keeps callers from returning together.
fn delay(failures: u32, away: Duration, chance: f64) -> Duration {
    let longest = if away < PATIENCE { LONGEST_DELAY } else { LONG_REST };
    let failures = if away < PATIENCE { failures } else { u32::MAX };
    ExponentialBackoff::new(FIRST_DELAY, longest, DELAY_FACTOR)
        .map_or(longest, |backoff| backoff.delay(failures, 0.5 + chance / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_never_come_close_to_nothing() {
        let bounds = [(50, 100), (100, 200), (200, 400), (400, 800), (500, 1000), (500, 1000)];
        for (failures, (least, most)) in (1..).zip(bounds) {
            assert_eq!(delay(failures, Duration::ZERO, 0.0).as_millis(), least);
            assert_eq!(delay(failures, Duration::ZERO, 1.0).as_millis(), most);
        }
        assert_eq!(delay(9, PATIENCE, 0.0), LONG_REST / 2);
        assert_eq!(delay(9, PATIENCE, 1.0), LONG_REST);
    }

    #[test]
    fn a_call_meets_an_instance_that_comes_back_in_time() {
        // With any jitter, attempts follow each other within this time until calls give up.
        for chance in [0.0, 0.5, 1.0] {
            let (mut at, mut failures) = (Duration::ZERO, 0);
            while at < Duration::from_millis(3500) {
                failures += 1;
                at += delay(failures, at, chance);
            }
            assert!(at <= PATIENCE, "a service that is away for 3.5 s is waited for: {at:?}");
        }
    }
}
