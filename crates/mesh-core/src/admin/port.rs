//! The socket of the admin port, and its thread.

use std::{io, net::SocketAddr, sync::Arc, thread, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    AdminError, Source,
    connections::{Connections, Seat},
    events::Streams,
    guard::{Ends, Guard},
    login::Login,
    routes::{Desk, router},
    writing::Impatient,
};
use crate::{config::Admin, telemetry::STEP_MS};

/// Connections at once.
const MAX_CONNECTIONS: usize = 256;
/// How long a connection may take for the head of a request, idle time included.
const HEAD: Duration = Duration::from_secs(10);
/// The longest head, and the most headers in it.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
/// How long a peer may read nothing while there is something to read.
const UNREAD: Duration = Duration::from_secs(30);
/// How long the end of a mesh waits for the port.
const RELEASE: Duration = Duration::from_secs(1);
/// How long the last minute of the history may take to be written then.
const FAREWELL: Duration = Duration::from_millis(800);
const PAUSE: Duration = Duration::from_millis(50);

/// An open admin port. It closes when this is dropped.
#[derive(Debug)]
pub(crate) struct AdminPort {
    address: SocketAddr,
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
        let address = opening.await.map_err(|_| AdminError::Thread)?;
        let address = address.map_err(|error| AdminError::Listen {
            option: if admin.probes_only { "probes.port" } else { "admin.port" },
            address: format!("{}:{}", admin.host, admin.port),
            detail: error.to_string(),
        })?;
        Ok(Self { address, released, _guard: stop.clone().drop_guard(), stop })
    }

    /// The address in use, with the port the system chose.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
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
    opened: oneshot::Sender<io::Result<SocketAddr>>,
) {
    let bound = TcpListener::bind((admin.host.as_str(), admin.port)).await;
    let (listener, address) = match bound.and_then(|listener| listener.local_addr().map(|at| (listener, at)))
    {
        Ok(bound) => bound,
        Err(error) => {
            let _ = opened.send(Err(error));
            return;
        }
    };
    if opened.send(Ok(address)).is_err() {
        return;
    }
    let guard = Arc::new(Guard::new(&admin.host, &admin.hosts, Login::new(admin.token), admin.probes_only));
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
                tokio::spawn(connection(stream, peer, router.clone(), connections.enter()));
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

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, seat: Seat) {
    let Ok(own) = stream.local_addr() else { return };
    let router = router.layer(axum::Extension(Ends { own, peer }));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
    let io = TokioIo::new(Impatient::new(stream, UNREAD));
    let served = http.serve_connection(io, TowerToHyperService::new(router));
    tokio::select! {
        biased;
        () = seat.displaced.cancelled() => {}
        _ = served => {}
    }
}
