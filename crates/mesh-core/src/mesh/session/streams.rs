//! The items of one call, either way, and how much of them may be on the way:
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

/// What one stream hands over while others wait for their turn.
const TURN: usize = 16 * 1024;
/// What one stream may have queued here. The application stops far earlier if
/// it waits for [`Events::sent`](crate::mesh::Events::sent), as it should.
const QUEUE_LIMIT: usize = 2 * 1024 * 1024;
/// Sweeps without progress after which a stream that could go on is idle, and
/// its window does not stay large.
const IDLE: u8 = 2;
/// Sweeps without progress after which a stream stands still.
const STALLED: u8 = 10;

/// The memory of an item until the application reads it. JSON waits as text, which may
/// have two bytes for each character; bytes have a buffer of their own.
fn weight(payload: Payload<'_>) -> usize {
    match payload.encoding {
        Encoding::Json => ITEM_COST + 2 * payload.bytes.len(),
        Encoding::Raw | Encoding::Empty => 4 * ITEM_COST + payload.bytes.len(),
    }
}

/// What an item takes from the windows.
pub(crate) fn shares(payload: Payload<'_>) -> Shares {
    Shares::of(payload.bytes.len() + ITEM_COST)
}

/// The two streams of a call; a unary call has neither.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// For the log; empty where there is no stream.
    method: Box<str>,
    sending: Option<Sending>,
    receiving: Option<Receiving>,
}

/// A stream that stands still, and whose reader it is that does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stall {
    /// The peer's, rather than this side's.
    pub(crate) peer: bool,
    /// Bytes that wait here.
    pub(crate) held: usize,
    /// It has just been noticed.
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
    /// Bytes of the items in it.
    queued: usize,
    /// Anything has left the queue.
    started: bool,
    /// The last message is in the queue, or has left it.
    ended: bool,
    /// Waits among the session's blocked streams.
    blocked: bool,
    /// Sweeps since something has gone.
    idle: u8,
}

#[derive(Debug, Default)]
struct Receiving {
    inflow: Inflow,
    /// The cost and the weight of each item that the application has not read.
    unread: VecDeque<(usize, usize)>,
    /// The bytes that it has read since of the first of them.
    read: usize,
    charge: Option<Charge>,
    ended: bool,
    /// Sweeps since the consumer has read, or has had something to read.
    idle: u8,
}

/// What came of queueing a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    /// It is in the queue.
    Taken,
    /// More is queued than an application that waits for `sent` ever has.
    Full,
    /// The memory budget has no room for it.
    NoRoom,
    /// This side sends no items, or no more.
    Over,
}

/// What came of letting queued items go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pumped {
    /// What they cost.
    pub(crate) cost: usize,
    /// The last message is gone.
    pub(crate) finished: bool,
}

impl Receiving {
    /// The application has read items that cost so much, in their order.
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
    /// The streams of a call that this side makes. What it sends is charged to `account`.
    pub(crate) fn of_call(kind: CallKind, method: &str, account: &Arc<Account>) -> Self {
        Self::new(kind.streams_input(), kind.streams_output(), method, account)
    }

    /// The streams of a request that this side answers, charged in the same way.
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

    /// Whether items have gone, so that the call cannot begin again.
    pub(crate) fn has_started(&self) -> bool {
        self.sending.as_ref().is_some_and(|sending| sending.started)
    }

    /// Whether this side sends items.
    pub(crate) fn sends(&self) -> bool {
        self.sending.is_some()
    }

    /// Whether this side's last message is queued or gone.
    pub(crate) fn has_ended(&self) -> bool {
        self.sending.as_ref().is_some_and(|sending| sending.ended)
    }

    /// Queues a message.
    pub(crate) fn queue(&mut self, message: Encoded, last: bool) -> Queued {
        let Some(sending) = self.sending.as_mut().filter(|sending| !sending.ended) else {
            return Queued::Over;
        };
        // The last message ends the stream, and with it what is queued.
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

    /// Sends what the windows and the budget allow; what a turn allows if the
    /// stream was `called` from among those that wait.
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

    /// The peer lets this stream send more.
    pub(crate) fn grant(&mut self, credit: u32) -> Result<(), StreamError> {
        let sending = self.sending.as_mut().ok_or(StreamError::Unexpected)?;
        Ok(sending.window.grant(credit)?)
    }

    /// An item arrived on a session.
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
        // First: what is refused is not held, and must not be given back twice.
        if payload.bytes.len() > limit as usize {
            return Err(StreamError::TooLarge);
        }
        if receiving.inflow.held() == 0 {
            receiving.idle = 0;
        }
        let weight = weight(payload);
        session.try_grow(&mut receiving.charge, weight).map_err(|_| StreamError::NoRoom)?;
        receiving.inflow.receive(shares(payload))?;
        receiving.unread.push_back((payload.bytes.len() + ITEM_COST, weight));
        Ok(())
    }

    /// The peer's items are all there.
    pub(crate) fn receive_end(&mut self) -> Result<(), StreamError> {
        let receiving = self.receiving.as_mut().ok_or(StreamError::Unexpected)?;
        if std::mem::replace(&mut receiving.ended, true) { Err(StreamError::Unexpected) } else { Ok(()) }
    }

    /// The application is done with so much of what arrived.
    pub(crate) fn consume(&mut self, session: &Session, number: u32, cost: usize) {
        let Some(receiving) = &mut self.receiving else { return };
        receiving.idle = 0;
        receiving.release(cost);
        let grant = session.consume_items(&mut receiving.inflow, cost);
        if let Some(credit) = grant.filter(|_| !receiving.ended) {
            session.send(Encoded::window(number, credit));
        }
    }

    /// A second or so is over: what stands still is noticed, and windows that
    /// are not used shrink. Returns the streams that stand still.
    ///
    /// # Errors
    /// [`StreamError::Unread`] if others need what this stream holds.
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

    /// The call is over: what it holds is the session's again.
    pub(crate) fn release(&mut self, session: &Session, number: u32) {
        if let Some(mut receiving) = self.receiving.take() {
            session.release_inflow(&mut receiving.inflow);
        }
        if self.sending.take().is_some_and(|sending| sending.blocked) {
            session.flow.forget_waiting(number);
        }
    }
}
