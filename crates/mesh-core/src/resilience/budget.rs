//! How many retries there may be in all.

use super::ResilienceError;

/// Thousandths, so that a share of a call is a whole number.
const CALL: u64 = 1000;

/// A bound on retries as a share of calls, so that a service in trouble gets
/// little more load than usual, however many of its callers retry.
///
/// Each call pays a share of a retry in; each retry takes a whole one out. The
/// balance begins at its maximum: a caller of few calls may retry too.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    balance: u64,
    max: u64,
    share: u64,
}

impl RetryBudget {
    /// At most `share` retries a call in the long run, and `reserve` at once.
    ///
    /// ```
    /// # use mesh_core::resilience::RetryBudget;
    /// let mut budget = RetryBudget::new(0.5, 1)?;
    /// assert!(budget.withdraw());
    /// assert!(!budget.withdraw());
    /// budget.deposit();
    /// budget.deposit();
    /// assert!(budget.withdraw());
    /// # Ok::<(), mesh_core::resilience::ResilienceError>(())
    /// ```
    pub fn new(share: f64, reserve: u32) -> Result<Self, ResilienceError> {
        if !(0.0..=100.0).contains(&share) {
            return Err(ResilienceError::Setting("budget.ratio must be a number from 0 to 100"));
        }
        let max = u64::from(reserve) * CALL;
        #[allow(clippy::cast_sign_loss, reason = "the range is checked")]
        let share = (share * 1000.0).round() as u64;
        Ok(Self { balance: max, max, share })
    }

    /// A first try has been made.
    pub fn deposit(&mut self) {
        self.balance = (self.balance + self.share).min(self.max);
    }

    /// Takes a retry out; whether there was one.
    #[must_use]
    pub fn withdraw(&mut self) -> bool {
        let Some(left) = self.balance.checked_sub(CALL) else { return false };
        self.balance = left;
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn retries_never_exceed_the_reserve_and_the_share_of_calls(
            share in 0..2000_u32, reserve in 0..50_u32, retries in prop::collection::vec(any::<bool>(), 0..300),
        ) {
            let mut budget = RetryBudget::new(f64::from(share) / 1000.0, reserve).unwrap();
            let (mut calls, mut granted) = (0_u64, 0_u64);
            for retry in retries {
                if retry {
                    granted += u64::from(budget.withdraw());
                } else {
                    calls += 1;
                    budget.deposit();
                }
                prop_assert!(granted * CALL <= u64::from(reserve) * CALL + calls * u64::from(share));
            }
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for share in [-0.1, f64::NAN, 101.0] {
            assert!(RetryBudget::new(share, 1).is_err());
        }
    }
}
