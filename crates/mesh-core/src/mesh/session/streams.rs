//! The items of one call in both directions, and their windows:
//! `docs/protocol.md`, section 7.

use std::{collections::VecDeque, sync::Arc};

use super::{
    breach::StreamError,
    state::{Session, hold},
};
use crate::{
    budget::{Account, Charge},
    record::{
        ITEM_COST, Inflow, SendWindow, Shares,
        message::{CallKind, Encoded, Encoding, Payload},
    },
};

/// The most bytes that one stream sends in a turn while others wait.
const TURN: usize = 16 * 1024;
/// The most bytes in the queue of one stream. An application that waits for
/// [`Events::sent`](crate::mesh::Events::sent), as it should, stops far below.
const QUEUE_LIMIT: usize = 2 * 1024 * 1024;
/// The sweeps without progress after which a stream that could proceed is idle,
/// and its window shrinks.
const IDLE: u8 = 2;
/// The sweeps without progress after which a stream has stalled.
const STALLED: u8 = 10;

/// The memory of an item until the application reads it. JSON waits as a JavaScript
/// string, which may have two bytes for each character; bytes have their own buffer.
fn weight(payload: Payload<'_>) -> usize {
    match payload.encoding {
        Encoding::Json => ITEM_COST + 2 * payload.bytes.len(),
        Encoding::Raw | Encoding::Empty => 4 * ITEM_COST + payload.bytes.len(),
    }
}

/// The bytes that an item takes from the windows.
pub(crate) fn shares(payload: Payload<'_>) -> Shares {
    Shares::of(payload.bytes.len() + ITEM_COST)
}

/// The two streams of a call; a unary call has neither.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// The method, for the log; empty without a stream.
    method: Box<str>,
    sending: Option<Sending>,
    receiving: Option<Receiving>,
}

/// A stalled stream, and the side whose reader does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stall {
    /// Whether it is the peer's reader; otherwise it is this side's.
    pub(crate) peer: bool,
    /// The bytes that wait on this side.
    pub(crate) held: usize,
    /// Whether this is its first sweep as stalled.
    pub(crate) new: bool,
}

#[derive(Debug)]
struct Sending {
    /// The account that is charged for waiting items.
    account: Arc<Account>,
    /// The charge for small messages. Large ones have their own.
    charge: Charge,
    window: SendWindow,
    queue: VecDeque<Encoded>,
    /// The bytes of the items in the queue.
    queued: usize,
    /// Whether anything has left the queue.
    started: bool,
    /// Whether the last message is in the queue or has left it.
    ended: bool,
    /// Whether it waits among the session's blocked streams.
    blocked: bool,
    /// The sweeps since the last sent item.
    idle: u8,
}

#[derive(Debug, Default)]
struct Receiving {
    inflow: Inflow,
    /// The cost and the weight of each item that the application has not read.
    unread: VecDeque<(usize, usize)>,
    /// The bytes of the first of them that it has read.
    read: usize,
    charge: Option<Charge>,
    started: bool,
    ended: bool,
    /// The sweeps since an item last arrived or was read.
    idle: u8,
}

/// The result of queueing a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    /// It is in the queue.
    Taken,
    /// The queue is longer than that of any application that waits for `sent`.
    Full,
    /// The memory budget has no room for it.
    NoRoom,
    /// This side sends no items, or has ended them.
    Over,
}

/// The result of sending queued items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pumped {
    /// The total cost of the sent items.
    pub(crate) cost: usize,
    /// Whether the last message was sent.
    pub(crate) finished: bool,
}

impl Receiving {
    /// Releases the memory of items with this total cost, in their order, which the application has
    /// read.
    fn release(&mut self, cost: usize) {
        self.read = self.read.saturating_add(cost);
        while let Some((cost, weight)) = self.unread.pop_front_if(|(cost, _)| *cost <= self.read) {
            self.read -= cost;
            if let Some(charge) = &mut self.charge {
                charge.shrink(weight);
            }
        }
    }
}

impl Streams {
    /// The streams of a call that this side makes. Its own items are charged to `account`.
    pub(crate) fn of_call(kind: CallKind, method: &str, account: &Arc<Account>) -> Self {
        Self::new(kind.streams_input(), kind.streams_output(), method, account)
    }

    /// The streams of a request that this side answers, with the same charges.
    pub(crate) fn of_request(kind: CallKind, method: &str, account: &Arc<Account>) -> Self {
        Self::new(kind.streams_output(), kind.streams_input(), method, account)
    }

    fn new(sends: bool, receives: bool, method: &str, account: &Arc<Account>) -> Self {
        if !sends && !receives {
            return Self::default();
        }
        let sending = Sending {
            account: Arc::clone(account),
            charge: account.charge(0),
            window: SendWindow::of_stream(),
            queue: VecDeque::new(),
            queued: 0,
            started: false,
            ended: false,
            blocked: false,
            idle: 0,
        };
        Self {
            method: method.into(),
            sending: sends.then_some(sending),
            receiving: receives.then(Receiving::default),
        }
    }

    /// The method of a call with streams.
    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    /// Whether items were sent or have arrived, so that the call cannot begin again.
    pub(crate) fn has_started(&self) -> bool {
        self.sending.as_ref().is_some_and(|sending| sending.started)
            || self.receiving.as_ref().is_some_and(|receiving| receiving.started)
    }

    /// Whether this side sends items.
    pub(crate) fn sends(&self) -> bool {
        self.sending.is_some()
    }

    /// Whether this side's last message was queued or sent.
    pub(crate) fn has_ended(&self) -> bool {
        self.sending.as_ref().is_some_and(|sending| sending.ended)
    }

    /// Queues a message.
    pub(crate) fn queue(&mut self, message: Encoded, last: bool) -> Queued {
        let Some(sending) = self.sending.as_mut().filter(|sending| !sending.ended) else {
            return Queued::Over;
        };
        // The last message is always accepted, because it ends the stream.
        if sending.queued >= QUEUE_LIMIT && !last {
            return Queued::Full;
        }
        let Ok(message) = hold(message, &sending.account, 0) else { return Queued::NoRoom };
        if message.held().is_none() && sending.charge.try_grow(message.cost(), 0).is_err() {
            return Queued::NoRoom;
        }
        sending.queued += message.cost();
        sending.queue.push_back(message);
        sending.ended = last;
        Queued::Taken
    }

    /// Sends as many items as the windows and the budget allow. A stream that
    /// was `called` from among the waiting ones sends one turn.
    pub(crate) fn pump(&mut self, session: &Session, number: u32, called: bool) -> Pumped {
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
                    session.flow.wait_again(number);
                    sending.blocked = true;
                    return pumped;
                }
                let shares = Shares::of(cost);
                if !session.flow.spend(number, message, shares, called) {
                    sending.blocked = true;
                    return pumped;
                }
                sending.window.spend(shares.own);
                sending.idle = 0;
            }
            sending.started = true;
            sending.queued -= cost;
            if message.held().is_none() {
                sending.charge.shrink(cost);
            }
            pumped.cost += cost;
            if let Some(message) = sending.queue.pop_front() {
                session.send_streamed(message.with_call(number));
            }
        }
        pumped.finished = sending.ended;
        pumped
    }

    /// Adds credit of the peer for this stream.
    pub(crate) fn grant(&mut self, credit: u32) -> Result<(), StreamError> {
        let sending = self.sending.as_mut().ok_or(StreamError::Unexpected)?;
        Ok(sending.window.grant(credit)?)
    }

    /// Takes an item that arrived on a session.
    pub(crate) fn receive(
        &mut self,
        payload: Payload<'_>,
        limit: u32,
        session: &Session,
    ) -> Result<(), StreamError> {
        let receiving = self.receiving.as_mut().ok_or(StreamError::Unexpected)?;
        if receiving.ended {
            return Err(StreamError::Unexpected);
        }
        // This check comes first, because a refused item is not held and must not be returned
        // twice.
        if payload.bytes.len() > limit as usize {
            return Err(StreamError::TooLarge);
        }
        if receiving.inflow.held() == 0 {
            receiving.idle = 0;
        }
        let weight = weight(payload);
        session.try_grow(&mut receiving.charge, weight).map_err(|_| StreamError::NoRoom)?;
        receiving.inflow.receive(shares(payload))?;
        receiving.started = true;
        receiving.unread.push_back((payload.bytes.len() + ITEM_COST, weight));
        Ok(())
    }

    /// Records the end of the peer's items.
    pub(crate) fn receive_end(&mut self) -> Result<(), StreamError> {
        let receiving = self.receiving.as_mut().ok_or(StreamError::Unexpected)?;
        if std::mem::replace(&mut receiving.ended, true) { Err(StreamError::Unexpected) } else { Ok(()) }
    }

    /// Records the cost of items that the application has processed.
    pub(crate) fn consume(&mut self, session: &Session, number: u32, cost: usize) {
        let Some(receiving) = &mut self.receiving else { return };
        receiving.idle = 0;
        receiving.release(cost);
        let grant = session.consume_items(&mut receiving.inflow, cost);
        if let Some(credit) = grant.filter(|_| !receiving.ended) {
            session.send(Encoded::window(number, credit));
        }
    }

    /// The sweep of each second: it detects stalls and shrinks unused windows.
    /// Returns the stalled streams.
    ///
    /// # Errors
    /// [`StreamError::Unread`] if others need the room that this stream holds.
    pub(crate) fn sweep(&mut self, session: &Session) -> Result<[Option<Stall>; 2], StreamError> {
        let mut stalls = [None; 2];
        if let Some(sending) = &mut self.sending {
            let held = sending.queued;
            sending.idle = if held == 0 { 0 } else { sending.idle.saturating_add(1) };
            if sending.idle >= STALLED {
                stalls[0] = Some(Stall { peer: true, held, new: sending.idle == STALLED });
            }
        }
        if let Some(receiving) = &mut self.receiving {
            let held = receiving.inflow.held();
            receiving.idle = receiving.idle.saturating_add(1);
            if receiving.idle >= STALLED && held > 0 {
                stalls[1] = Some(Stall { peer: false, held, new: receiving.idle == STALLED });
            }
            if receiving.idle >= IDLE {
                session.on_idle(&mut receiving.inflow, receiving.idle >= STALLED)?;
            }
        }
        Ok(stalls)
    }

    /// Returns everything that the ended call holds to the session.
    pub(crate) fn release(&mut self, session: &Session, number: u32) {
        if let Some(mut receiving) = self.receiving.take() {
            session.release_inflow(&mut receiving.inflow);
        }
        if self.sending.take().is_some_and(|sending| sending.blocked) {
            session.flow.forget_waiting(number);
        }
    }
}
