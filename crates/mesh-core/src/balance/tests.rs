#![allow(clippy::cast_precision_loss, reason = "counts of calls are small")]

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    clock::Timestamp,
    config::{Balancing, Ejection, Selection},
};

const START: Timestamp = Timestamp::from_secs(1000);
const MS: Duration = Duration::from_millis(1);

fn options(policy: Selection) -> Balancing {
    Balancing { policy, ..Balancing::usual() }
}

fn limits() -> Ejection {
    Balancing::usual().ejection.unwrap()
}

fn facts(number: usize, weight: f64) -> Facts {
    Facts { hash: hash(&format!("10.0.0.{number}:50051")), weight, local: false }
}

/// A group of instances with these weights.
fn group(options: Balancing, weights: &[f64]) -> Group {
    let mut group = Group::new(options, 7);
    let instances: Vec<_> =
        weights.iter().enumerate().map(|(number, weight)| (facts(number, *weight), None)).collect();
    group.replace(&instances, START);
    group
}

/// A call alone, made and answered; returns where it went.
fn call(
    group: &mut Group,
    now: Timestamp,
    dice: &mut Dice,
    answer: impl Fn(usize) -> (Verdict, Duration),
) -> usize {
    let index = group.pick(|_| true, None, now, dice).unwrap();
    let visit = group.enter(index).unwrap();
    let (verdict, latency) = answer(index);
    group.leave(visit, verdict, Some(latency), now);
    index
}

fn fail(group: &mut Group, index: usize, now: Timestamp) -> Vec<(usize, Duration)> {
    let visit = group.enter(index).unwrap();
    group.leave(visit, Verdict::Bad, Some(MS), now)
}

/// Where each of so many calls goes, of which so many are made in a second.
fn shares(
    group: &mut Group,
    calls: u64,
    rate: u64,
    dice: &mut Dice,
    answer: impl Fn(usize) -> (Verdict, Duration),
) -> Vec<usize> {
    let mut counts = Vec::new();
    for number in 0..calls {
        let now = START + Duration::from_millis(number * 1000 / rate);
        let index = call(group, now, dice, &answer);
        counts.resize(counts.len().max(index + 1), 0);
        counts[index] += 1;
    }
    counts
}

proptest! {
    // Each case is some minutes of calls.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_instance_starves(
        latencies in prop::collection::vec(1_u64..100, 2..20),
        seed: u64,
        policy in prop::sample::select(vec![Selection::P2c, Selection::RoundRobin, Selection::Random]),
    ) {
        let mut group = group(options(policy), &vec![1.0; latencies.len()]);
        let mut dice = Dice::seeded(seed);
        let mut last = vec![START; latencies.len()];
        for tick in 0..30_000_u64 {
            let now = START + Duration::from_millis(10 * tick);
            let index = call(&mut group, now, &mut dice, |at| {
                (Verdict::Good, Duration::from_millis(latencies[at]))
            });
            last[index] = now;
            for at in &last {
                prop_assert!(now.since(*at) < Duration::from_mins(2), "{last:?}");
            }
        }
    }

    #[test]
    fn weights_hold_in_the_long_run(
        weights in prop::collection::vec(1_u32..20, 2..12),
        seed: u64,
        policy in prop::sample::select(vec![Selection::P2c, Selection::RoundRobin, Selection::Random]),
    ) {
        let weights: Vec<_> = weights.into_iter().map(f64::from).collect();
        let mut group = group(options(policy), &weights);
        let counts = shares(&mut group, 20_000, 1000, &mut Dice::seeded(seed), |_| (Verdict::Good, MS));
        let total: f64 = weights.iter().sum();
        for (index, weight) in weights.iter().enumerate() {
            let share = *counts.get(index).unwrap_or(&0) as f64 / 20_000.0;
            prop_assert!((share - weight / total).abs() < 0.03, "{counts:?} for {weights:?}");
        }
    }

    #[test]
    fn never_more_than_half_are_ejected_and_each_returns(
        count in 1_usize..12,
        failing in prop::collection::vec(any::<bool>(), 4000),
        seed: u64,
    ) {
        let mut group = group(options(Selection::P2c), &vec![1.0; count]);
        let mut dice = Dice::seeded(seed);
        let mut now = START;
        for failed in failing {
            now = now + Duration::from_millis(5);
            let verdict = if failed { Verdict::Bad } else { Verdict::Good };
            call(&mut group, now, &mut dice, |_| (verdict, MS));
            prop_assert!(2 * group.ejected(now) <= count);
        }
        now = now + limits().max_time;
        prop_assert_eq!(group.ejected(now), 0);
        let mut seen = vec![false; count];
        for _ in 0..2000 {
            now = now + Duration::from_millis(50);
            seen[call(&mut group, now, &mut dice, |_| (Verdict::Good, MS))] = true;
        }
        prop_assert!(seen.iter().all(|seen| *seen), "{seen:?}");
    }

}

proptest! {
    #[test]
    fn only_usable_instances_are_picked(
        usable in prop::collection::vec(any::<bool>(), 0..40),
        sticky: Option<u64>,
        seed: u64,
        policy in prop::sample::select(vec![Selection::P2c, Selection::RoundRobin, Selection::Random]),
    ) {
        let group = group(options(policy), &vec![1.0; usable.len()]);
        let mut dice = Dice::seeded(seed);
        for _ in 0..20 {
            match group.pick(|index| usable[index], sticky, START, &mut dice) {
                Some(index) => prop_assert!(usable[index]),
                None => prop_assert!(!usable.contains(&true)),
            }
        }
    }

    #[test]
    fn a_key_stays_where_it_is_unless_its_instance_goes(key: u64, count in 2_usize..40, gone in 0_usize..40) {
        let gone = gone % count;
        let group = group(options(Selection::P2c), &vec![1.0; count]);
        let dice = &mut Dice::seeded(key);
        let before = group.pick(|_| true, Some(key), START, dice).unwrap();
        let after = group.pick(|index| index != gone, Some(key), START, dice).unwrap();
        prop_assert!(after == before || before == gone);
    }
}

#[test]
fn keys_spread_over_the_instances_by_weight() {
    let group = group(options(Selection::P2c), &[1.0, 1.0, 2.0]);
    let mut counts = [0; 3];
    for number in 0..40_000 {
        let key = key(&format!("user-{number}"));
        counts[group.pick(|_| true, Some(key), START, &mut Dice::seeded(0)).unwrap()] += 1;
    }
    let expected = [10_000_i32, 10_000, 20_000];
    let close = counts.iter().zip(expected).all(|(count, expected)| (count - expected).abs() < 600);
    assert!(close, "{counts:?}");
}

#[test]
fn a_slow_instance_gets_few_calls() {
    let mut group = group(options(Selection::P2c), &[1.0; 10]);
    let slow = |index| (Verdict::Good, if index == 3 { 10 * MS } else { MS });
    let counts = shares(&mut group, 30_000, 1000, &mut Dice::seeded(1), slow);
    assert!((1..60).contains(&counts[3]), "{counts:?}");
}

#[test]
fn calls_in_flight_count() {
    let mut group = group(options(Selection::P2c), &[1.0; 2]);
    let mut dice = Dice::seeded(2);
    group.enter(0);
    // Of two that answer alike, the one without a call.
    assert!((0..50).all(|_| group.pick(|_| true, None, START, &mut dice) == Some(1)));
    for _ in 0..3 {
        group.enter(1);
    }
    assert!((0..50).all(|_| group.pick(|_| true, None, START, &mut dice) == Some(0)));
}

#[test]
fn an_instance_that_fails_fast_does_not_attract_calls() {
    let mut options = options(Selection::P2c);
    options.ejection = None;
    let mut group = group(options, &[1.0; 10]);
    let fails = |index| if index == 3 { (Verdict::Bad, MS / 10) } else { (Verdict::Good, MS) };
    let counts = shares(&mut group, 10_000, 1000, &mut Dice::seeded(1), fails);
    assert!(counts[3] < 100, "{counts:?}");
}

#[test]
fn failures_in_a_row_eject_for_longer_each_time() {
    let mut group = group(options(Selection::P2c), &[1.0; 4]);
    let mut now = START;
    for _ in 0..4 {
        assert_eq!(fail(&mut group, 1, now), []);
    }
    assert_eq!(fail(&mut group, 1, now), [(1, limits().base_time)]);
    let mut dice = Dice::seeded(3);
    for _ in 0..200 {
        assert_ne!(group.pick(|_| true, None, now, &mut dice), Some(1));
    }
    now = now + limits().base_time;
    assert_eq!(group.ejected(now), 0);
    for _ in 0..4 {
        assert_eq!(fail(&mut group, 1, now), []);
    }
    assert_eq!(fail(&mut group, 1, now), [(1, 2 * limits().base_time)]);
}

#[test]
fn an_instance_that_fails_a_fifth_is_an_outlier_and_a_group_that_does_is_not() {
    let round = |failing: &dyn Fn(usize) -> bool| {
        let mut group = group(options(Selection::RoundRobin), &[1.0; 10]);
        let mut ejected = Vec::new();
        for number in 0..5000_usize {
            let now = START + Duration::from_millis(10 * number as u64);
            let index = number % 10;
            let visit = group.enter(index).unwrap();
            // Every fifth call of an instance.
            let bad = failing(index) && number / 10 % 5 == 0;
            let verdict = if bad { Verdict::Bad } else { Verdict::Good };
            ejected.extend(group.leave(visit, verdict, Some(MS), now));
        }
        ejected.into_iter().map(|(index, _)| index).collect::<Vec<_>>()
    };
    assert_eq!(round(&|index| index == 4)[0], 4);
    assert_eq!(round(&|_| true), Vec::<usize>::new());
}

#[test]
fn too_few_instances_are_worse_than_those_that_fail() {
    let mut group = group(options(Selection::Random), &[1.0; 4]);
    for _ in 0..5 {
        fail(&mut group, 0, START);
        fail(&mut group, 1, START);
    }
    assert_eq!(group.ejected(START), 2);
    let mut dice = Dice::seeded(4);
    let mut picks = |usable: &dyn Fn(usize) -> bool| {
        let mut seen: Vec<_> = (0..200).filter_map(|_| group.pick(usable, None, START, &mut dice)).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    };
    assert_eq!(picks(&|_| true), [2, 3]);
    // One of four is below the threshold of a half.
    assert_eq!(picks(&|index| index != 3), [0, 1, 2]);
    assert_eq!(picks(&|index| index < 2), [0, 1]);
    // Those that are not ready yet are there all the same.
    let ready = |index: usize| index < 3;
    let mut seen = (0..200).map(|_| group.pick_of(|_| true, ready, None, START, &mut dice));
    assert!(seen.all(|index| index == Some(2)));
}

#[test]
fn a_new_instance_starts_slowly() {
    let mut group = group(options(Selection::P2c), &[1.0; 3]);
    let mut instances: Vec<_> = (0..3).map(|index| (facts(index, 1.0), Some(index))).collect();
    instances.push((facts(3, 1.0), None));
    group.replace(&instances, START);
    let share = |group: &mut Group, from: Timestamp| {
        let mut dice = Dice::seeded(5);
        let picks = (0..4000).filter(|_| call(group, from, &mut dice, |_| (Verdict::Good, MS)) == 3);
        picks.count()
    };
    let (cold, warm) = (share(&mut group, START), share(&mut group, START + Duration::from_secs(10)));
    assert!((60..250).contains(&cold), "{cold} of 4000");
    assert!((850..1150).contains(&warm), "{warm} of 4000");
}

#[test]
fn a_list_that_changes_keeps_what_is_known() {
    let mut group = group(options(Selection::P2c), &[1.0; 2]);
    let visit = group.enter(1).unwrap();
    for _ in 0..5 {
        fail(&mut group, 1, START);
    }
    // The first one goes, so the second one has another index.
    group.replace(&[(facts(1, 1.0), Some(1)), (facts(5, 1.0), None)], START);
    assert_eq!(group.ejected(START), 1);
    assert_eq!(group.members[0].load.in_flight, 1);
    group.leave(visit, Verdict::Good, Some(MS), START);
    assert_eq!(group.members[0].load.in_flight, 0);
    let visit = group.enter(0).unwrap();
    group.replace(&[], START);
    assert_eq!(group.leave(visit, Verdict::Bad, None, START), []);
    assert_eq!(group.pick(|_| true, None, START, &mut Dice::seeded(0)), None);
}

#[test]
fn calls_stay_in_the_zone_until_it_is_away_or_far_slower() {
    let mut group = Group::new(options(Selection::P2c), 7);
    let at = |number, local| (Facts { local, ..facts(number, 1.0) }, None);
    group.replace(&[at(0, true), at(1, true), at(2, false), at(3, false)], START);
    let mut dice = Dice::seeded(6);
    for number in 0..2000 {
        let now = START + Duration::from_millis(number);
        // A difference that does not make up for another zone.
        let index = call(&mut group, now, &mut dice, |at| (Verdict::Good, if at < 2 { 2 * MS } else { MS }));
        assert!(index < 2, "call {number}");
    }
    let now = START + Duration::from_secs(2);
    let away = group.pick(|index| index >= 2, None, now, &mut dice);
    assert!(away.is_some_and(|index| index >= 2));
    for _ in 0..20 {
        group.enter(0);
        group.enter(1);
    }
    assert!(group.pick(|_| true, None, now, &mut dice).is_some_and(|index| index >= 2));
}

#[test]
fn of_many_instances_a_caller_uses_some_and_other_callers_others() {
    let used = |seed: u64, usable: &dyn Fn(usize) -> bool| {
        let mut options = options(Selection::P2c);
        options.subset = 8;
        let mut group = Group::new(options, seed);
        let instances: Vec<_> = (0..100).map(|number| (facts(number, 1.0), None)).collect();
        group.replace(&instances, START);
        let mut dice = Dice::seeded(seed);
        let mut seen: Vec<_> =
            (0..500).map(|_| group.pick(usable, None, START, &mut dice).unwrap()).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    };
    let (one, other) = (used(1, &|_| true), used(2, &|_| true));
    assert_eq!((one.len(), other.len()), (8, 8));
    assert_ne!(one, other);
    let rest = used(1, &|index| !one.contains(&index));
    assert!(rest.len() > 8, "the others stand in: {rest:?}");
}

#[test]
fn turns_are_taken_in_order() {
    let group = group(options(Selection::RoundRobin), &[1.0; 3]);
    let picks: Vec<_> =
        (0..5).map(|_| group.pick(|_| true, None, START, &mut Dice::seeded(0)).unwrap()).collect();
    assert_eq!(picks, [0, 1, 2, 0, 1]);
}
