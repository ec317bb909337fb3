//! The order in which first messages are answered. One for each core is answered
//! at a time; the others wait here.
//!
//! Messages of addresses within their account come first, in the order of their
//! arrival. The others use the remaining turns, one at a time. They wait in a small
//! queue without order. When it is full, a random one of them leaves, so that an
//! honest newcomer behind a flooding address has a chance with each attempt.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tokio::sync::oneshot;

use crate::mesh::sync::lock;

/// The most waiting messages of addresses beyond their account. The places of
/// handshakes limit the others.
const MOST_BEYOND: usize = 32;

/// A source of random numbers from 0 to 1.
type Chance = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Whether an address is within its account of unfinished handshakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Within,
    Beyond,
}

/// The turns of first messages.
#[derive(Clone)]
pub(super) struct Turns {
    queue: Arc<Mutex<Queue>>,
    chance: Chance,
}

struct Queue {
    /// The number of free turns.
    free: usize,
    /// Whether a message of an address beyond its account is being answered.
    beyond_busy: bool,
    last: u64,
    within: BTreeMap<u64, Waiter>,
    beyond: Vec<(u64, Waiter)>,
}

type Waiter = oneshot::Sender<Turn>;

impl Turns {
    pub(super) fn new(at_once: usize, chance: Chance) -> Self {
        let (within, beyond) = Default::default();
        let queue = Queue { free: at_once, beyond_busy: false, last: 0, within, beyond };
        Self { queue: Arc::new(Mutex::new(queue)), chance }
    }

    /// Waits for a turn. `None` if the queue had no room, or another message displaced this one.
    pub(super) async fn take(&self, class: Class) -> Option<Turn> {
        let (waiter, turn) = oneshot::channel();
        let (id, gone) = lock(&self.queue).enter(class, waiter, &self.chance);
        // The drop wakes the displaced waiter, outside of the lock.
        drop(gone);
        let _leave = Leave { turns: self, class, id };
        self.go_on();
        turn.await.ok()
    }

    /// The numbers of waiting messages, within the accounts and beyond.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> (usize, usize) {
        let queue = lock(&self.queue);
        (queue.within.len(), queue.beyond.len())
    }

    /// Gives turns while any are free.
    fn go_on(&self) {
        loop {
            let next = lock(&self.queue).next(&self.chance);
            let Some((class, waiter)) = next else { return };
            // If the waiter has left, the dropped turn is free again at once.
            let _ = waiter.send(Turn { turns: self.clone(), class });
        }
    }
}

impl Queue {
    /// Enters a waiter. Returns its number, and the waiter that leaves, which may be itself.
    fn enter(&mut self, class: Class, waiter: Waiter, chance: &Chance) -> (u64, Option<Waiter>) {
        self.last += 1;
        let id = self.last;
        let gone = match class {
            Class::Within => self.within.insert(id, waiter),
            Class::Beyond => {
                self.beyond.push((id, waiter));
                let full = self.beyond.len() > MOST_BEYOND;
                full.then(|| self.draw(chance)).flatten()
            }
        };
        (id, gone)
    }

    fn next(&mut self, chance: &Chance) -> Option<(Class, Waiter)> {
        if self.free == 0 {
            return None;
        }
        let next = match self.within.pop_first() {
            Some((_, waiter)) => (Class::Within, waiter),
            None if self.beyond_busy => return None,
            None => (Class::Beyond, self.draw(chance)?),
        };
        self.free -= 1;
        self.beyond_busy |= next.0 == Class::Beyond;
        Some(next)
    }

    /// Removes a random waiter beyond its account.
    fn draw(&mut self, chance: &Chance) -> Option<Waiter> {
        let last = u32::try_from(self.beyond.len()).ok()?.checked_sub(1)?;
        let drawn = chance() * f64::from(last + 1);
        let at = (1..=last).take_while(|at| f64::from(*at) <= drawn).count();
        Some(self.beyond.swap_remove(at).1)
    }
}

/// A guard that removes its waiter from the queue.
struct Leave<'a> {
    turns: &'a Turns,
    class: Class,
    id: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut queue = lock(&self.turns.queue);
        match self.class {
            Class::Within => drop(queue.within.remove(&self.id)),
            Class::Beyond => queue.beyond.retain(|(id, _)| *id != self.id),
        }
    }
}

/// A turn. Its drop releases it.
pub(super) struct Turn {
    turns: Turns,
    class: Class,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut queue = lock(&self.turns.queue);
        queue.free += 1;
        queue.beyond_busy &= self.class != Class::Beyond;
        drop(queue);
        self.turns.go_on();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        sync::atomic::{AtomicU32, Ordering},
        task::{Context, Poll, Waker},
    };

    use super::*;

    type Waiting = Pin<Box<dyn Future<Output = Option<Turn>>>>;

    fn turns(at_once: usize) -> Turns {
        let drawn = AtomicU32::new(0);
        // The numbers are spread evenly, and are the same in each run.
        let chance = move || f64::from(drawn.fetch_add(7, Ordering::Relaxed) % 10) / 10.0;
        Turns::new(at_once, Arc::new(chance))
    }

    fn wait(turns: &Turns, class: Class) -> Waiting {
        let turns = turns.clone();
        let mut waiting: Waiting = Box::pin(async move { turns.take(class).await });
        assert!(poll(&mut waiting).is_none(), "it has to wait");
        waiting
    }

    #[allow(clippy::option_option, reason = "whether it is over, and whether it brought a turn")]
    fn poll(waiting: &mut Waiting) -> Option<Option<Turn>> {
        match waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    fn get_now(turns: &Turns, class: Class) -> Turn {
        let turns = turns.clone();
        let mut waiting: Waiting = Box::pin(async move { turns.take(class).await });
        poll(&mut waiting).expect("no wait").expect("a turn")
    }

    async fn get(turns: &Turns, class: Class) -> Turn {
        turns.take(class).await.expect("a turn")
    }

    #[tokio::test]
    async fn addresses_within_their_account_come_first_and_in_order() {
        let turns = turns(1);
        let busy = get(&turns, Class::Within).await;
        let mut beyond = wait(&turns, Class::Beyond);
        let mut within: Vec<_> = (0..3).map(|_| wait(&turns, Class::Within)).collect();
        let mut turn = busy;
        for waiting in &mut within {
            drop(turn);
            assert!(poll(&mut beyond).is_none());
            turn = poll(waiting).expect("its turn").expect("one");
        }
        drop(turn);
        assert!(poll(&mut beyond).expect("nobody else waits").is_some());
        assert_eq!(turns.waiting(), (0, 0));
    }

    #[tokio::test]
    async fn addresses_beyond_their_account_take_one_turn_at_a_time() {
        let turns = turns(4);
        let first = get(&turns, Class::Beyond).await;
        let mut second = wait(&turns, Class::Beyond);
        let others: Vec<_> = [get(&turns, Class::Within).await, get(&turns, Class::Within).await].into();
        assert!(poll(&mut second).is_none());
        drop(first);
        assert!(poll(&mut second).expect("its turn").is_some());
        drop(others);
    }

    // The test runs outside of a runtime, whose budget of polls would make each poll wait.
    #[test]
    fn any_number_beyond_their_account_takes_a_bounded_room_and_each_has_its_chance() {
        let turns = turns(1);
        let busy = get_now(&turns, Class::Within);
        let mut all: Vec<Option<Waiting>> = Vec::new();
        for n in 0..10 * MOST_BEYOND {
            let turns = turns.clone();
            let mut waiting: Waiting = Box::pin(async move { turns.take(Class::Beyond).await });
            let stays = poll(&mut waiting).is_none();
            assert!(stays || n >= MOST_BEYOND, "there is room");
            all.push(stays.then_some(waiting));
        }
        assert_eq!(turns.waiting(), (0, MOST_BEYOND));
        for waiting in &mut all {
            // Another one has taken its room.
            waiting.take_if(|waiting| poll(waiting).is_some_and(|turn| turn.is_none()));
        }
        let stay: Vec<_> = (0..all.len()).filter(|n| all[*n].is_some()).collect();
        assert_eq!(stay.len(), MOST_BEYOND);
        assert!(stay[0] < all.len() / 2 && stay[MOST_BEYOND - 1] >= all.len() / 2, "old and new: {stay:?}");
        // A waiter that has left keeps no room and delays no other.
        all.truncate(stay[MOST_BEYOND / 2]);
        assert_eq!(turns.waiting(), (0, MOST_BEYOND / 2));
        drop(all);
        assert_eq!(turns.waiting(), (0, 0));
        drop(busy);
        drop(get_now(&turns, Class::Within));
    }

    #[tokio::test]
    async fn a_turn_of_who_has_left_is_the_next_ones() {
        let turns = turns(1);
        let busy = get(&turns, Class::Within).await;
        let gone = wait(&turns, Class::Within);
        let mut next = wait(&turns, Class::Within);
        drop(busy);
        // This one has its turn and does not poll for it.
        drop(gone);
        assert!(poll(&mut next).expect("its turn").is_some());
    }
}
