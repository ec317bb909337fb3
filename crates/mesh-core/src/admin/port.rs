//! The socket of the admin port, and its thread.

use std::{io, net::SocketAddr, path::Path, sync::Arc, thread, time::Duration};

use axum::{Extension, Router};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::oneshot,
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

#[cfg(unix)]
use super::control;
use super::{
    AdminError, Source,
    connections::{Connections, HEAD, PAUSE, Seat, talk},
    events::Streams,
    guard::{Ends, Guard},
    routes::{Desk, router},
    tls::Tls,
};
use crate::{config::Admin, telemetry::STEP_MS};

/// Connections at once.
const MAX_CONNECTIONS: usize = 256;
/// The longest wait of a closing mesh for the port.
const RELEASE: Duration = Duration::from_secs(1);
/// The time limit for writing the last minute of the history then.
const FAREWELL: Duration = Duration::from_millis(800);

/// An open admin port. It closes when this is dropped.
#[derive(Debug)]
pub(crate) struct AdminPort {
    address: SocketAddr,
    runtime: Handle,
    stop: CancellationToken,
    released: CancellationToken,
    _guard: DropGuard,
}

impl AdminPort {
    /// Opens the port on a thread of its own.
    pub(crate) async fn open(admin: &Admin, source: Arc<dyn Source>) -> Result<Self, AdminError> {
        let (stop, released) = (CancellationToken::new(), CancellationToken::new());
        let (opened, opening) = oneshot::channel();
        let (config, stopped, ended) = (admin.clone(), stop.clone(), released.clone());
        let run = move || {
            let _released = ended.drop_guard();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(serve(config, source, stopped, opened));
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("secure-mesh-admin".to_owned()).spawn(run);
        thread.map_err(|_| AdminError::Thread)?;
        let (address, runtime) = opening.await.map_err(|_| AdminError::Thread)??;
        Ok(Self { address, runtime, released, _guard: stop.clone().drop_guard(), stop })
    }

    /// The address in use, with the port the system chose.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens the control socket `name` in the key directory, on the thread of the port. Without it the mesh runs on.
    /// Blocks for a moment.
    pub(crate) fn open_control(&self, keys: &Path, name: &str, source: Arc<dyn Source>) {
        #[cfg(unix)]
        match control::bind(keys, name) {
            Ok(bound) => drop(self.runtime.spawn(control::serve(bound, source, self.stop.clone()))),
            Err(error) => {
                let text = format!("the control socket in {} cannot be opened: {error}", keys.display());
                source.trouble("admin.control", text);
            }
        }
        #[cfg(not(unix))]
        let _ = (keys, name, source, &self.runtime);
    }

    /// Closes the port, and waits until it is free.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        let _ = timeout(RELEASE, self.released.cancelled()).await;
    }
}

async fn serve(
    admin: Admin,
    source: Arc<dyn Source>,
    stop: CancellationToken,
    opened: oneshot::Sender<Result<(SocketAddr, Handle), AdminError>>,
) {
    let (tls, listener, address) = match prepare(&admin).await {
        Ok(prepared) => prepared,
        Err(error) => {
            let _ = opened.send(Err(error));
            return;
        }
    };
    if opened.send(Ok((address, Handle::current()))).is_err() {
        return;
    }
    let guard = Arc::new(Guard::new(&admin));
    // Probes have no page that would show a history.
    let history = (!admin.probes_only).then(|| tokio::spawn(remember(Arc::clone(&source))));
    let desk = Desk { source: Arc::clone(&source), guard, streams: Streams::default(), stop: stop.clone() };
    let (router, connections) = (router(desk), Connections::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let secure = tls.as_ref().map(|tls| acceptor(tls, &*source));
                tokio::spawn(connection(stream, peer, secure, router.clone(), connections.enter()));
            }
            // No file descriptor is left, for one.
            Err(_) => sleep(PAUSE).await,
        }
    }
    drop(listener);
    if let Some(history) = history {
        history.abort();
        let _ = timeout(FAREWELL, source.put_away()).await;
    }
}

/// The TLS of the port, and its socket.
async fn prepare(admin: &Admin) -> Result<(Option<Tls>, TcpListener, SocketAddr), AdminError> {
    let tls = admin.tls.clone().map(|tls| Tls::load(tls, Instant::now())).transpose();
    let tls = tls.map_err(AdminError::Tls)?;
    let wrong = |error: io::Error| AdminError::Listen {
        option: if admin.probes_only { "probes.port" } else { "admin.port" },
        address: format!("{}:{}", admin.host, admin.port),
        detail: error.to_string(),
    };
    let listener = TcpListener::bind((admin.host.as_str(), admin.port)).await.map_err(wrong)?;
    let address = listener.local_addr().map_err(wrong)?;
    Ok((tls, listener, address))
}

/// Keeps the history, as long as the port is open.
async fn remember(source: Arc<dyn Source>) {
    let every = Duration::from_millis(STEP_MS);
    source.recall().await;
    let mut step = interval_at(Instant::now() + every, every);
    step.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        step.tick().await;
        source.remember().await;
    }
}

/// The TLS of a new connection. A fault of changed files goes to the log.
fn acceptor(tls: &Tls, source: &dyn Source) -> TlsAcceptor {
    let (config, fault) = tls.current(Instant::now());
    if let Some(fault) = fault {
        source.trouble("admin.tls", format!("{fault}; the certificate in use stays"));
    }
    TlsAcceptor::from(config)
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    secure: Option<TlsAcceptor>,
    router: Router,
    seat: Seat,
) {
    let Ok(own) = stream.local_addr() else { return };
    let ends = Ends { own, peer, tls: secure.is_some(), certified: false };
    let Some(secure) = secure else { return talk(stream, router.layer(Extension(ends)), seat).await };
    let stream = tokio::select! {
        biased;
        () = seat.displaced.cancelled() => return,
        shaken = timeout(HEAD, secure.accept(stream)) => shaken,
    };
    let Ok(Ok(stream)) = stream else { return };
    // The verifier has judged what is there.
    let certified = stream.get_ref().1.peer_certificates().is_some_and(|chain| !chain.is_empty());
    talk(stream, router.layer(Extension(Ends { certified, ..ends })), seat).await;
}
