//! The I/O thread of a mesh. It runs the jobs of the application in order,
//! between the tasks of the sessions.

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
use tokio_util::sync::DropGuard;

use super::{
    build::build,
    error::Error,
    events::Events,
    figures::note_moments,
    identity::AuditSigner,
    io::{Io, Job},
    lookout::Lookout,
    platform::Platform,
    report::report,
    server::{Acceptor, Authorization, Port},
    shared::Shared,
};
use crate::{
    budget::Budget,
    config::MeshConfig,
    crypto::{keystore::repair, rsa::PublicKey},
    error::Reason,
    telemetry::Recorder,
    transport::{Listener, serve},
};

/// A mesh that serves.
pub(super) struct Started {
    pub(super) address: Option<SocketAddr>,
    pub(super) public_key: Arc<Mutex<PublicKey>>,
    pub(super) authorization: Arc<Authorization>,
    pub(super) budget: Arc<Budget>,
    pub(super) signer: AuditSigner,
    /// Stops the mesh when it is dropped.
    pub(super) guard: DropGuard,
}

/// Starts the I/O thread, to drive `running`.
pub(super) fn spawn(running: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
    let name = "secure-mesh-io".to_owned();
    let thread = thread::Builder::new().name(name).spawn(move || io_thread(running));
    thread.map(drop).map_err(|_| Error::Thread)
}

fn io_thread(running: impl Future<Output = ()>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return; // dropping `running` reports it
    };
    runtime.block_on(running);
    // The end does not wait for a key generation.
    runtime.shutdown_background();
}

/// Runs a mesh from its start to its end. It ends with `queue` at the latest.
pub(super) async fn run(
    platform: Platform,
    config: MeshConfig,
    events: Arc<dyn Events>,
    sight: Arc<Recorder>,
    mut queue: mpsc::UnboundedReceiver<Job>,
    mut started: oneshot::Sender<Result<Started, Error>>,
) {
    let starting = tokio::select! {
        biased;
        starting = build(platform, config, events, sight) => starting,
        () = started.closed() => return,
    };
    let (core, listener) = match starting {
        Ok(parts) => parts,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let shared = &core.shared;
    let parts = Arc::downgrade(&core);
    shared.reporter.is_made_by(move || parts.upgrade().map(|core| report(&core)));
    let address = listener.as_ref().and_then(Listener::address);
    let public_key = Arc::clone(&core.identity.shown);
    let authorization = Arc::clone(&core.authorization);
    let guard = shared.stop.clone().drop_guard();
    let budget = Arc::clone(&shared.budget);
    let signer = core.identity.audit_signer();
    if started.send(Ok(Started { address, public_key, authorization, budget, signer, guard })).is_err() {
        return;
    }
    tokio::spawn(Arc::clone(&core).tick());
    shared.sight.event("start", shared.sight.service(), "the mesh started", shared.elapsed());
    if shared.sight.records() {
        tokio::spawn(note_moments(Arc::clone(&core)));
    }
    tokio::spawn(Arc::clone(&core.authorization).follow());
    tokio::spawn(Arc::clone(&core.client).place_queued());
    core.server.follow_quota();
    core.client.follow_names();
    tokio::spawn(Arc::clone(&core).follow_certificate());
    tokio::spawn(Arc::clone(&core).follow_tls());
    if let Some(mut listener) = listener {
        tokio::spawn(log_troubles(Arc::clone(shared), listener.troubles()));
        let acceptor = Arc::new(Acceptor(Arc::clone(&core.server)));
        let tls = core.identity.speaks_tls().then(|| Arc::new(Port(Arc::clone(&core.server))) as _);
        let (most, draining) = (shared.config.limits.max_message, shared.draining.clone());
        tokio::spawn(serve(listener, acceptor, tls, most, draining));
    }
    let io = Io(Arc::clone(&core));
    let mut lookout = Lookout::new(shared.platform.cores);
    loop {
        let look = lookout.again(shared.bursts());
        let job = tokio::select! {
            biased;
            () = shared.stop.cancelled() => break,
            job = queue.recv() => job,
            time = let_others_run(), if look => {
                lookout.others_ran(time);
                continue;
            }
        };
        let Some(job) = job else { break };
        shared.guarded(|| job(&io));
        lookout.batch(shared.bursts());
    }
    shared.stop.cancel();
}

/// Logs why no connections are accepted. Only the operator can repair it.
async fn log_troubles(shared: Arc<Shared>, mut troubles: mpsc::Receiver<std::io::Error>) {
    while let Some(error) = troubles.recv().await {
        let message = format!("cannot accept connections: {error}; {}", repair(&error));
        let fields = vec![("reason", Reason::Listen.to_string())];
        shared.log_refusal("accept.failed", "port".to_owned(), message, fields);
        shared.events.flush();
    }
}

/// Yields to other threads that want this core, then runs one turn of the
/// runtime, which polls the sockets without waiting. Returns the time that the
/// other threads took.
async fn let_others_run() -> Duration {
    let before = Instant::now();
    thread::yield_now();
    let time = before.elapsed();
    tokio::task::yield_now().await;
    time
}
