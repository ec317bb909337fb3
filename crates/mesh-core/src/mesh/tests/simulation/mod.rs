//! A deterministic simulation of the mesh: honest and hostile nodes in one
//! process, on a network that loses, delays, holds and corrupts, in virtual time.
//!
//! A seed fixes every decision. `SIMULATION_SEEDS=10000` plays so many,
//! `SIMULATION_SEED=7` plays one and prints its trace.

mod app;
mod hostile;
mod invariants;
mod ledger;
mod network;
mod node;
mod peer;
mod rng;
mod steps;
mod story;
mod world;

use std::{
    env,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use self::story::{EVENTS, play};

/// The default number of seeds.
const SEEDS: u64 = 200;

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn simulation_of_every_seed_keeps_every_promise() {
    if let Some(seed) = number("SIMULATION_SEED") {
        let outcome = play(seed);
        println!("{}", outcome.trace.join("\n"));
        assert!(outcome.violations.is_empty(), "seed {seed}:\n{}", outcome.violations.join("\n"));
        return;
    }
    let asked = number("SIMULATION_SEEDS");
    let (seeds, next) = (asked.unwrap_or(SEEDS), AtomicU64::new(0));
    // Beside other tests it uses one core, and alone all of them.
    let threads = asked.map_or(1, |_| thread::available_parallelism().map_or(1, usize::from));
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    let outcome = play(seed);
                    if !outcome.violations.is_empty() {
                        failed
                            .lock()
                            .unwrap()
                            .push(format!("seed {seed}: {}", outcome.violations.join("; ")));
                    }
                    let events = outcome.trace.len();
                    assert!(
                        events >= EVENTS || !outcome.violations.is_empty(),
                        "seed {seed}: {events} events"
                    );
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} of {seeds} seeds failed. SIMULATION_SEED=n plays seed n again and prints its trace.\n{}",
        failed.len(),
        failed.join("\n")
    );
}

/// Seeds that are played twice.
const REPLAYED: u64 = 4;

/// The events of a seed, sorted. Events of one window may be recorded in
/// different orders, because a dropped runtime drops its tasks in no fixed
/// order.
fn events(seed: u64) -> Vec<String> {
    let mut trace = play(seed).trace;
    // Each line begins with its time.
    trace.sort_unstable();
    trace
}

#[test]
fn simulation_of_one_seed_is_the_same_each_time() {
    for seed in 0..number("SIMULATION_SEEDS").unwrap_or(REPLAYED) {
        let seed = 1_000_000 + seed;
        let (first, second) = (events(seed), events(seed));
        let differs = first.iter().zip(&second).position(|(first, second)| first != second);
        if let Some(at) = differs {
            panic!("seed {seed}, event {at}: {} and then {}", first[at], second[at]);
        }
        assert_eq!(first.len(), second.len());
        assert!(first.len() >= EVENTS, "seed {seed}: {} events", first.len());
    }
}
