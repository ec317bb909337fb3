//! Flow control of streams: `docs/protocol.md`, section 7.
//!
//! Each stream has a window of its own, which no other stream can use up. A
//! large item takes at most [`STREAM_WINDOW`] from it; the rest comes from a
//! window that all streams of the session share. Windows count bytes. One item
//! may overdraw a window, so that an item larger than the window still passes;
//! then its sender waits.

use std::collections::VecDeque;

/// The cost of an item in addition to its payload, so that empty items are not
/// free.
pub const ITEM_COST: usize = 64;

/// The initial window of each stream in each direction, and the most that one
/// item takes from its stream's window.
pub(crate) const STREAM_WINDOW: u32 = 64 * 1024;
/// The limit of a stream's window, which grows while its consumer keeps up.
const LARGEST_STREAM_WINDOW: u32 = 1024 * 1024;
/// The window that the large items of all streams of a session share.
pub(crate) const SESSION_WINDOW: u32 = 16 * 1024 * 1024;
/// The limit of the growth of all stream windows of a session together.
pub(crate) const SESSION_GROWTH: u32 = 8 * 1024 * 1024;
/// The limit of a stream's credit. It is enough for a stream of 1 Gbit/s over a
/// round trip of 130 ms without a wait.
const MOST_STREAM_CREDIT: i64 = 16 << 20;
/// The limit of the credit that all streams of a session share. It is enough
/// for 4 Gbit/s over the same round trip.
const MOST_SESSION_CREDIT: i64 = 64 << 20;

/// The peer sent or granted more than the protocol allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than the flow control window")]
pub struct Overrun;

/// The shares of an item in the two windows. They depend on the item alone, so
/// that both sides agree regardless of messages in transit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// Bytes from the stream's window.
    pub own: usize,
    /// Bytes from the session's window.
    pub shared: usize,
}

impl Shares {
    /// Returns the shares of an item of this cost.
    #[must_use]
    pub fn of(cost: usize) -> Self {
        let own = cost.min(STREAM_WINDOW as usize);
        Self { own, shared: cost - own }
    }
}

/// The credit of this side to send. Credit is a permission that the peer
/// chooses; the sender's own budget decides how much of it is used at once.
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

    /// Records that an item of this cost was sent.
    pub fn spend(&mut self, cost: usize) {
        self.credit = self.credit.saturating_sub_unsigned(cost as u64);
    }

    /// Adds credit that the peer granted.
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

/// The credit of the peer to send.
#[derive(Clone, Copy, Debug)]
pub struct ReceiveWindow {
    credit: i64,
    size: u32,
    /// Bytes received and not yet consumed.
    held: u64,
}

impl ReceiveWindow {
    /// A stream's, at its beginning.
    #[must_use]
    pub fn of_stream() -> Self {
        Self::new(STREAM_WINDOW)
    }

    /// A session's, at its beginning.
    #[must_use]
    pub fn of_session() -> Self {
        Self::new(SESSION_WINDOW)
    }

    fn new(size: u32) -> Self {
        Self { credit: size.into(), size, held: 0 }
    }

    /// Records that `cost` bytes arrived.
    ///
    /// # Errors
    /// [`Overrun`] if the peer had no credit left.
    pub fn receive(&mut self, cost: usize) -> Result<(), Overrun> {
        if self.is_used_up() {
            return Err(Overrun);
        }
        self.credit = self.credit.saturating_sub_unsigned(cost as u64);
        self.held += cost as u64;
        Ok(())
    }

    /// Records that `cost` of the received bytes were consumed. Returns the
    /// credit to grant, as soon as it is worth a message.
    pub fn consume(&mut self, cost: usize) -> Option<u32> {
        self.held -= (cost as u64).min(self.held);
        // Negative while a shrunk window still has more credit than its size.
        let room = i64::from(self.size) - self.credit - i64::try_from(self.held).unwrap_or(i64::MAX);
        if room * 2 < i64::from(self.size) {
            return None;
        }
        let grant = u32::try_from(room).unwrap_or(u32::MAX);
        self.credit += i64::from(grant);
        Some(grant)
    }

    /// Whether the window limits the stream, not the consumer: the consumer has
    /// read everything, and little credit is left.
    const fn is_short(&self) -> bool {
        self.held == 0 && self.credit * 2 <= self.size as i64
    }

    /// Whether the peer has no credit left.
    #[must_use]
    pub const fn is_used_up(&self) -> bool {
        self.credit <= 0
    }

    /// Whether the peer has less than half of the window left.
    #[must_use]
    pub const fn is_scarce(&self) -> bool {
        self.credit * 2 < self.size as i64
    }
}

/// The result of an application's consumption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consumed {
    /// The credit to grant to the stream.
    pub grant: Option<u32>,
    /// The bytes that return to the session's window.
    pub shared: usize,
    /// The bytes that [`Inflow::set_aside`] had already returned to the
    /// session's window.
    pub set_aside: usize,
}

/// The receiving half of a stream: its window, and the bytes of the shared
/// window that its items hold.
#[derive(Debug)]
pub struct Inflow {
    window: ReceiveWindow,
    /// The costs of all items so far.
    received: u64,
    consumed: u64,
    /// Items with a share of the session's window: the value of `received` at
    /// their end, and the share.
    large: VecDeque<(u64, usize)>,
    /// The number of these, from the front, whose share was returned to the
    /// session.
    set_aside: usize,
}

impl Default for Inflow {
    fn default() -> Self {
        Self {
            window: ReceiveWindow::of_stream(),
            received: 0,
            consumed: 0,
            large: VecDeque::new(),
            set_aside: 0,
        }
    }
}

impl Inflow {
    /// Records the arrival of an item.
    ///
    /// # Errors
    /// [`Overrun`] if the stream had no credit left.
    pub fn receive(&mut self, shares: Shares) -> Result<(), Overrun> {
        self.window.receive(shares.own)?;
        self.received += (shares.own + shares.shared) as u64;
        if shares.shared > 0 {
            self.large.push_back((self.received, shares.shared));
        }
        Ok(())
    }

    /// Records that items of this cost were consumed, in order. The window may
    /// grow by at most `growth`.
    pub fn consume(&mut self, cost: usize, growth: &mut u32) -> Consumed {
        let cost = cost.min(self.held());
        self.consumed += cost as u64;
        let (mut own, mut shared, mut set_aside) = (cost, 0, 0);
        while let Some((_, share)) = self.large.pop_front_if(|(end, _)| *end <= self.consumed) {
            own = own.saturating_sub(share);
            match self.set_aside.checked_sub(1) {
                Some(left) => {
                    self.set_aside = left;
                    set_aside += share;
                }
                None => shared += share,
            }
        }
        self.window.held -= (own as u64).min(self.window.held);
        // A large item flows through the session's window, so a larger stream
        // window would not help it.
        if self.window.is_short() && shared + set_aside == 0 {
            let more = self.window.size.min(LARGEST_STREAM_WINDOW - self.window.size).min(*growth);
            *growth -= more;
            self.window.size += more;
        }
        Consumed { grant: self.window.consume(0), shared, set_aside }
    }

    /// Shrinks the window of an idle consumer to its initial size, which takes
    /// effect as granted credit is used. Returns the growth to give back.
    pub fn shrink(&mut self) -> u32 {
        std::mem::replace(&mut self.window.size, STREAM_WINDOW).saturating_sub(STREAM_WINDOW)
    }

    /// Returns the items' bytes to the session's window before the items are
    /// consumed. Returns their number.
    pub fn set_aside(&mut self) -> usize {
        let shared = self.shared();
        self.set_aside = self.large.len();
        shared
    }

    /// The bytes that the items hold of the session's window.
    #[must_use]
    pub fn shared(&self) -> usize {
        self.large.iter().skip(self.set_aside).map(|(_, share)| share).sum()
    }

    /// The bytes that arrived and were not consumed.
    #[must_use]
    pub fn held(&self) -> usize {
        usize::try_from(self.received - self.consumed).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HALF: usize = STREAM_WINDOW as usize / 2;

    #[test]
    fn a_window_may_be_overdrawn_once() {
        let mut window = ReceiveWindow::of_stream();
        window.receive(10 * STREAM_WINDOW as usize).unwrap();
        assert_eq!(window.receive(ITEM_COST), Err(Overrun));
        let grant = window.consume(10 * STREAM_WINDOW as usize).unwrap();
        assert_eq!(grant, 10 * STREAM_WINDOW);
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
            // The next grant includes an overdraft.
            window.spend(most as usize + 10);
            window.grant(most + 10).unwrap();
            assert_eq!(window.grant(1), Err(Overrun));
        }
    }

    #[test]
    fn a_window_grows_only_for_a_consumer_that_keeps_up() {
        let (mut slow, mut fast) = (Inflow::default(), Inflow::default());
        for inflow in [&mut slow, &mut fast] {
            inflow.receive(Shares::of(HALF)).unwrap();
            inflow.receive(Shares::of(HALF)).unwrap();
        }
        let mut growth = SESSION_GROWTH;
        let grant = slow.consume(HALF, &mut growth).grant;
        assert_eq!(grant, Some(STREAM_WINDOW / 2), "half of it is still there");
        assert_eq!(fast.consume(2 * HALF, &mut growth).grant, Some(2 * STREAM_WINDOW));
        assert_eq!(growth, SESSION_GROWTH - STREAM_WINDOW);
    }

    #[test]
    fn growth_is_bounded_for_all_streams_and_given_back_by_idle_ones() {
        let mut growth = STREAM_WINDOW + 1000;
        let mut streams = [(); 3].map(|()| Inflow::default());
        let grants = streams.each_mut().map(|inflow| {
            inflow.receive(Shares::of(2 * HALF)).unwrap();
            inflow.consume(2 * HALF, &mut growth).grant.unwrap()
        });
        assert_eq!(grants, [2 * STREAM_WINDOW, STREAM_WINDOW + 1000, STREAM_WINDOW]);
        assert_eq!(growth, 0);

        growth += streams[0].shrink();
        assert_eq!(growth, STREAM_WINDOW);
        assert_eq!(streams[0].shrink(), 0, "once");
        // The peer may still use granted credit; that much is not granted again.
        for grant in [None, None, Some(STREAM_WINDOW / 2)] {
            streams[0].receive(Shares::of(HALF)).unwrap();
            assert_eq!(streams[0].consume(HALF, &mut 0).grant, grant);
        }
    }

    #[test]
    fn what_is_large_of_an_item_is_shared_and_may_be_set_aside_once() {
        let mut inflow = Inflow::default();
        let large = 100_000;
        let shared = large - STREAM_WINDOW as usize;
        inflow.receive(Shares::of(large)).unwrap();
        assert_eq!(inflow.receive(Shares::of(1)), Err(Overrun), "its own window is used up");
        assert_eq!((inflow.held(), inflow.shared()), (large, shared));
        assert_eq!(inflow.set_aside(), shared);
        assert_eq!((inflow.held(), inflow.shared(), inflow.set_aside()), (large, 0, 0));
        let consumed = inflow.consume(large, &mut 0);
        assert_eq!(consumed, Consumed { grant: Some(STREAM_WINDOW), shared: 0, set_aside: shared });
        inflow.receive(Shares::of(large)).unwrap();
        assert_eq!(inflow.consume(large, &mut 0).shared, shared);
    }

    proptest! {
        /// For every size and pace, and whenever windows shrink or items are
        /// set aside: a sender that respects its windows is never rejected and
        /// never waits for ever, and both sides agree on every window.
        #[test]
        fn senders_and_receivers_agree(
            steps in prop::collection::vec((0usize..3, 0usize..200_000, 0usize..6, 0u8..20), 1..300),
        ) {
            let mut growth = 3 * STREAM_WINDOW;
            let (mut session, mut shared) = (SendWindow::of_session(), ReceiveWindow::of_session());
            let mut streams: Vec<_> =
                (0..3).map(|_| (SendWindow::of_stream(), Inflow::default(), VecDeque::new())).collect();
            let mut consume = |at: &mut (SendWindow, Inflow, VecDeque<usize>),
                               session: &mut SendWindow,
                               shared: &mut ReceiveWindow| {
                let Some(cost) = at.2.pop_front() else { return false };
                let consumed = at.1.consume(cost, &mut growth);
                if let Some(grant) = consumed.grant {
                    at.0.grant(grant).unwrap();
                }
                if let Some(grant) = shared.consume(consumed.shared) {
                    session.grant(grant).unwrap();
                }
                true
            };
            for (number, size, lag, event) in steps {
                let shares = Shares::of(size + ITEM_COST);
                let stream = &mut streams[number];
                while !stream.0.is_open() {
                    prop_assert!(consume(stream, &mut session, &mut shared), "nothing is left to consume");
                }
                while shares.shared > 0 && !session.is_open() {
                    // The other streams return their shares.
                    for (_, inflow, _) in &mut streams {
                        if let Some(grant) = shared.consume(inflow.set_aside()) {
                            session.grant(grant).unwrap();
                        }
                    }
                }
                let stream = &mut streams[number];
                stream.0.spend(shares.own);
                session.spend(shares.shared);
                prop_assert_eq!(stream.1.receive(shares), Ok(()));
                if shares.shared > 0 {
                    prop_assert_eq!(shared.receive(shares.shared), Ok(()));
                }
                stream.2.push_back(shares.own + shares.shared);
                while stream.2.len() > lag {
                    consume(stream, &mut session, &mut shared);
                }
                if event == 0 {
                    stream.1.shrink();
                }
                prop_assert_eq!(stream.0.credit, stream.1.window.credit);
                prop_assert_eq!(session.credit, shared.credit);
            }
            for stream in &mut streams {
                while consume(stream, &mut session, &mut shared) {}
                prop_assert_eq!((stream.1.held(), stream.1.shared(), stream.1.window.held), (0, 0, 0));
            }
            prop_assert_eq!(shared.held, 0);
        }
    }
}
