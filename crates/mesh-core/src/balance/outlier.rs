//! Instances that fail more than the others, and are left out for a time.

use std::time::Duration;

use crate::{clock::Timestamp, config::Ejection};

/// Deviations by which an instance must be worse than chance alone explains.
const DEVIATIONS: f64 = 3.0;

/// The outcomes of one instance.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Record {
    consecutive: u32,
    /// In the current window.
    pub(super) calls: u32,
    pub(super) failures: u32,
    /// Ejections that count for the length of the next one.
    times: u32,
    /// The end of the last ejection.
    pub(super) until: Timestamp,
}

impl Record {
    pub(super) fn is_ejected(&self, now: Timestamp) -> bool {
        self.until > now
    }

    /// The time for which it stays ejected.
    pub(super) fn ejected_for(&self, now: Timestamp) -> Option<Duration> {
        let left = self.until.as_millis().saturating_sub(now.as_millis());
        (left > 0).then(|| Duration::from_millis(left))
    }

    /// Notes an outcome; returns whether there are now too many failures in a row.
    pub(super) fn note(&mut self, failed: bool, limits: &Ejection) -> bool {
        self.calls = self.calls.saturating_add(1);
        if !failed {
            self.consecutive = 0;
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        self.consecutive = self.consecutive.saturating_add(1);
        self.consecutive >= limits.consecutive_failures
    }

    /// Whether the window says that the instance fails more than all of the group together, beyond what chance
    /// explains.
    pub(super) fn is_outlier(&self, calls: u32, failures: u32, limits: &Ejection) -> bool {
        let (others, failed) = (calls - self.calls, failures - self.failures);
        if self.calls < limits.min_calls || others < limits.min_calls {
            return false;
        }
        let usual = f64::from(failed) / f64::from(others);
        let own = f64::from(self.failures) / f64::from(self.calls);
        let chance = DEVIATIONS * (usual * (1.0 - usual) / f64::from(self.calls)).sqrt();
        own - usual > limits.failure_gap.max(chance)
    }

    /// Leaves the instance out, for longer with each time. Returns for how long.
    pub(super) fn eject(&mut self, limits: &Ejection, now: Timestamp) -> Duration {
        self.times = self.times.saturating_add(1);
        let time = limits.base_time.saturating_mul(self.times).min(limits.max_time);
        (self.until, self.consecutive) = (now + time, 0);
        (self.calls, self.failures) = (0, 0);
        time
    }

    /// The window is over. An instance that was well in it is forgiven one ejection.
    pub(super) fn next_window(&mut self, now: Timestamp) {
        if !self.is_ejected(now) && self.failures == 0 && self.calls > 0 {
            self.times = self.times.saturating_sub(1);
        }
        (self.calls, self.failures) = (0, 0);
    }
}
