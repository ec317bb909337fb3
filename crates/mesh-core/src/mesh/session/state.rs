//! The state of a session, which its tasks and the tables share.

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

/// The bytes in the queue beyond which a session takes no more requests.
const BACKLOG_LIMIT: usize = 8 * 1024 * 1024;
/// A message with a larger payload has its own charge, which lasts until HTTP/2 has
/// sent it. Smaller ones are charged together while they are in the queue.
const LARGE: usize = 16 * 1024;

/// The accounts of a session: for the messages of its peer, and for messages to the peer.
#[derive(Debug)]
pub(super) struct Accounts {
    /// The account of the session. It is charged for the messages of the peer.
    pub(super) session: Arc<Account>,
    /// The account of messages that this side sends: the peer's account if the peer calls, and that of own calls
    /// otherwise.
    pub(super) outgoing: Arc<Account>,
    /// The room that requests, items and answers leave for the next frame, so that a
    /// session with a full account can still be read.
    pub(super) spare: usize,
}

/// A session, shared by its tasks and the tables that refer to it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) info: Arc<SessionInfo>,
    pub(crate) parameters: Parameters,
    pub(crate) clock: Clock,
    pub(crate) created: Timestamp,
    /// The address of the peer, if the peer opened the session.
    from: OnceLock<SocketAddr>,
    /// The number of this side's key changes.
    epoch: AtomicU32,
    pub(super) flow: SessionFlow,
    last_activity: AtomicU64,
    outgoing: mpsc::UnboundedSender<Order>,
    account: Arc<Account>,
    spare: usize,
    /// The bytes of the queued messages.
    backlog: AtomicUsize,
    /// The bytes that are charged for them.
    queued: Tally,
    /// The pings and refused requests of the current frame.
    unwelcome: AtomicU32,
    drained: Notify,
    ended: CancellationToken,
    end: OnceLock<End>,
}

/// The cause of a session's end.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum End {
    /// The peer ended the stream, or the connection broke.
    #[error("the connection was lost")]
    Lost,
    /// A record was invalid.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// This mesh closed it.
    #[error("closed on this side")]
    Closed,
    /// The peer's certificate is no longer accepted.
    #[error("the session was closed: {0}")]
    Refused(Arc<IdentityError>),
    /// An internal operation failed.
    #[error("{0}")]
    Auth(Arc<AuthError>),
    /// A large frame of the peer had no room, or was not completed in time.
    #[error("{0}")]
    Frame(#[from] FrameFault),
    /// The peer does not read.
    #[error("the peer has read nothing for {} s although messages wait for it", .0.as_secs())]
    Unread(Duration),
}

impl End {
    /// Whether an operator should investigate it.
    pub(super) fn is_fault(&self) -> bool {
        self.reason().is_some()
    }

    /// The reason, if the cause is a fault.
    pub(super) fn reason(&self) -> Option<Reason> {
        match self {
            // The message of `Refused` has the details. It is no fault, because the peer may just
            // have renewed its identity.
            Self::Lost | Self::Closed | Self::Refused(_) => None,
            Self::Record(error) => Some(error.reason()),
            Self::Auth(error) => Some(error.reason()),
            Self::Frame(_) | Self::Unread(_) => Some(Reason::MemoryLimit),
        }
    }
}

impl Session {
    /// Makes a session, and the queue of orders to its writing task.
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

    /// Queues a message; false if the session has ended.
    pub(crate) fn send(&self, message: Encoded) -> bool {
        self.enqueue(message, Order::Message)
    }

    /// Queues a message of a stream. It stays behind the stream's earlier
    /// messages, and messages that belong to no stream overtake it.
    pub(crate) fn send_streamed(&self, message: Encoded) {
        // The end of a session ends its streams, so a failure needs no handling.
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

    /// Releases the queue's charges after the end of its writer. The session itself may be
    /// referenced for much longer.
    pub(super) fn queue_is_gone(&self) {
        self.backlog.store(0, Ordering::Relaxed);
        self.queued.clear();
    }

    /// The account for the messages of the peer.
    pub(crate) const fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Charges the peer's account.
    pub(crate) fn try_charge(&self, bytes: usize) -> Result<Charge, NoRoom> {
        self.account.try_charge(bytes, self.spare)
    }

    /// Enlarges a charge of the peer's account.
    pub(super) fn try_grow(&self, charge: &mut Option<Charge>, bytes: usize) -> Result<(), NoRoom> {
        if let Some(charge) = charge {
            return charge.try_grow(bytes, self.spare);
        }
        *charge = Some(self.try_charge(bytes)?);
        Ok(())
    }

    /// Prepares a message for the queue. A large one gets its own charge.
    ///
    /// # Errors
    /// [`NoRoom`] for a large message.
    pub(crate) fn hold(&self, message: Encoded) -> Result<Encoded, NoRoom> {
        hold(message, self.queued.account(), self.spare)
    }

    /// Resets the counters of a frame at its beginning.
    pub(super) fn begin_frame(&self) {
        self.unwelcome.store(0, Ordering::Relaxed);
    }

    /// Counts a ping or a refused request. An honest peer does not send many in one frame.
    ///
    /// # Errors
    /// [`RecordError::Flood`].
    pub(crate) fn unwelcome(&self) -> Result<(), RecordError> {
        let before = self.unwelcome.fetch_add(1, Ordering::Relaxed);
        if before < MAX_UNWELCOME { Ok(()) } else { Err(RecordError::Flood) }
    }

    /// Ends the session at once.
    pub(crate) fn end(&self, end: End) {
        // Only the first cause counts.
        let _ = self.end.set(end);
        self.ended.cancel();
    }

    /// Ends the session once everything queued is written.
    pub(crate) fn finish(&self, end: End) {
        let _ = self.end.set(end);
        let _ = self.outgoing.send(Order::Finish);
    }

    /// Whether the queue is long, because the peer reads slowly.
    pub(crate) fn is_backlogged(&self) -> bool {
        let backlog = self.backlog.load(Ordering::Relaxed);
        backlog > BACKLOG_LIMIT || (backlog > 0 && self.queued.account().is_full())
    }

    /// The bytes of messages that wait for the connection.
    pub(crate) fn unsent(&self) -> usize {
        self.backlog.load(Ordering::Relaxed)
    }

    /// The cause, if the session has ended or is about to end.
    pub(super) fn why_over(&self) -> Option<End> {
        self.end.get().cloned()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.end.get().is_some()
    }

    /// Whether the session has reached its idle time or its lifetime, or the
    /// peer's certificate or delegation has ended.
    pub(crate) fn is_overdue(&self, now: Timestamp, config: &MeshConfig) -> bool {
        let active = Timestamp::from_millis(self.last_activity.load(Ordering::Relaxed));
        now.since(active) >= config.session_timeout
            || now.since(self.created) >= config.session_lifetime
            || self.info.certified.as_ref().is_some_and(|certified| now >= certified.expires)
    }

    /// The address of the peer, if the peer opened the session.
    pub(crate) fn from(&self) -> Option<SocketAddr> {
        self.from.get().copied()
    }

    /// Records the address of the peer that opened it.
    pub(crate) fn comes_from(&self, address: SocketAddr) {
        self.from.get_or_init(|| address);
    }

    /// The number of this side's key changes.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Records the number of this side's key changes. Returns the changes since the last call.
    pub(super) fn has_epoch(&self, epoch: u32) -> u32 {
        epoch.saturating_sub(self.epoch.swap(epoch, Ordering::Relaxed))
    }

    /// Records the time of a frame in either direction.
    pub(super) fn touch(&self, now: Timestamp) {
        self.last_activity.store(now.as_millis(), Ordering::Relaxed);
    }

    /// Records bytes of the queue that the connection has taken.
    pub(super) fn written(&self, written: &Written, now: Timestamp) {
        self.touch(now);
        self.backlog.fetch_sub(written.all, Ordering::Relaxed);
        self.queued.subtract(written.cost);
        self.flow.written(written.streamed);
        self.drained.notify_one();
    }

    /// Completes when the session must end at once.
    pub(super) async fn until_ended(&self) {
        self.ended.cancelled().await;
    }

    /// Completes when the connection has taken more of the queue.
    pub(super) async fn until_written(&self) {
        self.drained.notified().await;
    }

    /// Takes the bytes of an item that arrived from the session's window.
    pub(crate) fn receive_shared(&self, shared: usize) -> Result<(), Overrun> {
        self.flow.receive(shared)
    }

    /// Returns the bytes of an item to the session's window.
    pub(crate) fn return_shared(&self, shared: usize) {
        if let Some(credit) = self.flow.give_back(shared) {
            self.send(Encoded::window(0, credit));
        }
    }

    /// Records consumed items of a stream. Returns the credit to grant to it.
    pub(super) fn consume_items(&self, inflow: &mut Inflow, cost: usize) -> Option<u32> {
        let (grant, shared) = self.flow.consume(inflow, cost);
        self.return_shared(shared);
        grant
    }

    /// Returns everything that an ended stream holds to the session.
    pub(super) fn release_inflow(&self, inflow: &mut Inflow) {
        self.consume_items(inflow, inflow.held());
        self.flow.shrink(inflow);
    }

    /// Handles an idle consumer of a stream, as [`SessionFlow::on_idle`].
    pub(super) fn on_idle(&self, inflow: &mut Inflow, long: bool) -> Result<(), StreamError> {
        let shared = self.flow.on_idle(inflow, long)?;
        self.return_shared(shared);
        Ok(())
    }

    /// Adds credit of the peer for all streams together.
    pub(crate) fn grant(&self, credit: u32) -> Result<(), Overrun> {
        self.flow.grant(credit)
    }

    /// The number of the next waiting stream that may proceed.
    pub(crate) fn next_unblocked(&self) -> Option<u32> {
        self.flow.next_unblocked()
    }
}

/// Prepares a message. A large one gets its own charge of `account`.
pub(crate) fn hold(message: Encoded, account: &Arc<Account>, spare: usize) -> Result<Encoded, NoRoom> {
    if message.payload_len() <= LARGE || message.held().is_some() {
        return Ok(message);
    }
    let charge = account.try_charge(message.len(), spare)?;
    Ok(message.held_by(charge))
}
