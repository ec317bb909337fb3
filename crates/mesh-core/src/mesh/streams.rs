//! The items of one call, either way, and how much of them may be on the way:
//! `docs/protocol.md`, section 7.

use std::collections::VecDeque;

use super::session::{Session, lock};
use crate::record::{
    ITEM_COST, Overrun, ReceiveWindow, SendWindow,
    message::{CallKind, Encoded, Payload},
};

/// What the streams of a session may have waiting for the connection, together.
/// It is this side's own limit, whatever the peer grants: four frames, so that
/// the writer has the next one ready while HTTP/2 takes the previous one.
const UNSENT_BUDGET: usize = 256 * 1024;
/// What one stream hands over while others wait for their turn.
const TURN: usize = 16 * 1024;
/// What one stream may have queued here. The application stops far earlier if
/// it waits for [`Events::sent`](super::Events::sent), as it should.
const QUEUE_LIMIT: usize = 2 * 1024 * 1024;

/// What the streams of a session share.
#[derive(Debug)]
pub(super) struct SessionFlow {
    sending: SendWindow,
    receiving: ReceiveWindow,
    /// Bytes of items that were handed to the writer and not yet to the connection.
    unsent: usize,
    /// Streams that wait for the session's window or for the budget, in turn.
    blocked: VecDeque<u32>,
}

impl SessionFlow {
    /// Whether an item may go to the writer.
    fn is_open(&self) -> bool {
        self.sending.is_open() && self.unsent < UNSENT_BUDGET
    }
}

impl Default for SessionFlow {
    fn default() -> Self {
        Self {
            sending: SendWindow::of_session(),
            receiving: ReceiveWindow::of_session(),
            unsent: 0,
            blocked: VecDeque::new(),
        }
    }
}

impl Session {
    /// An item arrived.
    pub(super) fn receive_item(&self, payload: Payload<'_>) -> Result<(), Overrun> {
        lock(&self.flow).receiving.receive(cost(payload))
    }

    /// An item's bytes are no longer held.
    pub(super) fn consume_item(&self, cost: usize) {
        let grant = lock(&self.flow).receiving.consume(cost);
        if let Some(credit) = grant {
            self.send(Encoded::window(0, credit));
        }
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

    /// The next stream that waited for the session's window or for the budget,
    /// while an item may go. One at a time, so that a little room does not cost
    /// a look at all of them.
    pub(super) fn next_unblocked(&self) -> Option<u32> {
        let mut flow = lock(&self.flow);
        if flow.is_open() { flow.blocked.pop_front() } else { None }
    }

    /// Takes an item from the session's window and the budget; else the stream
    /// waits. A stream that was not `called` comes after those that wait.
    fn spend(&self, wire: u32, item: &Encoded, called: bool) -> bool {
        let mut flow = lock(&self.flow);
        let open = flow.is_open() && (called || flow.blocked.is_empty());
        if open {
            flow.sending.spend(item.cost());
            flow.unsent += item.len();
        } else {
            flow.blocked.push_back(wire);
        }
        open
    }

    /// A stream has had its turn, and has more.
    fn wait_again(&self, wire: u32) {
        lock(&self.flow).blocked.push_back(wire);
    }
}

/// What an item takes from a window.
pub(super) fn cost(payload: Payload<'_>) -> usize {
    payload.bytes.len() + ITEM_COST
}

/// A peer that breaks the rules of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StreamError {
    #[error("more items than the window allows")]
    Overrun,
    #[error("an item larger than the limit")]
    TooLarge,
    #[error("a message that does not belong to a call of this kind")]
    Unexpected,
    #[error("a message that is not well formed")]
    Malformed,
}

impl From<Overrun> for StreamError {
    fn from(_: Overrun) -> Self {
        Self::Overrun
    }
}

/// The two streams of a call; a unary call has neither.
#[derive(Debug, Default)]
pub(super) struct Streams {
    sending: Option<Sending>,
    receiving: Option<Receiving>,
}

#[derive(Debug)]
struct Sending {
    window: SendWindow,
    queue: VecDeque<Encoded>,
    /// Bytes of the items in it.
    queued: usize,
    /// Anything has left the queue.
    started: bool,
    /// The last message is in the queue, or has left it.
    ended: bool,
    /// Waits among the session's blocked streams.
    blocked: bool,
}

#[derive(Debug)]
struct Receiving {
    window: ReceiveWindow,
    ended: bool,
}

/// What came of queueing a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queued {
    /// It is in the queue.
    Taken,
    /// More is queued than an application that waits for `sent` ever has.
    Full,
    /// This side sends no items, or no more.
    Over,
}

/// What came of letting queued items go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pumped {
    /// What they cost.
    pub(super) cost: usize,
    /// The last message is gone.
    pub(super) finished: bool,
}

impl Streams {
    /// The streams of a call that this side makes.
    pub(super) fn of_call(kind: CallKind) -> Self {
        Self::new(kind.streams_input(), kind.streams_output())
    }

    /// The streams of a request that this side answers.
    pub(super) fn of_request(kind: CallKind) -> Self {
        Self::new(kind.streams_output(), kind.streams_input())
    }

    fn new(sends: bool, receives: bool) -> Self {
        let sending = Sending {
            window: SendWindow::of_stream(),
            queue: VecDeque::new(),
            queued: 0,
            started: false,
            ended: false,
            blocked: false,
        };
        let receiving = Receiving { window: ReceiveWindow::of_stream(), ended: false };
        Self { sending: sends.then_some(sending), receiving: receives.then_some(receiving) }
    }

    /// Whether items have gone, so that the call cannot begin again.
    pub(super) fn has_started(&self) -> bool {
        self.sending.as_ref().is_some_and(|sending| sending.started)
    }

    /// Whether this side sends items.
    pub(super) fn sends(&self) -> bool {
        self.sending.is_some()
    }

    /// Whether this side's last message is queued or gone.
    pub(super) fn has_ended(&self) -> bool {
        self.sending.as_ref().is_some_and(|sending| sending.ended)
    }

    /// Queues a message.
    pub(super) fn queue(&mut self, message: Encoded, last: bool) -> Queued {
        let Some(sending) = self.sending.as_mut().filter(|sending| !sending.ended) else {
            return Queued::Over;
        };
        // The last message ends the stream, and with it what is queued.
        if sending.queued >= QUEUE_LIMIT && !last {
            return Queued::Full;
        }
        sending.queued += message.cost();
        sending.queue.push_back(message);
        sending.ended = last;
        Queued::Taken
    }

    /// Sends what the windows and the budget allow; what a turn allows if the
    /// stream was `called` from among those that wait.
    pub(super) fn pump(&mut self, session: &Session, wire: u32, called: bool) -> Pumped {
        let mut pumped = Pumped::default();
        let Some(sending) = &mut self.sending else { return pumped };
        if called {
            sending.blocked = false;
        }
        while let Some(message) = sending.queue.front() {
            let cost = message.cost();
            if cost > 0 {
                if sending.blocked || !sending.window.is_open() {
                    return pumped;
                }
                if called && pumped.cost >= TURN {
                    session.wait_again(wire);
                    sending.blocked = true;
                    return pumped;
                }
                if !session.spend(wire, message, called) {
                    sending.blocked = true;
                    return pumped;
                }
                sending.window.spend(cost);
            }
            sending.started = true;
            sending.queued -= cost;
            pumped.cost += cost;
            if let Some(message) = sending.queue.pop_front() {
                session.send_streamed(message.with_call(wire));
            }
        }
        pumped.finished = sending.ended;
        pumped
    }

    /// The peer lets this stream send more.
    pub(super) fn grant(&mut self, credit: u32) -> Result<(), StreamError> {
        let sending = self.sending.as_mut().ok_or(StreamError::Unexpected)?;
        Ok(sending.window.grant(credit)?)
    }

    /// An item arrived.
    pub(super) fn receive(&mut self, payload: Payload<'_>, limit: u32) -> Result<(), StreamError> {
        let receiving = self.receiving.as_mut().ok_or(StreamError::Unexpected)?;
        if receiving.ended {
            return Err(StreamError::Unexpected);
        }
        // First: what is refused is not held, and must not be given back twice.
        if payload.bytes.len() > limit as usize {
            return Err(StreamError::TooLarge);
        }
        Ok(receiving.window.receive(cost(payload))?)
    }

    /// The peer's items are all there.
    pub(super) fn receive_end(&mut self) -> Result<(), StreamError> {
        let receiving = self.receiving.as_mut().ok_or(StreamError::Unexpected)?;
        if std::mem::replace(&mut receiving.ended, true) { Err(StreamError::Unexpected) } else { Ok(()) }
    }

    /// The application is done with so much of what arrived.
    pub(super) fn consume(&mut self, session: &Session, wire: u32, cost: usize) {
        let Some(receiving) = &mut self.receiving else { return };
        let cost = cost.min(receiving.window.held());
        let grant = receiving.window.consume(cost);
        if let Some(credit) = grant.filter(|_| !receiving.ended) {
            session.send(Encoded::window(wire, credit));
        }
        session.consume_item(cost);
    }

    /// The call is over: what it holds is the session's again.
    pub(super) fn release(&mut self, session: &Session, wire: u32) {
        if let Some(receiving) = self.receiving.take() {
            session.consume_item(receiving.window.held());
        }
        if self.sending.take().is_some_and(|sending| sending.blocked) {
            lock(&session.flow).blocked.retain(|blocked| *blocked != wire);
        }
    }
}
