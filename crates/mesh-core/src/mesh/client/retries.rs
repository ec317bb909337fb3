//! Whether a call that failed is tried again, and when: the one engine for both
//! kinds of further tries.
//!
//! A call whose session went away before it can have run is placed again at
//! once, in every mesh, and a few times at most: nobody has done anything. Any
//! other try follows `resilience.retry`: after a growing delay, within the time
//! of the call, and within a budget of all calls.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    config::Retry,
    error::Reason,
    mesh::events::CallError,
    resilience::{Attempt, ExponentialBackoff, ResilienceError, RetryBudget, RetryPolicy},
};

/// Sessions that one try is sent on at most, where that is safe.
const MAX_SESSIONS: u8 = 3;

/// What is known of whether a call ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ran {
    /// It never left this side.
    No,
    /// The peer says that it never ran.
    NoByWord,
    /// Nobody can tell.
    Perhaps,
}

/// Whether a call that lost its session is placed again at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    Yes,
    No,
    /// No: a peer said for the second time that it never ran.
    Doubtful,
}

/// The tries of one call.
#[derive(Debug)]
pub(super) struct Tries {
    /// Whether running it twice does no harm.
    idempotent: bool,
    /// Attempts in all: sessions it was sent on, and connections that failed.
    pub(super) attempts: u8,
    /// Sessions that this try was sent on.
    sent: u8,
    /// Whether any try was sent.
    ever_sent: bool,
    /// Which try this is, from 1.
    number: u32,
    /// It has been sent again because a peer said that it had not run.
    repeated_on_word: bool,
}

impl Tries {
    pub(super) fn new(idempotent: bool) -> Self {
        Self { idempotent, attempts: 0, sent: 0, ever_sent: false, number: 1, repeated_on_word: false }
    }

    /// Whether running the call twice does no harm.
    pub(super) fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// The call is sent on a session.
    pub(super) fn sent(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
        self.sent = self.sent.saturating_add(1);
        self.ever_sent = true;
    }

    /// Whether the call cannot have run: no session has carried it.
    pub(super) fn was_never_sent(&self) -> bool {
        !self.ever_sent
    }

    /// An instance could not be reached for the call.
    pub(super) fn unreachable(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
    }

    /// The session that carried the call is gone. The word of a peer counts
    /// once: it may run a call that must not run twice, and say that it did not.
    pub(super) fn displaced(&mut self, ran: Ran) -> Again {
        let doubtful =
            ran == Ran::NoByWord && !self.idempotent && std::mem::replace(&mut self.repeated_on_word, true);
        let safe = self.idempotent || (ran != Ran::Perhaps && !doubtful);
        if safe && self.sent < MAX_SESSIONS {
            Again::Yes
        } else if doubtful {
            Again::Doubtful
        } else {
            Again::No
        }
    }

    /// The next try begins.
    fn next(&mut self) {
        self.number = self.number.saturating_add(1);
        self.sent = 0;
    }
}

/// `resilience.retry` of one mesh.
#[derive(Debug)]
pub(super) struct Retries {
    policy: RetryPolicy,
    budget: RetryBudget,
}

impl Retries {
    pub(super) fn new(options: Retry) -> Result<Self, ResilienceError> {
        let backoff = ExponentialBackoff::new(options.initial_delay, options.max_delay, options.multiplier)?;
        let backoff = if options.jitter { backoff } else { backoff.without_jitter() };
        Ok(Self {
            policy: RetryPolicy::new(options.max_attempts, backoff)?,
            budget: RetryBudget::new(options.budget_ratio, options.budget_reserve)?,
        })
    }

    /// Retries that the budget has left.
    pub(super) fn left(&self) -> f64 {
        self.budget.left()
    }

    /// A call is made for the first time.
    pub(super) fn begin(&mut self) {
        self.budget.deposit();
    }

    /// How long to wait before the next try of a call; `None` if there is none.
    pub(super) fn next(
        &mut self,
        tries: &mut Tries,
        error: &CallError,
        now: Instant,
        deadline: Option<Instant>,
        chance: f64,
    ) -> Option<Duration> {
        // A caller learns at once that each instance is left alone.
        if !error.remote && error.reason == Reason::CircuitOpen.as_str() {
            return None;
        }
        let failed = Attempt {
            number: tries.number,
            code: error.code,
            // A peer's word that trying again is safe may come from a handler that
            // has done half of its work.
            never_ran: error.retryable && !error.remote,
            idempotent: tries.idempotent,
            retry_after: error.retry_after,
        };
        let delay = self.policy.next(&failed, chance)?;
        let in_time = deadline.is_none_or(|deadline| now + delay < deadline);
        if !in_time || !self.budget.withdraw() {
            return None;
        }
        tries.next();
        Some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn retries(reserve: u32) -> Retries {
        Retries::new(Retry {
            max_attempts: 3,
            initial_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(30),
            multiplier: 2.0,
            jitter: false,
            budget_ratio: 0.0,
            budget_reserve: reserve,
        })
        .unwrap()
    }

    fn unavailable(remote: bool) -> CallError {
        CallError { remote, ..CallError::local(Code::Unavailable, Reason::ConnectFailed, "") }
    }

    #[test]
    fn tries_follow_the_policy_within_the_time_of_the_call_and_the_budget() {
        let now = Instant::now();
        let mut tries = Tries::new(false);
        let mut retries = retries(3);
        let soon = Some(now + Duration::from_millis(100));
        assert_eq!(retries.next(&mut tries, &unavailable(false), now, soon, 0.5), None, "no time is left");
        let mut next = |tries: &mut Tries| retries.next(tries, &unavailable(false), now, None, 0.5);
        assert_eq!(next(&mut tries), Some(Duration::from_millis(100)));
        assert_eq!(next(&mut tries), Some(Duration::from_millis(200)));
        assert_eq!(next(&mut tries), None, "three tries in all");
        assert!(next(&mut Tries::new(true)).is_some(), "an error that came too late took nothing");
        assert_eq!(next(&mut Tries::new(true)), None, "the budget is used up");
    }

    #[test]
    fn what_may_have_run_is_tried_again_only_if_that_does_no_harm() {
        let (mut retries, now) = (retries(10), Instant::now());
        let mut again = |idempotent, error: &CallError| {
            retries.next(&mut Tries::new(idempotent), error, now, None, 0.0).is_some()
        };
        assert!(again(false, &unavailable(false)));
        assert!(!again(false, &unavailable(true)));
        assert!(again(true, &unavailable(true)));
        let open = CallError::local(Code::Unavailable, Reason::CircuitOpen, "");
        assert!(!again(true, &open));
    }

    #[test]
    fn a_lost_session_is_replaced_at_once_a_few_times_for_each_try() {
        let mut tries = Tries::new(false);
        for _ in 1..MAX_SESSIONS {
            tries.sent();
            assert_eq!(tries.displaced(Ran::No), Again::Yes);
        }
        tries.sent();
        assert_eq!(tries.displaced(Ran::No), Again::No);
        tries.next();
        tries.sent();
        assert_eq!((tries.displaced(Ran::No), tries.displaced(Ran::Perhaps)), (Again::Yes, Again::No));
        assert_eq!(
            (tries.displaced(Ran::NoByWord), tries.displaced(Ran::NoByWord)),
            (Again::Yes, Again::Doubtful)
        );
        assert_eq!(tries.attempts, MAX_SESSIONS + 1);
    }
}
