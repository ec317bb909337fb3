//! TLS to a member of etcd, beneath HTTP/2.

use std::{
    error::Error,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::codegen::{Service, http::Uri};

use crate::{config::ServerUrl, providers::stream::Tls};

type BoxError = Box<dyn Error + Send + Sync>;

/// The protocol that gRPC speaks.
pub(super) const ALPN: &[u8] = b"h2";

/// Connects to one member, whose certificate must be for its host.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) url: ServerUrl,
    pub(super) tls: Arc<Tls>,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { url, tls } = self.clone();
        Box::pin(async move {
            let stream = tls.connect(&url.host, url.port).await.map_err(io::Error::other)?;
            if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
                return Err(io::Error::other("a TLS server without HTTP/2").into());
            }
            Ok(TokioIo::new(stream))
        })
    }
}
