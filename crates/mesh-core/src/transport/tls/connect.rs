//! The client's side of a connection.

use std::{
    error::Error,
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, Error as TlsError};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;
use tonic::codegen::{Service, http::Uri};

use super::{EXPORTER, refuses_certificate};
use crate::{handshake::Exporter, identity::tls::ALPN};

type BoxError = Box<dyn Error + Send + Sync>;

/// The result of the TLS handshake, for the caller of the connector.
#[derive(Clone, Debug, Default)]
pub(in crate::transport) struct Outcome(Arc<OnceLock<Shaken>>);

/// The result of a TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transport) enum Shaken {
    Done(Exporter),
    /// The server does not support TLS.
    NoTls,
    /// The server refuses this side's certificate, or does not hold the key of its own.
    Refused,
    /// The server supports TLS and is no mesh.
    Other,
}

impl Outcome {
    /// The result; `None` before the end of the handshake, and after an error of the connection.
    pub(in crate::transport) fn get(&self) -> Option<Shaken> {
        self.0.get().copied()
    }

    fn set(&self, shaken: Shaken) {
        // A connector makes one connection, so the result is set once.
        let _ = self.0.set(shaken);
    }
}

/// Connects by `inner`, and does the TLS handshake.
#[derive(Clone)]
pub(in crate::transport) struct TlsConnector<C> {
    inner: C,
    config: Arc<ClientConfig>,
    outcome: Outcome,
}

impl<C> TlsConnector<C> {
    pub(in crate::transport) fn new(inner: C, config: Arc<ClientConfig>, outcome: Outcome) -> Self {
        Self { inner, config, outcome }
    }
}

impl<C, S> Service<Uri> for TlsConnector<C>
where
    C: Service<Uri, Response = TokioIo<S>>,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Response = TokioIo<TlsStream<S>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, outcome) = (self.inner.call(uri), self.outcome.clone());
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&self.config));
        Box::pin(async move {
            let stream = connecting.await.map_err(Into::into)?.into_inner();
            // The name is neither sent nor compared, because the certificate names a service and
            // not a host.
            let name = ServerName::try_from("mesh").map_err(io::Error::other)?;
            let shaken = connector.connect(name, stream).await;
            let stream = shaken.inspect_err(|error| {
                let error = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
                if let Some(shaken) = error.map(meaning) {
                    outcome.set(shaken);
                }
            })?;
            let session = stream.get_ref().1;
            if session.alpn_protocol() != Some(ALPN) {
                outcome.set(Shaken::Other);
                return Err(io::Error::other("a TLS server without HTTP/2").into());
            }
            outcome.set(Shaken::Done(session.export_keying_material([0; 32], EXPORTER, Some(&[]))?));
            Ok(TokioIo::new(stream))
        })
    }
}

/// The verdict about the server after a failed handshake.
fn meaning(error: &TlsError) -> Shaken {
    match error {
        TlsError::InvalidCertificate(_) | TlsError::NoCertificatesPresented => Shaken::Refused,
        TlsError::AlertReceived(alert) if refuses_certificate(*alert) => Shaken::Refused,
        TlsError::InvalidMessage(_) => Shaken::NoTls,
        _ => Shaken::Other,
    }
}
