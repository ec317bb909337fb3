//! Accepting connections, with bounds on what a stranger can hold open.

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
    /// Gone once the listener is stopped, and the port free with it.
    socket: Option<Socket>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    released: CancellationToken,
    connections: Connections,
    patience: Duration,
    /// Pauses accepting after an error such as "too many open files".
    pause: Option<Pin<Box<Sleep>>>,
    /// Connections accepted in this turn.
    accepted: u32,
    /// Takes the errors of accepting, as many as there is room for.
    troubles: Option<mpsc::Sender<io::Error>>,
}

/// Bytes that a connection may send while it has no established session, in one
/// span of patience: a handshake is 8 KiB, a health check a few hundred bytes.
const UNPROVEN_BYTES: usize = 256 * 1024;
const PAUSE: Duration = Duration::from_millis(50);
/// Connections that are accepted before others have their turn.
const TURN: u32 = 16;

impl Listener {
    /// Binds, until `stop`.
    pub(crate) async fn bind(
        place: Place<'_>,
        max_connections: u32,
        patience: Duration,
        stop: CancellationToken,
    ) -> Result<Self, TransportError> {
        let socket = place.listen().await?;
        Ok(Self::new(Socket::Tcp(socket), max_connections, patience, stop))
    }

    /// Binds a port of a network in memory, until `stop`; 0 means any.
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

    /// The address in use, with the port the system chose.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.socket.as_ref()?.address()
    }

    /// The table of its connections.
    pub(crate) fn connections(&self) -> Connections {
        self.connections.clone()
    }

    /// The errors of accepting from now on.
    pub(crate) fn troubles(&mut self) -> mpsc::Receiver<io::Error> {
        let (sender, receiver) = mpsc::channel(1);
        self.troubles = Some(sender);
        receiver
    }

    /// Tells when the port is free again.
    pub(crate) fn released(&self) -> CancellationToken {
        self.released.clone()
    }
}

/// Where connections come from.
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
                // Small frames must not wait for each other; without it they only are slower.
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
                // The connection is gone or the system is out of something;
                // neither is a reason to stop listening.
                Err(error) => {
                    self.pause = Some(Box::pin(sleep_until(Instant::now() + PAUSE)));
                    // One connection less is no trouble; and one that nobody has read yet says the same.
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

/// What the services know of the connection a request came on.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionInfo {
    pub(crate) address: SocketAddr,
    subject: IpAddr,
    member: Member,
    /// That of TLS beneath, once its handshake is over.
    exporter: Arc<OnceLock<Exporter>>,
}

impl ConnectionInfo {
    /// Notes a request, so that the connection is not closed as a silent one.
    pub(crate) fn touch(&self) {
        self.member.touch();
    }

    /// A stream has shown that its peer knows the mesh secret: the connection gives
    /// way to nobody for as long as the guard lives.
    pub(crate) fn hold_for_handshake(&self) -> Hold {
        self.member.hold(Progress::Handshake)
    }

    /// A stream has a session: the connection is kept open for as long as the guard lives.
    pub(crate) fn hold_for_session(&self) -> Hold {
        self.member.hold(Progress::Session)
    }

    /// The connection's number, which no other one has.
    pub(crate) fn number(&self) -> u64 {
        self.member.id()
    }

    /// The value that names the TLS connection beneath; `None` without TLS.
    pub(crate) fn exporter(&self) -> Option<Exporter> {
        self.exporter.get().copied()
    }

    /// The handshake of TLS is over.
    pub(super) fn set_exporter(&self, exporter: Exporter) {
        // A connection has one handshake.
        let _ = self.exporter.set(exporter);
    }

    /// The address limits are counted by.
    pub(crate) fn subject(&self) -> IpAddr {
        self.subject
    }
}

/// An IPv6 host owns a whole /64, so that is what it is counted by.
fn subject(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// An accepted connection. One that for `patience` has neither an established
/// session nor a request reads as closed: that is what ends a slow loris, a
/// half-open handshake and a forgotten health check alike. So does one that has
/// to give way to a newcomer.
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

    /// Fails if it has to give way; the task hears of it when it has to.
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
