//! The reading task of a session: frames into records, records into messages.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};

use super::{
    side::Side,
    state::{End, Session},
    tokens::Tokens,
};
use crate::{
    auth::CachedVerifier,
    clock::Timestamp,
    record::{Opened, Opener, RecordError, message::Messages},
    transport::{Frame, receive},
};

/// Beyond this many bytes of events that the application has yet to deal with,
/// no session reads; how often that is looked at again.
const APPLICATION_LIMIT: usize = 32 * 1024 * 1024;
const APPLICATION_PAUSE: Duration = Duration::from_millis(2);

/// Reads until the session ends; returns why it did.
pub(super) async fn read(
    session: &Arc<Session>,
    mut incoming: tonic::Streaming<Frame>,
    mut opener: Opener,
    tokens: &Tokens,
    side: &dyn Side,
) -> End {
    let mut verifier = tokens.verifier(&opener, &session.info);
    loop {
        let frame = tokio::select! {
            biased;
            () = session.until_ended() => return End::Closed,
            frame = receive(&mut incoming) => frame,
        };
        let Ok(Some(frame)) = frame else { return End::Lost };
        let now = session.clock.now();
        session.touch(now);
        let outcome = read_frame(session, frame, &mut opener, &mut verifier, tokens, side, now);
        side.on_burst();
        if let Err(error) = outcome {
            return End::Record(error);
        }
        // An application that does not keep up stops its peers, instead of
        // filling the memory with what they send.
        while side.backlog() > APPLICATION_LIMIT {
            tokio::select! {
                biased;
                () = session.until_ended() => return End::Closed,
                () = tokio::time::sleep(APPLICATION_PAUSE) => {}
            }
        }
        // A client always reads: answers are what empties both sides. If it
        // waited as well, two sides with much to send would wait for each other.
        while session.info.inbound && session.is_backlogged() {
            tokio::select! {
                biased;
                () = session.until_ended() => return End::Closed,
                () = session.until_written() => {}
            }
        }
    }
}

fn read_frame(
    session: &Arc<Session>,
    frame: Bytes,
    opener: &mut Opener,
    verifier: &mut CachedVerifier,
    tokens: &Tokens,
    side: &dyn Side,
    now: Timestamp,
) -> Result<(), RecordError> {
    let mut frame = BytesMut::from(frame);
    let mut input = &mut frame[..];
    loop {
        match opener.open(&mut input, now) {
            Ok(Opened::Messages(plaintext)) => {
                for message in Messages::new(plaintext) {
                    let mut verify = |token: &[u8]| verifier.check(token, now).map(|_| ());
                    side.on_message(session, message?, &mut verify, now)?;
                }
            }
            Ok(Opened::Rekeyed) => *verifier = tokens.verifier(opener, &session.info),
            Err(error) if error.is_survivable() => side.on_discarded(session, error),
            Err(error) => return Err(error),
        }
        if input.is_empty() {
            return Ok(());
        }
    }
}
