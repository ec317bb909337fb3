//! This service's certificate. It is read, checked as peers check it, and
//! delegated to a mesh key that is new with each delegation.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    super::{error::Error, shared::Shared, sync::lock},
    material::{self, Given, Source},
};
use crate::{
    clock::Timestamp,
    config::{self, ConfigError},
    crypto::rsa::KeyPair,
    error::{Coded, Reason},
    handshake::Certificate,
    identity::{Anchors, Certified, Credential, MaterialError, NameRule, Revocation, Revocations, Verifier},
    providers::{
        files::Contents,
        workload::{Followed, Latest},
    },
};

/// The interval between two warnings about one ending certificate or list.
const DAILY: Duration = Duration::from_hours(24);
/// The delay after a failed renewal.
const RETRY: Duration = Duration::from_mins(1);

/// This service's certificate, with its delegation and the checks of peers.
pub(crate) struct Certificates {
    config: config::Certificate,
    rule: NameRule,
    revocations: Arc<Revocations>,
    signatures: Arc<AtomicU64>,
    current: Mutex<Current>,
    /// Whether a renewal is in progress.
    renewing: AtomicBool,
    /// The source of new certificates, until its follower takes it.
    source: Mutex<Option<Source>>,
    /// The last identity of the Workload API, if that is the source.
    latest: Option<Latest>,
    /// The fault of the current files, if they are not in use.
    fault: Mutex<Option<String>>,
}

struct Current {
    credential: Arc<Credential>,
    verifier: Arc<Verifier>,
    /// The hash of the anchors and lists in use.
    trust: [u8; 32],
    /// The result of checking this side's own identity.
    own: Arc<Certified>,
    /// Whether a revocation list names this service's own certificate.
    is_revoked: bool,
    /// The time of the next delegation.
    renew_at: Timestamp,
    /// The time of the next warning about its end.
    warn_at: Timestamp,
    /// The time of the next warning about ended revocation lists.
    lists_warn_at: Timestamp,
}

/// A mesh key, and the certificate that names it.
pub(super) struct Delegated {
    pub(super) key: KeyPair,
    pub(super) certificate: Certificate,
}

/// Material that has passed the same checks as at peers.
struct Checked {
    credential: Arc<Credential>,
    verifier: Arc<Verifier>,
    own: Arc<Certified>,
    delegated: Delegated,
}

impl Certificates {
    /// Reads the files, makes a mesh key and signs its delegation. Blocks.
    pub(super) fn load(
        shared: &Shared,
        config: &config::Certificate,
        followed: Option<Followed>,
    ) -> Result<(Self, Delegated), Error> {
        let mut rule = NameRule {
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
        let latest = followed.as_ref().map(Followed::latest);
        let (contents, source) = match (followed, material::watch(config)) {
            (Some(followed), _) => {
                (latest.as_ref().and_then(Latest::contents), Some(Source::Workload(followed)))
            }
            (None, Some((first, watched))) => (first, Some(Source::Files("security.certificate", watched))),
            (None, None) => (None, None),
        };
        let Given { credential, anchors, trust } = material::read(config, contents.as_ref())?;
        let (revoked, counted) = (Arc::clone(&revocations), Arc::clone(&signatures));
        let verifier = Verifier::new(anchors, &rule, &credential, revoked, counted);
        let checked = check(shared, Arc::new(credential), Arc::new(verifier))
            .map_err(|error| of_source(config, error))?;
        if config.workload.is_some() && rule.trust_domain.is_none() {
            // No later answer moves this service to another trust domain.
            rule.trust_domain = checked.own.trust_domain().map(str::to_owned);
        }
        let (current, delegated) = Current::new(shared, checked, trust);
        let certificates = Self {
            config: config.clone(),
            rule,
            revocations,
            signatures,
            current: Mutex::new(current),
            renewing: AtomicBool::new(false),
            source: Mutex::new(source),
            latest,
            fault: Mutex::default(),
        };
        Ok((certificates, delegated))
    }

    /// Reads the files, or takes the delivered contents. Blocks.
    pub(super) fn read(&self, contents: Option<&Contents>) -> Result<Given, Error> {
        let latest = self.latest.as_ref().and_then(Latest::contents);
        material::read(&self.config, contents.or(latest.as_ref()))
    }

    /// Checks peers by the anchors and lists of `given` from now on. The certificate in use, whose identity is
    /// `identity`, stays. Returns the new checks; `None` if nothing is new, or if the certificate in use needs
    /// the previous anchors.
    ///
    /// A list that names this service's own certificate is used too, because it may name other
    /// certificates as well.
    pub(super) fn judge_by(&self, shared: &Shared, given: &Given, identity: &[u8]) -> Option<Arc<Verifier>> {
        let credential = {
            let current = lock(&self.current);
            if current.trust == given.trust {
                return None;
            }
            Arc::clone(&current.credential)
        };
        let verifier = self.verifier_of(Arc::clone(&given.anchors), &credential);
        let own = verifier.verify(identity, &shared.config.service_id, shared.now());
        let mut current = lock(&self.current);
        match own {
            Ok(own) => (current.own, current.is_revoked) = (own, false),
            Err(error) if error.reason() == Reason::Revoked => current.is_revoked = true,
            Err(_) => return None,
        }
        (current.verifier, current.trust) = (Arc::clone(&verifier), given.trust);
        current.lists_warn_at = Timestamp::default();
        Some(verifier)
    }

    /// Whether `given` contains the certificate in use, and that may stay in use.
    pub(super) fn is_in_use(&self, given: &Given) -> bool {
        let current = lock(&self.current);
        current.trust == given.trust && !current.is_revoked && current.credential.is_same(&given.credential)
    }

    /// Delegates under the certificate of `given` if it passes every check. Otherwise the
    /// previous certificate stays. Blocks.
    pub(super) fn take_over(&self, shared: &Shared, given: Given) -> Result<Delegated, Error> {
        let verifier = self.verifier_of(given.anchors, &given.credential);
        let checked = check(shared, Arc::new(given.credential), verifier)
            .map_err(|error| of_source(&self.config, error))?;
        Ok(self.replace(shared, checked, given.trust))
    }

    /// Delegates to a new mesh key under the certificate in use. Blocks.
    pub(super) fn renew(&self, shared: &Shared) -> Result<Delegated, Error> {
        let (credential, verifier, trust) = {
            let current = lock(&self.current);
            (Arc::clone(&current.credential), Arc::clone(&current.verifier), current.trust)
        };
        Ok(self.replace(shared, check(shared, credential, verifier)?, trust))
    }

    fn replace(&self, shared: &Shared, checked: Checked, trust: [u8; 32]) -> Delegated {
        let (mut next, delegated) = Current::new(shared, checked, trust);
        let mut current = lock(&self.current);
        if current.credential.fingerprint() == next.credential.fingerprint() {
            next.warn_at = current.warn_at;
        }
        *current = next;
        delegated
    }

    fn verifier_of(&self, anchors: Arc<Anchors>, credential: &Credential) -> Arc<Verifier> {
        let (revocations, signatures) = (Arc::clone(&self.revocations), Arc::clone(&self.signatures));
        Arc::new(Verifier::new(anchors, &self.rule, credential, revocations, signatures))
    }

    /// The source of new certificates; only the first call gets it.
    pub(super) fn source(&self) -> Option<Source> {
        lock(&self.source).take()
    }

    /// Records the fault of the current files, or `None` if they are in use.
    pub(super) fn set_fault(&self, fault: Option<String>) {
        *lock(&self.fault) = fault;
    }

    /// The fault that an operator has to repair, if there is one.
    pub(crate) fn problem(&self, now: Timestamp) -> Option<String> {
        if let Some(fault) = lock(&self.fault).clone() {
            return Some(fault);
        }
        let current = lock(&self.current);
        if current.is_revoked {
            return Some(
                "a revocation list names the certificate of this service; get a new certificate".to_owned(),
            );
        }
        if now >= warning(&current.credential) {
            return Some(ending(&current.own, now));
        }
        current.verifier.lists_fault(now)
    }

    /// Whether a new delegation is due. After `true` it is `false` until
    /// [`renewed`](Self::renewed) is called.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        now >= lock(&self.current).renew_at && !self.renewing.swap(true, Ordering::Relaxed)
    }

    /// Records the end of a renewal. After a failure the next one is delayed.
    pub(super) fn renewed(&self, succeeded: bool, now: Timestamp) {
        if !succeeded {
            lock(&self.current).renew_at = now + RETRY;
        }
        self.renewing.store(false, Ordering::Relaxed);
    }

    /// The due warnings with their events, each at most once a day. The end of the certificate is announced
    /// during the last third of its lifetime; ended revocation lists are reported too.
    pub(super) fn warnings(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        let mut current = lock(&self.current);
        let mut due = Vec::new();
        if now >= current.warn_at {
            current.warn_at = now + DAILY;
            due.push(("certificate.expiring", ending(&current.own, now)));
        }
        if now >= current.lists_warn_at
            && let Some(fault) = current.verifier.lists_fault(now)
        {
            current.lists_warn_at = now + DAILY;
            due.push(("certificate.crl", fault));
        }
        due
    }

    /// The certificate in use.
    pub(super) fn credential(&self) -> Arc<Credential> {
        Arc::clone(&lock(&self.current).credential)
    }

    /// The checks of peers by the current anchors and lists.
    pub(crate) fn verifier(&self) -> Arc<Verifier> {
        Arc::clone(&lock(&self.current).verifier)
    }

    /// The identity of this service, as its peers see it.
    pub(crate) fn own(&self) -> Arc<Certified> {
        Arc::clone(&lock(&self.current).own)
    }

    /// Signature verifications since the start.
    pub(crate) fn signatures(&self) -> u64 {
        self.signatures.load(Ordering::Relaxed)
    }

    /// Refuses the named certificates or keys from now on.
    pub(crate) fn revoke(&self, revocation: Revocation) -> Result<(), MaterialError> {
        self.revocations.add(revocation)
    }
}

impl Current {
    fn new(shared: &Shared, checked: Checked, trust: [u8; 32]) -> (Self, Delegated) {
        let Checked { credential, verifier, own, delegated } = checked;
        let current = Self {
            renew_at: renewal(shared, &credential, &delegated.certificate),
            warn_at: warning(&credential),
            credential,
            verifier,
            trust,
            own,
            is_revoked: false,
            lists_warn_at: Timestamp::default(),
        };
        (current, delegated)
    }
}

/// The error, with the option from which the certificate came.
fn of_source(config: &config::Certificate, error: Error) -> Error {
    match error {
        Error::Certificate(error) if config.workload.is_some() => Error::Delivered(error),
        error => error,
    }
}

/// Makes a mesh key, signs its delegation, and checks the result as a peer does.
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

/// The time of the next renewal: after half of the delegation's remaining time,
/// or up to a tenth earlier, so that a fleet does not renew all at once. A
/// delegation that ends with its certificate is not renewed, because a new one
/// would end at the same time.
fn renewal(shared: &Shared, credential: &Credential, certificate: &Certificate) -> Timestamp {
    if certificate.expires >= credential.expires() {
        return certificate.expires;
    }
    let now = shared.now();
    let share = 0.5 - 0.1 * (shared.platform.chance)();
    now + certificate.expires.since(now).mul_f64(share.clamp(0.0, 1.0)).max(Duration::from_secs(1))
}

/// The start of the last third of the certificate's lifetime.
fn warning(credential: &Credential) -> Timestamp {
    let life = credential.expires().since(credential.not_before());
    credential.not_before() + life * 2 / 3
}

/// The warning about the end of the certificate.
fn ending(own: &Certified, now: Timestamp) -> String {
    let left = own.certificate_expires.since(now);
    if left.is_zero() {
        "the certificate of this service has ended; peers refuse it".to_owned()
    } else {
        format!("the certificate of this service ends in {} minutes; renew it", left.as_secs() / 60)
    }
}
