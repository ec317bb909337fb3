//! An estimate of a quantile of latencies, in a few bytes.

use std::time::Duration;

/// The share of the estimate by which one latency moves it at most.
const STEP: f64 = 0.05;
/// Latencies before the estimate counts.
const ENOUGH: u32 = 20;

/// The latency that a share of the calls stays below. Each latency moves the estimate a little: up if it is longer,
/// down if it is shorter, so much that both balance at the quantile.
#[derive(Clone, Copy, Debug)]
pub struct Quantile {
    share: f64,
    seconds: f64,
    samples: u32,
}

impl Quantile {
    /// The latency that this share of calls, between 0 and 1, stays below.
    #[must_use]
    pub const fn new(share: f64) -> Self {
        Self { share, seconds: 0.0, samples: 0 }
    }

    /// Takes note of one latency.
    pub fn observe(&mut self, latency: Duration) {
        let seconds = latency.as_secs_f64();
        self.samples = self.samples.saturating_add(1);
        if self.samples == 1 {
            self.seconds = seconds;
        } else if seconds > self.seconds {
            // By the distance at most, so that one latency near the estimate does not move it past itself.
            self.seconds += (STEP * self.seconds).max(1e-6).min(seconds - self.seconds) * self.share;
        } else {
            self.seconds -= (STEP * self.seconds).min(self.seconds - seconds) * (1.0 - self.share);
        }
    }

    /// The estimate; `None` while too few latencies are known.
    #[must_use]
    pub fn get(&self) -> Option<Duration> {
        (self.samples >= ENOUGH).then(|| Duration::from_secs_f64(self.seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::Dice;

    #[test]
    fn it_finds_the_quantile_and_follows_it() {
        let mut dice = Dice::seeded(7);
        let mut quantile = Quantile::new(0.95);
        for factor in [1.0, 10.0, 0.5] {
            for _ in 0..4000 {
                // Uniform between nothing and 100 ms.
                quantile.observe(Duration::from_secs_f64(0.1 * factor * dice.fraction()));
            }
            let found = quantile.get().unwrap().as_secs_f64() / factor;
            assert!((0.085..0.1).contains(&found), "{found} for {factor}");
        }
    }

    #[test]
    fn a_few_latencies_say_nothing() {
        let mut quantile = Quantile::new(0.95);
        for _ in 0..ENOUGH {
            assert_eq!(quantile.get(), None);
            quantile.observe(Duration::from_millis(10));
        }
        assert_eq!(quantile.get(), Some(Duration::from_millis(10)));
    }
}
