//! The reading task of a session. It opens frames into records, and records into messages.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};

use super::{
    side::Side,
    state::{End, Session},
    streaming::{on_end, on_item, on_malformed, on_window},
    tokens::Tokens,
};
use crate::{
    auth::{AuthError, CachedVerifier},
    clock::Timestamp,
    error::Coded,
    mesh::{events::Level, shared::Shared},
    record::{
        Opened, Opener, RecordError,
        message::{Encoded, Message, Messages},
    },
    transport::Incoming,
};

/// The bytes of unprocessed events of the application beyond which no session reads.
const APPLICATION_LIMIT: usize = 32 * 1024 * 1024;
/// The time between two checks of that limit.
const APPLICATION_PAUSE: Duration = Duration::from_millis(2);

/// Reads until the session ends; returns the cause.
pub(super) async fn read<S: Side>(
    session: &Arc<S::Held>,
    mut incoming: Incoming,
    mut opener: Opener,
    tokens: &Tokens,
    side: &Arc<S>,
) -> End {
    let mut verifier = tokens.verifier(&opener, &session.info);
    loop {
        let frame = tokio::select! {
            biased;
            () = session.until_ended() => return End::Closed,
            frame = incoming.receive() => frame,
        };
        let Ok(Some(frame)) = frame else { return incoming.fault().map_or(End::Lost, End::Frame) };
        // A slow application slows its peers down, instead of filling the
        // memory with their messages. The check precedes each frame, because
        // any number of sessions may have a frame at once.
        while side.shared().events.backlog() > APPLICATION_LIMIT {
            tokio::select! {
                biased;
                () = session.until_ended() => return End::Closed,
                () = tokio::time::sleep(APPLICATION_PAUSE) => {}
            }
        }
        let now = session.clock.now();
        session.touch(now);
        let outcome = read_frame(session, frame, &mut opener, &mut verifier, tokens, side, now);
        side.shared().burst_over();
        if let Err(error) = outcome {
            return End::Record(error);
        }
        // Only a server waits here. A client always reads, because answers empty
        // the queues of both sides; if both waited, two sides with much to send
        // would block each other.
        while session.info.inbound && session.is_backlogged() {
            tokio::select! {
                biased;
                () = session.until_ended() => return End::Closed,
                () = session.until_written() => {}
            }
        }
    }
}

fn read_frame<S: Side>(
    session: &Arc<S::Held>,
    frame: Bytes,
    opener: &mut Opener,
    verifier: &mut CachedVerifier,
    tokens: &Tokens,
    side: &Arc<S>,
    now: Timestamp,
) -> Result<(), RecordError> {
    session.begin_frame();
    let mut frame = BytesMut::from(frame);
    let mut input = &mut frame[..];
    loop {
        match opener.open(&mut input, now) {
            Ok(Opened::Messages(plaintext)) => {
                for message in Messages::new(plaintext) {
                    on_message(session, message?, |token| verifier.check(token, now).map(|_| ()), side)?;
                }
            }
            Ok(Opened::Rekeyed) => *verifier = tokens.verifier(opener, &session.info),
            Err(error) if error.is_survivable() => discarded(side.shared(), session, error),
            Err(error) => return Err(error),
        }
        if input.is_empty() {
            return Ok(());
        }
    }
}

/// Handles messages of streams and pings, and passes on the others.
fn on_message<S: Side>(
    session: &Arc<S::Held>,
    message: Message<'_>,
    verify: impl FnMut(&[u8]) -> Result<(), AuthError>,
    side: &Arc<S>,
) -> Result<(), RecordError> {
    match message {
        Message::Item { call, payload } => on_item(&**side, session, call, payload)?,
        Message::End { call, metadata } => on_end(&**side, session, call, metadata),
        Message::Window { call, credit } => on_window(&**side, session, call, credit)?,
        Message::Malformed { call } => on_malformed(&**side, session, call),
        Message::Ping(nonce) => {
            session.unwelcome()?;
            // A peer that sends many pings and does not read gets no more pongs.
            if !session.is_backlogged() {
                session.send(Encoded::pong(nonce));
            }
        }
        Message::Pong(_) => {}
        other => side.on_message(session, other, verify)?,
    }
    Ok(())
}

/// Counts and logs a forged, replayed or malformed record.
fn discarded(shared: &Shared, session: &Session, error: RecordError) {
    shared.stats.count_discarded();
    let fields = vec![
        ("peer", session.info.peer.to_string()),
        ("session", session.info.id.to_string()),
        ("reason", error.reason().to_string()),
    ];
    shared.log(Level::Warn, "record.discarded", error.to_string(), fields);
}
