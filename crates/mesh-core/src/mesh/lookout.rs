//! Whether the I/O thread spins before it sleeps.
//!
//! Waking a sleeping thread takes tens of microseconds, and several times that
//! if its core sleeps too. That is most of the latency of a single call. So
//! after each batch from the application the thread polls for a while, and
//! yields to other threads at every turn.
//!
//! The wasted time is limited. The number of turns is limited, and spinning
//! must pay off nearly always: with longer pauses in the traffic the thread
//! spins after one batch in sixty-four. A mesh without traffic sleeps, and so
//! does one whose core other threads need, because the system wakes a thread on
//! a free core and does not move a waiting one. Only the application can keep
//! the thread awake. Messages of peers prolong the spin once for each batch;
//! otherwise a peer could occupy a core with pings.

use std::time::Duration;

/// Turns without work before the thread sleeps. Each polls the sockets, in
/// about a microsecond.
const TURNS: u32 = 256;
/// The core is crowded if other threads use it for longer than this in one
/// turn. The application's own work on a single call takes less.
const CROWDED: Duration = Duration::from_micros(250);
/// The gain of the score for a batch that arrives during a spin.
const FOUND: i32 = 1;
/// The loss of the score for a spin in vain.
const IN_VAIN: i32 = -64;
/// The limits of the score. Above 0 the thread spins.
const BEST: i32 = 128;
const WORST: i32 = -512;

/// Decides about spinning, by the results so far.
#[derive(Debug)]
pub(super) struct Lookout {
    /// Turns after each batch.
    most: u32,
    /// Turns left.
    left: u32,
    score: i32,
    /// The number of bursts from peers at the last turn.
    bursts: u64,
    /// Whether a burst has arrived since the last batch.
    answered: bool,
}

impl Lookout {
    /// With one core, spinning would only block other threads.
    pub(super) fn new(cores: usize) -> Self {
        let most = if cores > 1 { TURNS } else { 0 };
        Self { most, left: 0, score: 0, bursts: 0, answered: false }
    }

    /// Records a batch from the application. `bursts` is the total number of bursts from peers.
    pub(super) fn batch(&mut self, bursts: u64) {
        self.bursts = bursts;
        self.answered = false;
        self.found();
    }

    /// Whether to poll once more. `bursts` is the total number of bursts from peers.
    pub(super) fn again(&mut self, bursts: u64) -> bool {
        if self.left == 0 {
            return false;
        }
        if self.bursts != bursts && !self.answered {
            self.answered = true;
            self.found();
        }
        self.left -= 1;
        if self.left == 0 {
            self.score = (self.score + IN_VAIN).max(WORST);
        }
        self.left > 0
    }

    /// Records the time for which other threads used the core in this turn.
    pub(super) fn others_ran(&mut self, time: Duration) {
        if time > CROWDED {
            self.left = 0;
        }
    }

    fn found(&mut self) {
        self.score = (self.score + FOUND).min(BEST);
        self.left = if self.score > 0 { self.most } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spins until the thread sleeps; returns the number of turns.
    fn turns(lookout: &mut Lookout) -> u32 {
        (0..=TURNS).find(|_| !lookout.again(0)).unwrap()
    }

    #[test]
    fn it_sleeps_when_nothing_comes_and_before_anything_has() {
        let mut lookout = Lookout::new(2);
        assert_eq!(turns(&mut lookout), 0);
        lookout.batch(0);
        assert_eq!(turns(&mut lookout), TURNS - 1);
        assert_eq!(turns(&mut lookout), 0);
    }

    #[test]
    fn an_answer_makes_it_look_on_for_the_next_batch() {
        let mut lookout = Lookout::new(2);
        for bursts in 0..100 {
            lookout.batch(bursts);
            // Up to the last turn but one, and again after the answer.
            for bursts in [bursts, bursts + 1] {
                assert!((1..TURNS).all(|_| lookout.again(bursts)), "{bursts}");
            }
        }
    }

    #[test]
    fn peers_alone_cannot_keep_it_awake() {
        let mut lookout = Lookout::new(2);
        (0..1_000).for_each(|bursts| lookout.batch(bursts));
        // A burst at every turn.
        let looks = (1_000..10_000).take_while(|bursts| lookout.again(*bursts)).count();
        assert!(looks < 2 * TURNS as usize, "{looks}");
        assert!(!(10_000..20_000).any(|bursts| lookout.again(bursts)));
    }

    #[test]
    fn busy_traffic_is_worth_it_though_some_turns_are_in_vain() {
        let mut lookout = Lookout::new(2);
        for batch in 0..10_000 {
            lookout.batch(0);
            assert!(lookout.again(0), "batch {batch}");
            // One pause in two hundred batches: a collection of garbage.
            if batch % 200 == 199 {
                turns(&mut lookout);
            }
        }
    }

    #[test]
    fn slow_traffic_is_hardly_worth_a_turn() {
        let mut lookout = Lookout::new(2);
        let total: u32 = (0..10_000)
            .map(|_| {
                lookout.batch(0);
                turns(&mut lookout)
            })
            .sum();
        assert!(total <= (10_000 / 64 + 1) * TURNS, "{total} turns for 10,000 batches");
    }

    #[test]
    fn it_sleeps_while_others_want_the_core() {
        let mut lookout = Lookout::new(2);
        lookout.batch(0);
        lookout.others_ran(CROWDED);
        assert!(lookout.again(0));
        lookout.others_ran(CROWDED + Duration::from_micros(1));
        assert!(!lookout.again(0));
        // This spin paid off, so the thread spins after the next batch too.
        lookout.batch(0);
        assert!(lookout.again(0));
    }

    #[test]
    fn with_one_core_it_never_looks() {
        let mut lookout = Lookout::new(1);
        lookout.batch(0);
        assert_eq!(turns(&mut lookout), 0);
    }
}
