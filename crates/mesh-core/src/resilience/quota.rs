//! The rate limit of each caller: GCRA, the generic cell rate algorithm of ITU-T I.371, for a bounded number
//! of callers.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    time::Duration,
};

use super::ResilienceError;
use crate::clock::Timestamp;

/// The settings of a [`Quota`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaLimits {
    /// Requests in a window.
    pub requests: u32,
    /// The window.
    pub window: Duration,
    /// The minimum time for which a caller over its quota is blocked; zero blocks it only until its quota
    /// allows the next request.
    pub block: Duration,
    /// The limit of remembered callers.
    pub keys: usize,
}

/// The decision about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// `None` if the request is allowed, else the time until the next one can be allowed.
    pub retry_after: Option<Duration>,
    /// The number of further requests that would be allowed now.
    pub remaining: u32,
    /// The time until the quota is full again.
    pub reset: Duration,
}

/// A request rate per caller.
///
/// A quota refills steadily, one request every `window / requests`, and not at the edge of a window, so no
/// caller gets two windows' worth at once. A caller with a full quota is forgotten, which changes no
/// decision. At the limit of remembered callers, a new caller evicts the one that is nearest to a full quota.
#[derive(Debug)]
pub struct Quota<K> {
    limits: QuotaLimits,
    /// Nanoseconds between two requests at the steady rate.
    interval: u64,
    callers: HashMap<K, Caller>,
    /// The times at which each caller's quota is full again, the soonest first.
    by_expiry: BTreeSet<(u64, K)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Caller {
    /// The time at which the quota is full again: the theoretical arrival time.
    full_at: u64,
    blocked_until: u64,
}

impl Caller {
    fn expiry(self) -> u64 {
        self.full_at.max(self.blocked_until)
    }
}

impl<K: Clone + Ord + Hash> Quota<K> {
    /// Creates a quota of at least one request in at least a millisecond, for at least one caller.
    pub fn new(limits: QuotaLimits) -> Result<Self, ResilienceError> {
        if limits.requests == 0 {
            return Err(ResilienceError::Setting("maxRequests must be at least 1"));
        }
        if limits.window < Duration::from_millis(1) {
            return Err(ResilienceError::Setting("windowMs must be at least 1"));
        }
        if limits.keys == 0 {
            return Err(ResilienceError::Setting("maxKeys must be at least 1"));
        }
        let interval = (nanos(limits.window) / u64::from(limits.requests)).max(1);
        Ok(Self { limits, interval, callers: HashMap::new(), by_expiry: BTreeSet::new() })
    }

    /// Takes a request from a caller's quota, if the quota allows it.
    pub fn check(&mut self, key: &K, now: Timestamp) -> Decision {
        let now = now.as_millis().saturating_mul(1_000_000);
        self.forget_expired(now);
        let previous = self.callers.get(key).copied().unwrap_or_default();
        let mut caller = previous;
        let window = self.interval.saturating_mul(u64::from(self.limits.requests));
        let full_at = caller.full_at.max(now).saturating_add(self.interval);
        let wait = full_at.saturating_sub(now.saturating_add(window));
        let retry_after = if now < caller.blocked_until {
            Some(caller.blocked_until - now)
        } else if wait == 0 {
            caller.full_at = full_at;
            None
        } else if self.limits.block.is_zero() {
            Some(wait)
        } else {
            caller.blocked_until = now.saturating_add(nanos(self.limits.block).max(wait));
            Some(caller.blocked_until - now)
        };
        self.store(key, previous, caller);
        let owed = caller.full_at.saturating_sub(now);
        let blocked = now < caller.blocked_until;
        Decision {
            retry_after: retry_after.map(Duration::from_nanos),
            remaining: if blocked { 0 } else { (window.saturating_sub(owed) / self.interval) as u32 },
            reset: Duration::from_nanos(caller.expiry().saturating_sub(now)),
        }
    }

    /// Restores a caller's full quota.
    pub fn reset(&mut self, key: &K) {
        if let Some(caller) = self.callers.remove(key) {
            self.by_expiry.remove(&(caller.expiry(), key.clone()));
        }
    }

    /// The number of remembered callers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.callers.len()
    }

    /// Whether no caller is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.callers.is_empty()
    }

    fn store(&mut self, key: &K, previous: Caller, caller: Caller) {
        if self.callers.contains_key(key) {
            self.by_expiry.remove(&(previous.expiry(), key.clone()));
        } else if self.callers.len() >= self.limits.keys
            && let Some((_, soonest)) = self.by_expiry.pop_first()
        {
            self.callers.remove(&soonest);
        }
        self.callers.insert(key.clone(), caller);
        self.by_expiry.insert((caller.expiry(), key.clone()));
    }

    /// Forgets at most two expired callers. Two for each check keep up with one new caller for each check,
    /// and the cost stays constant.
    fn forget_expired(&mut self, now: u64) {
        for _ in 0..2 {
            if self.by_expiry.first().is_none_or(|(expiry, _)| *expiry > now) {
                return;
            }
            if let Some((_, key)) = self.by_expiry.pop_first() {
                self.callers.remove(&key);
            }
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: u64 = 1_800_000_000_000;

    fn quota(requests: u32, window_ms: u64, block_ms: u64, keys: usize) -> Quota<u32> {
        let (window, block) = (Duration::from_millis(window_ms), Duration::from_millis(block_ms));
        Quota::new(QuotaLimits { requests, window, block, keys }).unwrap()
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(START + ms)
    }

    #[test]
    fn a_whole_quota_at_once_then_one_at_a_time() {
        let mut quota = quota(4, 1000, 0, 10);
        for left in (0..4).rev() {
            let decision = quota.check(&1, at(0));
            assert_eq!((decision.retry_after, decision.remaining), (None, left));
        }
        let refused = quota.check(&1, at(0));
        assert_eq!(refused.retry_after, Some(Duration::from_millis(250)));
        assert_eq!((refused.remaining, refused.reset), (0, Duration::from_secs(1)));
        assert!(quota.check(&1, at(249)).retry_after.is_some());
        assert!(quota.check(&1, at(250)).retry_after.is_none());
        assert!(quota.check(&1, at(250)).retry_after.is_some());
        assert!(quota.check(&2, at(250)).retry_after.is_none(), "callers are apart");
    }

    #[test]
    fn a_blocked_caller_waits_for_the_whole_of_it_and_no_longer() {
        let mut quota = quota(1, 1000, 5000, 10);
        assert!(quota.check(&1, at(0)).retry_after.is_none());
        assert_eq!(quota.check(&1, at(10)).retry_after, Some(Duration::from_secs(5)));
        let again = quota.check(&1, at(1010));
        assert_eq!(again.retry_after, Some(Duration::from_secs(4)), "asking does not prolong it");
        assert_eq!(again.remaining, 0);
        assert!(quota.check(&1, at(5010)).retry_after.is_none());
    }

    #[test]
    fn the_caller_forgotten_is_the_one_nearest_to_a_full_quota() {
        let mut quota = quota(2, 1000, 0, 2);
        quota.check(&1, at(0));
        quota.check(&1, at(0));
        quota.check(&2, at(0));
        quota.check(&3, at(0));
        assert_eq!(quota.len(), 2);
        assert!(quota.check(&1, at(0)).retry_after.is_some(), "1 had used up its quota and is remembered");
    }

    #[test]
    fn a_full_quota_is_forgotten_and_a_reset_one_is_whole() {
        let mut quota = quota(1, 1000, 0, 100);
        quota.check(&1, at(0));
        quota.reset(&1);
        assert!(quota.is_empty());
        assert!(quota.check(&1, at(0)).retry_after.is_none());
        quota.check(&2, at(1000));
        assert_eq!(quota.len(), 1, "only 2 is left");
    }

    #[test]
    fn nonsense_is_refused() {
        let good =
            QuotaLimits { requests: 1, window: Duration::from_secs(1), block: Duration::ZERO, keys: 1 };
        assert!(Quota::<u32>::new(QuotaLimits { requests: 0, ..good }).is_err());
        assert!(Quota::<u32>::new(QuotaLimits { window: Duration::ZERO, ..good }).is_err());
        assert!(Quota::<u32>::new(QuotaLimits { keys: 0, ..good }).is_err());
    }

    proptest! {
        /// The law of a rate: no interval has more requests than a burst and the refill of the interval.
        #[test]
        fn no_interval_holds_more_than_its_share(
            requests in 1..20_u32, window in 1..2_000_u64, steps in prop::collection::vec(0..300_u64, 1..200),
        ) {
            let mut quota = quota(requests, window, 0, 4);
            let mut now = 0;
            let mut allowed = Vec::new();
            for step in steps {
                now += step;
                if quota.check(&1, at(now)).retry_after.is_none() {
                    allowed.push(now);
                }
            }
            for (index, first) in allowed.iter().enumerate() {
                for (more, last) in allowed[index..].iter().enumerate() {
                    let refilled = u64::from(requests) * (last - first) / window;
                    prop_assert!(more as u64 <= u64::from(requests) + refilled);
                }
            }
        }

        /// A caller that waits for `retry_after` is admitted.
        #[test]
        fn waiting_as_told_is_enough(requests in 1..20_u32, window in 1..2_000_u64, block in 0..100_u64) {
            let mut quota = quota(requests, window, block, 4);
            let mut now = 0;
            for _ in 0..100 {
                if let Some(wait) = quota.check(&1, at(now)).retry_after {
                    now += wait.as_nanos().div_ceil(1_000_000) as u64;
                    prop_assert!(quota.check(&1, at(now)).retry_after.is_none());
                }
            }
        }

        #[test]
        fn there_are_never_more_callers_than_allowed(
            keys in 1..8_usize, requests in prop::collection::vec((0..50_u32, 0..50_u64), 1..200),
        ) {
            let mut quota = quota(2, 100, 30, keys);
            let mut now = 0;
            for (key, step) in requests {
                now += step;
                quota.check(&key, at(now));
                prop_assert!(quota.len() <= keys);
                prop_assert_eq!(quota.callers.len(), quota.by_expiry.len());
            }
        }
    }
}
