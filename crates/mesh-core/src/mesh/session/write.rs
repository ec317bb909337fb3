//! The writing task of a session: messages into records, records into frames.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::sync::mpsc;

use super::{
    outbox::{FRAME_TARGET, Order, Outbox, RECORD_TARGET},
    side::Carrier,
    state::{End, Session},
    streaming::call_waiting,
    tokens::Tokens,
};
use crate::{
    auth::TokenIssuer,
    clock::Timestamp,
    record::{Sealer, message::Encoded},
    transport::Outgoing,
};

/// How long a peer may take to end a session that this side has finished.
const FAREWELL: Duration = Duration::from_secs(1);

/// Writes what is queued until the session ends. Returns the requests that were
/// never written.
pub(super) async fn write<C: Carrier>(
    session: Arc<C::Held>,
    mut queue: mpsc::UnboundedReceiver<Order>,
    mut sealer: Sealer,
    tokens: Tokens,
    outgoing: Outgoing,
    carrier: Arc<C>,
) -> Vec<Encoded> {
    let mut issuer = tokens.issuer(&sealer, &session.info);
    let mut outbox = Outbox::default();
    loop {
        if outbox.is_empty() && !outbox.is_finished() {
            let order = tokio::select! {
                biased;
                () = session.until_ended() => None,
                order = queue.recv() => order,
            };
            let Some(order) = order else { break };
            outbox.put(order);
        }
        while let Ok(order) = queue.try_recv() {
            outbox.put(order);
        }
        let now = session.clock.now();
        let mut frame = BytesMut::new();
        if let Err(end) = fill(&mut frame, &mut outbox, &mut sealer, &mut issuer, &tokens, &session, now) {
            session.end(end);
            break;
        }
        carrier.shared().sight.rekeyed(session.has_epoch(sealer.epoch()));
        let written = outbox.take_count();
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
                call_waiting(&*carrier, &session);
            }
        }
        if outbox.is_finished() && outbox.is_empty() {
            drop(outgoing);
            // The peer ends its half in turn; one that does not is left.
            let _ = tokio::time::timeout(FAREWELL, session.until_ended()).await;
            session.end(End::Closed);
            return Vec::new();
        }
    }
    queue.close();
    while let Ok(order) = queue.try_recv() {
        outbox.put(order);
    }
    outbox.into_requests()
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
