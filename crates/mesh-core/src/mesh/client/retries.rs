//! The decision whether and when a failed call is tried again. Both kinds of
//! repetition use only this module.
//!
//! A call that cannot have run when its session was lost is placed again at
//! once, a few times at most, in every mesh. Any other repetition is a new try
//! by `resilience.retry`: after a growing delay, before the deadline of the
//! call, and within a budget for all calls.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    config::Retry,
    error::Reason,
    mesh::events::CallError,
    resilience::{Attempt, ExponentialBackoff, ResilienceError, RetryBudget, RetryPolicy},
};

/// The most sessions on which one try is sent, if repeating is safe.
const MAX_SESSIONS: u8 = 3;

/// The knowledge about whether a call ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ran {
    /// It did not run, because it never left this side.
    No,
    /// It did not run, according to the peer.
    NoByWord,
    /// It may have run.
    Perhaps,
}

/// Whether a call that lost its session is placed again at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    Yes,
    No,
    /// No, because a peer has claimed for the second time that the call never ran.
    Doubtful,
}

/// The tries of one call.
#[derive(Debug)]
pub(super) struct Tries {
    /// Whether it is safe to run twice.
    idempotent: bool,
    /// All attempts: the sessions on which it was sent, and the failed connections.
    pub(super) attempts: u8,
    /// The number of sessions on which this try was sent.
    sent: u8,
    /// Whether any try was sent.
    ever_sent: bool,
    /// The number of the try, from 1.
    number: u32,
    /// Whether it was sent again on the claim of a peer that it had not run.
    repeated_on_word: bool,
}

impl Tries {
    pub(super) fn new(idempotent: bool) -> Self {
        Self { idempotent, attempts: 0, sent: 0, ever_sent: false, number: 1, repeated_on_word: false }
    }

    /// Whether the call is safe to run twice.
    pub(super) fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// Records that the call is sent on a session.
    pub(super) fn sent(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
        self.sent = self.sent.saturating_add(1);
        self.ever_sent = true;
    }

    /// Whether no session has carried the call, so that it cannot have run.
    pub(super) fn was_never_sent(&self) -> bool {
        !self.ever_sent
    }

    /// Records an unreachable instance.
    pub(super) fn unreachable(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
    }

    /// Decides about the call after the loss of its session. The claim of a peer
    /// counts once, because a dishonest peer may run a call and claim that it
    /// did not.
    pub(super) fn displaced(&mut self, ran: Ran) -> Again {
        let again = self.again(ran);
        self.repeated_on_word |= ran == Ran::NoByWord && !self.idempotent;
        again
    }

    /// The decision about the call if it lost its session.
    pub(super) fn again(&self, ran: Ran) -> Again {
        let doubtful = ran == Ran::NoByWord && !self.idempotent && self.repeated_on_word;
        let safe = self.idempotent || (ran != Ran::Perhaps && !doubtful);
        if safe && self.sent < MAX_SESSIONS {
            Again::Yes
        } else if doubtful {
            Again::Doubtful
        } else {
            Again::No
        }
    }

    /// Begins the next try.
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

    /// The retries that the budget has left.
    pub(super) fn left(&self) -> f64 {
        self.budget.left()
    }

    /// Credits the budget for a new call.
    pub(super) fn begin(&mut self) {
        self.budget.deposit();
    }

    /// The delay before the next try of a call; `None` if there is none.
    pub(super) fn next(
        &mut self,
        tries: &mut Tries,
        error: &CallError,
        now: Instant,
        deadline: Option<Instant>,
        chance: f64,
    ) -> Option<Duration> {
        // Open breakers fail a call at once. A retry would only delay that error.
        if !error.remote && error.reason == Reason::CircuitOpen.as_str() {
            return None;
        }
        let failed = Attempt {
            number: tries.number,
            code: error.code,
            // A remote `retryable` does not prove that the call never ran: its
            // handler may have done half of its work.
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
