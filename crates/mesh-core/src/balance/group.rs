//! The instances of one service, and the calls at them.

use std::{cell::Cell, time::Duration};

use super::{
    aperture::{Place, aperture},
    dice::mix,
    facts::Facts,
    load::{Latency, Load},
    outlier::Record,
};
use crate::{clock::Timestamp, config::Balancing};

/// The verdict of a call about its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answered.
    Good,
    /// It failed.
    Bad,
    /// It refused the call, since it has too much to do.
    Busy,
    /// Nothing; the caller gave the call up or the connection broke.
    Nothing,
}

/// A call at an instance, from [`Group::enter`] to [`Group::leave`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    member: u32,
    index: u32,
}

/// One instance.
#[derive(Clone, Debug)]
pub(super) struct Member {
    id: u32,
    pub(super) facts: Facts,
    /// Whether it is one of those that this caller uses; the others stand in for them.
    pub(super) in_subset: bool,
    /// The beginning of its slow start, if it has one.
    pub(super) since: Option<Timestamp>,
    /// The calls that round robin owes it.
    pub(super) credit: Cell<f64>,
    pub(super) load: Load,
    pub(super) record: Record,
}

/// The instances of one service. An instance is known by its index in the list of [`Group::replace`].
#[derive(Debug)]
pub struct Group {
    pub(super) options: Balancing,
    seed: u64,
    pub(super) members: Vec<Member>,
    last_id: u32,
    pub(super) turn: Cell<usize>,
    /// Of all instances together.
    pub(super) latency: Latency,
    pub(super) max_weight: f64,
    /// Whether some instances are in the zone of the caller and others are not.
    pub(super) has_zones: bool,
    /// Whether some instances are not in the subset.
    pub(super) has_subset: bool,
    /// No instance is in its slow start from then on.
    pub(super) warm_at: Timestamp,
    /// No instance is ejected from then on.
    pub(super) all_back_at: Timestamp,
    window_ends: Timestamp,
}

impl Group {
    /// A group without instances. The seed decides which of many instances this caller uses.
    #[must_use]
    pub fn new(options: Balancing, seed: u64) -> Self {
        Self {
            options,
            seed,
            members: Vec::new(),
            last_id: 0,
            turn: Cell::new(0),
            latency: Latency::default(),
            max_weight: 1.0,
            has_zones: false,
            has_subset: false,
            warm_at: Timestamp::default(),
            all_back_at: Timestamp::default(),
            window_ends: Timestamp::default(),
        }
    }

    /// Sets the instances. Each comes with its index in the previous list, if it was there: what is known
    /// about it stays. An instance that joins others starts slowly.
    pub fn replace(&mut self, instances: &[(Facts, Option<usize>)], now: Timestamp) {
        let joins = !self.members.is_empty();
        let former = std::mem::take(&mut self.members);
        for (facts, index) in instances {
            let known = index.and_then(|index| former.get(index));
            let member = match known {
                Some(member) => Member { facts: *facts, ..member.clone() },
                None => self.newcomer(*facts, joins.then_some(now)),
            };
            self.members.push(member);
        }
        if self.members.iter().any(|member| member.since == Some(now)) {
            self.warm_at = now + self.options.slow_start;
        }
        self.max_weight = instances.iter().map(|(facts, _)| facts.weight).fold(f64::MIN_POSITIVE, f64::max);
        let local = self.members.iter().filter(|member| member.facts.local).count();
        self.has_zones = local > 0 && local < self.members.len();
        self.choose_subset();
    }

    fn newcomer(&mut self, facts: Facts, since: Option<Timestamp>) -> Member {
        self.last_id = self.last_id.wrapping_add(1);
        let (load, record) = Default::default();
        Member { id: self.last_id, facts, in_subset: true, since, credit: Cell::new(0.0), load, record }
    }

    /// Marks the instances that this caller uses, where there are many.
    fn choose_subset(&mut self) {
        let most = self.options.subset as usize;
        self.has_subset = self.members.len() > most;
        for member in &mut self.members {
            member.in_subset = !self.has_subset;
        }
        if !self.has_subset {
            return;
        }
        let place = match self.options.caller {
            Some(caller) => Place { index: caller.index.into(), of: caller.of.into() },
            None => Place { index: mix(self.seed) >> 32, of: 1 << 32 },
        };
        let facts: Vec<Facts> = self.members.iter().map(|member| member.facts).collect();
        for index in aperture(&facts, most, place) {
            self.members[index].in_subset = true;
        }
    }

    /// A call goes to an instance.
    pub fn enter(&mut self, index: usize) -> Option<Visit> {
        let member = self.members.get_mut(index)?;
        member.load.in_flight = member.load.in_flight.saturating_add(1);
        Some(Visit { member: member.id, index: index as u32 })
    }

    /// A call is no longer at its instance. `latency` is its time there, where it says something: `None` for
    /// a stream. Returns the index of an instance that is ejected from now on, and for how long.
    pub fn leave(
        &mut self,
        visit: Visit,
        verdict: Verdict,
        latency: Option<Duration>,
        now: Timestamp,
    ) -> Vec<(usize, Duration)> {
        let Some(index) = self.find(visit) else { return Vec::new() };
        let member = &mut self.members[index];
        member.load.in_flight = member.load.in_flight.saturating_sub(1);
        let ejected = member.record.is_ejected(now);
        match (verdict, latency) {
            // Failing fast is no virtue.
            (Verdict::Nothing | Verdict::Bad | Verdict::Busy, Some(latency)) => {
                member.load.latency.at_least(latency, now);
            }
            (Verdict::Good, Some(latency)) => {
                member.load.latency.observe(latency, now);
                self.latency.observe(latency, now);
            }
            (_, None) => {}
        }
        if verdict == Verdict::Nothing {
            return Vec::new();
        }
        let failed = verdict != Verdict::Good;
        member.load.outcome(failed, now);
        // One that is busy costs more, and is not left out: it does what it can.
        if verdict == Verdict::Busy {
            return Vec::new();
        }
        let Some(limits) = self.options.ejection else { return Vec::new() };
        let mut changes = Vec::new();
        // Calls that were on their way when it was ejected say nothing new.
        if !ejected && member.record.note(failed, &limits) {
            changes.extend(self.eject(index, now));
        }
        if self.window_ends <= now {
            self.end_window(now, &mut changes);
        }
        changes
    }

    fn end_window(&mut self, now: Timestamp, changes: &mut Vec<(usize, Duration)>) {
        let Some(limits) = self.options.ejection else { return };
        let totals = self.members.iter().fold((0_u32, 0_u32), |(calls, failures), member| {
            (calls.saturating_add(member.record.calls), failures.saturating_add(member.record.failures))
        });
        for index in 0..self.members.len() {
            let record = &self.members[index].record;
            if !record.is_ejected(now) && record.is_outlier(totals.0, totals.1, &limits) {
                changes.extend(self.eject(index, now));
            }
            self.members[index].record.next_window(now);
        }
        self.window_ends = now + limits.window;
    }

    /// Leaves an instance out, unless half of them are.
    fn eject(&mut self, index: usize, now: Timestamp) -> Option<(usize, Duration)> {
        let limits = self.options.ejection?;
        if 2 * (self.ejected(now) + 1) > self.members.len() {
            return None;
        }
        let member = &mut self.members[index];
        let time = member.record.eject(&limits, now);
        // It comes back slowly.
        member.since = Some(member.record.until);
        self.all_back_at = self.all_back_at.max(member.record.until);
        self.warm_at = self.warm_at.max(member.record.until + self.options.slow_start);
        Some((index, time))
    }

    /// The number of ejected instances.
    #[must_use]
    pub fn ejected(&self, now: Timestamp) -> usize {
        self.members.iter().filter(|member| member.record.is_ejected(now)).count()
    }

    /// The state of an instance for people: its average latency, and the time for which it stays ejected.
    #[must_use]
    pub fn state(&self, index: usize, now: Timestamp) -> (Option<Duration>, Option<Duration>) {
        let Some(member) = self.members.get(index) else { return (None, None) };
        (member.load.latency.shown(), member.record.ejected_for(now))
    }

    fn find(&self, visit: Visit) -> Option<usize> {
        let at = |index: usize| self.members.get(index).is_some_and(|member| member.id == visit.member);
        let index = visit.index as usize;
        if at(index) { Some(index) } else { self.members.iter().position(|member| member.id == visit.member) }
    }
}
