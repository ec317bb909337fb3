//! What the streams of one session share: the window for what is large of their
//! items, the growth of their own windows, and the room before the connection.

use std::collections::VecDeque;

use super::{
    session::{Session, lock},
    streams::StreamError,
};
use crate::record::{
    Consumed, Inflow, Overrun, ReceiveWindow, SESSION_GROWTH, SendWindow, Shares, message::Encoded,
};

/// What the streams of a session may have waiting for the connection, together.
/// It is this side's own limit, whatever the peer grants: four frames, so that
/// the writer has the next one ready while HTTP/2 takes the previous one.
const UNSENT_BUDGET: usize = 256 * 1024;
/// What idle streams may hold beyond the session's window, so that the others
/// have that window for themselves.
const SET_ASIDE: usize = 16 * 1024 * 1024;

/// What the streams of a session share.
#[derive(Debug)]
pub(super) struct SessionFlow {
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

impl Default for SessionFlow {
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

impl SessionFlow {
    fn has_room(&self) -> bool {
        self.unsent < UNSENT_BUDGET
    }
}

impl Session {
    /// An item arrived that takes so much from the session's window.
    pub(super) fn receive_shared(&self, shared: usize) -> Result<(), Overrun> {
        if shared == 0 { Ok(()) } else { lock(&self.flow).receiving.receive(shared) }
    }

    /// What an item took from the session's window is no longer held.
    pub(super) fn return_shared(&self, shared: usize) {
        if shared == 0 {
            return;
        }
        let grant = lock(&self.flow).receiving.consume(shared);
        if let Some(credit) = grant {
            self.send(Encoded::window(0, credit));
        }
    }

    /// Items of a stream were consumed. Returns what to grant to it.
    pub(super) fn consume_items(&self, inflow: &mut Inflow, cost: usize) -> Option<u32> {
        let Consumed { grant, shared, .. } = {
            let mut flow = lock(&self.flow);
            let consumed = inflow.consume(cost, &mut flow.growth);
            flow.set_aside -= consumed.set_aside;
            consumed
        };
        self.return_shared(shared);
        grant
    }

    /// A stream is over: what it holds is the session's again.
    pub(super) fn release_inflow(&self, inflow: &mut Inflow) {
        self.consume_items(inflow, inflow.held());
        lock(&self.flow).growth += inflow.shrink();
    }

    /// The consumer of a stream is idle: its window does not stay large, and
    /// what it holds of the session's window is given back while others are
    /// short of it.
    ///
    /// # Errors
    /// [`StreamError::Unread`] if the stream stands still for `long`, idle
    /// streams hold as much as they may, and others cannot go on.
    pub(super) fn on_idle(&self, inflow: &mut Inflow, long: bool) -> Result<(), StreamError> {
        let shared = {
            let mut flow = lock(&self.flow);
            flow.growth += inflow.shrink();
            if inflow.shared() == 0 || !flow.receiving.is_scarce() {
                return Ok(());
            }
            if flow.set_aside + inflow.shared() > SET_ASIDE {
                let needed = long && flow.receiving.is_used_up();
                return if needed { Err(StreamError::Unread) } else { Ok(()) };
            }
            let shared = inflow.set_aside();
            flow.set_aside += shared;
            shared
        };
        self.return_shared(shared);
        Ok(())
    }

    /// The peer lets all streams together send more.
    pub(super) fn grant(&self, credit: u32) -> Result<(), Overrun> {
        lock(&self.flow).sending.grant(credit)
    }

    /// So many bytes of items were handed to the connection.
    pub(super) fn items_written(&self, bytes: usize) {
        let mut flow = lock(&self.flow);
        flow.unsent = flow.unsent.saturating_sub(bytes);
    }

    /// The next stream that waited, while there is room. One at a time, so that
    /// a little room or credit does not cost a look at all of them.
    pub(super) fn next_unblocked(&self) -> Option<u32> {
        let mut flow = lock(&self.flow);
        if !flow.has_room() {
            return None;
        }
        if flow.sending.is_open()
            && let Some(wire) = flow.closed.pop_front()
        {
            flow.waiting.push_back(wire);
        }
        flow.waiting.pop_front()
    }

    /// Takes an item from the session's window and the room before the
    /// connection; else the stream waits. A stream that was not `called` comes
    /// after those that wait.
    pub(super) fn spend(&self, wire: u32, item: &Encoded, shares: Shares, called: bool) -> bool {
        let mut flow = lock(&self.flow);
        if !flow.has_room() || !(called || flow.waiting.is_empty()) {
            flow.waiting.push_back(wire);
            return false;
        }
        if shares.shared > 0 && !flow.sending.is_open() {
            flow.closed.push_back(wire);
            return false;
        }
        flow.sending.spend(shares.shared);
        flow.unsent += item.len();
        true
    }

    /// A stream has had its turn, and has more.
    pub(super) fn wait_again(&self, wire: u32) {
        lock(&self.flow).waiting.push_back(wire);
    }

    /// A stream that waited is over.
    pub(super) fn forget_waiting(&self, wire: u32) {
        let mut flow = lock(&self.flow);
        flow.waiting.retain(|waiting| *waiting != wire);
        flow.closed.retain(|closed| *closed != wire);
    }
}
