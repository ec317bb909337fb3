//! The load of one instance: its latency, its calls in flight, its failures.

use std::time::Duration;

use crate::clock::Timestamp;

/// The time in which an observation fades, in ms: about a third of its weight is left after it.
const FADE_MS: f64 = 10_000.0;
/// A latency above the estimate counts for a half at once: an instance that becomes slow is noticed with its
/// first answers, and one hiccup does not count in full.
const RISE: f64 = 0.5;
/// The share of one outcome in the estimated share of failures.
const OUTCOME: f64 = 1.0 / 16.0;
/// The factor of the cost of an instance that fails each call. One that fails fast must not attract calls.
const FAILURE_COST: f64 = 10.0;

/// The rest of an observation after a time. The quotient is close to e⁻ˣ, and takes a tenth of its time.
#[allow(clippy::cast_precision_loss, reason = "a mesh runs for less than 2⁵³ ms")]
fn rest(since: Timestamp, now: Timestamp) -> f64 {
    let elapsed = now.as_millis().saturating_sub(since.as_millis()) as f64 / FADE_MS;
    1.0 / (1.0 + elapsed * (1.0 + elapsed * (0.5 + elapsed / 6.0)))
}

/// An average of latencies in µs that follows a rise at once and a fall slowly (peak EWMA).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Latency {
    micros: f64,
    at: Timestamp,
}

impl Latency {
    pub(super) fn observe(&mut self, latency: Duration, now: Timestamp) {
        let micros = latency.as_secs_f64() * 1e6;
        if self.micros == 0.0 {
            self.micros = micros;
        } else if micros > self.micros {
            self.micros += (micros - self.micros) * RISE;
        } else {
            let kept = rest(self.at, now);
            self.micros = self.micros * kept + micros * (1.0 - kept);
        }
        self.at = now;
    }

    /// The same for a call that was given up: it would have taken longer.
    pub(super) fn at_least(&mut self, latency: Duration, now: Timestamp) {
        if latency.as_secs_f64() * 1e6 > self.micros {
            self.observe(latency, now);
        }
    }

    /// The estimate. The longer nobody has called an instance, the more it is taken for a typical one: so an
    /// instance that was slow gets a call again.
    fn estimate(&self, typical: f64, now: Timestamp) -> f64 {
        if self.micros == 0.0 {
            return typical;
        }
        let kept = rest(self.at, now);
        self.micros * kept + typical * (1.0 - kept)
    }

    /// The average as people see it; `None` while no call has ended.
    pub(super) fn shown(&self) -> Option<Duration> {
        (self.micros > 0.0).then(|| Duration::from_secs_f64(self.micros / 1e6))
    }

    /// The estimate for a whole group.
    pub(super) fn typical(&self) -> f64 {
        if self.micros == 0.0 { 1.0 } else { self.micros }
    }
}

/// The load of one instance.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    pub(super) in_flight: u32,
    pub(super) latency: Latency,
    failing: f64,
    failing_at: Timestamp,
}

impl Load {
    /// A call that says something about the instance has ended.
    pub(super) fn outcome(&mut self, failed: bool, now: Timestamp) {
        let failing = self.failing * rest(self.failing_at, now);
        self.failing = failing + (f64::from(u8::from(failed)) - failing) * OUTCOME;
        self.failing_at = now;
    }

    /// The cost of one more call at an instance of this weight, where 1 is the usual one.
    pub(super) fn cost(&self, weight: f64, typical: f64, now: Timestamp) -> f64 {
        let waiting = f64::from(self.in_flight) / weight + 1.0;
        let failing = if self.failing == 0.0 { 0.0 } else { self.failing * rest(self.failing_at, now) };
        self.latency.estimate(typical, now) * waiting * (1.0 + FAILURE_COST * failing)
    }
}
