//! The resources that the streams of one session share: the session's window
//! for the bulk of their items, the growth of their own windows, and the room
//! before the connection.

use std::{collections::VecDeque, sync::Mutex};

use super::breach::StreamError;
use crate::{
    mesh::sync::lock,
    record::{
        Consumed, Inflow, Overrun, ReceiveWindow, SESSION_GROWTH, SendWindow, Shares, message::Encoded,
    },
};

/// The most bytes of items of all streams together that wait for the
/// connection. It is this side's own limit, independent of the peer's credit:
/// four frames, so that the writer has the next one ready while HTTP/2 takes
/// the previous one.
const UNSENT_BUDGET: usize = 256 * 1024;
/// The most bytes that idle streams may hold beyond the session's window, so
/// that the other streams have that window for themselves.
const SET_ASIDE: usize = 16 * 1024 * 1024;

/// The resources that the streams of a session share.
#[derive(Debug, Default)]
pub(super) struct SessionFlow(Mutex<Flow>);

#[derive(Debug)]
struct Flow {
    sending: SendWindow,
    receiving: ReceiveWindow,
    /// The bytes by which windows may still grow.
    growth: u32,
    /// The bytes that idle streams hold although they are credited to the session's window again.
    set_aside: usize,
    /// The bytes of items that the writer has and the connection has not.
    unsent: usize,
    /// Streams that wait for room before the connection, in order.
    waiting: VecDeque<u32>,
    /// Streams whose next item waits for the session's window, in order.
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
    /// Takes the bytes of an item that arrived from the session's window.
    pub(super) fn receive(&self, shared: usize) -> Result<(), Overrun> {
        if shared == 0 { Ok(()) } else { lock(&self.0).receiving.receive(shared) }
    }

    /// Returns the bytes of an item to the session's window. The result is the
    /// credit to grant to the peer.
    #[must_use]
    pub(super) fn give_back(&self, shared: usize) -> Option<u32> {
        if shared == 0 { None } else { lock(&self.0).receiving.consume(shared) }
    }

    /// Records consumed items of a stream. Returns the credit of the stream,
    /// and the bytes that return to the session's window.
    #[must_use]
    pub(super) fn consume(&self, inflow: &mut Inflow, cost: usize) -> (Option<u32>, usize) {
        let mut flow = lock(&self.0);
        let Consumed { grant, shared, set_aside } = inflow.consume(cost, &mut flow.growth);
        flow.set_aside -= set_aside;
        (grant, shared)
    }

    /// Shrinks the window of a stream, so that others may grow.
    pub(super) fn shrink(&self, inflow: &mut Inflow) {
        lock(&self.0).growth += inflow.shrink();
    }

    /// Handles an idle consumer of a stream. Its window shrinks. If others lack
    /// room, the bytes that it holds return to the session's window; the result
    /// is their number.
    ///
    /// # Errors
    /// [`StreamError::Unread`] if the stream has stalled for `long`, idle
    /// streams hold as much as they may, and others cannot proceed.
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

    /// Adds credit of the peer for all streams together.
    pub(super) fn grant(&self, credit: u32) -> Result<(), Overrun> {
        lock(&self.0).sending.grant(credit)
    }

    /// Records bytes of items that the connection has taken.
    pub(super) fn written(&self, bytes: usize) {
        let mut flow = lock(&self.0);
        flow.unsent = flow.unsent.saturating_sub(bytes);
    }

    /// The next waiting stream, while there is room. It is one at a time, so
    /// that a little room or credit does not cost a visit of every stream.
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

    /// Takes room for an item from the session's window and before the
    /// connection. Without room the stream waits. A stream that was not
    /// `called` queues behind the waiting ones.
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

    /// Queues a stream that has used its turn and has more items.
    pub(super) fn wait_again(&self, number: u32) {
        lock(&self.0).waiting.push_back(number);
    }

    /// Removes an ended stream from the queues.
    pub(super) fn forget_waiting(&self, number: u32) {
        let mut flow = lock(&self.0);
        flow.waiting.retain(|waiting| *waiting != number);
        flow.closed.retain(|closed| *closed != number);
    }
}
