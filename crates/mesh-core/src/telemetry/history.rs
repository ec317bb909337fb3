//! The past of every edge of the mesh: the last hour, or the last week where it is kept.
//!
//! Memory: at most 2,000 edges, each of 360 points of 24 bytes, 17 MiB in all; of 984 points, 45 MiB, for a week.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::{
    live::MeshEvent,
    picture::{Edge, MeshPicture},
    track::{Point, TIERS, Track},
};
use crate::{
    id::ServiceId,
    wire::{Malformed, Reader, Write},
};

/// The time between two points, in ms.
pub const STEP_MS: u64 = TIERS[0].step as u64 * 1_000;
const MAX_EDGES: usize = 2_000;
/// Edges that take the place of others in one step.
const MAX_DISPLACED: usize = 200;
/// An event may be noted so long after its time.
const LATE_MS: u64 = 60_000;
const MAX_EVENTS: usize = 2_000;
/// The tag of an event in a block; lower ones are tiers.
const EVENT: u8 = 0x10;
/// The size from which a block is full.
const FULL: usize = 1 << 20;

/// The history as a document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct HistoryView {
    pub v: u8,
    pub step_ms: u64,
    pub span_ms: u64,
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

type Key = (String, String);

/// The history of the mesh.
#[derive(Debug, Default)]
pub struct History {
    tracks: BTreeMap<Key, Track>,
    events: VecDeque<MeshEvent>,
    deep: bool,
}

impl History {
    /// A history of a week instead of an hour.
    #[must_use]
    pub fn of_a_week() -> Self {
        Self { deep: true, ..Self::default() }
    }

    /// Adds the picture of this moment.
    pub fn add(&mut self, picture: &MeshPicture) {
        let now = picture.at;
        let mut new = Vec::new();
        for edge in &picture.edges {
            match self.tracks.get_mut(&(edge.from.clone(), edge.to.clone())) {
                Some(track) => track.add(&edge.figures, now),
                None => new.push(edge),
            }
        }
        self.admit(&new, now);
        self.settle(now);
    }

    /// Adds events that are not known yet, the oldest first.
    pub fn note(&mut self, events: Vec<MeshEvent>) {
        for event in events {
            let last = self.events.back().map_or(0, |last| last.at);
            let is_known = || {
                self.events.iter().rev().take_while(|known| known.at == event.at).any(|known| *known == event)
            };
            if event.at < last || (event.at == last && is_known()) {
                continue;
            }
            if self.events.len() >= MAX_EVENTS {
                self.events.pop_front();
            }
            self.events.push_back(event);
        }
    }

    /// The last `window_ms` in steps of about `step_ms`: a multiple of the distance in which so much is kept.
    #[must_use]
    pub fn view(&self, now: u64, window_ms: u64, step_ms: u64) -> HistoryView {
        let now = seconds(now);
        let window = u32::try_from(window_ms / 1_000).unwrap_or(u32::MAX).min(self.span());
        let tier = TIERS.iter().position(|tier| tier.span() >= window).unwrap_or(TIERS.len() - 1);
        let step = TIERS[tier].step;
        let many = usize::try_from(step_ms / 1_000 / u64::from(step)).unwrap_or(usize::MAX).clamp(1, 360);
        let from = now.saturating_sub(window);
        let mut all = Vec::new();
        for ((caller, callee), track) in &self.tracks {
            let points = track.points(tier, from, now);
            if points.is_empty() {
                continue;
            }
            let mut series = Series { from: caller.clone(), to: callee.clone(), ..Series::default() };
            for chunk in points.rchunks(many).rev() {
                let Point { at, rate, failures, quantiles: [p50, p95, p99] } = Point::mean(chunk);
                series.at.push(u64::from(at) * 1_000);
                let columns = [
                    (&mut series.rate, rate),
                    (&mut series.failures, failures),
                    (&mut series.p50, p50),
                    (&mut series.p95, p95),
                    (&mut series.p99, p99),
                ];
                for (column, value) in columns {
                    column.push(value);
                }
            }
            all.push(series);
        }
        let events = self.events.iter().filter(|event| seconds(event.at) >= from).cloned().collect();
        HistoryView {
            v: 1,
            step_ms: u64::from(step) * 1_000 * many as u64,
            span_ms: u64::from(self.span()) * 1_000,
            series: all,
            events,
        }
    }

    /// The points and events after a time in ms, as blocks of bytes; 0 is everything. Events of the minute before are
    /// among them again, and their restoration drops those that are known.
    #[must_use]
    pub fn blocks(&self, since: u64) -> Vec<Vec<u8>> {
        let mut blocks = vec![Vec::new()];
        for (key, track) in &self.tracks {
            for tier in 0..TIERS.len() {
                let _ = put_points(room(&mut blocks), key, tier, track.since(tier, seconds(since)));
            }
        }
        for event in self.events.iter().filter(|event| event.at.saturating_add(LATE_MS) > since) {
            let Ok(text) = serde_json::to_vec(event) else { continue };
            let block = room(&mut blocks);
            block.put(&[EVENT]);
            let _ = block.put_vec16(&text);
        }
        blocks.retain(|block| !block.is_empty());
        blocks
    }

    /// Takes over a block, as far as it is not too old, and as far as it can be read.
    pub fn restore(&mut self, block: &[u8], now: u64) {
        let mut reader = Reader::new(block);
        while !reader.rest().is_empty() {
            if self.restore_entry(&mut reader, now).is_err() {
                return;
            }
        }
    }

    /// Everything has been restored.
    pub fn settle(&mut self, now: u64) {
        let (time, deep, span) = (seconds(now), self.deep, u64::from(self.span()) * 1_000);
        self.tracks.retain(|_, track| {
            track.settle(time, deep);
            !track.is_empty() || now.saturating_sub(track.last()) < span
        });
        while self.events.front().is_some_and(|event| now.saturating_sub(event.at) > span) {
            self.events.pop_front();
        }
    }

    fn span(&self) -> u32 {
        TIERS[if self.deep { TIERS.len() - 1 } else { 0 }].span()
    }

    /// Adds an event of the past, which may precede those that were noted since the start.
    fn restore_event(&mut self, event: MeshEvent) {
        let mut place = self.events.partition_point(|known| known.at <= event.at);
        let mut same = self.events.range(..place).rev().take_while(|known| known.at == event.at);
        if same.any(|known| *known == event) {
            return;
        }
        if self.events.len() >= MAX_EVENTS {
            if place == 0 {
                return;
            }
            self.events.pop_front();
            place -= 1;
        }
        self.events.insert(place, event);
    }

    fn restore_entry(&mut self, reader: &mut Reader<'_>, now: u64) -> Result<(), Malformed> {
        let tag = reader.u8()?;
        if tag == EVENT {
            let event = serde_json::from_slice::<MeshEvent>(reader.vec16()?).map_err(|_| Malformed)?;
            if event.at <= now {
                self.restore_event(event);
            }
            return Ok(());
        }
        let tier = TIERS.get(usize::from(tag)).ok_or(Malformed)?;
        let key = (name(reader.vec8()?)?, name(reader.vec8()?)?);
        let mut points = Vec::new();
        for _ in 0..reader.u16()? {
            points.push(read_point(reader)?);
        }
        let oldest = seconds(now).saturating_sub(tier.span());
        points.retain(|point| (oldest..=seconds(now)).contains(&point.at));
        if points.is_empty() || (self.tracks.len() >= MAX_EDGES && !self.tracks.contains_key(&key)) {
            return Ok(());
        }
        let track = self.tracks.entry(key).or_default();
        for point in points {
            track.put(tag.into(), point);
        }
        Ok(())
    }

    /// Makes tracks for new edges. Where there is no room, the service with the most edges loses those that it has
    /// more than twice as many of: a report that names a thousand displaces its own, and not the others.
    fn admit(&mut self, new: &[&Edge], now: u64) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        if self.tracks.len() + new.len() > MAX_EDGES {
            for (from, to) in self.tracks.keys() {
                *counts.entry(from.clone()).or_default() += 1;
                *counts.entry(to.clone()).or_default() += 1;
            }
        }
        let mut displaced = 0;
        for edge in new {
            if self.tracks.len() >= MAX_EDGES {
                let of = |service: &String| counts.get(service).copied().unwrap_or_default();
                let own = of(&edge.from).max(of(&edge.to));
                let largest = counts.iter().max_by_key(|(_, count)| **count);
                let Some((largest, _)) = largest.filter(|(_, count)| **count > 2 * own) else { continue };
                let has_it = |(from, to): &Key| from == largest || to == largest;
                let oldest =
                    self.tracks.iter().filter(|(key, _)| has_it(key)).min_by_key(|(_, track)| track.last());
                let Some(victim) = oldest.map(|(key, _)| key.clone()) else { continue };
                displaced += 1;
                if displaced > MAX_DISPLACED {
                    return;
                }
                self.tracks.remove(&victim);
                for service in [victim.0, victim.1] {
                    counts.entry(service).and_modify(|count| *count -= 1);
                }
            }
            for service in [&edge.from, &edge.to] {
                *counts.entry(service.clone()).or_default() += 1;
            }
            self.tracks.entry((edge.from.clone(), edge.to.clone())).or_default().add(&edge.figures, now);
        }
    }
}

fn seconds(ms: u64) -> u32 {
    u32::try_from(ms / 1_000).unwrap_or(u32::MAX)
}

/// The last block, or a new one if that is full.
fn room(blocks: &mut Vec<Vec<u8>>) -> &mut Vec<u8> {
    if blocks.last().is_none_or(|block| block.len() >= FULL) {
        blocks.push(Vec::new());
    }
    let last = blocks.len() - 1;
    &mut blocks[last]
}

fn put_points<'a>(
    block: &mut Vec<u8>,
    (from, to): &Key,
    tier: usize,
    points: impl ExactSizeIterator<Item = &'a Point>,
) -> Result<(), Malformed> {
    let count = u16::try_from(points.len()).map_err(|_| Malformed)?;
    let fit = [from, to].iter().all(|name| u8::try_from(name.len()).is_ok());
    if count == 0 || !fit {
        return Ok(());
    }
    block.put(&[u8::try_from(tier).map_err(|_| Malformed)?]);
    block.put_vec8(from.as_bytes())?;
    block.put_vec8(to.as_bytes())?;
    block.put_u16(count);
    for Point { at, rate, failures, quantiles: [p50, p95, p99] } in points {
        block.put_u32(*at);
        for figure in [rate, failures, p50, p95, p99] {
            block.put(&figure.to_be_bytes());
        }
    }
    Ok(())
}

fn read_point(reader: &mut Reader<'_>) -> Result<Point, Malformed> {
    let at = reader.u32()?;
    let mut figures = [0.0; 5];
    for figure in &mut figures {
        *figure = f32::from_be_bytes(reader.array()?);
    }
    let [rate, failures, p50, p95, p99] = figures;
    Ok(Point { at, rate, failures, quantiles: [p50, p95, p99] })
}

fn name(bytes: &[u8]) -> Result<String, Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed)?;
    text.parse::<ServiceId>().map(|id| id.to_string()).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests;
