//! Flow control of streams: `docs/protocol.md`, section 7.
//!
//! A window counts bytes. It may be overdrawn by one item, so that an item
//! larger than a window still passes; after that its sender waits.

/// What an item costs beside its payload, so that empty ones are not free.
pub const ITEM_COST: usize = 64;

/// What each stream begins with, either way.
pub(crate) const STREAM_WINDOW: u32 = 64 * 1024;
/// What a stream's window grows to while its consumer keeps up.
const LARGEST_STREAM_WINDOW: u32 = 1024 * 1024;
/// What all streams of a session share, either way.
pub(crate) const SESSION_WINDOW: u32 = 16 * 1024 * 1024;
/// The largest credit a stream may have. A receiver that never lets its peer
/// wait at 1 Gbit/s over a round trip of 130 ms needs no more.
const MOST_STREAM_CREDIT: i64 = 16 << 20;
/// The largest credit all streams of a session may have: the same at 4 Gbit/s.
const MOST_SESSION_CREDIT: i64 = 64 << 20;

/// The peer sent or granted more than the protocol allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than the flow control window")]
pub struct Overrun;

/// What this side may send. Credit is a permission: how much of it is used at
/// once is decided by the sender's own budget, since the peer chooses the credit.
#[derive(Clone, Copy, Debug)]
pub struct SendWindow {
    credit: i64,
    most: i64,
}

impl SendWindow {
    /// A stream's, at its beginning.
    #[must_use]
    pub fn of_stream() -> Self {
        Self { credit: STREAM_WINDOW.into(), most: MOST_STREAM_CREDIT }
    }

    /// A session's, at its beginning.
    #[must_use]
    pub fn of_session() -> Self {
        Self { credit: SESSION_WINDOW.into(), most: MOST_SESSION_CREDIT }
    }

    /// Whether an item may be sent.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.credit > 0
    }

    /// An item of this cost is sent.
    pub fn spend(&mut self, cost: usize) {
        self.credit = self.credit.saturating_sub_unsigned(cost as u64);
    }

    /// The peer grants more.
    ///
    /// # Errors
    /// [`Overrun`] if the credit is then above the protocol's maximum.
    pub fn grant(&mut self, credit: u32) -> Result<(), Overrun> {
        let credit = self.credit + i64::from(credit);
        if credit > self.most {
            return Err(Overrun);
        }
        self.credit = credit;
        Ok(())
    }
}

/// What the peer may send.
#[derive(Clone, Copy, Debug)]
pub struct ReceiveWindow {
    credit: i64,
    size: u32,
    largest: u32,
    /// Received and not yet consumed.
    held: u64,
    /// Consumed and not yet granted again.
    owed: u64,
}

impl ReceiveWindow {
    /// A stream's, at its beginning.
    #[must_use]
    pub fn of_stream() -> Self {
        Self::new(STREAM_WINDOW, LARGEST_STREAM_WINDOW)
    }

    /// A session's, at its beginning.
    #[must_use]
    pub fn of_session() -> Self {
        Self::new(SESSION_WINDOW, SESSION_WINDOW)
    }

    fn new(size: u32, largest: u32) -> Self {
        Self { credit: size.into(), size, largest, held: 0, owed: 0 }
    }

    /// An item of this cost arrived.
    pub fn receive(&mut self, cost: usize) -> Result<(), Overrun> {
        if self.credit <= 0 {
            return Err(Overrun);
        }
        self.credit = self.credit.saturating_sub_unsigned(cost as u64);
        self.held += cost as u64;
        Ok(())
    }

    /// So much of what arrived was consumed. Returns what to grant, once that
    /// is worth a message.
    pub fn consume(&mut self, cost: usize) -> Option<u32> {
        let cost = (cost as u64).min(self.held);
        self.held -= cost;
        self.owed += cost;
        if self.owed * 2 < u64::from(self.size) {
            return None;
        }
        let mut grant = std::mem::take(&mut self.owed);
        // Nothing is left to consume and little may be sent: it is the window
        // that holds the stream, not its consumer.
        if self.held == 0 && self.credit * 2 <= i64::from(self.size) && self.size < self.largest {
            let growth = self.size.min(self.largest - self.size);
            self.size += growth;
            grant += u64::from(growth);
        }
        let grant = u32::try_from(grant).unwrap_or(u32::MAX);
        self.credit += i64::from(grant);
        Some(grant)
    }

    /// What arrived and was not consumed.
    #[must_use]
    pub fn held(&self) -> usize {
        usize::try_from(self.held).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_window_may_be_overdrawn_once() {
        let mut window = ReceiveWindow::of_stream();
        window.receive(10 * STREAM_WINDOW as usize).unwrap();
        assert_eq!(window.receive(ITEM_COST), Err(Overrun));
        let grant = window.consume(10 * STREAM_WINDOW as usize).unwrap();
        assert!(grant >= 10 * STREAM_WINDOW);
        window.receive(ITEM_COST).unwrap();
    }

    #[test]
    fn credit_is_bounded() {
        let windows = [(SendWindow::of_stream(), 16 << 20), (SendWindow::of_session(), 64 << 20)];
        for (mut window, most) in windows {
            let credit = u32::try_from(window.credit).unwrap();
            window.grant(most - credit).unwrap();
            assert_eq!(window.grant(1), Err(Overrun));
            assert_eq!(window.grant(u32::MAX), Err(Overrun));
            assert!(window.is_open());
            // An overdraft is granted again with the rest.
            window.spend(most as usize + 10);
            window.grant(most + 10).unwrap();
            assert_eq!(window.grant(1), Err(Overrun));
        }
    }

    #[test]
    fn a_window_grows_only_for_a_consumer_that_keeps_up() {
        let mut slow = ReceiveWindow::of_stream();
        let mut fast = ReceiveWindow::of_stream();
        let half = STREAM_WINDOW as usize / 2;
        for window in [&mut slow, &mut fast] {
            window.receive(half).unwrap();
            window.receive(half).unwrap();
        }
        assert_eq!(slow.consume(half), Some(STREAM_WINDOW / 2), "half of it is still there");
        assert_eq!(fast.consume(2 * half), Some(2 * STREAM_WINDOW));
    }

    proptest! {
        /// Whatever the sizes and the pace, a sender that keeps to its window is
        /// never refused, never waits for ever, and never has more than the
        /// largest window and one item on the way.
        #[test]
        fn sender_and_receiver_agree(sizes in prop::collection::vec((0usize..200_000, 0usize..4), 1..200)) {
            let (mut sender, mut receiver) = (SendWindow::of_stream(), ReceiveWindow::of_stream());
            let mut waiting = std::collections::VecDeque::new();
            for (size, lag) in sizes {
                while !sender.is_open() {
                    let consumed = waiting.pop_front();
                    prop_assert!(consumed.is_some(), "nobody may send and nothing is left to consume");
                    if let Some(grant) = receiver.consume(consumed.unwrap_or(0)) {
                        sender.grant(grant).unwrap();
                    }
                }
                let cost = size + ITEM_COST;
                sender.spend(cost);
                prop_assert_eq!(receiver.receive(cost), Ok(()));
                waiting.push_back(cost);
                prop_assert!(receiver.held() <= LARGEST_STREAM_WINDOW as usize + 200_000 + ITEM_COST);
                while waiting.len() > lag {
                    if let Some(grant) = receiver.consume(waiting.pop_front().unwrap_or(0)) {
                        sender.grant(grant).unwrap();
                    }
                }
            }
        }
    }
}
