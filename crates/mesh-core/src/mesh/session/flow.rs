//! What the streams of one session share: the window for what is large of their
//! items, the growth of their own windows, and the room before the connection.

use std::{collections::VecDeque, sync::Mutex};

use super::breach::StreamError;
use crate::{
    mesh::sync::lock,
    record::{
        Consumed, Inflow, Overrun, ReceiveWindow, SESSION_GROWTH, SendWindow, Shares, message::Encoded,
    },
};

/// What the streams of a session may have waiting for the connection, together.
/// It is this side's own limit, whatever the peer grants: four frames, so that
/// the writer has the next one ready while HTTP/2 takes the previous one.
const UNSENT_BUDGET: usize = 256 * 1024;
/// What idle streams may hold beyond the session's window, so that the others
/// have that window for themselves.
const SET_ASIDE: usize = 16 * 1024 * 1024;

/// What the streams of a session share.
#[derive(Debug, Default)]
pub(super) struct SessionFlow(Mutex<Flow>);

#[derive(Debug)]
struct Flow {
    sending: SendWindow,
    receiving: ReceiveWindow,
    /// What is left for windows to grow by.
    growth: u32,
    /// What idle streams hold though the session's window has it again.
    set_aside: usize,
    /// Bytes of items that were handed to the writer and not yet to the connection.
    unsent: usize,
    /// Streams that wait for room before the connection, in turn.
    waiting: VecDeque<u32>,
    /// Streams whose next item waits for the session's window, in turn.
    closed: VecDeque<u32>,
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            sending: SendWindow::of_session(),
            receiving: ReceiveWindow::of_session(),
            growth: SESSION_GROWTH,
            set_aside: 0,
            unsent: 0,
            waiting: VecDeque::new(),
            closed: VecDeque::new(),
        }
    }
}

impl Flow {
    fn has_room(&self) -> bool {
        self.unsent < UNSENT_BUDGET
    }
}

impl SessionFlow {
    /// An item arrived that takes so much from the session's window.
    pub(super) fn receive(&self, shared: usize) -> Result<(), Overrun> {
        if shared == 0 { Ok(()) } else { lock(&self.0).receiving.receive(shared) }
    }

    /// What an item took from the session's window is no longer held. Returns
    /// the credit that the peer is to be granted.
    #[must_use]
    pub(super) fn give_back(&self, shared: usize) -> Option<u32> {
        if shared == 0 { None } else { lock(&self.0).receiving.consume(shared) }
    }

    /// Items of a stream were consumed. Returns the credit of the stream, and
    /// how much of the session's window is no longer held.
    #[must_use]
    pub(super) fn consume(&self, inflow: &mut Inflow, cost: usize) -> (Option<u32>, usize) {
        let mut flow = lock(&self.0);
        let Consumed { grant, shared, set_aside } = inflow.consume(cost, &mut flow.growth);
        flow.set_aside -= set_aside;
        (grant, shared)
    }

    /// The window of a stream becomes small again: others may grow.
    pub(super) fn shrink(&self, inflow: &mut Inflow) {
        lock(&self.0).growth += inflow.shrink();
    }

    /// The consumer of a stream is idle: its window does not stay large, and
    /// what it holds of the session's window is no longer held while others are
    /// short of it. Returns how much that is.
    ///
    /// # Errors
    /// [`StreamError::Unread`] if the stream stands still for `long`, idle
    /// streams hold as much as they may, and others cannot go on.
    pub(super) fn on_idle(&self, inflow: &mut Inflow, long: bool) -> Result<usize, StreamError> {
        let mut flow = lock(&self.0);
        flow.growth += inflow.shrink();
        if inflow.shared() == 0 || !flow.receiving.is_scarce() {
            return Ok(0);
        }
        if flow.set_aside + inflow.shared() > SET_ASIDE {
            let needed = long && flow.receiving.is_used_up();
            return if needed { Err(StreamError::Unread) } else { Ok(0) };
        }
        let shared = inflow.set_aside();
        flow.set_aside += shared;
        Ok(shared)
    }

    /// The peer lets all streams together send more.
    pub(super) fn grant(&self, credit: u32) -> Result<(), Overrun> {
        lock(&self.0).sending.grant(credit)
    }

    /// So many bytes of items were handed to the connection.
    pub(super) fn written(&self, bytes: usize) {
        let mut flow = lock(&self.0);
        flow.unsent = flow.unsent.saturating_sub(bytes);
    }

    /// The next stream that waited, while there is room. One at a time, so that
    /// a little room or credit does not cost a look at all of them.
    pub(super) fn next_unblocked(&self) -> Option<u32> {
        let mut flow = lock(&self.0);
        if !flow.has_room() {
            return None;
        }
        if flow.sending.is_open()
            && let Some(number) = flow.closed.pop_front()
        {
            flow.waiting.push_back(number);
        }
        flow.waiting.pop_front()
    }

    /// Takes an item from the session's window and the room before the
    /// connection; else the stream waits. A stream that was not `called` comes
    /// after those that wait.
    pub(super) fn spend(&self, number: u32, item: &Encoded, shares: Shares, called: bool) -> bool {
        let mut flow = lock(&self.0);
        if !flow.has_room() || !(called || flow.waiting.is_empty()) {
            flow.waiting.push_back(number);
            return false;
        }
        if shares.shared > 0 && !flow.sending.is_open() {
            flow.closed.push_back(number);
            return false;
        }
        flow.sending.spend(shares.shared);
        flow.unsent += item.len();
        true
    }

    /// A stream has had its turn, and has more.
    pub(super) fn wait_again(&self, number: u32) {
        lock(&self.0).waiting.push_back(number);
    }

    /// A stream that waited is over.
    pub(super) fn forget_waiting(&self, number: u32) {
        let mut flow = lock(&self.0);
        flow.waiting.retain(|waiting| *waiting != number);
        flow.closed.retain(|closed| *closed != number);
    }
}
