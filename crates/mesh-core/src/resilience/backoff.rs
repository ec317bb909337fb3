//! Growing delays between attempts, with full jitter.

use std::time::Duration;

use super::ResilienceError;

/// Delays that grow by a factor up to a ceiling.
///
/// With full jitter each delay is uniform between zero and the ceiling of its attempt: callers that failed
/// together do not retry together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExponentialBackoff {
    initial: Duration,
    max: Duration,
    multiplier: f64,
    jitter: bool,
}

impl ExponentialBackoff {
    /// Creates delays that start at `initial` and are multiplied by `multiplier` with each attempt, up to `max`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use mesh_core::resilience::ExponentialBackoff;
    /// let backoff = ExponentialBackoff::new(Duration::from_millis(100), Duration::from_secs(5), 2.0)?;
    /// assert_eq!(backoff.ceiling(3), Duration::from_millis(400));
    /// assert!(backoff.delay(3, 0.5) <= Duration::from_millis(400));
    /// # Ok::<(), mesh_core::resilience::ResilienceError>(())
    /// ```
    pub fn new(initial: Duration, max: Duration, multiplier: f64) -> Result<Self, ResilienceError> {
        if !(1.0..=100.0).contains(&multiplier) {
            return Err(ResilienceError::Setting("backoffMultiplier must be a number from 1 to 100"));
        }
        if max < initial {
            return Err(ResilienceError::Setting("maxDelay must not be shorter than initialDelay"));
        }
        Ok(Self { initial, max, multiplier, jitter: true })
    }

    /// Returns the same delays without jitter: each delay is its ceiling.
    #[must_use]
    pub const fn without_jitter(self) -> Self {
        Self { jitter: false, ..self }
    }

    /// The longest delay after attempt number `attempt`, counted from 1.
    #[must_use]
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.initial.as_secs_f64() * self.multiplier.powi(exponent);
        // Infinity, and a number that no `Duration` holds, are beyond the ceiling too.
        Duration::try_from_secs_f64(seconds).map_or(self.max, |delay| delay.min(self.max))
    }

    /// The delay after attempt number `attempt`, for a random number from 0 to 1.
    #[must_use]
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let ceiling = self.ceiling(attempt);
        if !self.jitter {
            return ceiling;
        }
        let share = if random.is_finite() { random.clamp(0.0, 1.0) } else { 1.0 };
        ceiling.mul_f64(share).min(ceiling)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn backoffs() -> impl Strategy<Value = ExponentialBackoff> {
        (0..10_000_u64, 0..1_000_000_u64, 1.0..=100.0_f64).prop_map(|(initial, more, multiplier)| {
            let initial = Duration::from_millis(initial);
            ExponentialBackoff::new(initial, initial + Duration::from_millis(more), multiplier).unwrap()
        })
    }

    proptest! {
        #[test]
        fn no_delay_exceeds_its_ceiling_nor_any_ceiling_the_maximum(
            backoff in backoffs(), attempt in any::<u32>(), random in any::<f64>(),
        ) {
            prop_assert!(backoff.delay(attempt, random) <= backoff.ceiling(attempt));
            prop_assert!(backoff.ceiling(attempt) <= backoff.max);
            prop_assert!(backoff.ceiling(attempt) >= backoff.initial);
        }

        #[test]
        fn ceilings_never_shrink(backoff in backoffs(), attempt in 0..1_000_u32) {
            prop_assert!(backoff.ceiling(attempt) <= backoff.ceiling(attempt + 1));
        }

        #[test]
        fn chance_is_spread_evenly(backoff in backoffs(), attempt in 1..50_u32) {
            prop_assert_eq!(backoff.delay(attempt, 0.0), Duration::ZERO);
            prop_assert_eq!(backoff.delay(attempt, 1.0), backoff.ceiling(attempt));
            let half = backoff.delay(attempt, 0.5).as_secs_f64();
            prop_assert!((half - backoff.ceiling(attempt).as_secs_f64() / 2.0).abs() < 1e-6);
        }
    }

    #[test]
    fn without_jitter_each_delay_is_its_ceiling() {
        let backoff = ExponentialBackoff::new(Duration::from_millis(10), Duration::from_millis(50), 2.0)
            .unwrap()
            .without_jitter();
        let delays: Vec<_> = (1..=4).map(|attempt| backoff.delay(attempt, 0.0).as_millis()).collect();
        assert_eq!(delays, [10, 20, 40, 50]);
    }

    #[test]
    fn nonsense_is_refused() {
        let second = Duration::from_secs(1);
        for multiplier in [0.5, 0.0, -2.0, 101.0, f64::NAN, f64::INFINITY] {
            assert!(ExponentialBackoff::new(second, second, multiplier).is_err(), "{multiplier}");
        }
        assert!(ExponentialBackoff::new(second, Duration::ZERO, 2.0).is_err());
    }
}
