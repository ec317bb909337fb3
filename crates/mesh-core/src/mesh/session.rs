//! An established session: one task reads, one writes ([`writer`]). Neither
//! waits for the other, so that two sides that both send much cannot block each
//! other.
//!
//! [`writer`]: super::writer

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    events::{CallId, RequestId, SessionInfo},
    flow::SessionFlow,
    writer::{Item, Written, write},
};
use crate::{
    auth::{AuthError, CachedVerifier, TokenIssuer, TokenType, TokenVerifier},
    clock::{Clock, Timestamp},
    crypto::rsa::Thumbprint,
    handshake::{Established, MAX_TOKEN_LIFETIME, Parameters},
    id::ServiceId,
    record::{
        Opened, Opener, RecordError, Sealer,
        message::{Encoded, Message, Messages},
    },
    transport::{Duplex, TransportError, receive},
};

/// Beyond this many queued bytes a session takes no more requests.
const BACKLOG_LIMIT: usize = 8 * 1024 * 1024;
/// Beyond this many bytes of events that the application has yet to deal with,
/// no session reads; how often that is looked at again.
const APPLICATION_LIMIT: usize = 32 * 1024 * 1024;
const APPLICATION_PAUSE: Duration = Duration::from_millis(2);
/// Plaintext of a record beyond its largest payload.
pub(super) const PLAINTEXT_EXTRA: usize = 16 * 1024 + 8 * 1024;

/// A session, shared by its tasks and the tables that refer to it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) info: Arc<SessionInfo>,
    pub(super) role: Role,
    pub(super) parameters: Parameters,
    pub(super) clock: Clock,
    pub(super) created: Timestamp,
    pub(super) flow: Mutex<SessionFlow>,
    last_activity: AtomicU64,
    outgoing: mpsc::UnboundedSender<Item>,
    backlog: AtomicUsize,
    drained: Notify,
    ended: CancellationToken,
    end: OnceLock<End>,
}

/// Which side opened the session.
#[derive(Debug)]
pub(super) enum Role {
    /// This side: it calls.
    Client(Mutex<ClientSide>),
    /// The peer: this side answers.
    Server(Mutex<ServerSide>),
}

#[derive(Debug, Default)]
pub(super) struct ClientSide {
    /// The number of the last call. No number is used twice.
    pub(super) last: u32,
    /// The highest number of a call that the server has said anything about.
    pub(super) heard: u32,
    pub(super) pending: HashMap<u32, CallId>,
    /// The server takes no more calls.
    pub(super) leaving: bool,
}

#[derive(Debug, Default)]
pub(super) struct ServerSide {
    pub(super) last: u32,
    pub(super) requests: HashMap<u32, RequestId>,
    /// Handlers that still run though nobody waits for them.
    pub(super) abandoned: usize,
    /// This side takes no more calls.
    pub(super) leaving: bool,
}

/// Why a session ended.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum End {
    /// The peer ended the stream, or the connection is gone.
    #[error("the connection was lost")]
    Lost,
    /// A record was unacceptable.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// This mesh closed it.
    #[error("closed on this side")]
    Closed,
    /// Something that should work did not.
    #[error("{0}")]
    Auth(Arc<AuthError>),
}

/// Locks; a panic elsewhere does not make the data wrong, each update is whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// Queues a message; false if the session is over.
    pub(super) fn send(&self, message: Encoded) -> bool {
        self.backlog.fetch_add(message.len(), Ordering::Relaxed);
        self.outgoing.send(Item::Message(message)).is_ok()
    }

    /// Queues a message of a stream. It keeps its place behind the stream's
    /// others, and lets everything else pass.
    pub(super) fn send_streamed(&self, message: Encoded) {
        self.backlog.fetch_add(message.len(), Ordering::Relaxed);
        // A session that is over ends its streams by itself.
        let _ = self.outgoing.send(Item::Streamed(message));
    }

    /// Ends the session at once.
    pub(super) fn end(&self, end: End) {
        // The first reason is the reason.
        let _ = self.end.set(end);
        self.ended.cancel();
    }

    /// Ends the session once everything queued is written.
    pub(super) fn finish(&self, end: End) {
        let _ = self.end.set(end);
        let _ = self.outgoing.send(Item::Finish);
    }

    /// Whether more is queued than the peer reads.
    pub(super) fn is_backlogged(&self) -> bool {
        self.backlog.load(Ordering::Relaxed) > BACKLOG_LIMIT
    }

    /// Bytes of messages that wait for the connection.
    pub(super) fn unsent(&self) -> usize {
        self.backlog.load(Ordering::Relaxed)
    }

    pub(super) fn is_over(&self) -> bool {
        self.end.get().is_some()
    }

    /// The last time a frame came or went.
    pub(super) fn last_activity(&self) -> Timestamp {
        Timestamp::from_millis(self.last_activity.load(Ordering::Relaxed))
    }

    fn touch(&self, now: Timestamp) {
        self.last_activity.store(now.as_millis(), Ordering::Relaxed);
    }

    /// So many bytes of the queue were handed to the connection.
    pub(super) fn written(&self, written: Written, now: Timestamp) {
        self.touch(now);
        self.backlog.fetch_sub(written.all, Ordering::Relaxed);
        self.items_written(written.streamed);
        self.drained.notify_one();
    }

    /// Completes when the session is to end at once.
    pub(super) async fn until_ended(&self) {
        self.ended.cancelled().await;
    }
}

/// Takes the messages of a session, in order.
pub(super) trait Receive: Send + Sync + 'static {
    /// Takes one message. `verify` checks a request's token.
    fn on_message(
        &self,
        session: &Arc<Session>,
        message: Message<'_>,
        verify: &mut dyn FnMut(&[u8]) -> Result<(), AuthError>,
        now: Timestamp,
    ) -> Result<(), RecordError>;
    /// A record was discarded.
    fn on_discarded(&self, session: &Arc<Session>, error: RecordError);
    /// A burst of messages is over.
    fn on_burst(&self);
    /// Queued messages were handed to the connection: streams may go on.
    fn on_written(&self, session: &Session);
    /// Bytes handed on and not yet dealt with.
    fn backlog(&self) -> usize;
}

/// A session about to run.
pub(super) struct Prepared {
    pub(super) session: Arc<Session>,
    queue: mpsc::UnboundedReceiver<Item>,
    sealer: Sealer,
    opener: Opener,
    own: ServiceId,
    own_thumbprint: Thumbprint,
    peer_thumbprint: Thumbprint,
    token_lifetime: Duration,
}

/// Makes a session of a finished handshake.
pub(super) fn prepare(
    established: Established,
    own: ServiceId,
    info: SessionInfo,
    role: Role,
    max_message: u32,
    token_lifetime: Duration,
    clock: Clock,
) -> Result<Prepared, RecordError> {
    let (sender, queue) = mpsc::unbounded_channel();
    let now = clock.now();
    let session = Session {
        info: Arc::new(info),
        role,
        parameters: established.parameters,
        clock,
        created: now,
        flow: Mutex::default(),
        last_activity: AtomicU64::new(now.as_millis()),
        outgoing: sender,
        backlog: AtomicUsize::new(0),
        drained: Notify::new(),
        ended: CancellationToken::new(),
        end: OnceLock::new(),
    };
    Ok(Prepared {
        session: Arc::new(session),
        queue,
        sealer: Sealer::new(established.seal, established.aes, now)?,
        opener: Opener::new(established.open, established.aes, max_message as usize + PLAINTEXT_EXTRA, now)?,
        own,
        own_thumbprint: established.own_thumbprint,
        peer_thumbprint: established.peer_key.thumbprint(),
        token_lifetime,
    })
}

/// Runs a session to its end. Returns why it ended, and the messages that
/// were never written.
pub(super) async fn run(
    prepared: Prepared,
    duplex: Duplex,
    receiver: Arc<dyn Receive>,
) -> (End, Vec<Encoded>) {
    let Prepared { session, queue, sealer, opener, own, own_thumbprint, peer_thumbprint, token_lifetime } =
        prepared;
    let tokens = Tokens { own, own_thumbprint, peer_thumbprint, lifetime: token_lifetime };
    let Duplex { incoming, outgoing, .. } = duplex;
    let writing = write(Arc::clone(&session), queue, sealer, tokens.clone(), outgoing, Arc::clone(&receiver));
    let writer = tokio::spawn(writing);
    let end = read(&session, incoming, opener, &tokens, receiver.as_ref()).await;
    session.end(end);
    let unwritten = writer.await.unwrap_or_default();
    (session.end.get().cloned().unwrap_or(End::Lost), unwritten)
}

/// What the tokens of a session are made of.
#[derive(Clone)]
pub(super) struct Tokens {
    own: ServiceId,
    own_thumbprint: Thumbprint,
    peer_thumbprint: Thumbprint,
    lifetime: Duration,
}

impl Tokens {
    pub(super) fn issuer(&self, sealer: &Sealer, session: &SessionInfo) -> TokenIssuer {
        TokenIssuer::new(
            sealer.token_key().as_bytes(),
            TokenType::Request,
            &self.own,
            &session.peer,
            &session.id,
            self.own_thumbprint,
            self.lifetime,
        )
    }

    fn verifier(&self, opener: &Opener, session: &SessionInfo) -> CachedVerifier {
        CachedVerifier::new(TokenVerifier::new(
            opener.token_key().as_bytes(),
            TokenType::Request,
            &session.peer,
            &self.own,
            &session.id,
            self.peer_thumbprint,
            MAX_TOKEN_LIFETIME,
        ))
    }
}

async fn read(
    session: &Arc<Session>,
    mut incoming: tonic::Streaming<crate::transport::Frame>,
    mut opener: Opener,
    tokens: &Tokens,
    receiver: &dyn Receive,
) -> End {
    let mut verifier = tokens.verifier(&opener, &session.info);
    loop {
        let frame = tokio::select! {
            biased;
            () = session.ended.cancelled() => return End::Closed,
            frame = receive(&mut incoming) => frame,
        };
        let Ok(Some(frame)) = frame else { return End::Lost };
        let now = session.clock.now();
        session.touch(now);
        let outcome = read_frame(session, frame, &mut opener, &mut verifier, tokens, receiver, now);
        receiver.on_burst();
        if let Err(error) = outcome {
            return End::Record(error);
        }
        // An application that does not keep up stops its peers, instead of
        // filling the memory with what they send.
        while receiver.backlog() > APPLICATION_LIMIT {
            tokio::select! {
                biased;
                () = session.ended.cancelled() => return End::Closed,
                () = tokio::time::sleep(APPLICATION_PAUSE) => {}
            }
        }
        // A client always reads: answers are what empties both sides. If it
        // waited as well, two sides with much to send would wait for each other.
        while session.info.inbound && session.is_backlogged() {
            tokio::select! {
                biased;
                () = session.ended.cancelled() => return End::Closed,
                () = session.drained.notified() => {}
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
    receiver: &dyn Receive,
    now: Timestamp,
) -> Result<(), RecordError> {
    let mut frame = BytesMut::from(frame);
    let mut input = &mut frame[..];
    loop {
        match opener.open(&mut input, now) {
            Ok(Opened::Messages(plaintext)) => {
                for message in Messages::new(plaintext) {
                    let mut verify = |token: &[u8]| verifier.check(token, now).map(|_| ());
                    receiver.on_message(session, message?, &mut verify, now)?;
                }
            }
            Ok(Opened::Rekeyed) => *verifier = tokens.verifier(opener, &session.info),
            Err(error) if error.is_survivable() => receiver.on_discarded(session, error),
            Err(error) => return Err(error),
        }
        if input.is_empty() {
            return Ok(());
        }
    }
}

/// Reads one handshake message.
pub(super) async fn handshake_message(duplex: &mut Duplex) -> Result<Bytes, TransportError> {
    duplex.receive().await?.ok_or_else(|| tonic::Status::unavailable("the peer ended the handshake").into())
}
