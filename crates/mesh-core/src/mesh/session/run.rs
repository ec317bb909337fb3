//! A session from the end of its handshake to its own.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{
    outbox::Order,
    read::read,
    side::Side,
    state::{End, Role, Session},
    tokens::Tokens,
    write::write,
};
use crate::{
    clock::Clock,
    handshake::Established,
    id::ServiceId,
    mesh::events::SessionInfo,
    record::{Opener, RecordError, Sealer, message::Encoded},
    transport::{Duplex, TransportError},
};

/// Plaintext of a record beyond its largest payload.
const PLAINTEXT_EXTRA: usize = 16 * 1024 + 8 * 1024;

/// A session about to run.
pub(crate) struct Prepared {
    pub(crate) session: Arc<Session>,
    queue: mpsc::UnboundedReceiver<Order>,
    sealer: Sealer,
    opener: Opener,
    tokens: Tokens,
}

/// Makes a session of a finished handshake.
pub(crate) fn prepare(
    established: Established,
    own: ServiceId,
    info: SessionInfo,
    role: Role,
    max_message: u32,
    token_lifetime: Duration,
    clock: Clock,
) -> Result<Prepared, RecordError> {
    let now = clock.now();
    let (session, queue) = Session::new(info, role, established.parameters, clock, now);
    Ok(Prepared {
        session: Arc::new(session),
        queue,
        sealer: Sealer::new(established.seal, established.aes, now)?,
        opener: Opener::new(established.open, established.aes, max_message as usize + PLAINTEXT_EXTRA, now)?,
        tokens: Tokens {
            own,
            own_thumbprint: established.own_thumbprint,
            peer_thumbprint: established.peer_key.thumbprint(),
            lifetime: token_lifetime,
        },
    })
}

/// Runs a session to its end. Returns why it ended, and the messages that
/// were never written.
pub(crate) async fn run(prepared: Prepared, duplex: Duplex, side: Arc<dyn Side>) -> (End, Vec<Encoded>) {
    let Prepared { session, queue, sealer, opener, tokens } = prepared;
    let Duplex { incoming, outgoing, .. } = duplex;
    let writing = write(Arc::clone(&session), queue, sealer, tokens.clone(), outgoing, Arc::clone(&side));
    let writer = tokio::spawn(writing);
    let end = read(&session, incoming, opener, &tokens, side.as_ref()).await;
    session.end(end);
    let unwritten = writer.await.unwrap_or_default();
    (session.why_over().unwrap_or(End::Lost), unwritten)
}

/// Reads one handshake message.
pub(crate) async fn handshake_message(duplex: &mut Duplex) -> Result<Bytes, TransportError> {
    duplex.receive().await?.ok_or_else(|| tonic::Status::unavailable("the peer ended the handshake").into())
}
