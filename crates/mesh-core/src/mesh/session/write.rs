//! The writing task of a session. It packs messages into records, and records into frames.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{sync::mpsc, time::timeout};

use super::{
    outbox::{FRAME_TARGET, Order, Outbox, RECORD_TARGET},
    side::Carrier,
    state::{End, Session},
    streaming::call_waiting,
    tokens::Tokens,
};
use crate::{
    auth::TokenIssuer,
    budget::Charge,
    clock::Timestamp,
    record::{Sealer, message::Encoded},
    transport::Outgoing,
};

/// The time for which a peer may read nothing while messages wait for it.
const UNREAD: Duration = Duration::from_secs(30);
/// The slowest permitted line, in bytes per second. It extends that time by the size of
/// the previous frame, so that a slow line does not count as a peer that does not read.
const SLOWEST: usize = 64 * 1024;
/// The time that a peer has to end a session that this side has finished.
const FAREWELL: Duration = Duration::from_secs(1);

/// Writes the queue until the session ends. Returns the requests that were
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
    let mut previous = 0;
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
        let mut written = outbox.take_count();
        if frame.is_empty() {
            session.written(&written, now);
        } else {
            let size = frame.len();
            let sending = send(&outgoing, frame.freeze(), written.held.take(), previous);
            previous = size;
            let sent = tokio::select! {
                biased;
                () = session.until_ended() => Err(End::Lost),
                sent = sending => sent,
            };
            session.written(&written, now);
            if let Err(end) = sent {
                session.end(end);
                break;
            }
            if written.streamed > 0 {
                call_waiting(&*carrier, &session);
            }
        }
        if outbox.is_finished() && outbox.is_empty() {
            drop(outgoing);
            // A peer ends its half in response. This side does not wait longer for one that does
            // not.
            let _ = timeout(FAREWELL, session.until_ended()).await;
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

/// Hands a frame to the transport, after a frame of `previous` bytes.
async fn send(
    outgoing: &Outgoing,
    frame: Bytes,
    held: Option<Arc<Charge>>,
    previous: usize,
) -> Result<(), End> {
    let patience = UNREAD + Duration::from_secs((previous / SLOWEST) as u64);
    match timeout(patience, outgoing.send_held(frame, held)).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(End::Lost),
        Err(_) => Err(End::Unread(patience)),
    }
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

/// The token for requests.
fn token(issuer: &mut TokenIssuer, now: Timestamp) -> Result<&str, End> {
    issuer.current(now).map_err(|error| End::Auth(Arc::new(error)))
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;
    use tokio_stream::StreamExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_loses_its_session() {
        let (outgoing, mut frames) = Outgoing::queue();
        let frame = Bytes::from(vec![0; 1 << 20]);
        // HTTP/2 has taken the first frame, and the second one waits.
        send(&outgoing, frame.clone(), None, 0).await.unwrap();
        assert!(frames.next().await.is_some());
        send(&outgoing, frame.clone(), None, frame.len()).await.unwrap();
        let (started, time) = (Instant::now(), UNREAD + Duration::from_secs(16));
        let end = send(&outgoing, frame.clone(), None, frame.len()).await.unwrap_err();
        assert!(matches!(end, End::Unread(patience) if patience == time), "{end}");
        assert_eq!(started.elapsed(), time, "a slow line has a second for each 64 KiB");
        // A peer that reads something gets the whole time again.
        let sending = send(&outgoing, frame.clone(), None, 0);
        let reading = async {
            tokio::time::sleep(UNREAD / 2).await;
            frames.next().await
        };
        assert!(tokio::join!(sending, reading).0.is_ok());
    }
}
