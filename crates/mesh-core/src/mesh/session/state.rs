//! A session as its tasks and the tables that refer to it share it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    breach::StreamError,
    flow::SessionFlow,
    outbox::{Order, Written, cost},
};
use crate::{
    auth::AuthError,
    budget::{Account, Charge, NoRoom, Tally},
    clock::{Clock, Timestamp},
    config::MeshConfig,
    error::{Coded, Reason},
    handshake::Parameters,
    identity::IdentityError,
    mesh::events::SessionInfo,
    record::{Inflow, MAX_UNWELCOME, Overrun, RecordError, message::Encoded},
    transport::FrameFault,
};

/// Beyond this many queued bytes a session takes no more requests.
const BACKLOG_LIMIT: usize = 8 * 1024 * 1024;
/// A message with a larger payload has a charge of its own, which lasts until HTTP/2
/// has sent it. Smaller ones are charged while they are in the queue.
const LARGE: usize = 16 * 1024;

/// The accounts of a session: memory held for its peer, and memory of messages to it.
#[derive(Debug)]
pub(super) struct Accounts {
    /// That of the session: what the peer sends is charged to it.
    pub(super) session: Arc<Account>,
    /// The account of messages that this side sends: the peer's own where it calls here, else that of own calls.
    pub(super) outgoing: Arc<Account>,
    /// Room that requests, items and answers leave for the next frame, so that a session
    /// that holds all it may can still be read.
    pub(super) spare: usize,
}

/// A session, shared by its tasks and the tables that refer to it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) info: Arc<SessionInfo>,
    pub(crate) parameters: Parameters,
    pub(crate) clock: Clock,
    pub(crate) created: Timestamp,
    /// The address of a peer that opened it.
    from: OnceLock<SocketAddr>,
    /// How often this side has changed its keys.
    epoch: AtomicU32,
    pub(super) flow: SessionFlow,
    last_activity: AtomicU64,
    outgoing: mpsc::UnboundedSender<Order>,
    account: Arc<Account>,
    spare: usize,
    /// Bytes of messages that are queued.
    backlog: AtomicUsize,
    /// The bytes that they are charged.
    queued: Tally,
    /// Pings and refused requests in this frame.
    unwelcome: AtomicU32,
    drained: Notify,
    ended: CancellationToken,
    end: OnceLock<End>,
}

/// Why a session ended.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum End {
    /// The peer ended the stream, or the connection is gone.
    #[error("the connection was lost")]
    Lost,
    /// A record was unacceptable.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// This mesh closed it.
    #[error("closed on this side")]
    Closed,
    /// The peer's certificate counts no longer.
    #[error("the session was closed: {0}")]
    Refused(Arc<IdentityError>),
    /// Something that should work did not.
    #[error("{0}")]
    Auth(Arc<AuthError>),
    /// A large frame of the peer had no room, or no end.
    #[error("{0}")]
    Frame(#[from] FrameFault),
    /// The peer takes nothing of what it is sent.
    #[error("the peer has taken nothing for {} s of what waits for it", .0.as_secs())]
    Unread(Duration),
}

impl End {
    /// Whether somebody should look into it.
    pub(super) fn is_fault(&self) -> bool {
        self.reason().is_some()
    }

    /// The reason, where there is a fault.
    pub(super) fn reason(&self) -> Option<Reason> {
        match self {
            // The text of a refused one says why; where its identity was renewed, it is no fault.
            Self::Lost | Self::Closed | Self::Refused(_) => None,
            Self::Record(error) => Some(error.reason()),
            Self::Auth(error) => Some(error.reason()),
            Self::Frame(_) | Self::Unread(_) => Some(Reason::MemoryLimit),
        }
    }
}

impl Session {
    /// A session, and the orders to its writing task.
    pub(super) fn new(
        info: SessionInfo,
        parameters: Parameters,
        clock: Clock,
        now: Timestamp,
        accounts: Accounts,
    ) -> (Self, mpsc::UnboundedReceiver<Order>) {
        let (outgoing, queue) = mpsc::unbounded_channel();
        let session = Self {
            info: Arc::new(info),
            parameters,
            clock,
            created: now,
            from: OnceLock::new(),
            epoch: AtomicU32::new(0),
            flow: SessionFlow::default(),
            last_activity: AtomicU64::new(now.as_millis()),
            outgoing,
            account: accounts.session,
            spare: accounts.spare,
            backlog: AtomicUsize::new(0),
            queued: Tally::new(accounts.outgoing),
            unwelcome: AtomicU32::new(0),
            drained: Notify::new(),
            ended: CancellationToken::new(),
            end: OnceLock::new(),
        };
        (session, queue)
    }

    /// Queues a message; false if the session is over.
    pub(crate) fn send(&self, message: Encoded) -> bool {
        self.enqueue(message, Order::Message)
    }

    /// Queues a message of a stream. It keeps its place behind the stream's
    /// others, and lets everything else pass.
    pub(crate) fn send_streamed(&self, message: Encoded) {
        // A session that is over ends its streams by itself.
        self.enqueue(message, Order::Streamed);
    }

    fn enqueue(&self, message: Encoded, order: impl FnOnce(Encoded) -> Order) -> bool {
        let (len, cost) = (message.len(), cost(&message));
        self.backlog.fetch_add(len, Ordering::Relaxed);
        self.queued.add(cost);
        let sent = self.outgoing.send(order(message)).is_ok();
        if !sent {
            self.backlog.fetch_sub(len, Ordering::Relaxed);
            self.queued.subtract(cost);
        }
        sent
    }

    /// The queue and its writer are gone. What refers to the session may stay for long.
    pub(super) fn queue_is_gone(&self) {
        self.backlog.store(0, Ordering::Relaxed);
        self.queued.clear();
    }

    /// The account of what the peer sends.
    pub(crate) const fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Charges for what the peer causes to be held.
    pub(crate) fn try_charge(&self, bytes: usize) -> Result<Charge, NoRoom> {
        self.account.try_charge(bytes, self.spare)
    }

    /// Makes a charge for what the peer causes to be held larger.
    pub(super) fn try_grow(&self, charge: &mut Option<Charge>, bytes: usize) -> Result<(), NoRoom> {
        if let Some(charge) = charge {
            return charge.try_grow(bytes, self.spare);
        }
        *charge = Some(self.try_charge(bytes)?);
        Ok(())
    }

    /// A message for the queue, charged by itself if it is large.
    ///
    /// # Errors
    /// [`NoRoom`] for a large message.
    pub(crate) fn hold(&self, message: Encoded) -> Result<Encoded, NoRoom> {
        hold(message, self.queued.account(), self.spare)
    }

    /// A frame begins.
    pub(super) fn begin_frame(&self) {
        self.unwelcome.store(0, Ordering::Relaxed);
    }

    /// A ping or a request that is refused: an honest peer does not send many in a frame.
    ///
    /// # Errors
    /// [`RecordError::Flood`].
    pub(crate) fn unwelcome(&self) -> Result<(), RecordError> {
        let before = self.unwelcome.fetch_add(1, Ordering::Relaxed);
        if before < MAX_UNWELCOME { Ok(()) } else { Err(RecordError::Flood) }
    }

    /// Ends the session at once.
    pub(crate) fn end(&self, end: End) {
        // The first reason is the reason.
        let _ = self.end.set(end);
        self.ended.cancel();
    }

    /// Ends the session once everything queued is written.
    pub(crate) fn finish(&self, end: End) {
        let _ = self.end.set(end);
        let _ = self.outgoing.send(Order::Finish);
    }

    /// Whether more is queued than the peer reads.
    pub(crate) fn is_backlogged(&self) -> bool {
        let backlog = self.backlog.load(Ordering::Relaxed);
        backlog > BACKLOG_LIMIT || (backlog > 0 && self.queued.account().is_full())
    }

    /// Bytes of messages that wait for the connection.
    pub(crate) fn unsent(&self) -> usize {
        self.backlog.load(Ordering::Relaxed)
    }

    /// Why the session is over or about to be, if it is.
    pub(super) fn why_over(&self) -> Option<End> {
        self.end.get().cloned()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.end.get().is_some()
    }

    /// Whether it has been idle for as long as a session may be, is as old as one
    /// may be, or the peer's certificate or delegation has ended.
    pub(crate) fn is_overdue(&self, now: Timestamp, config: &MeshConfig) -> bool {
        let active = Timestamp::from_millis(self.last_activity.load(Ordering::Relaxed));
        now.since(active) >= config.session_timeout
            || now.since(self.created) >= config.session_lifetime
            || self.info.certified.as_ref().is_some_and(|certified| now >= certified.expires)
    }

    /// The address of a peer that opened it.
    pub(crate) fn from(&self) -> Option<SocketAddr> {
        self.from.get().copied()
    }

    /// A peer opened it from there.
    pub(crate) fn comes_from(&self, address: SocketAddr) {
        self.from.get_or_init(|| address);
    }

    /// How often this side has changed its keys.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// This side has changed its keys so often. Returns how often since the last time.
    pub(super) fn has_epoch(&self, epoch: u32) -> u32 {
        epoch.saturating_sub(self.epoch.swap(epoch, Ordering::Relaxed))
    }

    /// A frame came or went.
    pub(super) fn touch(&self, now: Timestamp) {
        self.last_activity.store(now.as_millis(), Ordering::Relaxed);
    }

    /// So many bytes of the queue were handed to the connection.
    pub(super) fn written(&self, written: &Written, now: Timestamp) {
        self.touch(now);
        self.backlog.fetch_sub(written.all, Ordering::Relaxed);
        self.queued.subtract(written.cost);
        self.flow.written(written.streamed);
        self.drained.notify_one();
    }

    /// Completes when the session is to end at once.
    pub(super) async fn until_ended(&self) {
        self.ended.cancelled().await;
    }

    /// Completes when more of the queue was handed to the connection.
    pub(super) async fn until_written(&self) {
        self.drained.notified().await;
    }

    /// An item arrived that takes so much from the session's window.
    pub(crate) fn receive_shared(&self, shared: usize) -> Result<(), Overrun> {
        self.flow.receive(shared)
    }

    /// What an item took from the session's window is no longer held.
    pub(crate) fn return_shared(&self, shared: usize) {
        if let Some(credit) = self.flow.give_back(shared) {
            self.send(Encoded::window(0, credit));
        }
    }

    /// Items of a stream were consumed. Returns what to grant to it.
    pub(super) fn consume_items(&self, inflow: &mut Inflow, cost: usize) -> Option<u32> {
        let (grant, shared) = self.flow.consume(inflow, cost);
        self.return_shared(shared);
        grant
    }

    /// A stream is over: what it holds is the session's again.
    pub(super) fn release_inflow(&self, inflow: &mut Inflow) {
        self.consume_items(inflow, inflow.held());
        self.flow.shrink(inflow);
    }

    /// The consumer of a stream is idle, as in [`SessionFlow::on_idle`].
    pub(super) fn on_idle(&self, inflow: &mut Inflow, long: bool) -> Result<(), StreamError> {
        let shared = self.flow.on_idle(inflow, long)?;
        self.return_shared(shared);
        Ok(())
    }

    /// The peer lets all streams together send more.
    pub(crate) fn grant(&self, credit: u32) -> Result<(), Overrun> {
        self.flow.grant(credit)
    }

    /// The number of the next stream that waited and may go on.
    pub(crate) fn next_unblocked(&self) -> Option<u32> {
        self.flow.next_unblocked()
    }
}

/// A message charged to `account` by itself if it is large.
pub(crate) fn hold(message: Encoded, account: &Arc<Account>, spare: usize) -> Result<Encoded, NoRoom> {
    if message.payload_len() <= LARGE || message.held().is_some() {
        return Ok(message);
    }
    let charge = account.try_charge(message.len(), spare)?;
    Ok(message.held_by(charge))
}
