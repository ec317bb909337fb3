//! Whether the I/O thread looks again before it sleeps.
//!
//! A thread that sleeps takes tens of microseconds to be woken, on a core that
//! sleeps as well several times that: for a call made alone it is most of its
//! time. So after each batch from the application the thread keeps looking for
//! a while, and lets any other thread go first at every turn.
//!
//! What is spent in vain is bounded. The turns are counted, and looking has to
//! be worth it nearly always: with traffic that pauses for longer, it is tried
//! after one batch in sixty-four. A mesh without traffic always sleeps, and so
//! does one whose core others want: the system wakes a thread where there is
//! room for it, and leaves one that waits for its turn where it is. And only
//! the application can keep the thread awake: what peers send lengthens it once
//! for each batch, or one that sends pings would have a core for itself.

use std::time::Duration;

/// Turns without anything to do before the thread sleeps: each is a look at
/// the sockets, a microsecond or so.
const TURNS: u32 = 256;
/// Others that have the core for longer in one turn do not leave it room. The
/// application's own work on a call made alone takes less.
const CROWDED: Duration = Duration::from_micros(250);
/// What a batch that came in time counts for, and what turns in vain do.
const FOUND: i32 = 1;
const IN_VAIN: i32 = -64;
/// Bounds of the score. Above 0 it is worth to look.
const BEST: i32 = 128;
const WORST: i32 = -512;

/// Decides, by how it has gone so far.
#[derive(Debug)]
pub(super) struct Lookout {
    /// Turns after each batch.
    most: u32,
    /// Turns left.
    left: u32,
    score: i32,
    /// Bursts from peers, as of the last look.
    bursts: u64,
    /// One of them has come since the last batch.
    answered: bool,
}

impl Lookout {
    /// With one core, looking would only keep others from it.
    pub(super) fn new(cores: usize) -> Self {
        let most = if cores > 1 { TURNS } else { 0 };
        Self { most, left: 0, score: 0, bursts: 0, answered: false }
    }

    /// There was a batch from the application, after so many bursts from peers in all.
    pub(super) fn batch(&mut self, bursts: u64) {
        self.bursts = bursts;
        self.answered = false;
        self.found();
    }

    /// Whether to look once more, after so many bursts from peers in all.
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

    /// Others had the core for so long in this turn.
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

    /// Looks until it sleeps; how often.
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
            // To the last turn but one, and so again after the answer.
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
        // It is not in vain: the next batch is looked after.
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
