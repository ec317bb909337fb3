//! Accepts connections, and limits the connections that strangers can hold open.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpListener,
    sync::mpsc,
    time::{Instant, Sleep, sleep_until},
};
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use super::{
    TransportError,
    bind::Place,
    connections::{Connections, Entry, Hold, Member, Progress},
    memory::{self, Wire},
};
use crate::{config::NetworkName, handshake::Exporter};

/// A bound TCP socket, or a bound port of a network in memory.
#[derive(Debug)]
pub(crate) struct Listener {
    /// `None` once the listener is stopped, which frees the port.
    socket: Option<Socket>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    released: CancellationToken,
    connections: Connections,
    patience: Duration,
    /// The pause after an error such as "too many open files".
    pause: Option<Pin<Box<Sleep>>>,
    /// The number of connections accepted in this poll.
    accepted: u32,
    /// The receiver of errors; errors without room in its queue are dropped.
    troubles: Option<mpsc::Sender<io::Error>>,
}

/// The bytes that a connection without a session may send within one
/// `patience`. A handshake has 8 KiB, a health check a few hundred bytes.
const UNPROVEN_BYTES: usize = 256 * 1024;
const PAUSE: Duration = Duration::from_millis(50);
/// The connections that are accepted before other tasks run.
const TURN: u32 = 16;

impl Listener {
    /// Binds a socket and listens until `stop`.
    pub(crate) async fn bind(
        place: Place<'_>,
        max_connections: u32,
        patience: Duration,
        stop: CancellationToken,
    ) -> Result<Self, TransportError> {
        let socket = place.listen().await?;
        Ok(Self::new(Socket::Tcp(socket), max_connections, patience, stop))
    }

    /// Binds a port of a network in memory and listens until `stop`; 0 stands for any free port.
    pub(crate) fn bind_in_memory(
        network: &NetworkName,
        port: u16,
        max_connections: u32,
        patience: Duration,
        stop: CancellationToken,
    ) -> Result<Self, TransportError> {
        let bound = memory::Port::bind(network, port).map_err(|error| TransportError::Listen {
            address: format!("port {port} in memory"),
            detail: error.to_string(),
        })?;
        Ok(Self::new(Socket::Memory(bound), max_connections, patience, stop))
    }

    fn new(socket: Socket, max_connections: u32, patience: Duration, stop: CancellationToken) -> Self {
        Self {
            socket: Some(socket),
            stop: Box::pin(stop.cancelled_owned()),
            released: CancellationToken::new(),
            connections: Connections::new(max_connections as usize),
            patience,
            pause: None,
            accepted: 0,
            troubles: None,
        }
    }

    /// The address in use, with the port that the system chose.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.socket.as_ref()?.address()
    }

    /// The table of its connections.
    pub(crate) fn connections(&self) -> Connections {
        self.connections.clone()
    }

    /// A queue of the errors of accepting, from now on.
    pub(crate) fn troubles(&mut self) -> mpsc::Receiver<io::Error> {
        let (sender, receiver) = mpsc::channel(1);
        self.troubles = Some(sender);
        receiver
    }

    /// Signals when the port is free again.
    pub(crate) fn released(&self) -> CancellationToken {
        self.released.clone()
    }
}

/// The source of connections.
#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Memory(memory::Port),
}

impl Socket {
    fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok(),
            Self::Memory(port) => Some(port.address()),
        }
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Wire, SocketAddr)>> {
        match self {
            Self::Tcp(socket) => {
                let (stream, address) = ready!(socket.poll_accept(cx))?;
                // Nagle's algorithm would delay small frames. A failure to turn it off costs only
                // latency.
                let _ = stream.set_nodelay(true);
                Poll::Ready(Ok((Wire::Tcp(stream), address)))
            }
            Self::Memory(port) => {
                let (stream, address) = ready!(port.poll_accept(cx))?;
                Poll::Ready(Ok((Wire::Memory(stream), address)))
            }
        }
    }
}

impl Stream for Listener {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.stop.as_mut().poll(cx).is_ready() {
            self.socket = None;
            self.released.cancel();
        }
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            if self.accepted >= TURN {
                self.accepted = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let Some(socket) = &mut self.socket else { return Poll::Ready(None) };
            let Poll::Ready(accepted) = socket.poll_accept(cx) else {
                self.accepted = 0;
                return Poll::Pending;
            };
            match accepted {
                Ok((stream, address)) => {
                    self.accepted += 1;
                    let subject = subject(address.ip());
                    let Some(entry) = self.connections.enter(subject) else {
                        continue; // dropped, which closes it
                    };
                    let (member, exporter) = (entry.member().clone(), Arc::default());
                    let info = ConnectionInfo { address, subject, member, exporter };
                    return Poll::Ready(Some(Ok(Connection::new(stream, info, entry, self.patience))));
                }
                // The connection is gone, or the system has run out of a
                // resource. Neither is a reason to stop listening.
                Err(error) => {
                    self.pause = Some(Box::pin(sleep_until(Instant::now() + PAUSE)));
                    // A vanished connection is not worth a report. A full queue already holds a report
                    // about the same.
                    let gone = matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                    );
                    if !gone {
                        self.connections.make_room();
                        let _ = self.troubles.as_ref().map(|troubles| troubles.try_send(error));
                    }
                }
            }
        }
    }
}

/// The connection of a request, as the gRPC services see it.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionInfo {
    pub(crate) address: SocketAddr,
    subject: IpAddr,
    member: Member,
    /// The exporter value of the TLS connection beneath, once its handshake is complete.
    exporter: Arc<OnceLock<Exporter>>,
}

impl ConnectionInfo {
    /// Notes a request, so that the connection is not closed as silent.
    pub(crate) fn touch(&self) {
        self.member.touch();
    }

    /// Protects the connection from eviction while the guard lives: a stream has
    /// shown that its peer knows the mesh secret.
    pub(crate) fn hold_for_handshake(&self) -> Hold {
        self.member.hold(Progress::Handshake)
    }

    /// Keeps the connection open while the guard lives: a stream has a session.
    pub(crate) fn hold_for_session(&self) -> Hold {
        self.member.hold(Progress::Session)
    }

    /// The unique number of the connection.
    pub(crate) fn number(&self) -> u64 {
        self.member.id()
    }

    /// The value that names the TLS connection beneath; `None` without TLS.
    pub(crate) fn exporter(&self) -> Option<Exporter> {
        self.exporter.get().copied()
    }

    /// Records the exporter value after the handshake of TLS.
    pub(super) fn set_exporter(&self, exporter: Exporter) {
        // A connection has one TLS handshake, so the value is set once.
        let _ = self.exporter.set(exporter);
    }

    /// The address by which limits count this peer.
    pub(crate) fn subject(&self) -> IpAddr {
        self.subject
    }
}

/// The address by which a peer is counted. An IPv6 host has a whole /64, so the /64 is counted.
fn subject(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// An accepted connection. It reads as closed if it has neither a session nor a
/// request for `patience`, which ends a slow loris, a half-open handshake and a
/// forgotten health check alike. It also reads as closed once it is evicted for
/// a newcomer.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Wire,
    info: ConnectionInfo,
    entry: Entry,
    patience: Duration,
    check: Pin<Box<Sleep>>,
    unproven_bytes: usize,
}

impl Connection {
    fn new(stream: Wire, info: ConnectionInfo, entry: Entry, patience: Duration) -> Self {
        let check = Box::pin(sleep_until(Instant::now() + patience));
        Self { stream, info, entry, patience, check, unproven_bytes: 0 }
    }

    /// Fails if the connection is evicted. The task is woken at an eviction.
    fn stays(&self, cx: &Context<'_>) -> io::Result<()> {
        if self.entry.member().gives_way(cx) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    fn is_silent(&mut self, cx: &mut Context<'_>) -> bool {
        while self.check.as_mut().poll(cx).is_ready() {
            let member = self.entry.member();
            if !member.take_requested() && !member.has_session() {
                return true;
            }
            self.unproven_bytes = 0;
            let next = Instant::now() + self.patience;
            self.check.as_mut().reset(next);
        }
        false
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
        self.stays(cx)?;
        if self.is_silent(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if !self.entry.member().has_session() {
            self.unproven_bytes += buf.filled().len() - before;
            if self.unproven_bytes > UNPROVEN_BYTES {
                return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stays(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stays(cx)?;
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
        self.stays(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
