//! The handling of items of streams, which is the same on the side that calls
//! and on the side that answers.
//!
//! A peer that breaks the rules of a stream loses only that stream. Messages
//! for unknown or ended streams are dropped, because they may have crossed with
//! the end.

use super::{
    breach::StreamError,
    side::Carrier,
    state::Session,
    streams::{Pumped, Queued, Streams, shares},
};
use crate::{
    error::{Code, Reason},
    mesh::metadata::metadata_or_nothing,
    record::{
        RecordError,
        message::{Encoded, Payload},
    },
};

/// Handles an item.
pub(super) fn on_item<C: Carrier>(
    carrier: &C,
    session: &C::Held,
    number: u32,
    payload: Payload<'_>,
) -> Result<(), RecordError> {
    // A correct peer never exceeds the session's window, so this is a breach.
    let shared = shares(payload).shared;
    session.receive_shared(shared).map_err(|_| RecordError::Format)?;
    let limit = carrier.shared().config.limits.max_message;
    let Some(id) = carrier.find(session, number) else {
        session.return_shared(shared);
        return Ok(());
    };
    let fits = carrier.shared().weigh(payload).map_err(|_| StreamError::TooLarge);
    match carrier.with(id, |streams| fits.and_then(|_| streams.receive(payload, limit, session))) {
        Some(Ok(())) => carrier.shared().events.item(C::stream(id), payload),
        Some(Err(error)) => {
            // The stream did not take the item, so its bytes return to the session here.
            session.return_shared(shared);
            carrier.break_stream(id, error);
        }
        None => session.return_shared(shared),
    }
    Ok(())
}

/// Handles the end of the peer's items.
pub(super) fn on_end<C: Carrier>(carrier: &C, session: &C::Held, number: u32, metadata: &[u8]) {
    let Some(id) = carrier.find(session, number) else { return };
    match carrier.with(id, Streams::receive_end) {
        Some(Ok(())) => carrier.peer_ended(id, metadata_or_nothing(metadata)),
        Some(Err(error)) => carrier.break_stream(id, error),
        None => {}
    }
}

/// Handles credit from the peer.
pub(super) fn on_window<C: Carrier>(
    carrier: &C,
    session: &C::Held,
    number: u32,
    credit: u32,
) -> Result<(), RecordError> {
    if number == 0 {
        session.grant(credit).map_err(|_| RecordError::Format)?;
        call_waiting(carrier, session);
    } else if let Some(id) = carrier.find(session, number) {
        match carrier.with(id, |streams| streams.grant(credit)) {
            Some(Ok(())) => pump(carrier, id, false),
            Some(Err(error)) => carrier.break_stream(id, error),
            None => {}
        }
    }
    Ok(())
}

/// Handles a malformed message of a stream.
pub(super) fn on_malformed<C: Carrier>(carrier: &C, session: &C::Held, number: u32) {
    if let Some(id) = carrier.find(session, number) {
        carrier.break_stream(id, StreamError::Malformed);
    }
}

/// Resumes streams that wait for the session's window or for the budget, one
/// turn each, while there is room.
pub(super) fn call_waiting<C: Carrier>(carrier: &C, session: &C::Held) {
    while let Some(number) = session.next_unblocked() {
        if let Some(id) = carrier.find(session, number) {
            pump(carrier, id, true);
        }
    }
}

/// Sends an item, or queues it.
pub(crate) fn send_item<C: Carrier>(carrier: &C, id: u32, payload: Payload<'_>) {
    let limit = limit(carrier, id);
    if payload.bytes.len() > limit as usize {
        let text = format!(
            "an item is {} bytes, more than limits.maxMessageBytes of one of the sides ({limit})",
            payload.bytes.len()
        );
        return carrier.fail_own(id, Code::ResourceExhausted, Reason::TooLarge, &text);
    }
    let text = match queue(carrier, id, Encoded::item(0, payload), false) {
        Queued::Taken | Queued::Over => return,
        Queued::Full => "the stream has too many queued items; wait until earlier ones are sent",
        Queued::NoRoom => {
            "there is no room for an item beside everything else that waits to be sent (limits.maxMemoryBytes)"
        }
    };
    carrier.fail_own(id, Code::ResourceExhausted, Reason::MemoryLimit, text);
}

/// The message that ends this side's items, unless the metadata is too large.
pub(crate) fn end_of<C: Carrier>(carrier: &C, id: u32, metadata: &[u8]) -> Option<Encoded> {
    let end = Encoded::end(0, metadata).ok();
    if end.is_none() {
        let text = "the response metadata is larger than 8 KiB";
        carrier.fail_own(id, Code::ResourceExhausted, Reason::TooLarge, text);
    }
    end
}

/// Queues a message of a stream, and sends as much as the windows allow.
pub(crate) fn queue<C: Carrier>(carrier: &C, id: u32, message: Encoded, last: bool) -> Queued {
    let queued = carrier.with(id, |streams| streams.queue(message, last)).unwrap_or(Queued::Over);
    if queued == Queued::Taken {
        pump(carrier, id, false);
    }
    queued
}

/// Records items that the application has processed.
pub(crate) fn consumed<C: Carrier>(carrier: &C, id: u32, cost: usize) {
    carrier.with_placed(id, |streams, session, number| streams.consume(session, number, cost));
}

/// Sends as many items of a stream as the windows allow.
pub(crate) fn pump<C: Carrier>(carrier: &C, id: u32, called: bool) {
    let pumped = carrier.with_placed(id, |streams, session, number| streams.pump(session, number, called));
    let Some(Pumped { cost, finished }) = pumped else { return };
    if cost > 0 {
        let events = &carrier.shared().events;
        events.sent(C::stream(id), cost);
        events.flush();
    }
    if finished {
        carrier.all_gone(id);
    }
}

/// The largest item that the other side of a stream accepts.
fn limit<C: Carrier>(carrier: &C, id: u32) -> u32 {
    let of_peer = |_: &mut Streams, session: &Session, _| session.parameters.max_message;
    let own = carrier.shared().config.limits.max_message;
    carrier.with_placed(id, of_peer).unwrap_or(own).min(own)
}
