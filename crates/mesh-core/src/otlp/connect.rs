//! The connection to a collector: HTTP/1.1, with TLS or without.

use std::{io, sync::Arc};

use axum::body::{Body, Bytes, to_bytes};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
    header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::AbortHandle,
};

use super::error::ExportError;
use crate::config::{KeySource, Material, Otlp};

/// The longest answer that is read.
const MAX_ANSWER: usize = 64 * 1024;

/// The answer of a collector.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// `Retry-After` in seconds.
    pub(super) retry_after: Option<u64>,
    /// `None` if it is longer than any sensible one.
    pub(super) body: Option<Bytes>,
}

/// A connection that is kept for the next request.
pub(super) struct Connection {
    sender: SendRequest<Body>,
    task: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    /// Whether another request can be sent on it.
    pub(super) async fn is_usable(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Connects to the collector.
    pub(super) async fn open(options: &Otlp) -> Result<Self, ExportError> {
        let collector = &options.collector;
        let stream = TcpStream::connect((collector.host.as_str(), collector.port)).await;
        let stream = stream.map_err(|error| ExportError::Connect(error.to_string()))?;
        if !collector.tls {
            return Self::over(stream).await;
        }
        let name = ServerName::try_from(collector.host.clone());
        let name = name.map_err(|_| ExportError::Tls("the host is no name of a certificate".to_owned()))?;
        let config = Arc::new(client_config(options.ca.as_ref())?);
        let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await;
        Self::over(stream.map_err(|error| ExportError::Tls(error.to_string()))?).await
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Self, ExportError> {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        let task = tokio::spawn(async move {
            // The request hears of its errors.
            let _ = connection.await;
        });
        Ok(Self { sender, task: task.abort_handle() })
    }

    /// Sends a request and reads its answer. The connection is of no further use after an answer that is too long.
    pub(super) async fn send(&mut self, options: &Otlp, body: Bytes) -> Result<Answer, ExportError> {
        let mut request = Request::post(options.collector.path.as_str())
            .header(HOST, options.collector.authority())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(USER_AGENT, concat!("secure-stack-mesh/", env!("CARGO_PKG_VERSION")));
        for header in &options.headers {
            let value = hyper::header::HeaderValue::from_str(&header.value).map(|mut value| {
                value.set_sensitive(true);
                value
            });
            // The configuration has been checked.
            let Ok(value) = value else { continue };
            request = request.header(header.name.as_str(), value);
        }
        let request =
            request.body(Body::from(body)).map_err(|error| ExportError::Broken(error.to_string()))?;
        let answer = self.sender.send_request(request).await.map_err(|error| broken(&error))?;
        let (parts, body) = answer.into_parts();
        let retry_after = parts.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = read(Response::from_parts(parts.clone(), body)).await;
        Ok(Answer { status: parts.status, retry_after, body })
    }
}

async fn read(answer: Response<Incoming>) -> Option<Bytes> {
    to_bytes(Body::new(answer.into_body()), MAX_ANSWER).await.ok()
}

fn broken(error: &hyper::Error) -> ExportError {
    ExportError::Broken(error.to_string())
}

fn client_config(ca: Option<&Material>) -> Result<ClientConfig, ExportError> {
    let roots = match ca {
        Some(ca) => anchors(ca)?,
        None => system_anchors()?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| ExportError::Tls(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn anchors(ca: &Material) -> Result<RootCertStore, ExportError> {
    let wrong = |detail: String| ExportError::Tls(format!("tracing.ca: {detail}"));
    let pem = match &ca.source {
        KeySource::Pem(pem) => pem.as_bytes().to_vec(),
        KeySource::File(path) => {
            let read = |error: io::Error| wrong(format!("{}: {error}", path.display()));
            std::fs::read(path).map_err(read)?
        }
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate.map_err(|error| error.to_string());
        let added = added.and_then(|found| roots.add(found).map_err(|error| error.to_string()));
        added.map_err(wrong)?;
    }
    if roots.is_empty() { Err(wrong("it has no certificate".to_owned())) } else { Ok(roots) }
}

fn system_anchors() -> Result<RootCertStore, ExportError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        let text = "this system has no trust anchors: install ca-certificates, or give tracing.ca";
        return Err(ExportError::Tls(text.to_owned()));
    }
    Ok(roots)
}
