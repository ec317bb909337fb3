//! A limit on requests under way that follows latency.

use std::time::Duration;

use super::ResilienceError;
use crate::clock::Timestamp;

/// The time that one look at the latencies covers at least.
const WINDOW: Duration = Duration::from_millis(100);
/// The latencies that it covers at least.
const ENOUGH: u32 = 10;
/// Latencies may exceed those without load by this factor before the limit falls.
const TOLERANCE: f64 = 1.5;
/// The part of a change that takes effect at once.
const SMOOTHING: f64 = 0.2;
/// The most by which one look lowers the limit before smoothing.
const DEEPEST: f64 = 0.5;
/// The rise of the latency without load towards the present one. It is slow, so that an overload of minutes does
/// not count as the usual state, and is not nothing, since handlers may become slower for good.
const RISE: f64 = 0.0002;

/// The time that the requests of one method take without load.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unloaded {
    /// Seconds; 0 while unknown.
    seconds: f64,
    sum: f64,
    count: u32,
    window_ends: Timestamp,
}

impl Unloaded {
    /// Takes note of a request. Returns the factor by which it took longer than without load, once that time is
    /// known.
    pub fn observe(&mut self, latency: Duration, now: Timestamp) -> Option<f64> {
        let latency = latency.as_secs_f64();
        self.sum += latency;
        self.count += 1;
        if self.window_ends <= now && self.count >= ENOUGH {
            self.window_ends = now + WINDOW;
            let mean = (self.sum / f64::from(self.count)).max(1e-6);
            self.seconds = if self.seconds == 0.0 || mean < self.seconds {
                mean
            } else {
                self.seconds + (mean - self.seconds) * RISE
            };
            (self.sum, self.count) = (0.0, 0);
        }
        (self.seconds > 0.0).then(|| latency / self.seconds)
    }
}

/// A limit on requests under way, which follows the gradient of latency: while requests take no longer than those
/// of their method without load, the limit grows by a little room for a queue; as they take longer, it shrinks in
/// proportion. Each method is compared with itself, since a burst of fast ones would make the others seem slow.
///
/// ```
/// # use std::time::Duration;
/// # use mesh_core::{clock::Timestamp, resilience::{AdaptiveLimit, Unloaded}};
/// let (mut limit, mut method) = (AdaptiveLimit::new(4, 20, 200)?, Unloaded::default());
/// for number in 0..1000 {
///     let now = Timestamp::from_millis(number * 10);
///     let latency = Duration::from_millis(if number < 100 { 10 } else { 100 });
///     if let Some(slowness) = method.observe(latency, now) {
///         limit.observe(slowness, 20, now);
///     }
/// }
/// assert!(limit.limit() < 20);
/// # Ok::<(), mesh_core::resilience::ResilienceError>(())
/// ```
#[derive(Clone, Debug)]
pub struct AdaptiveLimit {
    min: f64,
    max: f64,
    limit: f64,
    window_ends: Timestamp,
    sum: f64,
    count: u32,
    /// The most requests that were under way in the window.
    peak: usize,
}

impl AdaptiveLimit {
    /// A limit of `initial`, which stays between `min` and `max`.
    ///
    /// # Errors
    /// [`ResilienceError::Setting`] unless 1 ≤ `min` ≤ `initial` ≤ `max`.
    pub fn new(min: u32, initial: u32, max: u32) -> Result<Self, ResilienceError> {
        if min == 0 || min > initial || initial > max {
            return Err(ResilienceError::Setting(
                "resilience.concurrency must have 1 <= min <= initial <= max",
            ));
        }
        Ok(Self {
            min: min.into(),
            max: max.into(),
            limit: initial.into(),
            window_ends: Timestamp::default(),
            sum: 0.0,
            count: 0,
            peak: 0,
        })
    }

    /// The most requests that are under way at once.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between two u32")]
    pub fn limit(&self) -> u32 {
        self.limit as u32
    }

    /// Takes note of a request that took so many times the time of its method without load, while so many requests
    /// were under way.
    pub fn observe(&mut self, slowness: f64, under_way: usize, now: Timestamp) {
        self.sum += slowness;
        self.count = self.count.saturating_add(1);
        self.peak = self.peak.max(under_way);
        if now < self.window_ends || self.count < ENOUGH {
            return;
        }
        self.look();
        self.window_ends = now + WINDOW;
        (self.sum, self.count, self.peak) = (0.0, 0, 0);
    }

    #[allow(clippy::cast_precision_loss, reason = "a few thousand")]
    fn look(&mut self) {
        let slowness = (self.sum / f64::from(self.count)).max(1e-6);
        // A limit that nobody reaches says nothing, and must not grow beyond all bounds.
        if (self.peak as f64) < self.limit / 2.0 {
            return;
        }
        let gradient = (TOLERANCE / slowness).clamp(DEEPEST, 1.0);
        let wanted = self.limit * gradient + self.limit.sqrt();
        self.limit = (self.limit + (wanted - self.limit) * SMOOTHING).clamp(self.min, self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service that does `capacity` requests at once in 10 ms, and makes the others wait: the limit after a
    /// minute in which `offered` requests want to be under way.
    fn settled(
        limit: &mut AdaptiveLimit,
        method: &mut Unloaded,
        capacity: f64,
        offered: u32,
        from_ms: u64,
    ) -> u32 {
        for step in 0..6_000_u64 {
            let under_way = offered.min(limit.limit());
            let latency = 0.010 * (f64::from(under_way) / capacity).max(1.0);
            for _ in 0..4 {
                let now = Timestamp::from_millis(from_ms + step * 10);
                if let Some(slowness) = method.observe(Duration::from_secs_f64(latency), now) {
                    limit.observe(slowness, under_way as usize, now);
                }
            }
        }
        limit.limit()
    }

    #[test]
    fn a_burst_of_a_fast_method_does_not_make_a_slow_one_look_slow() {
        let (mut limit, mut slow, mut fast) =
            (AdaptiveLimit::new(4, 100, 200).unwrap(), Unloaded::default(), Unloaded::default());
        for step in 0..60_000_u64 {
            let now = Timestamp::from_millis(step);
            if step % 3 == 0
                && let Some(slowness) = slow.observe(Duration::from_millis(200), now)
            {
                limit.observe(slowness, 60, now);
            }
            for _ in 0..if step % 10_000 == 0 { 40 } else { 0 } {
                if let Some(slowness) = fast.observe(Duration::from_millis(1), now) {
                    limit.observe(slowness, 60, now);
                }
            }
        }
        assert!(limit.limit() >= 100, "{}", limit.limit());
    }

    #[test]
    fn it_settles_near_the_capacity_from_either_side_and_follows_it() {
        for initial in [20, 1_000] {
            let (mut limit, mut method) =
                (AdaptiveLimit::new(4, initial, 1_000).unwrap(), Unloaded::default());
            // The time without load is known from a quiet beginning.
            settled(&mut limit, &mut method, 100.0, 5, 0);
            let found = settled(&mut limit, &mut method, 100.0, 5_000, 60_000);
            assert!((100..260).contains(&found), "{found} from {initial}");
            let found = settled(&mut limit, &mut method, 20.0, 5_000, 120_000);
            assert!((20..90).contains(&found), "{found} after a fall");
        }
    }

    #[test]
    fn it_does_not_grow_while_nobody_reaches_it_and_stays_within_its_bounds() {
        let (mut limit, mut method) = (AdaptiveLimit::new(10, 50, 60).unwrap(), Unloaded::default());
        assert_eq!(settled(&mut limit, &mut method, 1e9, 5, 0), 50);
        assert_eq!(settled(&mut limit, &mut method, 1e9, 5_000, 60_000), 60);
        assert_eq!(settled(&mut limit, &mut method, 1.0, 5_000, 120_000), 10);
    }

    #[test]
    fn nonsense_is_refused() {
        for (min, initial, max) in [(0, 1, 2), (3, 2, 4), (1, 5, 4)] {
            assert!(AdaptiveLimit::new(min, initial, max).is_err());
        }
    }
}
