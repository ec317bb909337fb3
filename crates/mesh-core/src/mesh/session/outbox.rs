//! The messages that wait for the writer, and their order.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use crate::{
    budget::Charge,
    record::{OVERHEAD, message::Encoded},
};

/// The size up to which messages are packed into a record.
pub(super) const RECORD_TARGET: usize = 16 * 1024;
/// The size up to which records are packed into a frame.
pub(super) const FRAME_TARGET: usize = 64 * 1024;
/// In a frame, messages of streams follow after this many bytes of other messages.
const STREAMS_TURN: usize = 48 * 1024;

/// An order to the writing task.
#[derive(Debug)]
pub(super) enum Order {
    /// Write a message.
    Message(Encoded),
    /// Write a message of a stream, in order with the other messages of the stream.
    Streamed(Encoded),
    /// End this side's half after everything before it.
    Finish,
}

/// The memory of a small message beside its bytes: its entry in the queue and its allocation.
const MESSAGE_COST: usize = 128;

/// Bytes of messages that leave the queue for a frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    pub(super) all: usize,
    /// The part of these that belongs to items.
    pub(super) streamed: usize,
    /// The bytes that the session was charged for them.
    pub(super) cost: usize,
    /// The charge of the last large message. A large message ends its frame, so there is
    /// at most one.
    pub(super) held: Option<Arc<Charge>>,
}

/// The bytes that a session is charged for a message in its queue. A large one has a charge of its own.
pub(super) fn cost(message: &Encoded) -> usize {
    MESSAGE_COST + if message.held().is_some() { 0 } else { message.len() }
}

/// The messages that wait for the writer. Messages of streams wait behind the
/// others, so that a burst of items delays no call. They have a share of every
/// frame, so that calls cannot stop a stream.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    messages: VecDeque<Encoded>,
    streamed: VecDeque<Encoded>,
    finished: bool,
    /// The bytes of the messages taken since the current frame began.
    taken: Written,
}

impl Outbox {
    pub(super) fn put(&mut self, order: Order) {
        match order {
            Order::Message(message) => self.messages.push_back(message),
            Order::Streamed(message) => self.streamed.push_back(message),
            Order::Finish => self.finished = true,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.streamed.is_empty()
    }

    /// Whether the end of this side's half is queued.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Drops the requests whose calls have no time left. The calls end by their
    /// own timers, and the peer never receives these requests.
    pub(super) fn drop_late(&mut self, now: Instant) {
        for queue in [&mut self.messages, &mut self.streamed] {
            queue.retain(|message| {
                let late = message.is_late(now);
                if late {
                    self.taken.all += message.len();
                    self.taken.cost += cost(message);
                }
                !late
            });
        }
    }

    /// The next message for a frame of `filled` bytes, if it fits in `room`.
    pub(super) fn take(&mut self, filled: usize, room: usize) -> Option<Encoded> {
        let streamed = self.messages.is_empty() || (filled >= STREAMS_TURN && !self.streamed.is_empty());
        let queue = if streamed { &mut self.streamed } else { &mut self.messages };
        let message = queue.pop_front_if(|message| message.len() <= room)?;
        self.taken.all += message.len();
        self.taken.cost += cost(&message);
        if let Some(held) = message.held() {
            self.taken.held = Some(Arc::clone(held));
        }
        if message.cost() > 0 {
            self.taken.streamed += message.len();
        }
        Some(message)
    }

    /// Begins a new frame; returns the bytes of the messages taken for the previous one.
    pub(super) fn take_count(&mut self) -> Written {
        std::mem::take(&mut self.taken)
    }

    /// The requests that were never written.
    pub(super) fn into_requests(self) -> Vec<Encoded> {
        self.messages.into_iter().filter(Encoded::is_request).collect()
    }

    /// The approximate size of the next frame. It is reserved in advance,
    /// because growing a frame would copy it, even a large message for a few
    /// following bytes.
    pub(super) fn frame_size(&self, token: &str) -> usize {
        let mut size = 0;
        for message in self.messages.iter().chain(&self.streamed) {
            size += message.len_with(token);
            if size >= FRAME_TARGET {
                break;
            }
        }
        // Records are not filled to the last byte, and an additional record may change the keys.
        size + (2 + 2 * size / RECORD_TARGET) * OVERHEAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::message::{Encoding, Payload};

    fn item(call: u32, size: usize) -> Order {
        let bytes = vec![0; size];
        Order::Streamed(Encoded::item(call, Payload { encoding: Encoding::Raw, bytes: &bytes }))
    }

    fn message(call: u32) -> Order {
        Order::Message(Encoded::response(call, b"", Payload::EMPTY).unwrap())
    }

    fn calls(outbox: &mut Outbox, filled: usize) -> Vec<u32> {
        std::iter::from_fn(|| outbox.take(filled, usize::MAX)).map(|message| message.call()).collect()
    }

    fn outbox(orders: impl IntoIterator<Item = Order>) -> Outbox {
        let mut outbox = Outbox::default();
        orders.into_iter().for_each(|order| outbox.put(order));
        outbox
    }

    #[test]
    fn a_message_passes_the_items_of_streams() {
        let orders = [item(1, 10), item(1, 10), message(2), item(3, 10), message(4)];
        assert_eq!(calls(&mut outbox(orders), 0), [2, 4, 1, 1, 3]);
    }

    #[test]
    fn streams_have_their_turn_in_every_frame() {
        let orders = [message(2), message(4), item(1, 10), item(3, 10)];
        assert_eq!(calls(&mut outbox(orders), STREAMS_TURN), [1, 3, 2, 4]);
    }

    #[test]
    fn what_does_not_fit_stays_where_it_is() {
        let mut outbox = outbox([item(1, 1000), item(1, 10)]);
        assert!(outbox.take(0, 500).is_none());
        assert_eq!(calls(&mut outbox, 0), [1, 1]);
    }
}
