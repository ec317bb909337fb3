//! The certificates for TLS: that of the identity, or one for TLS only.

use std::sync::{Arc, Mutex, atomic::AtomicU64};

use rustls::ServerConfig;

use super::material::{self, Given};
use crate::{
    clock::Timestamp,
    config,
    identity::{Credential, MaterialError, NameRule, Revocations, Verifier, tls},
    mesh::{error::Error, shared::Shared, sync::lock},
    providers::files::{Contents, Watched},
};

/// TLS beneath the streams of this mesh.
pub(crate) struct Tls {
    /// The server's side, for the credential that it was made with.
    server: Mutex<Option<(Arc<Credential>, Arc<ServerConfig>)>>,
    /// Signatures with the certificate's key that connections have caused.
    pub(super) signatures: Arc<AtomicU64>,
    /// Certificates for TLS only. Without them TLS uses the certificate of the identity.
    pub(super) carrier: Option<Carrier>,
}

/// Certificates for TLS only.
pub(super) struct Carrier {
    config: config::Certificate,
    signatures: Arc<AtomicU64>,
    current: Mutex<(Arc<Credential>, Arc<Verifier>)>,
    pub(super) watched: Mutex<Option<Watched>>,
    /// The fault of the current files, if they are not in use.
    pub(super) fault: Mutex<Option<String>>,
}

impl Tls {
    /// Reads the configuration of TLS; `None` without TLS. Blocks.
    pub(super) fn load(shared: &Shared) -> Result<Option<Self>, Error> {
        let carrier = match (&shared.config.tls, &shared.config.certificate) {
            (config::Tls::Off, _) | (config::Tls::Auto | config::Tls::Required, None) => return Ok(None),
            (config::Tls::Auto | config::Tls::Required, Some(_)) => None,
            (config::Tls::Given(given), _) => Some(Carrier::load(shared, given)?),
        };
        Ok(Some(Self { server: Mutex::default(), signatures: Arc::default(), carrier }))
    }

    /// The server's configuration of TLS with `credential`.
    pub(super) fn server(&self, credential: Arc<Credential>) -> Result<Arc<ServerConfig>, MaterialError> {
        let mut server = lock(&self.server);
        if let Some((with, config)) = &*server
            && Arc::ptr_eq(with, &credential)
        {
            return Ok(Arc::clone(config));
        }
        let config = tls::server_config(&credential, &self.signatures)?;
        *server = Some((credential, Arc::clone(&config)));
        Ok(config)
    }
}

impl Carrier {
    fn load(shared: &Shared, given: &config::Certificate) -> Result<Self, Error> {
        let (contents, watched) =
            material::watch(given).map_or((None, None), |(first, all)| (first, Some(all)));
        let signatures = Arc::default();
        let current = read(shared, given, contents.as_ref(), &signatures)?;
        Ok(Self {
            config: given.clone(),
            signatures,
            current: Mutex::new(current),
            watched: Mutex::new(watched),
            fault: Mutex::default(),
        })
    }

    /// The certificate in use.
    pub(super) fn credential(&self) -> Arc<Credential> {
        Arc::clone(&lock(&self.current).0)
    }

    /// The checks of servers' certificates.
    pub(super) fn verifier(&self) -> Arc<Verifier> {
        Arc::clone(&lock(&self.current).1)
    }

    /// Reads the files again and uses them. Blocks.
    pub(super) fn reread(&self, shared: &Shared, contents: &Contents) -> Result<(), Error> {
        let next = read(shared, &self.config, Some(contents), &self.signatures)?;
        *lock(&self.current) = next;
        Ok(())
    }

    /// The fault that an operator has to repair, if there is one.
    pub(super) fn problem(&self, now: Timestamp) -> Option<String> {
        if let Some(fault) = lock(&self.fault).clone() {
            return Some(fault);
        }
        let credential = self.credential();
        let life = credential.expires().since(credential.not_before());
        (now >= credential.not_before() + life * 2 / 3).then(|| {
            let minutes = credential.expires().since(now).as_secs() / 60;
            format!("the certificate of security.tls ends in {minutes} minutes; renew it")
        })
    }
}

/// Reads the certificates for TLS only, and checks the own one as peers do.
fn read(
    shared: &Shared,
    given: &config::Certificate,
    contents: Option<&Contents>,
    signatures: &Arc<AtomicU64>,
) -> Result<(Arc<Credential>, Arc<Verifier>), Error> {
    let Given { credential, anchors, .. } = material::read(given, contents).map_err(of_tls)?;
    let rule = NameRule { dns: given.dns, ..NameRule::default() };
    let revocations = Arc::<Revocations>::default();
    let verifier = Verifier::new(anchors, &rule, &credential, revocations, Arc::clone(signatures));
    verifier
        .verify_chain(credential.chain(), &shared.config.service_id, shared.now())
        .map_err(|error| of_tls(MaterialError::Own(error).into()))?;
    Ok((Arc::new(credential), Arc::new(verifier)))
}

/// The error with the path of its option.
fn of_tls(error: Error) -> Error {
    let Error::Certificate(MaterialError::Unusable { option, why }) = error else { return error };
    let option = match option {
        "security.certificate.cert" => "security.tls.cert",
        "security.certificate.key" => "security.tls.key",
        "security.certificate.ca" => "security.tls.ca",
        other => other,
    };
    let why = why.replace("security.certificate.cert", "security.tls.cert");
    MaterialError::Unusable { option, why }.into()
}
