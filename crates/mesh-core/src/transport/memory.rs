//! Networks in memory. Pipes replace sockets between the meshes of one process,
//! with the same gRPC, handshakes and records on them.
//!
//! A network is a namespace of ports. Only meshes that were made for it are on
//! it (`MeshConfig::on_network`). No option, variable or peer connects a socket
//! with a pipe.

use std::{
    collections::HashMap,
    future::{Future, Ready, ready},
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex},
    net::TcpStream,
    sync::mpsc::{self, error::TrySendError},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::codegen::{Service, http::Uri};

use crate::config::NetworkName;

/// The address of every mesh that connects on a network in memory.
const CALLER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The bytes in transit in each direction before a writer waits, as in the buffer of a socket.
const PIPE: usize = 256 * 1024;
/// The most connections that wait to be accepted; a further one is refused.
const BACKLOG: usize = 256;

/// A port of a network.
pub(crate) type Key = (NetworkName, u16);

static PORTS: LazyLock<Mutex<HashMap<Key, Bound>>> = LazyLock::new(Mutex::default);

fn ports() -> MutexGuard<'static, HashMap<Key, Bound>> {
    PORTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The network's record of a bound port.
struct Bound {
    queue: mpsc::Sender<(DuplexStream, SocketAddr)>,
    /// Breaks the existing connections.
    cut: CancellationToken,
}

/// A bound port.
#[derive(Debug)]
pub(crate) struct Port {
    key: Key,
    queue: mpsc::Receiver<(DuplexStream, SocketAddr)>,
}

impl Port {
    /// Binds a port; 0 stands for any free one.
    pub(crate) fn bind(network: &NetworkName, port: u16) -> io::Result<Self> {
        let mut ports = ports();
        let is_free = |port: &u16| !ports.contains_key(&(network.clone(), *port));
        let port = if port == 0 { (1..=u16::MAX).find(is_free) } else { Some(port).filter(is_free) };
        let port = port.ok_or(io::ErrorKind::AddrInUse)?;
        let (sender, queue) = mpsc::channel(BACKLOG);
        let key = (network.clone(), port);
        ports.insert(key.clone(), Bound { queue: sender, cut: CancellationToken::new() });
        Ok(Self { key, queue })
    }

    /// An address with the port. Its host is not reachable.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), self.key.1)
    }

    /// The next connection, and the address of its client.
    pub(crate) fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(DuplexStream, SocketAddr)>> {
        self.queue.poll_recv(cx).map(|accepted| accepted.ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        ports().remove(&self.key);
    }
}

/// Breaks the existing connections to a port.
pub(crate) fn sever(network: &NetworkName, port: u16) {
    if let Some(bound) = ports().get_mut(&(network.clone(), port)) {
        std::mem::take(&mut bound.cut).cancel();
    }
}

/// Connects to a port, from the address `from`.
pub(crate) fn connect(key: &Key, from: SocketAddr) -> io::Result<Pipe> {
    let ports = ports();
    let bound = ports.get(key).ok_or(io::ErrorKind::ConnectionRefused)?;
    let (near, far) = duplex(PIPE);
    bound.queue.try_send((far, from)).map_err(|error| match error {
        TrySendError::Full(_) => io::ErrorKind::WouldBlock,
        TrySendError::Closed(_) => io::ErrorKind::ConnectionRefused,
    })?;
    Ok(Pipe { stream: near, cut: Box::pin(bound.cut.clone().cancelled_owned()) })
}

/// Connects gRPC clients to one port, regardless of the address that they request.
pub(super) struct Connector(Key);

impl Connector {
    pub(super) fn new(network: &NetworkName, port: u16) -> Self {
        Self((network.clone(), port))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Pipe>;
    type Error = io::Error;
    type Future = Ready<io::Result<TokioIo<Pipe>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(connect(&self.0, CALLER).map(TokioIo::new))
    }
}

/// The client's end of a connection. After [`sever`] it reads as reset. Its
/// drop ends the other end.
#[derive(Debug)]
pub(crate) struct Pipe {
    stream: DuplexStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// An accepted connection of either kind.
#[derive(Debug)]
pub(super) enum Wire {
    Tcp(TcpStream),
    Memory(DuplexStream),
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Memory(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Memory(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Memory(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Memory(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Memory(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Memory(stream) => stream.is_write_vectored(),
        }
    }
}
