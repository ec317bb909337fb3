//! Shares of quotas that several processes have together: taken in batches, spent one by one.
//!
//! The request path never waits. A caller spends from the lease that this process holds; when that runs low,
//! a further one is asked for in the background. Until it comes, requests are let in on account, no more than one
//! batch of them, and the next lease pays for them; further ones are refused. So what all processes let in together
//! exceeds the quota by one batch of each process at most, at any time.

use std::{collections::HashMap, hash::Hash, time::Duration};

use crate::clock::Timestamp;

/// The wait of a request while an answer of the keeper is on its way.
const UNTIL_ANSWERED: Duration = Duration::from_millis(1);
/// The longest time after which a caller whose quota is used up is asked for again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The settings of [`Leases`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseLimits {
    /// Requests in a window, of all processes together.
    pub requests: u32,
    /// The window.
    pub window: Duration,
    /// The minimum time for which a caller over its quota is blocked.
    pub block: Duration,
    /// The limit of remembered callers.
    pub keys: usize,
}

/// The decision about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spend {
    /// The quota allows it.
    Granted,
    /// The quota is used up; the time until it can allow a next request.
    Refused(Duration),
    /// Nobody knows: the keeper of the quota does not answer, or this process has no place for the caller.
    Unknown,
}

/// The requests of one caller that a process asks the keeper of the quota for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// How many.
    pub requests: u32,
    /// The time at which the quota is full again, in µs of the keeper's clock, as far as this process knows. A
    /// keeper that lost its data learns from it what was spent before.
    pub full_at: u64,
}

/// The answer of the keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The requests granted.
    pub granted: u32,
    /// The time at which the quota is full again, in µs of the keeper's clock.
    pub full_at: u64,
}

/// The leases of one process, by caller.
#[derive(Debug)]
pub struct Leases<K> {
    limits: LeaseLimits,
    batch: u32,
    callers: HashMap<K, Caller>,
    away: bool,
    sweep_at: Timestamp,
}

#[derive(Clone, Copy, Debug, Default)]
struct Caller {
    /// Requests that may be let in; below zero, those that were let in on account.
    left: i64,
    /// The requests that are asked for without an answer yet; 0 for none.
    asked: u32,
    full_at: u64,
    blocked_until: Timestamp,
    used_at: Timestamp,
}

impl<K: Clone + Eq + Hash> Leases<K> {
    /// Leases of a fortieth of the quota each.
    #[must_use]
    pub fn new(limits: LeaseLimits) -> Self {
        let batch = (limits.requests / 40).clamp(1, 10_000);
        Self { limits, batch, callers: HashMap::new(), away: false, sweep_at: Timestamp::default() }
    }

    /// The requests of one lease.
    #[must_use]
    pub const fn batch(&self) -> u32 {
        self.batch
    }

    /// Decides about a request of a caller. With the decision comes what is to be asked for, if anything is.
    pub fn spend(&mut self, key: &K, now: Timestamp) -> (Spend, Option<Ask>) {
        if self.away || !self.has_place(key, now) {
            return (Spend::Unknown, None);
        }
        let batch = i64::from(self.batch);
        let caller = self.callers.entry(key.clone()).or_default();
        caller.used_at = now;
        if now < caller.blocked_until {
            let wait = caller.blocked_until.as_millis() - now.as_millis();
            return (Spend::Refused(Duration::from_millis(wait)), None);
        }
        let spend = if caller.left > -batch {
            caller.left -= 1;
            Spend::Granted
        } else {
            // The keeper answers: until then what may be let in on account is used up.
            Spend::Refused(UNTIL_ANSWERED)
        };
        if caller.asked > 0 || caller.left >= batch.div_euclid(2) {
            return (spend, None);
        }
        // The answer makes the lease whole again, and pays for what was let in on account.
        caller.asked = u32::try_from(batch - caller.left).unwrap_or(self.batch);
        (spend, Some(Ask { requests: caller.asked, full_at: caller.full_at }))
    }

    /// The keeper answered what was asked for a caller. One that got less than it asked for has used its quota up.
    pub fn answered(&mut self, key: &K, lease: Lease, now: Timestamp) {
        let interval = self.limits.window.as_secs_f64() / f64::from(self.limits.requests);
        let pause = Duration::from_secs_f64(interval * f64::from(self.batch) / 4.0);
        let Some(caller) = self.callers.get_mut(key) else { return };
        caller.left += i64::from(lease.granted.min(caller.asked));
        let short = lease.granted < caller.asked;
        caller.asked = 0;
        caller.full_at = lease.full_at;
        if short && caller.left <= 0 {
            let pause = pause.clamp(Duration::from_millis(1), LONGEST_PAUSE);
            caller.blocked_until = now + pause.max(self.limits.block);
        }
    }

    /// The keeper does not answer: what was asked for is not granted, and nothing more is asked for.
    pub fn go_away(&mut self) {
        self.away = true;
        for caller in self.callers.values_mut() {
            caller.asked = 0;
        }
    }

    /// The keeper answers again.
    pub fn come_back(&mut self) {
        self.away = false;
    }

    /// Whether there is a place for a caller. One that made no request for a window is forgotten where places are
    /// short.
    fn has_place(&mut self, key: &K, now: Timestamp) -> bool {
        if self.callers.len() < self.limits.keys || self.callers.contains_key(key) {
            return true;
        }
        if self.sweep_at <= now {
            self.sweep_at = now + self.limits.window.max(Duration::from_secs(1));
            let window = self.limits.window;
            self.callers.retain(|_, caller| caller.used_at + window > now);
        }
        self.callers.len() < self.limits.keys
    }
}

#[cfg(test)]
#[allow(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "small numbers of a test")]
mod tests {
    use super::*;

    fn leases(requests: u32, keys: usize) -> Leases<u32> {
        let window = Duration::from_secs(1);
        Leases::new(LeaseLimits { requests, window, block: Duration::ZERO, keys })
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    /// A keeper of one caller's quota, as the script in Redis is.
    struct Keeper {
        full_at: f64,
        interval: f64,
        window: f64,
    }

    impl Keeper {
        fn ask(&mut self, ask: Ask, now_ms: u64) -> Lease {
            let now = now_ms as f64 * 1000.0;
            let full_at = self.full_at.max(ask.full_at as f64).max(now).min(now + self.window);
            let room = ((now + self.window - full_at) / self.interval).floor() as u32;
            let granted = room.min(ask.requests);
            self.full_at = full_at + f64::from(granted) * self.interval;
            Lease { granted, full_at: self.full_at as u64 }
        }
    }

    #[test]
    fn several_processes_stay_within_a_batch_of_each_whatever_they_are_offered() {
        let mut keeper = Keeper { full_at: 0.0, interval: 1000.0, window: 1e6 };
        let mut processes: Vec<_> = (0..4).map(|_| leases(1000, 10)).collect();
        let (mut granted, mut waiting) = (0_u32, Vec::new());
        for ms in 0..20_000_u64 {
            // An answer takes a millisecond.
            for (index, ask) in std::mem::take(&mut waiting) {
                let lease = keeper.ask(ask, ms);
                let process: &mut Leases<u32> = &mut processes[index];
                process.answered(&1, lease, at(ms));
            }
            for (index, process) in processes.iter_mut().enumerate() {
                // Unlike shares: the first process is offered the most.
                for _ in 0..4 - index {
                    let (spend, ask) = process.spend(&1, at(ms));
                    granted += u32::from(!matches!(spend, Spend::Refused(_)));
                    waiting.extend(ask.map(|ask| (index, ask)));
                }
            }
            let allowed = 1000 + u32::try_from(ms).unwrap();
            assert!(granted <= allowed + 4 * 25, "{granted} of {allowed} at {ms}");
        }
        assert!(granted >= 20_000, "{granted}: nothing is wasted");
    }

    #[test]
    fn a_keeper_that_lost_its_data_learns_what_was_spent() {
        let mut keeper = Keeper { full_at: 0.0, interval: 1000.0, window: 1e6 };
        let mut process = leases(1000, 10);
        let mut run = |from: u64, to: u64, keeper: &mut Keeper| {
            let mut granted = 0;
            for ms in from..to {
                for _ in 0..5 {
                    let (spend, ask) = process.spend(&1, at(ms));
                    granted += u32::from(spend == Spend::Granted);
                    if let Some(ask) = ask {
                        process.answered(&1, keeper.ask(ask, ms), at(ms));
                    }
                }
            }
            granted
        };
        assert!(run(0, 2_000, &mut keeper) >= 2_900);
        keeper.full_at = 0.0;
        let after = run(2_000, 3_000, &mut keeper);
        assert!((950..=1_050).contains(&after), "{after}");
    }

    #[test]
    fn requests_are_let_in_on_account_for_one_batch_and_then_refused_until_the_answer() {
        let mut leases = leases(1000, 10);
        let spent: Vec<_> = (0..30).map(|_| leases.spend(&1, at(0))).collect();
        assert_eq!(spent[0], (Spend::Granted, Some(Ask { requests: 26, full_at: 0 })));
        let granted = spent.iter().filter(|(spend, _)| *spend == Spend::Granted).count();
        let asks = spent.iter().filter(|(_, ask)| ask.is_some()).count();
        assert_eq!((granted, asks, spent[29].0), (25, 1, Spend::Refused(UNTIL_ANSWERED)));
        leases.answered(&1, Lease { granted: 0, full_at: 7 }, at(1));
        assert_eq!(leases.spend(&1, at(2)).0, Spend::Refused(Duration::from_millis(5)));
        assert_eq!(leases.spend(&1, at(7)).1, Some(Ask { requests: 50, full_at: 7 }));
    }

    #[test]
    fn a_caller_that_gets_all_that_it_asked_for_is_not_blocked() {
        let block = Duration::from_secs(10);
        let window = Duration::from_secs(1);
        let mut leases = Leases::new(LeaseLimits { requests: 1000, window, block, keys: 10 });
        let ask = leases.spend(&1, at(0)).1.unwrap();
        // A burst comes before the answer.
        for _ in 0..30 {
            leases.spend(&1, at(0));
        }
        leases.answered(&1, Lease { granted: ask.requests, full_at: 7 }, at(1));
        assert_eq!(leases.spend(&1, at(1)).0, Spend::Granted);
    }

    #[test]
    fn without_a_keeper_nobody_knows_and_nothing_is_asked() {
        let mut leases = leases(1000, 10);
        assert!(leases.spend(&1, at(0)).1.is_some());
        leases.go_away();
        assert_eq!(leases.spend(&1, at(0)), (Spend::Unknown, None));
        leases.come_back();
        assert!(leases.spend(&1, at(0)).1.is_some(), "what was asked before is asked again");
    }

    #[test]
    fn callers_beyond_the_limit_have_no_lease_until_others_are_idle() {
        let mut leases = leases(1000, 2);
        for key in [1, 2] {
            assert_eq!(leases.spend(&key, at(0)).0, Spend::Granted);
        }
        assert_eq!(leases.spend(&3, at(10)), (Spend::Unknown, None));
        assert_eq!(leases.spend(&3, at(1_100)).0, Spend::Granted);
        assert!(leases.callers.len() <= 2);
    }
}
