//! The decision whether and when to retry a call.

use std::time::Duration;

use super::{ExponentialBackoff, ResilienceError};
use crate::error::Code;

/// A failed attempt.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// The number of the attempt, from 1.
    pub number: u32,
    /// The code of the failure.
    pub code: Code,
    /// Whether the call certainly did not run.
    pub never_ran: bool,
    /// Whether the call is safe to run twice.
    pub idempotent: bool,
    /// The delay that the peer requests.
    pub retry_after: Option<Duration>,
}

/// Decides on the next attempt of a call. It only returns the delay and makes
/// no call.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    max_attempts: u32,
    backoff: ExponentialBackoff,
}

impl RetryPolicy {
    /// Creates a policy of at most `max_attempts` attempts in all, 1 to 100.
    pub fn new(max_attempts: u32, backoff: ExponentialBackoff) -> Result<Self, ResilienceError> {
        if !(1..=100).contains(&max_attempts) {
            return Err(ResilienceError::Setting("maxAttempts must be a whole number from 1 to 100"));
        }
        Ok(Self { max_attempts, backoff })
    }

    /// Whether a failure with this code can be transient.
    #[must_use]
    pub const fn is_transient(code: Code) -> bool {
        matches!(code, Code::Unavailable | Code::ResourceExhausted | Code::Aborted)
    }

    /// Returns the delay before the next attempt; `None` if there must be none.
    /// A call that may have run is retried only if it is idempotent.
    #[must_use]
    pub fn next(&self, failed: &Attempt, random: f64) -> Option<Duration> {
        let harmless = failed.never_ran || failed.idempotent;
        if harmless && Self::is_transient(failed.code) {
            self.delay(failed.number, failed.retry_after, random)
        } else {
            None
        }
    }

    /// Returns the delay for a failure that the caller has classified as retryable.
    #[must_use]
    pub fn delay(&self, number: u32, retry_after: Option<Duration>, random: f64) -> Option<Duration> {
        if number >= self.max_attempts {
            return None;
        }
        Some(self.backoff.delay(number, random).max(retry_after.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(max_attempts: u32) -> RetryPolicy {
        let backoff =
            ExponentialBackoff::new(Duration::from_millis(10), Duration::from_secs(1), 2.0).unwrap();
        RetryPolicy::new(max_attempts, backoff).unwrap()
    }

    fn attempts() -> impl Strategy<Value = Attempt> {
        (1..120_u32, 0..16_usize, any::<bool>(), any::<bool>(), proptest::option::of(0..5_000_u64)).prop_map(
            |(number, code, never_ran, idempotent, after)| Attempt {
                number,
                code: Code::ALL[code],
                never_ran,
                idempotent,
                retry_after: after.map(Duration::from_millis),
            },
        )
    }

    proptest! {
        #[test]
        fn what_may_have_run_is_repeated_only_if_that_does_no_harm(failed in attempts(), random in 0.0..1.0) {
            if policy(100).next(&failed, random).is_some() {
                prop_assert!(failed.never_ran || failed.idempotent);
                prop_assert!(RetryPolicy::is_transient(failed.code));
            }
        }

        #[test]
        fn there_are_never_more_tries_than_allowed(max in 1..=100_u32, failed in attempts(), random in 0.0..1.0) {
            prop_assert!(failed.number < max || policy(max).next(&failed, random).is_none());
        }

        #[test]
        fn nobody_comes_back_before_being_asked_to(failed in attempts(), random in 0.0..1.0) {
            if let Some(delay) = policy(100).next(&failed, random) {
                prop_assert!(delay >= failed.retry_after.unwrap_or_default());
            }
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let backoff = ExponentialBackoff::new(Duration::ZERO, Duration::ZERO, 1.0).unwrap();
        assert!(RetryPolicy::new(0, backoff).is_err());
        assert!(RetryPolicy::new(101, backoff).is_err());
    }
}
