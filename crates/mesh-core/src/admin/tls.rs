//! TLS of the admin port. The port reads its files again when somebody connects, so that it shows a renewed
//! certificate without a restart.

use std::{
    fmt, fs, io,
    io::Read,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig,
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::{
    config::{AdminTls, KeySource, Material},
    crypto::keystore::{KeyStoreError, read_secret_file},
    identity::tls::provider,
};

/// The shortest time between two readings of the files.
const STEP: Duration = Duration::from_secs(1);
/// The largest file of certificates, and the largest of a key.
const MAX_CERTIFICATES: u64 = 1024 * 1024;
const MAX_KEY: usize = 64 * 1024;

/// The certificate of the port, and the authorities of its clients.
pub(super) struct Tls {
    options: AdminTls,
    state: Mutex<State>,
}

struct State {
    /// The time of the last reading.
    looked: Instant,
    /// The digest of the files of that reading, whether they could be used or not; `None` if one could not be read.
    digest: Option<[u8; 32]>,
    /// The fault of that reading, as the log has it.
    fault: Option<String>,
    config: Arc<ServerConfig>,
}

/// The content of the files.
struct Files {
    cert: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files. Blocks. The error names the option and the fault.
    pub(super) fn load(options: AdminTls, now: Instant) -> Result<Self, String> {
        let files = Files::read(&options)?;
        let (digest, config) = (Some(files.digest()), Arc::new(files.config()?));
        Ok(Self { options, state: Mutex::new(State { looked: now, digest, fault: None, config }) })
    }

    /// The configuration for a new connection, and the fault of the files if it is a new one. Faulty files change
    /// nothing. Blocks for a moment, on the thread of the port.
    pub(super) fn current(&self, now: Instant) -> (Arc<ServerConfig>, Option<String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let fault =
            if now.duration_since(state.looked) < STEP { None } else { state.look(&self.options, now) };
        (Arc::clone(&state.config), fault)
    }
}

impl State {
    /// Reads the files again, and uses them if they have changed. Returns a new fault.
    fn look(&mut self, options: &AdminTls, now: Instant) -> Option<String> {
        self.looked = now;
        let files = Files::read(options);
        let digest = files.as_ref().ok().map(Files::digest);
        if digest.is_some() && digest == self.digest {
            return None;
        }
        self.digest = digest;
        match files.and_then(|files| files.config()) {
            Ok(config) => {
                (self.config, self.fault) = (Arc::new(config), None);
                None
            }
            Err(fault) if self.fault.as_ref() == Some(&fault) => None,
            Err(fault) => {
                self.fault = Some(fault.clone());
                Some(fault)
            }
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(..)")
    }
}

impl Files {
    fn read(options: &AdminTls) -> Result<Self, String> {
        let AdminTls { cert, key, client_ca } = options;
        let client_ca = client_ca.as_ref().map(public).transpose()?;
        Ok(Self { cert: public(cert)?, key: secret(key)?, client_ca })
    }

    fn digest(&self) -> [u8; 32] {
        let parts = [&self.cert[..], &self.key, self.client_ca.as_deref().unwrap_or_default()];
        Sha256::digest(parts.map(Sha256::digest).concat()).into()
    }

    fn config(&self) -> Result<ServerConfig, String> {
        let certificates = certificates(&self.cert, "admin.tls.cert")?;
        // The error of the library may contain a part of the file.
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| "admin.tls.key: there is no private key in PEM".to_owned())?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| format!("admin.tls: {error}"))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => builder.with_client_cert_verifier(verifier(ca)?),
        };
        let mut config = builder
            .with_single_cert(certificates, key)
            .map_err(|error| format!("admin.tls: certificate and key: {error}"))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A resumed session would not show its certificate again, and the authorities may have changed by then.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

/// The check of client certificates. A client without one may connect, because probes have none; the guard demands it.
fn verifier(ca: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let wrong = |error: &dyn fmt::Display| format!("admin.tls.clientCa: {error}");
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca, "admin.tls.clientCa")? {
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .allow_unauthenticated()
        .build();
    verifier.map_err(|error| wrong(&error))
}

fn certificates(pem: &[u8], option: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| format!("{option}: {error}"))?;
    if all.is_empty() { Err(format!("{option}: there is no certificate in PEM")) } else { Ok(all) }
}

/// The key, under the rule of all files with a secret: nobody else may read them.
fn secret(material: &Material) -> Result<Zeroizing<Vec<u8>>, String> {
    match &material.source {
        KeySource::Pem(pem) => Ok(Zeroizing::new(pem.as_bytes().to_vec())),
        KeySource::File(path) => {
            read_secret_file(path, MAX_KEY).map_err(|error| match error {
                // Its text names the option of another key.
                KeyStoreError::Given { path, problem } => {
                    format!("{}: {} {problem}", material.option, path.display())
                }
                error => format!("{}: {error}", material.option),
            })
        }
    }
}

fn public(material: &Material) -> Result<Vec<u8>, String> {
    let path = match &material.source {
        KeySource::Pem(pem) => return Ok(pem.as_bytes().to_vec()),
        KeySource::File(path) => path,
    };
    let read = |path: &Path| {
        // A pipe would block.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut bytes = Vec::new();
        fs::File::open(path)?.take(MAX_CERTIFICATES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_CERTIFICATES {
            return Err(io::Error::other("it is larger than 1 MiB"));
        }
        Ok(bytes)
    };
    read(path).map_err(|error| format!("{}: {}: {error}", material.option, path.display()))
}
