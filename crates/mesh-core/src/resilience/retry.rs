//! Whether to try a call again, and after how long.

use std::time::Duration;

use super::{ExponentialBackoff, ResilienceError};
use crate::error::Code;

/// A try that has failed.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// Which try it was, from 1.
    pub number: u32,
    /// How it failed.
    pub code: Code,
    /// Whether it is certain that nothing was done.
    pub never_ran: bool,
    /// Whether doing it twice does no harm.
    pub idempotent: bool,
    /// How long the other side asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// Decides on the next try of a call. It makes none itself: it returns the delay.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    max_attempts: u32,
    backoff: ExponentialBackoff,
}

impl RetryPolicy {
    /// At most `max_attempts` tries in all, 1 to 100.
    pub fn new(max_attempts: u32, backoff: ExponentialBackoff) -> Result<Self, ResilienceError> {
        if !(1..=100).contains(&max_attempts) {
            return Err(ResilienceError::Setting("maxAttempts must be a whole number from 1 to 100"));
        }
        Ok(Self { max_attempts, backoff })
    }

    /// Whether a failure of this kind can pass by itself.
    #[must_use]
    pub const fn is_transient(code: Code) -> bool {
        matches!(code, Code::Unavailable | Code::ResourceExhausted | Code::Aborted)
    }

    /// How long to wait before the next try; `None` if there must be none. A
    /// call that may have run is only made again if that does no harm.
    #[must_use]
    pub fn next(&self, failed: &Attempt, random: f64) -> Option<Duration> {
        let harmless = failed.never_ran || failed.idempotent;
        if harmless && Self::is_transient(failed.code) {
            self.delay(failed.number, failed.retry_after, random)
        } else {
            None
        }
    }

    /// The same for a failure that somebody else has found worth a retry.
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
