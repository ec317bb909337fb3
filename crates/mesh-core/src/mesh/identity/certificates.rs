//! This service's certificate: read, checked as peers check it, and delegated
//! to a mesh key that is made anew for each delegation.

use std::{
    fs::File,
    io::Read,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use zeroize::Zeroizing;

use super::super::{error::Error, shared::Shared, sync::lock};
use crate::{
    clock::Timestamp,
    config::{self, ConfigError, KeySource, Material},
    crypto::{keystore::read_secret_file, rsa::KeyPair},
    handshake::Certificate,
    identity::{
        Anchors, Certified, Credential, CrlPolicy, MaterialError, NameRule, Revocation, Revocations, Verifier,
    },
};

/// Largest files: a key, a chain or a bundle, revocation lists.
const MAX_KEY: usize = 16 * 1024;
const MAX_CERTIFICATES: usize = 1024 * 1024;
const MAX_LISTS: usize = 16 * 1024 * 1024;

/// How often a certificate that is about to end is mentioned again.
const DAILY: Duration = Duration::from_hours(24);
/// Before a failed renewal is tried again.
const RETRY: Duration = Duration::from_mins(1);

/// This service's certificate and what comes of it.
pub(crate) struct Certificates {
    config: config::Certificate,
    rule: NameRule,
    revocations: Arc<Revocations>,
    signatures: Arc<AtomicU64>,
    current: Mutex<Current>,
    /// A renewal is under way.
    renewing: AtomicBool,
}

struct Current {
    credential: Arc<Credential>,
    verifier: Arc<Verifier>,
    /// The findings of this side's own checks.
    own: Arc<Certified>,
    /// When the next delegation is made.
    renew_at: Timestamp,
    /// When its end is mentioned next.
    warn_at: Timestamp,
}

/// A mesh key, and the certificate that names it.
pub(super) struct Delegated {
    pub(super) key: KeyPair,
    pub(super) certificate: Certificate,
}

/// The material that was read and has passed the checks that peers make.
struct Checked {
    credential: Arc<Credential>,
    verifier: Arc<Verifier>,
    own: Arc<Certified>,
    delegated: Delegated,
}

impl Certificates {
    /// Reads the files, makes a mesh key and delegates to it. Blocks.
    pub(super) fn load(shared: &Shared, config: &config::Certificate) -> Result<(Self, Delegated), Error> {
        let rule = NameRule {
            trust_domain: config.trust_domain.clone(),
            template: config.template.clone(),
            dns: config.dns,
            dns_suffix: config.dns_suffix.clone(),
        };
        if let Some((option, expected)) = rule.fault() {
            return Err(Error::Config(ConfigError::Value {
                path: format!("security.certificate.{option}"),
                expected: expected.to_owned(),
                got: "something else".to_owned(),
            }));
        }
        let (revocations, signatures) = (Arc::<Revocations>::default(), Arc::<AtomicU64>::default());
        let read = read(config, &rule, &revocations, &signatures)?;
        let Checked { credential, verifier, own, delegated } = check(shared, read.0, read.1)?;
        let current = Current {
            renew_at: renewal(shared, &credential, &delegated.certificate),
            warn_at: warning(&credential),
            credential,
            verifier,
            own,
        };
        let certificates = Self {
            config: config.clone(),
            rule,
            revocations,
            signatures,
            current: Mutex::new(current),
            renewing: AtomicBool::new(false),
        };
        Ok((certificates, delegated))
    }

    /// Reads the files again. What is there now counts if it passes every check;
    /// otherwise the former certificate stays. Blocks.
    pub(super) fn reload(&self, shared: &Shared) -> Result<Delegated, Error> {
        let (credential, verifier) = read(&self.config, &self.rule, &self.revocations, &self.signatures)?;
        Ok(self.take_over(shared, check(shared, credential, verifier)?))
    }

    /// Delegates to a fresh mesh key under the certificate that is there. Blocks.
    pub(super) fn renew(&self, shared: &Shared) -> Result<Delegated, Error> {
        let (credential, verifier) = {
            let current = lock(&self.current);
            (Arc::clone(&current.credential), Arc::clone(&current.verifier))
        };
        Ok(self.take_over(shared, check(shared, credential, verifier)?))
    }

    fn take_over(&self, shared: &Shared, checked: Checked) -> Delegated {
        let Checked { credential, verifier, own, delegated } = checked;
        let renew_at = renewal(shared, &credential, &delegated.certificate);
        let mut current = lock(&self.current);
        let is_another = current.credential.fingerprint() != credential.fingerprint();
        let warn_at = if is_another { warning(&credential) } else { current.warn_at };
        *current = Current { credential, verifier, own, renew_at, warn_at };
        delegated
    }

    /// Whether it is time for another delegation; true once until
    /// [`renewed`](Self::renewed) is called.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        now >= lock(&self.current).renew_at && !self.renewing.swap(true, Ordering::Relaxed)
    }

    /// A renewal is over. After a failure the next one is not before a while.
    pub(super) fn renewed(&self, succeeded: bool, now: Timestamp) {
        if !succeeded {
            lock(&self.current).renew_at = now + RETRY;
        }
        self.renewing.store(false, Ordering::Relaxed);
    }

    /// The warning that is due: once a day from a third of the lifetime before the end.
    pub(super) fn warning(&self, now: Timestamp) -> Option<String> {
        let mut current = lock(&self.current);
        if now < current.warn_at {
            return None;
        }
        current.warn_at = now + DAILY;
        let left = current.own.certificate_expires.since(now);
        Some(if left.is_zero() {
            "the certificate of this service has ended; peers refuse it".to_owned()
        } else {
            format!(
                "the certificate of this service ends in {} minutes; renew it, and call reloadIdentity()",
                left.as_secs() / 60
            )
        })
    }

    /// The checks of peers under the present anchors and lists.
    pub(crate) fn verifier(&self) -> Arc<Verifier> {
        Arc::clone(&lock(&self.current).verifier)
    }

    /// This service as its peers see it.
    pub(crate) fn own(&self) -> Arc<Certified> {
        Arc::clone(&lock(&self.current).own)
    }

    /// Signature verifications since the start.
    pub(crate) fn signatures(&self) -> u64 {
        self.signatures.load(Ordering::Relaxed)
    }

    /// Refuses what this names from now on.
    pub(crate) fn revoke(&self, revocation: Revocation) -> Result<(), MaterialError> {
        self.revocations.add(revocation)
    }
}

/// The credential and the checks of peers, from the files as they are now.
fn read(
    config: &config::Certificate,
    rule: &NameRule,
    revocations: &Arc<Revocations>,
    signatures: &Arc<AtomicU64>,
) -> Result<(Arc<Credential>, Arc<Verifier>), Error> {
    let (cert, ca) = (public(&config.cert, MAX_CERTIFICATES)?, public(&config.ca, MAX_CERTIFICATES)?);
    let crl = config.crl.as_ref().map(|crl| public(crl, MAX_LISTS)).transpose()?;
    let key = match &config.key.source {
        KeySource::Pem(pem) => Zeroizing::new(pem.as_bytes().to_vec()),
        KeySource::File(path) => read_secret_file(path, MAX_KEY)?,
    };
    let credential = Credential::new(&cert, &key)?;
    let policy = if config.crl_warns { CrlPolicy::Warn } else { CrlPolicy::Refuse };
    let anchors = Anchors::new(&ca, crl.as_deref(), policy)?;
    let verifier = Verifier::new(anchors, rule, &credential, Arc::clone(revocations), Arc::clone(signatures));
    Ok((Arc::new(credential), Arc::new(verifier)))
}

/// Makes a mesh key, delegates to it, and looks at the result as a peer would.
fn check(shared: &Shared, credential: Arc<Credential>, verifier: Arc<Verifier>) -> Result<Checked, Error> {
    let id = &shared.config.service_id;
    let key = KeyPair::generate(shared.config.rsa_bits)?;
    let now = shared.now();
    let presented = credential.delegate(id, key.public_key(), now)?;
    let own = verifier.verify(&presented.bytes, id, now).map_err(MaterialError::Own)?;
    let certificate = Certificate {
        identity: presented.bytes,
        expires: presented.expires,
        verifier: Arc::clone(&verifier),
    };
    Ok(Checked { credential, verifier, own, delegated: Delegated { key, certificate } })
}

/// When the delegation is renewed: after half of what is left of it, or up to a
/// tenth earlier, so that a fleet does not renew at once. One that ends with its
/// certificate is not: another one would end no later.
fn renewal(shared: &Shared, credential: &Credential, certificate: &Certificate) -> Timestamp {
    if certificate.expires >= credential.expires() {
        return certificate.expires;
    }
    let now = shared.now();
    let share = 0.5 - 0.1 * (shared.platform.chance)();
    now + certificate.expires.since(now).mul_f64(share.clamp(0.0, 1.0)).max(Duration::from_secs(1))
}

/// A third of the certificate's lifetime before its end.
fn warning(credential: &Credential) -> Timestamp {
    let life = credential.expires().since(credential.not_before());
    credential.not_before() + life * 2 / 3
}

/// The bytes of what is no secret.
fn public(material: &Material, most: usize) -> Result<Vec<u8>, Error> {
    let path = match &material.source {
        KeySource::Pem(pem) => return Ok(pem.as_bytes().to_vec()),
        KeySource::File(path) => path,
    };
    let fault = |why: String| MaterialError::Unusable {
        option: material.option,
        why: format!("cannot be read from {}: {why}", path.display()),
    };
    let read = |path: &Path| {
        // A pipe would block here, and has no size to check.
        if !std::fs::metadata(path)?.is_file() {
            return Err(std::io::Error::other("it is not a regular file"));
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read(path).map_err(|error| fault(error.to_string()))?;
    if bytes.len() > most {
        return Err(fault(format!("it has more than {most} bytes")).into());
    }
    Ok(bytes)
}
