//! The mesh: the only place that wires the parts together.
//!
//! One mesh is one I/O thread with a runtime of its own. Everything it shares
//! lives in `core`; `outbound` and `inbound` are the two ways through it, each
//! readable from top to bottom; `session` runs what both end in.

mod admission;
mod budget;
mod core;
mod dial;
mod error;
mod events;
mod flow;
mod gauges;
mod inbound;
mod keys;
mod links;
mod lookout;
mod outbound;
mod places;
mod platform;
mod replays;
mod rotation;
mod session;
mod sessions;
mod stalls;
mod stats;
mod streaming;
mod streams;
#[cfg(test)]
mod tests;
mod throttle;
mod timers;
mod trust;
mod wallet;
mod writer;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use self::{admission::Gate, core::Core, lookout::Lookout, platform::Platform, session::lock};
pub use self::{
    error::Error,
    events::{
        AbortCause, CallError, CallId, CallSpec, Events, Level, LogEvent, Reply, Request, RequestId,
        SessionInfo, StreamId,
    },
    gauges::Gauges,
    stats::Stats,
};
use crate::{
    config::{MeshConfig, NetworkName},
    crypto::{keystore::repair, rsa::PublicKey},
    error::Reason,
    record::message::{Failure, Payload},
    transport::{Listener, memory::sever, serve},
};

type Job = Box<dyn FnOnce(&Io) + Send>;

/// A running mesh. Dropping it ends everything at once; [`Mesh::close`] ends
/// it in good order.
#[derive(Debug)]
pub struct Mesh {
    jobs: mpsc::UnboundedSender<Job>,
    address: Option<SocketAddr>,
    network: Option<NetworkName>,
    public_key: Mutex<PublicKey>,
    _guard: tokio_util::sync::DropGuard,
}

/// The mesh from inside its I/O thread, where calls are made and requests
/// answered without waiting.
pub struct Io(Arc<Core>);

impl Io {
    /// Begins a call; its end comes through [`Events::settled`].
    pub fn call(&self, id: CallId, spec: &CallSpec<'_>) {
        self.0.call(id, spec);
    }

    /// Gives a call up: nothing is told of it any more.
    pub fn cancel(&self, id: CallId) {
        self.0.cancel(id);
    }

    /// Sends an item of a stream, or queues it until the peer lets it go;
    /// [`Events::sent`] says when it has gone. Dropped if the stream is over.
    pub fn item(&self, stream: StreamId, payload: Payload<'_>) {
        self.0.send_item(stream, payload);
    }

    /// Ends this side's items, after those that are queued. `metadata` goes
    /// with the answer to a request.
    pub fn end(&self, stream: StreamId, metadata: &[u8]) {
        self.0.send_end(stream, metadata);
    }

    /// The application is done with items that cost so much: the length of
    /// each and [`ITEM_COST`](crate::record::ITEM_COST).
    pub fn consumed(&self, stream: StreamId, cost: usize) {
        self.0.consumed(stream, cost);
    }

    /// Answers a request. Late answers are dropped.
    pub fn respond(&self, id: RequestId, metadata: &[u8], payload: Payload<'_>) {
        self.0.respond(id, metadata, payload);
    }

    /// Fails a request. Late failures are dropped.
    pub fn fail(&self, id: RequestId, failure: &Failure<'_>) {
        self.0.fail(id, failure);
    }
}

struct Started {
    address: Option<SocketAddr>,
    public_key: PublicKey,
    guard: tokio_util::sync::DropGuard,
}

impl Mesh {
    /// Binds the port, makes or loads keys, and serves. Nothing is written if
    /// the port cannot be bound.
    pub async fn start(config: MeshConfig, events: Arc<dyn Events>) -> Result<Self, Error> {
        Self::start_on(Platform::system(), config, events).await
    }

    async fn start_on(
        platform: Platform,
        config: MeshConfig,
        events: Arc<dyn Events>,
    ) -> Result<Self, Error> {
        let (ready, running) = Self::on(platform, config, events);
        thread::Builder::new()
            .name("secure-mesh-io".to_owned())
            .spawn(move || io_thread(running))
            .map_err(|_| Error::Thread)?;
        ready.await
    }

    /// A mesh in two halves: the first completes once it serves, the second is
    /// the mesh at work, for the current-thread runtime that is to drive it.
    fn on(
        platform: Platform,
        config: MeshConfig,
        events: Arc<dyn Events>,
    ) -> (impl Future<Output = Result<Self, Error>>, impl Future<Output = ()> + Send) {
        let network = config.network.clone();
        let (jobs, queue) = mpsc::unbounded_channel();
        let (started, ready) = oneshot::channel();
        let ready = async {
            let Started { address, public_key, guard } = ready.await.map_err(|_| Error::Thread)??;
            Ok(Self { jobs, address, network, public_key: Mutex::new(public_key), _guard: guard })
        };
        (ready, run(platform, config, events, queue, started))
    }

    /// The address listened on; `None` for a mesh that only calls.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Breaks the connections that others have made to this mesh, if it is on
    /// a network in memory. They can connect again.
    pub fn sever(&self) {
        if let (Some(network), Some(address)) = (&self.network, self.address) {
            sever(network, address.port());
        }
    }

    /// This service's public key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        lock(&self.public_key).clone()
    }

    /// Replaces this service's RSA key: makes one of the configured size,
    /// stores it in the key directory, and shows it in every handshake from
    /// now on, with a statement of the former key that it is its successor.
    /// Sessions under way end with the calls they carry. Returns the new
    /// public key.
    ///
    /// # Errors
    /// Those of the key directory; the key is then the former one.
    /// [`Error::Thread`] when the mesh is closed.
    pub async fn rotate_key(&self) -> Result<PublicKey, Error> {
        let (sender, receiver) = oneshot::channel();
        self.post(move |io| {
            let core = Arc::clone(&io.0);
            tokio::spawn(async move {
                let _ = sender.send(core.rotate_key().await);
            });
        });
        let key = receiver.await.map_err(|_| Error::Thread)??;
        *lock(&self.public_key) = key.clone();
        Ok(key)
    }

    /// Uses `secret` as the mesh secret from now on. The former one is
    /// accepted, and offered to peers that refuse the new one, for `grace`
    /// more; then sessions that may rest on it end with the calls they carry.
    ///
    /// # Errors
    /// [`Error::NoSecret`] when none is configured, `WEAK_SECRET`,
    /// [`Error::SecretInUse`]; [`Error::Thread`] when the mesh is closed.
    pub async fn rotate_secret(&self, secret: Zeroizing<String>, grace: Duration) -> Result<(), Error> {
        let (sender, receiver) = oneshot::channel();
        self.post(move |io| {
            let _ = sender.send(io.0.rotate_secret(&secret, grace));
        });
        receiver.await.map_err(|_| Error::Thread)?
    }

    /// Runs `job` on the I/O thread, soon. False if the mesh is closed, and
    /// then nothing is told of the calls in it.
    pub fn post(&self, job: impl FnOnce(&Io) + Send + 'static) -> bool {
        self.jobs.send(Box::new(job)).is_ok()
    }

    /// The mesh's figures; `None` once it is closed.
    pub async fn stats(&self) -> Option<Stats> {
        let (sender, receiver) = oneshot::channel();
        self.post(move |io| {
            let _ = sender.send(io.0.stats());
        });
        receiver.await.ok()
    }

    /// What is held for peers and calls at this moment; `None` once it is closed.
    pub async fn gauges(&self) -> Option<Gauges> {
        let (sender, receiver) = oneshot::channel();
        self.post(move |io| {
            let _ = sender.send(io.0.gauges());
        });
        receiver.await.ok()
    }

    /// Takes no more requests, waits until none is under way, at most for
    /// `patience`, tells each call still pending that the mesh is closed, and
    /// ends.
    pub async fn close(&self, patience: Duration) {
        let (sender, receiver) = oneshot::channel();
        let posted = self.post(move |io| {
            let core = Arc::clone(&io.0);
            tokio::spawn(async move {
                core.close(patience).await;
                let _ = sender.send(());
            });
        });
        if posted {
            let _ = receiver.await;
        }
    }
}

fn io_thread(running: impl Future<Output = ()>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return; // dropping `running` reports it
    };
    runtime.block_on(running);
    // A key generation under way is not waited for.
    runtime.shutdown_background();
}

async fn run(
    platform: Platform,
    config: MeshConfig,
    events: Arc<dyn Events>,
    mut queue: mpsc::UnboundedReceiver<Job>,
    mut started: oneshot::Sender<Result<Started, Error>>,
) {
    let starting = tokio::select! {
        biased;
        starting = start(platform, config, events) => starting,
        () = started.closed() => return,
    };
    let (core, listener) = match starting {
        Ok(parts) => parts,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let address = listener.as_ref().and_then(Listener::address);
    let public_key = core.local().key.public_key().clone();
    let guard = core.stop.clone().drop_guard();
    if started.send(Ok(Started { address, public_key, guard })).is_err() {
        return;
    }
    tokio::spawn(Arc::clone(&core).tick());
    if let Some(mut listener) = listener {
        tokio::spawn(log_troubles(Arc::clone(&core), listener.troubles()));
        let gate = Arc::new(Gate(Arc::clone(&core)));
        tokio::spawn(serve(listener, gate, core.config.limits.max_message));
    }
    let io = Io(Arc::clone(&core));
    let mut lookout = Lookout::new(core.platform.cores);
    loop {
        let look = lookout.again(core.bursts());
        let job = tokio::select! {
            biased;
            () = core.stop.cancelled() => break,
            job = queue.recv() => job,
            time = let_others_run(), if look => {
                lookout.others_ran(time);
                continue;
            }
        };
        let Some(job) = job else { break };
        core.guarded(|| job(&io));
        lookout.batch(core.bursts());
    }
    core.stop.cancel();
}

/// Tells the application why no connections are accepted: nobody else can.
async fn log_troubles(core: Arc<Core>, mut troubles: mpsc::Receiver<std::io::Error>) {
    while let Some(error) = troubles.recv().await {
        let message = format!("cannot accept connections: {error}; {}", repair(&error));
        let fields = vec![("reason", Reason::Listen.to_string())];
        core.log_refusal("accept.failed", "port".to_owned(), message, fields);
        core.events.flush();
    }
}

/// One turn of the runtime, that looks at the sockets and does not wait for
/// them; before it, one of any other thread that wants this core. Returns how
/// long that one took.
async fn let_others_run() -> Duration {
    let before = Instant::now();
    thread::yield_now();
    let time = before.elapsed();
    tokio::task::yield_now().await;
    time
}

async fn start(
    platform: Platform,
    config: MeshConfig,
    events: Arc<dyn Events>,
) -> Result<(Arc<Core>, Option<Listener>), Error> {
    let draining = CancellationToken::new();
    let listener = match config.port {
        None => None,
        Some(port) => {
            let host = match &config.host {
                Some(host) => Some(host.as_str()),
                None if config.is_embedded() => Some("127.0.0.1"),
                None => None,
            };
            let limits = &config.limits;
            let (most, patience) = (limits.max_connections, limits.handshake_timeout);
            let stop = draining.clone();
            Some(match &config.network {
                None => Listener::bind(host, port, most, patience, stop).await?,
                Some(network) => Listener::bind_in_memory(network, port, most, patience, stop)?,
            })
        }
    };
    let listening = listener.as_ref().map(|listener| (listener.connections(), listener.released()));
    let machine = platform.clone();
    let loading = platform.blocking(move || Core::load(config, machine, events, draining, listening));
    let core = Arc::new(loading.await.map_err(|_| Error::Thread)??);
    for warning in &core.config.warnings {
        core.log(Level::Warn, "config", warning.clone(), Vec::new());
    }
    Ok((core, listener))
}
