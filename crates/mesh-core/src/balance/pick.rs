//! The choice among the instances of a group.

use super::{dice::Dice, group::Group, sticky::score};
use crate::{clock::Timestamp, config::Selection};

/// The number of random draws before all instances are examined.
const DRAWS: usize = 8;
/// A cost counts as lower only below this share of the other: a smaller difference is noise.
const LOWER: f64 = 0.8;
/// The same for an instance of another zone.
const MUCH_LOWER: f64 = 0.4;
/// The share of calls with which a new instance begins.
const COLD: f64 = 0.1;

type Usable<'a> = &'a dyn Fn(usize) -> bool;

impl Group {
    /// Chooses one of the instances that are `usable`; `None` if there is none. A `sticky` key has the same
    /// instance each time, as long as that is usable.
    pub fn pick(
        &self,
        usable: impl Fn(usize) -> bool,
        sticky: Option<u64>,
        now: Timestamp,
        dice: &mut Dice,
    ) -> Option<usize> {
        self.pick_of(usable, |_| true, sticky, now, dice)
    }

    /// The same among those of the usable instances that are `ready`. An instance that is usable counts for the
    /// panic threshold, ready or not. No ejected one is picked while another one is usable.
    pub fn pick_of(
        &self,
        usable: impl Fn(usize) -> bool,
        ready: impl Fn(usize) -> bool,
        sticky: Option<u64>,
        now: Timestamp,
        dice: &mut Dice,
    ) -> Option<usize> {
        let both = |index: usize| usable(index) && ready(index);
        if self.all_back_at <= now || self.panics(&usable, now) {
            return self.choose(&both, sticky, now, dice);
        }
        let calm = |index: usize| usable(index) && !self.members[index].record.is_ejected(now);
        let chosen = self.choose(&|index| calm(index) && ready(index), sticky, now, dice);
        // One that is not ready yet is worth waiting for.
        if chosen.is_some() || (0..self.members.len()).any(calm) {
            return chosen;
        }
        self.choose(&both, sticky, now, dice)
    }

    /// Whether too few instances would be left without the ejected ones, so that ejections do not count.
    fn panics(&self, usable: Usable<'_>, now: Timestamp) -> bool {
        let Some(limits) = &self.options.ejection else { return true };
        let left = (0..self.members.len())
            .filter(|index| usable(*index) && !self.members[*index].record.is_ejected(now))
            .count();
        share(left, self.members.len()) < limits.panic_threshold
    }

    /// Chooses from the subset first. Instances of the zone come before others.
    fn choose(
        &self,
        usable: Usable<'_>,
        sticky: Option<u64>,
        now: Timestamp,
        dice: &mut Dice,
    ) -> Option<usize> {
        if let Some(key) = sticky {
            // All callers choose from the same instances, so that they use the same instance for a key.
            return self.rendezvous(usable, key);
        }
        if self.has_subset {
            let chosen = self.in_zone(&|index| self.members[index].in_subset && usable(index), now, dice);
            if chosen.is_some() {
                return chosen;
            }
        }
        self.in_zone(usable, now, dice)
    }

    fn in_zone(&self, usable: Usable<'_>, now: Timestamp, dice: &mut Dice) -> Option<usize> {
        if !self.has_zones {
            return self.by_policy(usable, now, dice);
        }
        let local = |index: usize| self.members[index].facts.local;
        let Some(near) = self.by_policy(&|index| local(index) && usable(index), now, dice) else {
            return self.by_policy(usable, now, dice);
        };
        if self.options.policy != Selection::P2c {
            return Some(near);
        }
        let far = self.draw(&|index| !local(index) && usable(index), None, now, dice);
        let far = far.filter(|far| self.cost(*far, now) < MUCH_LOWER * self.cost(near, now));
        Some(far.unwrap_or(near))
    }

    fn by_policy(&self, usable: Usable<'_>, now: Timestamp, dice: &mut Dice) -> Option<usize> {
        match self.options.policy {
            Selection::RoundRobin => self.next(usable, now),
            Selection::Random => self.draw(usable, None, now, dice),
            Selection::P2c => {
                let first = self.draw(usable, None, now, dice)?;
                let second = self.draw(usable, Some(first), now, dice);
                let second = second.filter(|second| self.cost(*second, now) < LOWER * self.cost(first, now));
                Some(second.unwrap_or(first))
            }
        }
    }

    /// The instance whose turn it is. An instance with a smaller weight skips some of its turns.
    fn next(&self, usable: Usable<'_>, now: Timestamp) -> Option<usize> {
        let count = self.members.len();
        let mut fallback = None;
        // If the weights differ widely, no instance may have credit for a whole call.
        // The first one then gets it.
        for _ in 0..count * DRAWS {
            let index = self.turn.get() % count;
            self.turn.set(index + 1);
            if !usable(index) {
                continue;
            }
            fallback = fallback.or(Some(index));
            let share = self.weight(index, now) / self.max_weight;
            let credit = self.members[index].credit.get() + share;
            // The rounding of shares makes their sum differ slightly from a whole number.
            let has_turn = credit > 1.0 - 1e-9;
            self.members[index].credit.set(if has_turn { credit - 1.0 } else { credit });
            if has_turn {
                return Some(index);
            }
        }
        fallback
    }

    /// An instance by chance, in proportion to the weights, other than `except`.
    fn draw(
        &self,
        usable: Usable<'_>,
        except: Option<usize>,
        now: Timestamp,
        dice: &mut Dice,
    ) -> Option<usize> {
        let count = self.members.len();
        if count == 0 {
            return None;
        }
        let can_be = |index: usize| Some(index) != except && usable(index);
        for _ in 0..DRAWS {
            let index = dice.below(count);
            let weight = self.weight(index, now);
            let accepted = weight >= self.max_weight || dice.fraction() * self.max_weight < weight;
            if accepted && can_be(index) {
                return Some(index);
            }
        }
        let weights =
            || (0..count).filter(|index| can_be(*index)).map(|index| (index, self.weight(index, now)));
        let mut point = dice.fraction() * weights().map(|(_, weight)| weight).sum::<f64>();
        let mut last = None;
        for (index, weight) in weights() {
            last = Some(index);
            point -= weight;
            if point < 0.0 {
                break;
            }
        }
        last
    }

    fn rendezvous(&self, usable: Usable<'_>, key: u64) -> Option<usize> {
        let scores = self.members.iter().enumerate().filter(|(index, _)| usable(*index));
        let scores =
            scores.map(|(index, member)| (score(key, member.facts.hash, member.facts.weight), index));
        scores.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, index)| index)
    }

    /// The weight of an instance; less while it starts.
    fn weight(&self, index: usize, now: Timestamp) -> f64 {
        let member = &self.members[index];
        let Some(since) = member.since.filter(|_| now < self.warm_at) else { return member.facts.weight };
        if now < since {
            return member.facts.weight * COLD;
        }
        let whole = self.options.slow_start.as_secs_f64();
        let done = if whole > 0.0 { now.since(since).as_secs_f64() / whole } else { 1.0 };
        member.facts.weight * (COLD + (1.0 - COLD) * done.min(1.0))
    }

    fn cost(&self, index: usize, now: Timestamp) -> f64 {
        let weight = self.weight(index, now) / self.max_weight;
        self.members[index].load.cost(weight, self.latency.typical(), now)
    }
}

#[allow(clippy::cast_precision_loss, reason = "a list has few instances")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}
