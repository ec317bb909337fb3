//! The writing task of a session: messages into records, records into frames.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use tokio::sync::mpsc;

use super::session::{End, Receive, Session, Tokens};
use crate::{
    auth::TokenIssuer,
    clock::Timestamp,
    record::{OVERHEAD, Sealer, message::Encoded},
    transport::Outgoing,
};

/// Messages are packed into records, and records into frames, up to these sizes.
const RECORD_TARGET: usize = 16 * 1024;
const FRAME_TARGET: usize = 64 * 1024;
/// In a frame, what streams have to say comes after so much of the rest.
const STREAMS_TURN: usize = 48 * 1024;
/// How long a peer may take to end a session that this side has finished.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a session has to write.
#[derive(Debug)]
pub(super) enum Item {
    Message(Encoded),
    /// Of a stream: in order with the stream's others.
    Streamed(Encoded),
    /// Ends this side's half once everything before it is written.
    Finish,
}

/// Bytes of messages in a frame.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    pub(super) all: usize,
    /// Of these, of items.
    pub(super) streamed: usize,
}

/// Messages waiting to be written. Those of streams wait behind the rest, so
/// that a burst of items holds up no call; they have their share of every frame,
/// so that no number of calls stops a stream.
#[derive(Debug, Default)]
struct Outbox {
    messages: VecDeque<Encoded>,
    streamed: VecDeque<Encoded>,
    finished: bool,
    /// What has been taken since the last frame was begun.
    taken: Written,
}

impl Outbox {
    fn put(&mut self, item: Item) {
        match item {
            Item::Message(message) => self.messages.push_back(message),
            Item::Streamed(message) => self.streamed.push_back(message),
            Item::Finish => self.finished = true,
        }
    }

    fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.streamed.is_empty()
    }

    /// Drops the requests for whose answers no time is left. Their calls end by
    /// their own timers, and the peer never hears of them.
    fn drop_late(&mut self, now: Instant) {
        self.messages.retain(|message| !message.is_late(now));
        self.streamed.retain(|message| !message.is_late(now));
    }

    /// The next message for a frame of `filled` bytes, if it fits in `room`.
    fn take(&mut self, filled: usize, room: usize) -> Option<Encoded> {
        let streamed = self.messages.is_empty() || (filled >= STREAMS_TURN && !self.streamed.is_empty());
        let queue = if streamed { &mut self.streamed } else { &mut self.messages };
        let message = queue.pop_front_if(|message| message.len() <= room)?;
        self.taken.all += message.len();
        if message.cost() > 0 {
            self.taken.streamed += message.len();
        }
        Some(message)
    }

    /// About how many bytes the next frame will have. One that has to grow is
    /// copied, a large message for the few bytes that follow it.
    fn frame_size(&self, token: &str) -> usize {
        let mut size = 0;
        for message in self.messages.iter().chain(&self.streamed) {
            size += message.len_with(token);
            if size >= FRAME_TARGET {
                break;
            }
        }
        // Records are not filled to the last byte, and one more may change keys.
        size + (2 + 2 * size / RECORD_TARGET) * OVERHEAD
    }
}

/// Writes what is queued until the session ends. Returns the requests that were
/// never written.
pub(super) async fn write(
    session: Arc<Session>,
    mut queue: mpsc::UnboundedReceiver<Item>,
    mut sealer: Sealer,
    tokens: Tokens,
    outgoing: Outgoing,
    receiver: Arc<dyn Receive>,
) -> Vec<Encoded> {
    let mut issuer = tokens.issuer(&sealer, &session.info);
    let mut outbox = Outbox::default();
    loop {
        if outbox.is_empty() && !outbox.finished {
            let item = tokio::select! {
                biased;
                () = session.until_ended() => None,
                item = queue.recv() => item,
            };
            let Some(item) = item else { break };
            outbox.put(item);
        }
        while let Ok(item) = queue.try_recv() {
            outbox.put(item);
        }
        let now = session.clock.now();
        let mut frame = BytesMut::new();
        if let Err(end) = fill(&mut frame, &mut outbox, &mut sealer, &mut issuer, &tokens, &session, now) {
            session.end(end);
            break;
        }
        let written = std::mem::take(&mut outbox.taken);
        if !frame.is_empty() {
            let sent = tokio::select! {
                biased;
                () = session.until_ended() => false,
                sent = outgoing.send(frame.freeze()) => sent,
            };
            session.written(written, now);
            if !sent {
                session.end(End::Lost);
                break;
            }
            if written.streamed > 0 {
                receiver.on_written(&session);
            }
        }
        if outbox.finished && outbox.is_empty() {
            drop(outgoing);
            // The peer ends its half in turn; one that does not is left.
            let _ = tokio::time::timeout(FAREWELL, session.until_ended()).await;
            session.end(End::Closed);
            return Vec::new();
        }
    }
    queue.close();
    while let Ok(item) = queue.try_recv() {
        outbox.put(item);
    }
    outbox.messages.into_iter().filter(Encoded::is_request).collect()
}

/// Fills one frame.
fn fill(
    frame: &mut BytesMut,
    outbox: &mut Outbox,
    sealer: &mut Sealer,
    issuer: &mut TokenIssuer,
    tokens: &Tokens,
    session: &Session,
    now: Timestamp,
) -> Result<(), End> {
    let instant = tokio::time::Instant::now().into_std();
    outbox.drop_late(instant);
    frame.reserve(outbox.frame_size(token(issuer, now)?));
    while frame.len() < FRAME_TARGET {
        if sealer.is_due(now) {
            sealer.rekey(now, frame)?;
            *issuer = tokens.issuer(sealer, &session.info);
        }
        let token = token(issuer, now)?;
        let filled = frame.len();
        let Some(first) = outbox.take(filled, usize::MAX) else { break };
        let mut size = first.len();
        sealer.seal(frame, |out| {
            first.put(out, token, instant);
            while let Some(next) = outbox.take(filled, RECORD_TARGET.saturating_sub(size)) {
                size += next.len();
                next.put(out, token, instant);
            }
        })?;
    }
    Ok(())
}

/// The token that goes with requests.
fn token(issuer: &mut TokenIssuer, now: Timestamp) -> Result<&str, End> {
    issuer.current(now).map_err(|error| End::Auth(Arc::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::message::Payload;

    fn item(call: u32, size: usize) -> Item {
        let bytes = vec![0; size];
        let encoding = crate::record::message::Encoding::Raw;
        Item::Streamed(Encoded::item(call, Payload { encoding, bytes: &bytes }))
    }

    fn message(call: u32) -> Item {
        Item::Message(Encoded::response(call, b"", Payload::EMPTY).unwrap())
    }

    fn calls(outbox: &mut Outbox, filled: usize) -> Vec<u32> {
        std::iter::from_fn(|| outbox.take(filled, usize::MAX)).map(|message| message.call()).collect()
    }

    fn outbox(items: impl IntoIterator<Item = Item>) -> Outbox {
        let mut outbox = Outbox::default();
        items.into_iter().for_each(|item| outbox.put(item));
        outbox
    }

    #[test]
    fn a_message_passes_the_items_of_streams() {
        let items = [item(1, 10), item(1, 10), message(2), item(3, 10), message(4)];
        assert_eq!(calls(&mut outbox(items), 0), [2, 4, 1, 1, 3]);
    }

    #[test]
    fn streams_have_their_turn_in_every_frame() {
        let items = [message(2), message(4), item(1, 10), item(3, 10)];
        assert_eq!(calls(&mut outbox(items), STREAMS_TURN), [1, 3, 2, 4]);
    }

    #[test]
    fn what_does_not_fit_stays_where_it_is() {
        let mut outbox = outbox([item(1, 1000), item(1, 10)]);
        assert!(outbox.take(0, 500).is_none());
        assert_eq!(calls(&mut outbox, 0), [1, 1]);
    }
}
