//! The limit on all retries together.

#![allow(clippy::cast_precision_loss, reason = "figures for people; beyond 2^53 they are estimates")]

use super::ResilienceError;

/// Thousandths, so that a share of a call is a whole number.
const CALL: u64 = 1000;

/// A limit on retries as a share of calls, so that a failing service gets
/// little more load than usual, however many of its callers retry.
///
/// Each call deposits a share of a retry, and each retry withdraws a whole one.
/// The balance begins at its maximum, so that a caller with few calls may retry
/// too.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    balance: u64,
    max: u64,
    share: u64,
}

impl RetryBudget {
    /// Allows at most `share` retries per call in the long run, and `reserve`
    /// retries at once.
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

    /// Records the first attempt of a call.
    pub fn deposit(&mut self) {
        self.balance = (self.balance + self.share).min(self.max);
    }

    /// The retries that are left.
    #[must_use]
    pub fn left(&self) -> f64 {
        self.balance as f64 / CALL as f64
    }

    /// Withdraws a retry. Returns whether the balance had one.
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
