//! Accepting TCP connections, with bounds on what a stranger can hold open.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Instant, Sleep, sleep_until},
};
use tokio_stream::Stream;
use tonic::transport::server::Connected;

use super::TransportError;

/// A bound TCP socket.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    live: Arc<AtomicUsize>,
    max_connections: usize,
    patience: Duration,
    /// Pauses accepting after an error such as "too many open files".
    pause: Option<Pin<Box<Sleep>>>,
}

const PAUSE: Duration = Duration::from_millis(50);

impl Listener {
    /// Binds. `None` as host means every interface.
    pub(crate) async fn bind(
        host: Option<&str>,
        port: u16,
        max_connections: u32,
        patience: Duration,
    ) -> Result<Self, TransportError> {
        let bound = match host {
            Some(host) => TcpListener::bind((host, port)).await,
            // One dual-stack socket where the system has IPv6.
            None => match TcpListener::bind(("::", port)).await {
                Ok(socket) if cfg!(unix) => Ok(socket),
                _ => TcpListener::bind(("0.0.0.0", port)).await,
            },
        };
        let socket = bound.map_err(|error| TransportError::Listen {
            address: format!("{}:{port}", host.unwrap_or("*")),
            detail: error.to_string(),
        })?;
        Ok(Self {
            socket,
            live: Arc::default(),
            max_connections: max_connections as usize,
            patience,
            pause: None,
        })
    }

    /// The address in use, with the port the system chose.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl Stream for Listener {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match ready!(self.socket.poll_accept(cx)) {
                Ok((stream, address)) => {
                    if self.live.load(Ordering::Relaxed) >= self.max_connections {
                        continue; // dropped, which closes it
                    }
                    return Poll::Ready(Some(Ok(Connection::new(
                        stream,
                        address,
                        Arc::clone(&self.live),
                        self.patience,
                    ))));
                }
                // The connection is gone or the system is out of something;
                // neither is a reason to stop listening.
                Err(_) => self.pause = Some(Box::pin(sleep_until(Instant::now() + PAUSE))),
            }
        }
    }
}

/// What the services know of the connection a request came on.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionInfo {
    pub(crate) address: SocketAddr,
    state: Arc<ConnectionState>,
}

#[derive(Debug, Default)]
struct ConnectionState {
    sessions: AtomicUsize,
    requested: AtomicBool,
}

impl ConnectionInfo {
    /// Notes a request, so that the connection is not closed as a silent one.
    pub(crate) fn touch(&self) {
        self.state.requested.store(true, Ordering::Relaxed);
    }

    /// Keeps the connection open for as long as the guard lives.
    pub(crate) fn hold(&self) -> Hold {
        self.state.sessions.fetch_add(1, Ordering::Relaxed);
        Hold(Arc::clone(&self.state))
    }

    /// The address limits are counted by: an IPv6 host owns a whole /64.
    pub(crate) fn subject(&self) -> IpAddr {
        match self.address.ip().to_canonical() {
            IpAddr::V6(address) => {
                let prefix = u128::from(address) >> 64 << 64;
                IpAddr::V6(prefix.into())
            }
            v4 @ IpAddr::V4(_) => v4,
        }
    }
}

/// An established session on a connection.
#[derive(Debug)]
pub(crate) struct Hold(Arc<ConnectionState>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An accepted connection. One that for `patience` has neither an established
/// session nor a request reads as closed: that is what ends a slow loris, a
/// half-open handshake and a forgotten health check alike.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    info: ConnectionInfo,
    live: Arc<AtomicUsize>,
    patience: Duration,
    check: Pin<Box<Sleep>>,
}

impl Connection {
    fn new(stream: TcpStream, address: SocketAddr, live: Arc<AtomicUsize>, patience: Duration) -> Self {
        live.fetch_add(1, Ordering::Relaxed);
        // Small frames must not wait for each other; without it they only are slower.
        let _ = stream.set_nodelay(true);
        let info = ConnectionInfo { address, state: Arc::default() };
        let check = Box::pin(sleep_until(Instant::now() + patience));
        Self { stream, info, live, patience, check }
    }

    fn is_silent(&mut self, cx: &mut Context<'_>) -> bool {
        while self.check.as_mut().poll(cx).is_ready() {
            let requested = self.info.state.requested.swap(false, Ordering::Relaxed);
            if !requested && self.info.state.sessions.load(Ordering::Relaxed) == 0 {
                return true;
            }
            let next = Instant::now() + self.patience;
            self.check.as_mut().reset(next);
        }
        false
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connected for Connection {
    type ConnectInfo = ConnectionInfo;

    fn connect_info(&self) -> ConnectionInfo {
        self.info.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_silent(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
