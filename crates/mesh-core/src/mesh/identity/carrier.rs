//! The certificates that carry TLS: this service's own one, or one for TLS alone.

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
    /// Signatures of the certificate's key that connections caused.
    pub(super) signatures: Arc<AtomicU64>,
    /// Certificates for TLS alone; without them the identity's carry it.
    pub(super) carrier: Option<Carrier>,
}

/// Certificates for TLS alone.
pub(super) struct Carrier {
    config: config::Certificate,
    signatures: Arc<AtomicU64>,
    current: Mutex<(Arc<Credential>, Arc<Verifier>)>,
    pub(super) watched: Mutex<Option<Watched>>,
    /// Why the files as they are now are not in use.
    pub(super) fault: Mutex<Option<String>>,
}

impl Tls {
    /// TLS as the configuration wants it; `None` without. Blocks.
    pub(super) fn load(shared: &Shared) -> Result<Option<Self>, Error> {
        let carrier = match (&shared.config.tls, &shared.config.certificate) {
            (config::Tls::Off, _) | (config::Tls::Auto | config::Tls::Required, None) => return Ok(None),
            (config::Tls::Auto | config::Tls::Required, Some(_)) => None,
            (config::Tls::Given(given), _) => Some(Carrier::load(shared, given)?),
        };
        Ok(Some(Self { server: Mutex::default(), signatures: Arc::default(), carrier }))
    }

    /// The server's side under `credential`.
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

    /// The end of the certificate in use.
    pub(super) fn expires(&self) -> Timestamp {
        self.credential().expires()
    }

    /// The checks of servers.
    pub(super) fn verifier(&self) -> Arc<Verifier> {
        Arc::clone(&lock(&self.current).1)
    }

    /// Uses the files from now on. Blocks.
    pub(super) fn reread(&self, shared: &Shared, contents: &Contents) -> Result<(), Error> {
        let next = read(shared, &self.config, Some(contents), &self.signatures)?;
        *lock(&self.current) = next;
        Ok(())
    }

    /// The fault that an operator has to mend, if there is one.
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

/// Reads the certificates for TLS alone, and looks at the own one as peers do.
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

/// The error under the option that it is about.
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
