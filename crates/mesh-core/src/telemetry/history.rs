//! The last hour of every edge of the mesh: a point every ten seconds.
//!
//! Memory: at most 2,000 edges of 360 points of 24 bytes, 17 MiB in all.

#![allow(clippy::cast_precision_loss, reason = "figures for people; beyond 2^53 they are estimates")]

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
};

use serde::{Deserialize, Serialize};

use super::{
    histogram::{BOUNDS_MICROS, BUCKETS},
    live::MeshEvent,
    picture::MeshPicture,
    report::Figures,
};
use crate::id::ServiceId;

/// The time between two points, in ms.
pub const STEP_MS: u64 = 10_000;
const MAX_POINTS: usize = 360;
const MAX_EDGES: usize = 2_000;

/// The history as a document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct HistoryView {
    pub v: u8,
    pub step_ms: u64,
    pub series: Vec<Series>,
    pub events: Vec<MeshEvent>,
}

/// The history of one edge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct Series {
    pub from: String,
    pub to: String,
    pub at: Vec<u64>,
    pub rate: Vec<f32>,
    pub failures: Vec<f32>,
    pub p50: Vec<f32>,
    pub p95: Vec<f32>,
    pub p99: Vec<f32>,
}

/// Ten seconds of an edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Point {
    /// Seconds since the Unix epoch.
    at: u32,
    rate: f32,
    failures: f32,
    quantiles: [f32; 3],
}

#[derive(Clone, Debug, Default)]
struct Track {
    points: VecDeque<Point>,
    total: u64,
    failed: u64,
    buckets: Vec<u64>,
    at: u64,
}

/// The history of the mesh.
#[derive(Debug, Default)]
pub struct History {
    tracks: BTreeMap<(String, String), Track>,
}

impl History {
    /// Adds the picture of this moment.
    pub fn add(&mut self, picture: &MeshPicture) {
        let now = picture.at;
        for edge in &picture.edges {
            let key = (edge.from.clone(), edge.to.clone());
            if !self.tracks.contains_key(&key) && self.tracks.len() >= MAX_EDGES {
                continue;
            }
            self.tracks.entry(key).or_default().add(&edge.figures, now);
        }
        let oldest = now.saturating_sub(STEP_MS * MAX_POINTS as u64) / 1_000;
        self.tracks.retain(|_, track| {
            while track.points.front().is_some_and(|point| u64::from(point.at) < oldest) {
                track.points.pop_front();
            }
            !track.points.is_empty() || now.saturating_sub(track.at) < STEP_MS * MAX_POINTS as u64
        });
    }

    /// The last `window_ms` in steps of `step_ms`, which is a multiple of [`STEP_MS`].
    #[must_use]
    pub fn view(&self, now: u64, window_ms: u64, step_ms: u64, events: Vec<MeshEvent>) -> HistoryView {
        let many = usize::try_from(step_ms / STEP_MS).unwrap_or(1).clamp(1, MAX_POINTS);
        let from = now.saturating_sub(window_ms) / 1_000;
        let mut all = Vec::new();
        for ((caller, callee), track) in &self.tracks {
            let points: Vec<_> = track.points.iter().filter(|point| u64::from(point.at) >= from).collect();
            if points.is_empty() {
                continue;
            }
            let mut series = Series { from: caller.clone(), to: callee.clone(), ..Series::default() };
            for chunk in points.rchunks(many).rev() {
                let mean = |of: &dyn Fn(&Point) -> f32| {
                    chunk.iter().map(|point| of(point)).sum::<f32>() / chunk.len() as f32
                };
                let most = |at: usize| chunk.iter().map(|point| point.quantiles[at]).fold(0.0, f32::max);
                series.at.extend(chunk.last().map(|point| u64::from(point.at) * 1_000));
                series.rate.push(mean(&|point| point.rate));
                series.failures.push(mean(&|point| point.failures));
                series.p50.push(most(0));
                series.p95.push(most(1));
                series.p99.push(most(2));
            }
            all.push(series);
        }
        let events = events.into_iter().filter(|event| event.at / 1_000 >= from).collect();
        HistoryView { v: 1, step_ms: STEP_MS * many as u64, series: all, events }
    }

    /// The points since a time as a line of a file; `None` if there is none.
    #[must_use]
    pub fn line(&self, since: u64) -> Option<String> {
        let since = since / 1_000;
        let rows: Vec<Row<'_>> = self
            .tracks
            .iter()
            .flat_map(|((from, to), track)| {
                let new = track.points.iter().filter(move |point| u64::from(point.at) > since);
                new.map(move |point| (from.as_str().into(), to.as_str().into(), *point))
            })
            .collect();
        if rows.is_empty() { None } else { serde_json::to_string(&rows).ok() }
    }

    /// Puts the points of a line back, as far as they are of the last hour. A line that cannot be read is skipped.
    pub fn restore(&mut self, line: &[u8], now: u64) {
        let Ok(rows) = serde_json::from_slice::<Vec<Row<'_>>>(line) else { return };
        let oldest = now.saturating_sub(STEP_MS * MAX_POINTS as u64) / 1_000;
        for (from, to, point) in rows {
            let key = (from.into_owned(), to.into_owned());
            let is_of_now = (oldest..=now / 1_000).contains(&u64::from(point.at));
            let has_room = self.tracks.contains_key(&key) || self.tracks.len() < MAX_EDGES;
            let names_services = [&key.0, &key.1].iter().all(|name| name.parse::<ServiceId>().is_ok());
            if !is_of_now || !has_room || !names_services {
                continue;
            }
            let points = &mut self.tracks.entry(key).or_default().points;
            if points.len() < MAX_POINTS && points.back().is_none_or(|last| last.at < point.at) {
                points.push_back(point);
            }
        }
    }
}

/// A point in a file.
type Row<'a> = (Cow<'a, str>, Cow<'a, str>, Point);

impl Track {
    fn add(&mut self, figures: &Figures, now: u64) {
        let seconds = now.saturating_sub(self.at) as f32 / 1_000.0;
        let before = std::mem::replace(
            self,
            Self {
                points: VecDeque::new(),
                total: figures.total,
                failed: figures.failed,
                buckets: figures.buckets.clone(),
                at: now,
            },
        );
        self.points = before.points;
        // A process that started anew counts from zero.
        if before.at == 0 || seconds <= 0.0 || figures.total < before.total {
            return;
        }
        let delta = |at: usize| {
            let of = |buckets: &[u64]| buckets.get(at).copied().unwrap_or_default();
            of(&figures.buckets).saturating_sub(of(&before.buckets))
        };
        let cumulative: [u64; BUCKETS] = std::array::from_fn(delta);
        self.points.push_back(Point {
            at: u32::try_from(now / 1_000).unwrap_or(u32::MAX),
            rate: (figures.total - before.total) as f32 / seconds,
            failures: figures.failed.saturating_sub(before.failed) as f32 / seconds,
            quantiles: [0.5, 0.95, 0.99].map(|quantile| quantile_ms(&cumulative, quantile)),
        });
        if self.points.len() > MAX_POINTS {
            self.points.pop_front();
        }
    }
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
    use crate::telemetry::picture::Edge;

    fn picture(at: u64, total: u64, failed: u64) -> MeshPicture {
        // Each call takes between 1 and 2.5 ms.
        let buckets = (0..BUCKETS).map(|bucket| if bucket >= 4 { total } else { 0 }).collect();
        let figures = Figures { total, failed, buckets, ..Figures::default() };
        let edge = Edge { from: "a".to_owned(), to: "b".to_owned(), figures, ..Edge::default() };
        MeshPicture { at, edges: vec![edge], ..MeshPicture::default() }
    }

    #[test]
    fn points_are_what_happened_between_two_pictures() {
        let mut history = History::default();
        history.add(&picture(1_000_000, 100, 0));
        history.add(&picture(1_010_000, 300, 50));
        let view = history.view(1_010_000, 3_600_000, STEP_MS, Vec::new());
        let series = &view.series[0];
        assert_eq!((series.at.as_slice(), series.rate[0], series.failures[0]), (&[1_010_000][..], 20.0, 5.0));
        assert!((series.p50[0] - 1.75).abs() < 0.01 && series.p99[0] < 2.5, "{series:?}");
        history.add(&picture(1_020_000, 5, 0));
        history.add(&picture(1_030_000, 15, 0));
        let view = history.view(1_030_000, 3_600_000, STEP_MS, Vec::new());
        assert_eq!(view.series[0].rate, [20.0, 1.0], "a start anew is no negative rate");
    }

    #[test]
    fn an_hour_is_kept_and_steps_are_put_together() {
        let mut history = History::default();
        for step in 0..1_000 {
            history.add(&picture(1_000_000 + step * STEP_MS, step * 100, 0));
        }
        let now = 1_000_000 + 999 * STEP_MS;
        assert_eq!(history.view(now, u64::MAX, STEP_MS, Vec::new()).series[0].at.len(), MAX_POINTS);
        let minutes = history.view(now, 600_000, 60_000, Vec::new());
        assert_eq!((minutes.step_ms, minutes.series[0].at.len()), (60_000, 11));
        assert!((minutes.series[0].rate[3] - 10.0).abs() < 0.01);
        history.add(&MeshPicture { at: now + 4_000_000, ..MeshPicture::default() });
        assert!(history.tracks.is_empty(), "what is older than an hour is gone");
    }

    #[test]
    fn the_number_of_edges_is_bounded() {
        let mut history = History::default();
        let edge = |number: usize| Edge { from: format!("s{number}"), to: "b".to_owned(), ..Edge::default() };
        let edges = (0..5_000).map(edge).collect();
        history.add(&MeshPicture { at: 1_000_000, edges, ..MeshPicture::default() });
        assert_eq!(history.tracks.len(), MAX_EDGES);
    }
}
