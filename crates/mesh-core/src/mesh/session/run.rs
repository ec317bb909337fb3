//! A session from the end of its handshake to its own end.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{
    outbox::Order,
    read::read,
    side::Side,
    state::{Accounts, End, Session},
    tokens::Tokens,
    write::write,
};
use crate::{
    error::Reason,
    handshake::Established,
    mesh::{events::SessionInfo, shared::Shared},
    record::{Opener, RecordError, Sealer, message::Encoded},
    transport::{Duplex, TransportError, max_frame},
};

/// The plaintext of a record beyond its largest payload.
const PLAINTEXT_EXTRA: usize = 16 * 1024 + 8 * 1024;

/// A session that is ready to run.
pub(crate) struct Prepared<H> {
    pub(crate) session: Arc<H>,
    queue: mpsc::UnboundedReceiver<Order>,
    sealer: Sealer,
    opener: Opener,
    tokens: Tokens,
}

/// Makes a session from a completed handshake, for a side to hold.
pub(crate) fn prepare<H: From<Session>>(
    shared: &Shared,
    established: Established,
    inbound: bool,
) -> Result<Prepared<H>, RecordError> {
    if let Some(certified) = established.certified.as_ref().filter(|certified| certified.is_unchecked) {
        let service = &certified.service;
        let text = format!(
            "no revocation list in force tells whether the certificate of {service} is revoked; it is accepted, \
             since crlPolicy is 'warn'"
        );
        let fields = vec![("peer", service.to_string()), ("reason", Reason::CrlUnusable.to_string())];
        shared.log_refusal("certificate.unchecked", service.to_string(), text, fields);
    }
    let info = SessionInfo {
        handle: shared.next_handle(),
        id: established.session,
        peer: established.peer,
        inbound,
        trust: established.trust,
        certified: established.certified,
        embedded: shared.config.is_embedded(),
        claims: established.claims,
        suite: established.suite.as_str(),
        aes_bits: established.aes.bits(),
        resumed: established.resumed,
    };
    let now = shared.now();
    let tokens = Tokens {
        own: shared.config.service_id.clone(),
        own_thumbprint: established.own_thumbprint,
        peer_thumbprint: established.peer_key.thumbprint(),
        lifetime: shared.config.token_lifetime,
    };
    let plaintext = shared.config.limits.max_message as usize + PLAINTEXT_EXTRA;
    let sealer = Sealer::new(established.seal, established.aes, now)?;
    let opener = Opener::new(established.open, established.aes, plaintext, now)?;
    let clock = shared.platform.clock.clone();
    let account = shared.budget.session(&info.peer);
    let accounts = Accounts {
        outgoing: Arc::clone(if inbound { &account } else { shared.budget.own() }),
        session: account,
        spare: max_frame(shared.config.limits.max_message),
    };
    let (session, queue) = Session::new(info, established.parameters, clock, now, accounts);
    Ok(Prepared { session: Arc::new(H::from(session)), queue, sealer, opener, tokens })
}

/// Runs a session to its end. Returns the cause, and the messages that were
/// never written.
pub(crate) async fn run<S: Side>(
    prepared: Prepared<S::Held>,
    duplex: Duplex,
    side: &Arc<S>,
) -> (End, Vec<Encoded>) {
    let Prepared { session, queue, sealer, opener, tokens } = prepared;
    let Duplex { incoming, outgoing, .. } = duplex;
    incoming.open(session.account());
    let writing = write(Arc::clone(&session), queue, sealer, tokens.clone(), outgoing, Arc::clone(side));
    let writer = tokio::spawn(writing);
    let end = read(&session, incoming, opener, &tokens, side).await;
    session.end(end);
    let unwritten = writer.await.unwrap_or_default();
    session.queue_is_gone();
    (session.why_over().unwrap_or(End::Lost), unwritten)
}

/// Reads one handshake message.
pub(crate) async fn handshake_message(duplex: &mut Duplex) -> Result<Bytes, TransportError> {
    duplex.receive().await?.ok_or_else(|| tonic::Status::unavailable("the peer ended the handshake").into())
}
