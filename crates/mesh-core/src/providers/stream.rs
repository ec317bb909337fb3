//! Connections to servers that are no meshes, such as etcd, Consul, Kubernetes and Redis: plain, or over TLS.

use std::{fs, path::PathBuf, sync::Arc, sync::Mutex, time::SystemTime};

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::spawn_blocking,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The most bytes of a file of authorities.
const MAX_FILE: u64 = 1 << 20;

/// A connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// TLS to one server, which trusts the authorities of a PEM file, or without one those of the operating system.
#[derive(Debug)]
pub(super) struct Tls {
    ca: Option<PathBuf>,
    /// The protocol that is spoken beneath; none for an empty one.
    alpn: &'static [u8],
    /// The configuration, and the time of the change of the file that it was read from.
    read: Arc<Mutex<Option<Read>>>,
}

#[derive(Clone, Debug)]
struct Read {
    changed: Option<SystemTime>,
    config: Arc<ClientConfig>,
}

impl Tls {
    pub(super) fn new(ca: Option<PathBuf>, alpn: &'static [u8]) -> Self {
        Self { ca, alpn, read: Arc::default() }
    }

    /// Connects to a server, whose certificate must be for its host. A file of authorities that has changed is read
    /// again.
    ///
    /// # Errors
    /// A sentence about the file, the connection or the certificate.
    pub(super) async fn connect(&self, host: &str, port: u16) -> Result<TlsStream<TcpStream>, String> {
        let (ca, alpn, read) = (self.ca.clone(), self.alpn, Arc::clone(&self.read));
        // The files are read off the I/O thread.
        let config =
            spawn_blocking(move || current(&read, ca, alpn)).await.map_err(|error| error.to_string())??;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let stream = plain(host, port).await?;
        TlsConnector::from(config).connect(name, stream).await.map_err(|error| error.to_string())
    }
}

/// Connects without TLS.
///
/// # Errors
/// The system's word.
pub(super) async fn plain(host: &str, port: u16) -> Result<TcpStream, String> {
    let stream = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    Ok(stream)
}

/// Connects to a server, over TLS if it is given.
///
/// # Errors
/// A sentence.
pub(super) async fn connect(host: &str, port: u16, tls: Option<&Tls>) -> Result<Box<dyn Stream>, String> {
    match tls {
        Some(tls) => Ok(Box::new(tls.connect(host, port).await?)),
        None => Ok(Box::new(plain(host, port).await?)),
    }
}

/// The configuration by the present file.
fn current(
    read: &Mutex<Option<Read>>,
    ca: Option<PathBuf>,
    alpn: &'static [u8],
) -> Result<Arc<ClientConfig>, String> {
    let changed = ca.as_ref().and_then(|path| fs::metadata(path).and_then(|data| data.modified()).ok());
    let mut read = read.lock().map_err(|_| "a former reading of the authorities failed".to_owned())?;
    if let Some(known) = read.as_ref().filter(|known| known.changed == changed) {
        return Ok(Arc::clone(&known.config));
    }
    let config = client_config(ca, alpn)?;
    *read = Some(Read { changed, config: Arc::clone(&config) });
    Ok(config)
}

fn client_config(ca: Option<PathBuf>, alpn: &[u8]) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        let shown = path.display();
        let size = fs::metadata(&path).map_err(|error| format!("{shown}: {error}"))?.len();
        if size > MAX_FILE {
            return Err(format!("{shown} is larger than {MAX_FILE} bytes"));
        }
        let text = fs::read(&path).map_err(|error| format!("{shown}: {error}"))?;
        for certificate in CertificateDer::pem_slice_iter(&text) {
            let certificate = certificate.map_err(|_| format!("{shown} is no PEM file"))?;
            roots.add(certificate).map_err(|error| format!("{shown}: {error}"))?;
        }
        if roots.is_empty() {
            return Err(format!("{shown} has no certificate of an authority"));
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err("the operating system has no authorities; give the option ca".to_owned());
        }
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config =
        versions.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
    if !alpn.is_empty() {
        config.alpn_protocols = vec![alpn.to_vec()];
    }
    Ok(Arc::new(config))
}
