//! The figures of one edge over time: ten seconds apart for an hour, five minutes apart for a day, and half an hour
//! apart for a week. The coarser points are made of the finer ones.

#![allow(clippy::cast_precision_loss, reason = "figures for people; beyond 2^53 they are estimates")]

use std::collections::VecDeque;

use super::{
    histogram::{BOUNDS_MICROS, BUCKETS},
    report::Figures,
};

/// Points of one distance.
pub(super) struct Tier {
    /// Seconds between two points.
    pub(super) step: u32,
    /// The most points.
    most: usize,
}

impl Tier {
    /// The seconds that all points span.
    pub(super) const fn span(&self) -> u32 {
        self.step * self.most as u32
    }
}

/// The distances, the finest first.
pub(super) const TIERS: [Tier; 3] =
    [Tier { step: 10, most: 360 }, Tier { step: 300, most: 288 }, Tier { step: 1_800, most: 336 }];

/// A step of an edge.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    /// Its end, in seconds since the Unix epoch.
    pub(super) at: u32,
    /// Calls a second.
    pub(super) rate: f32,
    /// Failures a second.
    pub(super) failures: f32,
    /// p50, p95 and p99 in ms.
    pub(super) quantiles: [f32; 3],
}

impl Point {
    /// The mean of points. Percentiles count as much as the calls behind them.
    pub(super) fn mean(of: &[Self]) -> Self {
        let count = of.len().max(1) as f32;
        let rates: f32 = of.iter().map(|point| point.rate).sum();
        let quantile = |at: usize| {
            let weighted: f32 = of.iter().map(|point| point.quantiles[at] * point.rate).sum();
            if rates > 0.0 { weighted / rates } else { 0.0 }
        };
        Self {
            at: of.last().map_or(0, |point| point.at),
            rate: rates / count,
            failures: of.iter().map(|point| point.failures).sum::<f32>() / count,
            quantiles: std::array::from_fn(quantile),
        }
    }

    fn is_plausible(&self) -> bool {
        let figures = [self.rate, self.failures].into_iter().chain(self.quantiles);
        figures.into_iter().all(|figure| figure.is_finite() && figure >= 0.0)
    }
}

/// The counts of an edge when it was looked at last.
#[derive(Clone, Debug)]
struct Counts {
    total: u64,
    failed: u64,
    buckets: Vec<u64>,
    at: u64,
}

/// One edge.
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    tiers: [VecDeque<Point>; TIERS.len()],
    counts: Option<Counts>,
}

impl Track {
    /// Takes over the counts of this moment, in ms.
    pub(super) fn add(&mut self, figures: &Figures, now: u64) {
        let (total, failed, buckets) = (figures.total, figures.failed, figures.buckets.clone());
        let Some(before) = self.counts.replace(Counts { total, failed, buckets, at: now }) else { return };
        let seconds = now.saturating_sub(before.at) as f32 / 1_000.0;
        // A process that started anew counts from zero.
        if seconds <= 0.0 || total < before.total {
            return;
        }
        let delta = |at: usize| {
            let of = |buckets: &[u64]| buckets.get(at).copied().unwrap_or_default();
            of(&figures.buckets).saturating_sub(of(&before.buckets))
        };
        let cumulative: [u64; BUCKETS] = std::array::from_fn(delta);
        let point = Point {
            at: u32::try_from(now / 1_000).unwrap_or(u32::MAX),
            rate: (total - before.total) as f32 / seconds,
            failures: failed.saturating_sub(before.failed) as f32 / seconds,
            quantiles: [0.5, 0.95, 0.99].map(|quantile| quantile_ms(&cumulative, quantile)),
        };
        // The clock was ahead, and has been put right.
        self.tiers.iter_mut().for_each(|points| {
            while points.back().is_some_and(|last| last.at > point.at) {
                points.pop_back();
            }
        });
        self.put(0, point);
    }

    /// Puts a point where it belongs; one that is known already stays.
    pub(super) fn put(&mut self, tier: usize, point: Point) {
        let (Some(points), Some(Tier { most, .. })) = (self.tiers.get_mut(tier), TIERS.get(tier)) else {
            return;
        };
        let place = points.partition_point(|other| other.at < point.at);
        let is_known = points.get(place).is_some_and(|other| other.at == point.at);
        let has_room = points.len() < *most;
        if is_known || !point.is_plausible() || (!has_room && place == 0) {
            return;
        }
        if !has_room {
            points.pop_front();
            points.insert(place - 1, point);
            return;
        }
        if points.len() == points.capacity() {
            // Twice as much, as usual, but never more than there can be.
            points.reserve_exact(points.len().clamp(4, most - points.len()));
        }
        points.insert(place, point);
    }

    /// Makes the coarser points whose time is over, if those are kept, and drops what is too old.
    pub(super) fn settle(&mut self, now: u32, deep: bool) {
        if deep {
            for (coarse, tier) in TIERS.iter().enumerate().skip(1) {
                for slot in coarsened(&self.newer(coarse - 1, coarse), tier.step) {
                    if slot.at <= now {
                        self.put(coarse, slot);
                    }
                }
            }
        }
        for (points, tier) in self.tiers.iter_mut().zip(&TIERS) {
            while points.front().is_some_and(|point| point.at < now.saturating_sub(tier.span())) {
                points.pop_front();
            }
        }
    }

    /// The points of a tier after a time, with those that are still being made.
    pub(super) fn points(&self, tier: usize, after: u32, now: u32) -> Vec<Point> {
        let mut points: Vec<_> = self.tiers[tier].iter().copied().collect();
        if tier > 0 {
            let last = points.last().map_or(0, |point| point.at);
            let mut fine = self.points(tier - 1, last, now);
            fine.retain(|point| point.at > last);
            let open = coarsened(&fine, TIERS[tier].step);
            points.extend(open.into_iter().map(|point| Point { at: point.at.min(now), ..point }));
        }
        points.retain(|point| point.at >= after && point.at <= now);
        points
    }

    /// The finished points of a tier after a time.
    pub(super) fn since(&self, tier: usize, time: u32) -> impl ExactSizeIterator<Item = &Point> {
        let points = &self.tiers[tier];
        points.iter().skip(points.partition_point(|point| point.at <= time))
    }

    /// The time of the last counts or, without any, of the last point, in ms.
    pub(super) fn last(&self) -> u64 {
        let points =
            self.tiers.iter().filter_map(|points| points.back()).map(|point| u64::from(point.at) * 1_000);
        self.counts.as_ref().map(|counts| counts.at).into_iter().chain(points).max().unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tiers.iter().all(VecDeque::is_empty)
    }

    /// The points of a tier that are newer than all of a coarser one.
    fn newer(&self, tier: usize, coarser: usize) -> Vec<Point> {
        let last = self.tiers[coarser].back().map_or(0, |point| point.at);
        self.since(tier, last).copied().collect()
    }
}

/// The points of each step put together, at the end of the step.
fn coarsened(points: &[Point], step: u32) -> Vec<Point> {
    let end = |point: &Point| point.at.div_ceil(step).saturating_mul(step);
    let steps = points.chunk_by(|a, b| end(a) == end(b));
    steps.map(|of_step| Point { at: end(&of_step[0]), ..Point::mean(of_step) }).collect()
}

/// A quantile in ms, between the bounds of its bucket in proportion.
fn quantile_ms(cumulative: &[u64; BUCKETS], quantile: f64) -> f32 {
    let total = cumulative[BUCKETS - 1];
    if total == 0 {
        return 0.0;
    }
    let rank = quantile * total as f64;
    let at = cumulative.iter().position(|count| *count as f64 >= rank).unwrap_or(BUCKETS - 1);
    let bound = |at: usize| BOUNDS_MICROS[at.min(BOUNDS_MICROS.len() - 1)] as f64 / 1_000.0;
    let below = if at == 0 { (0.0, 0) } else { (bound(at - 1), cumulative[at - 1]) };
    let within = cumulative[at].saturating_sub(below.1).max(1) as f64;
    (below.0 + (bound(at) - below.0) * ((rank - below.1 as f64) / within).clamp(0.0, 1.0)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at: u32, rate: f32) -> Point {
        Point { at, rate, failures: 0.0, quantiles: [1.0, 2.0, 3.0] }
    }

    #[test]
    fn coarse_points_are_means_weighted_by_calls() {
        let points = [point(1_000, 10.0), Point { quantiles: [4.0, 5.0, 6.0], ..point(1_010, 30.0) }];
        let mean = Point::mean(&points);
        assert_eq!((mean.at, mean.rate, mean.quantiles), (1_010, 20.0, [3.25, 4.25, 5.25]));
        let none = Point::mean(&[point(1, 0.0)]).quantiles;
        assert!(none.iter().all(|quantile| quantile.abs() < f32::EPSILON), "no calls have no percentiles");
    }

    #[test]
    fn a_week_is_kept_in_three_distances() {
        let mut track = Track::default();
        let (start, week) = (1_800_000_000_u32, 604_800);
        for at in (start..=start + week).step_by(10) {
            track.put(0, point(at, 5.0));
            track.settle(at, true);
        }
        let now = start + week;
        let lengths: Vec<_> = track.tiers.iter().map(VecDeque::len).collect();
        assert_eq!(lengths, [360, 288, 336]);
        assert!(track.tiers.iter().zip(&TIERS).all(|(points, tier)| points.capacity() <= tier.most));
        let coarse = track.points(2, 0, now);
        assert!(coarse.iter().all(|point| (point.rate - 5.0).abs() < 0.001));
        assert!(now - coarse[0].at >= week - 1_800, "{}", now - coarse[0].at);
    }

    #[test]
    fn a_step_that_is_not_over_is_shown_and_not_kept() {
        let mut track = Track::default();
        for at in (1_800_000_010..=1_800_000_090).step_by(10) {
            track.put(0, point(at, 5.0));
            track.settle(at, true);
        }
        assert!(track.tiers[1].is_empty());
        assert_eq!(track.points(1, 0, 1_800_000_090).len(), 1);
        assert_eq!(track.points(2, 0, 1_800_000_090)[0].at, 1_800_000_090);
    }

    #[test]
    fn points_of_the_past_find_their_places_and_implausible_ones_do_not() {
        let mut track = Track::default();
        for at in [30, 10, 20, 20] {
            track.put(0, point(at, 1.0));
        }
        track.put(0, point(40, f32::NAN));
        track.put(0, point(50, -1.0));
        track.put(9, point(60, 1.0));
        assert_eq!(track.tiers[0].iter().map(|point| point.at).collect::<Vec<_>>(), [10, 20, 30]);
    }

    #[test]
    fn a_clock_that_was_ahead_does_not_end_the_history() {
        let mut track = Track::default();
        let figures = |total| Figures { total, ..Figures::default() };
        track.put(2, point(2_000_000_000, 1.0));
        track.add(&figures(0), 1_000_000_000_000);
        track.add(&figures(10), 1_000_000_010_000);
        assert!(track.tiers[2].is_empty());
        assert_eq!(track.points(0, 0, 1_000_000_010).len(), 1);
    }
}
