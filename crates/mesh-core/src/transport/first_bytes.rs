//! The first bytes of a peer. An error names the kind of server by them if the peer is no mesh.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tonic::codegen::{Service, http::Uri};

/// The length of the header of an HTTP/2 frame; it is enough to recognise any greeting.
const ENOUGH: usize = 9;

/// The first bytes received on a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct FirstBytes(Arc<Mutex<Vec<u8>>>);

impl FirstBytes {
    /// The kind of server that sent them; `None` for HTTP/2.
    pub(super) fn look_like(&self) -> Option<&'static str> {
        recognise(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The kind of server that answered a TLS client with them; `None` for TLS and HTTP/2.
    pub(super) fn look_like_without_tls(&self) -> Option<&'static str> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(seen[..], [0x15 | 0x16, 3, 0..=4, ..]) { None } else { recognise(&seen) }
    }

    /// Keeps as many of `bytes` as are missing; true once there are enough.
    fn take(&self, bytes: &[u8]) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = ENOUGH.saturating_sub(seen.len()).min(bytes.len());
        seen.extend_from_slice(&bytes[..missing]);
        seen.len() == ENOUGH
    }
}

fn recognise(bytes: &[u8]) -> Option<&'static str> {
    // A server of HTTP/2 begins with a SETTINGS frame on stream 0.
    let settings = |header: &[u8]| header.len() < 9 || (header[3] == 4 && header[5..9] == [0; 4]);
    match bytes {
        [] => None,
        [b'H', b'T', b'T', b'P', b'/', b'1', ..] => Some("an HTTP/1.1 server"),
        [b'S', b'S', b'H', b'-', ..] => Some("an SSH server"),
        [0x15 | 0x16, 3, 0..=4, ..] => Some("a TLS server"),
        [b'-', b'E', b'R', b'R', ..] => Some("a Redis server"),
        [b'2', b'2', b'0', b' ' | b'-', ..] => Some("a mail or FTP server"),
        header if settings(header) => None,
        _ => Some("a server that does not speak HTTP/2"),
    }
}

/// Connects over TCP, and keeps the first received bytes.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    tcp: HttpConnector,
    seen: FirstBytes,
}

impl Connector {
    pub(super) fn new(tcp: HttpConnector, seen: FirstBytes) -> Self {
        Self { tcp, seen }
    }
}

type Connecting = Pin<Box<dyn Future<Output = Result<TokioIo<Watched>, Error>> + Send>>;
type Error = <HttpConnector as Service<Uri>>::Error;

impl Service<Uri> for Connector {
    type Response = TokioIo<Watched>;
    type Error = Error;
    type Future = Connecting;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.tcp.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        let (connecting, seen) = (self.tcp.call(uri), self.seen.clone());
        Box::pin(async move {
            let stream = connecting.await?.into_inner();
            Ok(TokioIo::new(Watched { stream, seen: Some(seen) }))
        })
    }
}

/// A socket whose first bytes are kept.
#[derive(Debug)]
pub(super) struct Watched {
    stream: TcpStream,
    /// `None` once there are enough of them.
    seen: Option<FirstBytes>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if self.seen.as_ref().is_some_and(|seen| seen.take(&buf.filled()[before..])) {
            self.seen = None;
        }
        read
    }
}

impl AsyncWrite for Watched {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_http2_is_recognised_by_its_first_bytes() {
        let settings = [0, 0, 18, 4, 0, 0, 0, 0, 0];
        for end in 0..=settings.len() {
            assert_eq!(recognise(&settings[..end]), None, "{end}");
        }
        assert_eq!(recognise(b"HTTP/1.1 "), Some("an HTTP/1.1 server"));
        assert_eq!(recognise(b"SSH-2.0-O"), Some("an SSH server"));
        assert_eq!(recognise(&[0x15, 3, 3, 0, 2, 2, 70]), Some("a TLS server"));
        assert_eq!(recognise(b"-ERR unkn"), Some("a Redis server"));
        assert_eq!(recognise(b"220 mail."), Some("a mail or FTP server"));
        assert_eq!(recognise(b"J\0\0\0\n8.0."), Some("a server that does not speak HTTP/2"));
    }

    #[test]
    fn no_more_is_kept_than_is_looked_at() {
        let seen = FirstBytes::default();
        assert!(!seen.take(b"HTTP"));
        assert!(seen.take(&[b'x'; 1000]));
        assert!(seen.take(b"more"));
        assert_eq!(seen.0.lock().unwrap().len(), ENOUGH);
    }
}
