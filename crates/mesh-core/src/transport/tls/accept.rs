//! The server's side of a connection. Its first byte decides whether it is TLS.

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls::{Error as TlsError, server::Acceptor};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    sync::oneshot,
};
use tokio_rustls::{Accept, LazyConfigAcceptor, StartHandshake, server::TlsStream};
use tonic::transport::server::Connected;

use super::{EXPORTER, TlsPort, refuses_certificate};
use crate::transport::{ConnectionInfo, listener::Connection};

/// The type of a TLS record with a handshake message. HTTP/2 begins with `P`.
const HANDSHAKE: u8 = 0x16;

/// An accepted connection, with TLS on it if the peer began with TLS.
pub(in crate::transport) struct Secured {
    state: State,
    info: ConnectionInfo,
}

enum State {
    /// This port has no TLS, or the peer began without it.
    Plain(Prefixed),
    /// The first byte, and the TLS handshake that may follow it.
    Begins(Pin<Box<dyn Future<Output = io::Result<State>> + Send>>),
    Tls(Box<TlsStream<Prefixed>>),
    Failed,
}

impl Secured {
    /// A connection to a port, which supports TLS if `tls` is given.
    pub(in crate::transport) fn new(connection: Connection, tls: Option<Arc<dyn TlsPort>>) -> Self {
        let info = connection.connect_info();
        let stream = Prefixed { first: None, stream: connection };
        let state = match tls {
            None => State::Plain(stream),
            Some(tls) => State::Begins(Box::pin(begin(stream, info.clone(), tls))),
        };
        Self { state, info }
    }

    fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let State::Begins(begins) = &mut self.state {
            match ready!(begins.as_mut().poll(cx)) {
                Ok(state) => self.state = state,
                Err(error) => {
                    self.state = State::Failed;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Reads the first byte, and does the TLS handshake if that byte begins one.
async fn begin(mut stream: Prefixed, info: ConnectionInfo, tls: Arc<dyn TlsPort>) -> io::Result<State> {
    let mut first = [0];
    if stream.read(&mut first).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    stream.first = Some(first[0]);
    if first[0] != HANDSHAKE {
        return Ok(State::Plain(stream));
    }
    let shaken = shake_hands(stream, &info, &*tls).await;
    shaken.map(|stream| State::Tls(Box::new(stream))).inspect_err(|error| {
        let tls_error = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
        if let Some(inner) = tls_error {
            let refused = matches!(inner, TlsError::AlertReceived(alert) if refuses_certificate(*alert));
            tls.failed(info.address, refused, &inner.to_string());
        }
    })
}

async fn shake_hands(
    stream: Prefixed,
    info: &ConnectionInfo,
    tls: &dyn TlsPort,
) -> io::Result<TlsStream<Prefixed>> {
    let hello: StartHandshake<Prefixed> = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let (sender, answered) = oneshot::channel::<Accept<Prefixed>>();
    let answer = Box::new(move |config| {
        // This step makes the signature. After the end of the connection nothing waits for the
        // result.
        let _ = sender.send(hello.into_stream(config));
    });
    tls.answer(info.subject(), answer).await;
    let stream = answered.await.map_err(|_| io::Error::from(io::ErrorKind::ConnectionAborted))?.await?;
    let exporter = stream.get_ref().1.export_keying_material([0; 32], EXPORTER, Some(&[]));
    info.set_exporter(exporter.map_err(io::Error::other)?);
    Ok(stream)
}

impl Connected for Secured {
    type ConnectInfo = ConnectionInfo;

    fn connect_info(&self) -> ConnectionInfo {
        self.info.clone()
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").field("info", &self.info).finish_non_exhaustive()
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_begun(cx))?;
        match &mut self.state {
            State::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            State::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            State::Begins(_) | State::Failed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_begun(cx))?;
        match &mut self.state {
            State::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            State::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            State::Begins(_) | State::Failed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_begun(cx))?;
        match &mut self.state {
            State::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            State::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            State::Begins(_) | State::Failed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        // Both kinds of streams take many buffers at once.
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Plain(stream) => Pin::new(stream).poll_flush(cx),
            State::Tls(stream) => Pin::new(stream).poll_flush(cx),
            // Nothing has been written yet.
            State::Begins(_) | State::Failed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            State::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            State::Begins(_) | State::Failed => Poll::Ready(Ok(())),
        }
    }
}

/// A connection whose first byte was read ahead, and is returned by the next read again.
#[derive(Debug)]
struct Prefixed {
    first: Option<u8>,
    stream: Connection,
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buf.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
