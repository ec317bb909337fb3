//! Durations of calls, counted in fixed buckets without a lock.

use std::{
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The upper bounds of the buckets in microseconds: 0.1 ms to 10 s. One more bucket has no bound.
pub const BOUNDS_MICROS: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// The number of buckets.
pub const BUCKETS: usize = BOUNDS_MICROS.len() + 1;

/// Counts durations.
#[derive(Debug, Default)]
pub(super) struct Durations {
    counts: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
    /// The last recorded trace in each bucket, once there is one.
    exemplars: OnceLock<Box<Mutex<Exemplars>>>,
}

/// A duration whose trace is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// The trace.
    pub trace: [u8; 16],
    /// The duration.
    pub took: Duration,
    /// The time, in ms since the Unix epoch.
    pub at: u64,
}

/// An example in each bucket.
pub type Exemplars = [Option<Exemplar>; BUCKETS];

/// The durations of a [`Durations`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Durations in each bucket alone.
    pub counts: [u64; BUCKETS],
    /// The sum of all durations in nanoseconds.
    pub nanos: u64,
}

impl Durations {
    pub(super) fn record(&self, duration: Duration, example: Option<Exemplar>) {
        let micros = duration.as_micros();
        let bucket = BOUNDS_MICROS.partition_point(|bound| u128::from(*bound) < micros);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        // 584 years of calls.
        self.nanos.fetch_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if example.is_some() {
            let exemplars = self.exemplars.get_or_init(|| Box::new(Mutex::new([None; BUCKETS])));
            exemplars.lock().unwrap_or_else(PoisonError::into_inner)[bucket] = example;
        }
    }

    /// The last recorded trace in each bucket.
    pub(super) fn exemplars(&self) -> Exemplars {
        let kept = self.exemplars.get().map(|kept| *kept.lock().unwrap_or_else(PoisonError::into_inner));
        kept.unwrap_or([None; BUCKETS])
    }

    pub(super) fn read(&self) -> Buckets {
        let mut buckets = Buckets { nanos: self.nanos.load(Ordering::Relaxed), ..Buckets::default() };
        for (count, source) in buckets.counts.iter_mut().zip(&self.counts) {
            *count = source.load(Ordering::Relaxed);
        }
        buckets
    }
}

impl Buckets {
    /// The number of durations.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.nanos += other.nanos;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_bucket_of_the_next_bound() {
        let durations = Durations::default();
        for micros in [0, 100, 101, 9_999_999, 10_000_000, 10_000_001] {
            durations.record(Duration::from_micros(micros), None);
        }
        let read = durations.read();
        let filled: Vec<_> = read.counts.iter().enumerate().filter(|(_, count)| **count > 0).collect();
        assert_eq!(filled, [(0, &2), (1, &1), (15, &2), (16, &1)]);
        assert_eq!((read.total(), read.nanos), (6, 30_000_201_000));
    }
}
