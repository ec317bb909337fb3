//! TLS of the admin port. Its files are looked at again when somebody connects, so that a renewed certificate is shown
//! without a restart.

use std::{
    fmt, fs,
    io::Read,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::config::{AdminTls, KeySource, Material};

/// How often the files are looked at, at most.
const STEP: Duration = Duration::from_secs(1);
/// The largest file.
const MAX_FILE: u64 = 1024 * 1024;

/// The certificate of the port, and the authorities of its clients.
pub(super) struct Tls {
    options: AdminTls,
    state: Mutex<State>,
}

struct State {
    looked: Instant,
    /// Of the files that were read last, whether they could be used or not.
    digest: [u8; 32],
    config: Arc<ServerConfig>,
}

/// The files as they are now.
struct Files {
    cert: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Zeroizing<Vec<u8>>>,
}

impl Tls {
    /// Reads the files. Blocks.
    pub(super) fn load(options: AdminTls, now: Instant) -> Result<Self, String> {
        let files = Files::read(&options)?;
        let state = State { looked: now, digest: files.digest(), config: Arc::new(files.config()?) };
        Ok(Self { options, state: Mutex::new(state) })
    }

    /// The configuration for a new connection; and what is wrong with the files, when that was found just now. The
    /// former configuration then stays. Blocks for a moment, on the thread of the port.
    pub(super) fn current(&self, now: Instant) -> (Arc<ServerConfig>, Option<String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(state.looked) < STEP {
            return (Arc::clone(&state.config), None);
        }
        state.looked = now;
        let changed = Files::read(&self.options).and_then(|files| {
            let digest = files.digest();
            if digest == state.digest {
                return Ok(None);
            }
            state.digest = digest;
            files.config().map(Some)
        });
        let problem = match changed {
            Ok(None) => None,
            Ok(Some(config)) => {
                state.config = Arc::new(config);
                None
            }
            Err(problem) => Some(problem),
        };
        (Arc::clone(&state.config), problem)
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
        let client_ca = client_ca.as_ref().map(read).transpose()?;
        Ok(Self { cert: read(cert)?, key: read(key)?, client_ca })
    }

    fn digest(&self) -> [u8; 32] {
        let none = Zeroizing::default();
        let parts = [&self.cert, &self.key, self.client_ca.as_ref().unwrap_or(&none)];
        let each = parts.map(|part| Sha256::digest(part.as_slice()));
        Sha256::digest(each.concat()).into()
    }

    fn config(&self) -> Result<ServerConfig, String> {
        let text = |error: &dyn fmt::Display| error.to_string();
        let certificates = certificates(&self.cert, "admin.tls.cert")?;
        let key = PrivateKeyDer::from_pem_slice(&self.key);
        // The error of the library may have a part of what it read.
        let key = key.map_err(|_| "admin.tls.key: there is no private key in PEM".to_owned())?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| text(&error))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                for certificate in self::certificates(ca, "admin.tls.clientCa")? {
                    roots.add(certificate).map_err(|error| format!("admin.tls.clientCa: {error}"))?;
                }
                // Probes have no certificate; the guard asks for one where it is needed.
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error| format!("admin.tls.clientCa: {error}"))?;
                builder.with_client_cert_verifier(verifier as Arc<dyn ClientCertVerifier>)
            }
        };
        let config = builder.with_single_cert(certificates, key);
        let mut config = config.map_err(|error| format!("admin.tls: certificate and key: {error}"))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A session that is resumed is not asked for its certificate again, and the authorities may be others by then.
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

fn certificates(pem: &[u8], option: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| format!("{option}: {error}"))?;
    if all.is_empty() { Err(format!("{option}: there is no certificate in PEM")) } else { Ok(all) }
}

fn read(material: &Material) -> Result<Zeroizing<Vec<u8>>, String> {
    match &material.source {
        KeySource::Pem(pem) => Ok(Zeroizing::new(pem.as_bytes().to_vec())),
        KeySource::File(path) => {
            let wrong = |error: String| format!("{}: {}: {error}", material.option, path.display());
            let file = fs::File::open(path).map_err(|error| wrong(error.to_string()))?;
            let mut bytes = Zeroizing::default();
            file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| wrong(error.to_string()))?;
            if bytes.len() as u64 > MAX_FILE {
                Err(wrong("it is larger than 1 MiB".to_owned()))
            } else {
                Ok(bytes)
            }
        }
    }
}
