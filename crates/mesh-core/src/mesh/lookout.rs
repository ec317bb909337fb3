//! Whether the I/O thread looks again before it sleeps, and whether the
//! application's thread had better do its work.
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

//!
//! Where others have the core all the time and batches are of many calls, each
//! waking of this thread waits for them, and with it the calls: then the
//! application's thread, which has a core, is offered the runtime
//! ([`turns`](super::turns)). With few calls in a batch it is not: a thread of
//! their own then does more for them than it costs.

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
/// Others that have it for longer may want it all the time.
const SHARED: Duration = Duration::from_micros(60);
/// What one such turn counts for, against a batch each.
const CROWD: i32 = 16;
const CROWD_BEST: i32 = 64;
/// How long the application's thread is left alone after work that took long.
const CROWD_WORST: i32 = -256;
/// Commands in a batch, at the average of so many batches: from how many on the
/// application's thread is worth it, and below how many it is not any more.
const BATCHES: u32 = 8;
const MANY: u32 = 6;
const FEW: u32 = 4;
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
    /// Above 0 others have had the core lately.
    crowd: i32,
    /// Commands in a batch, times [`BATCHES`].
    size: u32,
    /// Bursts from peers, as of the last look.
    bursts: u64,
    /// One of them has come since the last batch.
    answered: bool,
}

impl Lookout {
    /// With one core, looking would only keep others from it.
    pub(super) fn new(cores: usize) -> Self {
        let most = if cores > 1 { TURNS } else { 0 };
        Self { most, left: 0, score: 0, crowd: 0, size: 0, bursts: 0, answered: false }
    }

    /// There was a batch of so many commands from the application, after so many
    /// bursts from peers in all.
    pub(super) fn batch(&mut self, bursts: u64, commands: u32) {
        self.crowd = if self.crowd > 0 { self.crowd - 1 } else { (self.crowd + 1).min(0) };
        self.size = self.size - self.size / BATCHES + commands.min(1000);
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
        if time > SHARED {
            self.crowd = (self.crowd + CROWD).min(CROWD_BEST);
        }
    }

    /// Whether the application's thread had better do the work.
    pub(super) fn is_crowded(&self) -> bool {
        self.crowd > 0 && self.size >= MANY * BATCHES
    }

    /// Whether batches have become so small that it had better not.
    pub(super) fn sees_few(&self) -> bool {
        self.size < FEW * BATCHES
    }

    /// How others use the core is to be seen anew.
    pub(super) fn forget_others(&mut self) {
        self.crowd = 0;
    }

    /// There is work that the application's thread should not do.
    pub(super) fn keep_from_others(&mut self) {
        self.crowd = CROWD_WORST;
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
        lookout.batch(0, 1);
        assert_eq!(turns(&mut lookout), TURNS - 1);
        assert_eq!(turns(&mut lookout), 0);
    }

    #[test]
    fn an_answer_makes_it_look_on_for_the_next_batch() {
        let mut lookout = Lookout::new(2);
        for bursts in 0..100 {
            lookout.batch(bursts, 1);
            // To the last turn but one, and so again after the answer.
            for bursts in [bursts, bursts + 1] {
                assert!((1..TURNS).all(|_| lookout.again(bursts)), "{bursts}");
            }
        }
    }

    #[test]
    fn peers_alone_cannot_keep_it_awake() {
        let mut lookout = Lookout::new(2);
        (0..1_000).for_each(|bursts| lookout.batch(bursts, 1));
        // A burst at every turn.
        let looks = (1_000..10_000).take_while(|bursts| lookout.again(*bursts)).count();
        assert!(looks < 2 * TURNS as usize, "{looks}");
        assert!(!(10_000..20_000).any(|bursts| lookout.again(bursts)));
    }

    #[test]
    fn busy_traffic_is_worth_it_though_some_turns_are_in_vain() {
        let mut lookout = Lookout::new(2);
        for batch in 0..10_000 {
            lookout.batch(0, 1);
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
                lookout.batch(0, 1);
                turns(&mut lookout)
            })
            .sum();
        assert!(total <= (10_000 / 64 + 1) * TURNS, "{total} turns for 10,000 batches");
    }

    #[test]
    fn it_sleeps_while_others_want_the_core() {
        let mut lookout = Lookout::new(2);
        lookout.batch(0, 1);
        lookout.others_ran(CROWDED);
        assert!(lookout.again(0));
        lookout.others_ran(CROWDED + Duration::from_micros(1));
        assert!(!lookout.again(0));
        // It is not in vain: the next batch is looked after.
        lookout.batch(0, 1);
        assert!(lookout.again(0));
    }

    #[test]
    fn it_is_crowded_while_others_have_the_core_and_batches_are_of_many() {
        let mut lookout = Lookout::new(2);
        (0..20).for_each(|_| lookout.batch(0, 32));
        assert!(!lookout.is_crowded());
        lookout.others_ran(SHARED);
        assert!(!lookout.is_crowded());
        lookout.others_ran(SHARED + Duration::from_micros(1));
        assert!(lookout.is_crowded() && !lookout.sees_few());
        // For some batches, and no longer.
        (1..CROWD).for_each(|_| lookout.batch(0, 32));
        assert!(lookout.is_crowded());
        lookout.batch(0, 32);
        assert!(!lookout.is_crowded());
    }

    #[test]
    fn small_batches_are_not_worth_the_application() {
        let mut lookout = Lookout::new(2);
        for _ in 0..100 {
            lookout.batch(0, 3);
            lookout.others_ran(CROWDED);
            assert!(!lookout.is_crowded());
        }
        assert!(lookout.sees_few());
        (0..20).for_each(|_| lookout.batch(0, 5));
        assert!(!lookout.is_crowded() && !lookout.sees_few());
    }

    #[test]
    fn after_work_that_takes_long_the_application_is_left_alone_for_a_while() {
        let mut lookout = Lookout::new(2);
        lookout.keep_from_others();
        for _ in 0..200 {
            lookout.batch(0, 32);
            assert!(!lookout.is_crowded());
        }
        for _ in 0..100 {
            lookout.batch(0, 32);
        }
        lookout.others_ran(CROWDED);
        assert!(lookout.is_crowded());
        lookout.forget_others();
        assert!(!lookout.is_crowded());
    }

    #[test]
    fn with_one_core_it_never_looks() {
        let mut lookout = Lookout::new(1);
        lookout.batch(0, 1);
        assert_eq!(turns(&mut lookout), 0);
    }
}
