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
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::codegen::{Service, http::Uri};

use crate::config::ServerUrl;

type BoxError = Box<dyn Error + Send + Sync>;

/// The protocol that gRPC speaks.
pub(super) const ALPN: &[u8] = b"h2";

/// Connects to one member, whose certificate must be for its host.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) url: ServerUrl,
    pub(super) config: Arc<ClientConfig>,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { url, config } = self.clone();
        Box::pin(async move {
            let stream = TcpStream::connect((url.host.as_str(), url.port)).await?;
            stream.set_nodelay(true)?;
            let name = ServerName::try_from(url.host).map_err(io::Error::other)?;
            let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await?;
            if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
                return Err(io::Error::other("a TLS server without HTTP/2").into());
            }
            Ok(TokioIo::new(stream))
        })
    }
}
