//! The checks of an identity, in the order of `docs/protocol.md`, section 8.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rustls_pki_types::CertificateDer;
use webpki::{EndEntityCert, Error as PathError};

use super::{
    algorithms::Counted,
    anchors::{Anchors, Path, Usages},
    cache::Cache,
    certificate::{Facts, KeyKind},
    certified::Certified,
    delegation::{Delegation, MAX_DELEGATION, encode_chain, signed_bytes},
    error::{IdentityError, MaterialError},
    material::Credential,
    names::{NameRule, Names},
    revocation::{PathCertificate, Revocation, Revocations},
};
use crate::{clock::Timestamp, crypto::mac::sha256, id::ServiceId};

/// Verifies the identities of peers under one set of anchors, lists and names.
/// Another set is another verifier, whose cache is empty.
#[derive(Debug)]
pub struct Verifier {
    anchors: Arc<Anchors>,
    names: Names,
    revocations: Arc<Revocations>,
    cache: Mutex<Cache>,
    /// Signature verifications, those of failures included.
    signatures: Arc<AtomicU64>,
}

impl Verifier {
    /// For a service that has the credential `own`.
    #[must_use]
    pub fn new(
        anchors: impl Into<Arc<Anchors>>,
        rule: &NameRule,
        own: &Credential,
        revocations: Arc<Revocations>,
        signatures: Arc<AtomicU64>,
    ) -> Self {
        Self {
            anchors: anchors.into(),
            names: Names::new(rule, &own.leaf),
            revocations,
            cache: Mutex::default(),
            signatures,
        }
    }

    /// The number of signatures that were verified.
    #[must_use]
    pub fn signatures(&self) -> u64 {
        self.signatures.load(Ordering::Relaxed)
    }

    /// Checks that `identity` is that of `service` at `now`. Public operations
    /// only; none at all for an identity that is in the cache.
    pub fn verify(
        &self,
        identity: &[u8],
        service: &ServiceId,
        now: Timestamp,
    ) -> Result<Arc<Certified>, IdentityError> {
        let delegation = Delegation::decode(identity)?;
        check_time(&delegation, service, now)?;
        let hash = sha256(&[identity]);
        let cached = self.lock().find(&hash, service, now);
        let certified = match cached {
            Some(certified) => certified,
            None => self.verify_anew(identity, hash, &delegation, service, now)?,
        };
        if self.is_revoked(&certified) {
            return Err(IdentityError::Revoked { service: service.clone(), by: "revoke() of this service" });
        }
        Ok(certified)
    }

    /// The fault of the revocation lists at `now`, with its meaning, if there are lists and one has ended.
    #[must_use]
    pub fn lists_fault(&self, now: Timestamp) -> Option<String> {
        self.anchors.lists_fault(now)
    }

    /// Revokes: nothing that this names is accepted any longer.
    pub fn revoke(&self, revocation: Revocation) -> Result<(), MaterialError> {
        self.revocations.add(revocation)
    }

    /// Whether `revoke()` has named a part of it.
    #[must_use]
    pub fn is_revoked(&self, certified: &Certified) -> bool {
        self.revocations.hit(&certified.name, certified.mesh_key.thumbprint(), certified.path.iter())
    }

    /// Checks that a chain without a delegation, leaf first, is of `service` at `now`: of TLS, where the
    /// leaf's key proves itself by signing the handshake.
    pub fn verify_chain(
        &self,
        chain: &[CertificateDer<'_>],
        service: &ServiceId,
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        encode_chain(chain)?;
        let Chain { facts, name, path, .. } = self.check_chain(chain, Usages::Server, service, now)?;
        let path: Vec<PathCertificate> = facts.iter().chain([&path.anchor]).map(Into::into).collect();
        if self.revocations.names_chain(&name, path.iter()) {
            return Err(IdentityError::Revoked { service: service.clone(), by: "revoke() of this service" });
        }
        Ok(())
    }

    /// The checks of a chain, except those of `revoke()`.
    fn check_chain(
        &self,
        chain: &[CertificateDer<'_>],
        usages: Usages,
        service: &ServiceId,
        now: Timestamp,
    ) -> Result<Chain, IdentityError> {
        let facts = read_chain(chain, service)?;
        let Some(leaf) = facts.first() else { return Err(IdentityError::Format) };
        let kind = check_leaf(leaf, service)?;
        let name = self.names.check(leaf, service)?;
        let path = self
            .anchors
            .verify(chain, usages, now, &self.signatures)
            .map_err(|error| self.explain(&error, &facts, service, now))?;
        Ok(Chain { facts, kind, name, path })
    }

    fn verify_anew(
        &self,
        identity: &[u8],
        hash: [u8; 32],
        delegation: &Delegation<'_>,
        service: &ServiceId,
        now: Timestamp,
    ) -> Result<Arc<Certified>, IdentityError> {
        let Chain { facts, kind, name, path } =
            self.check_chain(&delegation.chain, Usages::Both, service, now)?;
        let Some(leaf) = facts.first() else { return Err(IdentityError::Format) };
        let chain_expires = facts.iter().map(|one| one.expires).min().unwrap_or_default();
        self.check_delegation(delegation, leaf, kind, chain_expires, service)?;

        let from =
            facts.iter().map(|one| one.not_before).max().unwrap_or_default().max(delegation.not_before);
        let expires = chain_expires.min(path.anchor_expires).min(delegation.not_after);
        let certified = Arc::new(Certified {
            service: service.clone(),
            name,
            mesh_key: delegation.mesh_key.clone(),
            subject: leaf.shown_subject.clone(),
            issuer: leaf.shown_issuer.clone(),
            serial: leaf.serial.clone(),
            certificate_begins: leaf.not_before,
            certificate_expires: leaf.expires,
            expires,
            is_unchecked: path.is_unchecked,
            identity: identity.to_vec(),
            path: facts.iter().chain([&path.anchor]).map(PathCertificate::from).collect(),
        });
        let until = self.anchors.lists_until().map_or(expires, |lists| lists.min(expires));
        self.lock().keep(hash, &certified, (from, until), now);
        Ok(certified)
    }

    fn check_delegation(
        &self,
        delegation: &Delegation<'_>,
        leaf: &Facts,
        kind: KeyKind,
        chain_expires: Timestamp,
        service: &ServiceId,
    ) -> Result<(), IdentityError> {
        let wrong = |why| IdentityError::Delegation { service: service.clone(), why };
        if delegation.not_after > chain_expires {
            return Err(wrong("it ends after its certificate"));
        }
        let text = signed_bytes(
            &leaf.fingerprint,
            service,
            delegation.mesh_key.thumbprint(),
            (delegation.not_before, delegation.not_after),
        )?;
        let certificate = delegation.chain.first().ok_or(IdentityError::Format)?;
        let certificate = EndEntityCert::try_from(certificate).map_err(|_| IdentityError::Format)?;
        let algorithm = Counted { inner: kind.algorithm(), count: &self.signatures };
        certificate.verify_signature(&algorithm, &text, delegation.signature).map_err(|_| {
            wrong("the certificate's key did not sign it for this id, mesh key, time and certificate")
        })
    }

    /// The error of a path, in words.
    fn explain(
        &self,
        error: &PathError,
        chain: &[Facts],
        service: &ServiceId,
        now: Timestamp,
    ) -> IdentityError {
        let service = service.clone();
        match error {
            PathError::CertExpired { not_after, .. } => IdentityError::Expired {
                service,
                what: "a certificate",
                until: Timestamp::from_secs(not_after.as_secs() + 1),
                now,
            },
            PathError::CertNotValidYet { not_before, .. } => IdentityError::NotYetValid {
                service,
                what: "a certificate",
                from: Timestamp::from_secs(not_before.as_secs()),
                now,
            },
            PathError::UnknownIssuer if chain.last().is_some_and(|last| self.anchors.has(&last.issuer)) => {
                IdentityError::Untrusted {
                    service,
                    why: "the anchor of that name has ended, or has not begun",
                }
            }
            PathError::UnknownIssuer => IdentityError::Untrusted {
                service,
                why: "none has the name of its last issuer; an intermediate may be missing",
            },
            PathError::InvalidSignatureForPublicKey => {
                IdentityError::Untrusted { service, why: "an issuer did not make the signature of that name" }
            }
            PathError::CertRevoked => IdentityError::Revoked { service, by: "a revocation list" },
            PathError::UnknownRevocationStatus => {
                IdentityError::Crl { service, why: "no list is of the issuer of each certificate" }
            }
            PathError::CrlExpired { .. } => IdentityError::Crl { service, why: "the list has expired" },
            PathError::InvalidCrlSignatureForPublicKey
            | PathError::IssuerNotCrlSigner
            | PathError::UnsupportedCrlSignatureAlgorithmContext(_)
            | PathError::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => {
                IdentityError::Crl { service, why: "the issuer did not sign the list, or may not" }
            }
            error => IdentityError::Invalid { service, what: "the chain", why: rule_of(error) },
        }
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        // Each update is whole; a panic elsewhere leaves nothing half done.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn cached(&self) -> usize {
        self.lock().len()
    }
}

/// A chain that has passed its checks.
struct Chain {
    facts: Vec<Facts>,
    kind: KeyKind,
    name: String,
    path: Path,
}

/// The rule of RFC 5280 that a path breaks.
fn rule_of(error: &PathError) -> &'static str {
    match error {
        PathError::CaUsedAsEndEntity => "its first certificate is an authority",
        PathError::EndEntityUsedAsCa => "a certificate that is no authority has issued another",
        PathError::PathLenConstraintViolated => "an authority may not have so many below it",
        PathError::NameConstraintViolation => "an authority may not issue that name",
        PathError::EmptyEkuExtension | PathError::RequiredEkuNotFoundContext(_) => {
            "its extended key usage is there and has not both clientAuth and serverAuth"
        }
        PathError::UnsupportedSignatureAlgorithmContext(_)
        | PathError::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "a signature is not of ECDSA P-256 or P-384, Ed25519, or RSA with SHA-256 or better"
        }
        PathError::UnsupportedCriticalExtension => "a critical extension is not known here",
        PathError::MaximumSignatureChecksExceeded
        | PathError::MaximumPathBuildCallsExceeded
        | PathError::MaximumPathDepthExceeded
        | PathError::MaximumNameConstraintComparisonsExceeded => "it takes too long to verify",
        _ => "it breaks a rule of RFC 5280",
    }
}

fn check_time(delegation: &Delegation<'_>, service: &ServiceId, now: Timestamp) -> Result<(), IdentityError> {
    let (from, until) = (delegation.not_before, delegation.not_after);
    if until <= from || until.since(from) > MAX_DELEGATION {
        let why = "its validity is empty, or longer than 24 hours";
        return Err(IdentityError::Delegation { service: service.clone(), why });
    }
    let (service, what) = (service.clone(), "the delegation");
    if now < from {
        return Err(IdentityError::NotYetValid { service, what, from, now });
    }
    if now >= until {
        return Err(IdentityError::Expired { service, what, until, now });
    }
    Ok(())
}

/// Reads each certificate, and checks that the names leave a single path: each
/// is issued by the next, and no subject occurs twice. Path building has no
/// choice then, and costs as many signatures as there are certificates.
fn read_chain(chain: &[CertificateDer<'_>], service: &ServiceId) -> Result<Vec<Facts>, IdentityError> {
    let invalid = |what, why| IdentityError::Invalid { service: service.clone(), what, why };
    let mut facts = Vec::with_capacity(chain.len());
    let mut subjects = HashSet::new();
    for der in chain {
        let one = Facts::read(der)
            .ok_or_else(|| invalid("a certificate", "it is not one of X.509 version 3 in DER"))?;
        if !subjects.insert(one.subject.clone()) {
            return Err(invalid("the chain", "two certificates have one subject"));
        }
        facts.push(one);
    }
    for pair in facts.windows(2) {
        if pair[0].issuer != pair[1].subject {
            return Err(invalid("the chain", "a certificate is not followed by that of its issuer"));
        }
        if pair[1].usage.is_some_and(|usage| !usage.cert_sign) {
            return Err(invalid("the chain", "an intermediate has a key usage without keyCertSign"));
        }
    }
    Ok(facts)
}

fn check_leaf(leaf: &Facts, service: &ServiceId) -> Result<KeyKind, IdentityError> {
    let invalid = |why| IdentityError::Invalid { service: service.clone(), what: "the certificate", why };
    if leaf.is_ca {
        return Err(invalid("it is an authority"));
    }
    match leaf.usage {
        Some(usage) if usage.digital_signature && !usage.cert_sign && !usage.crl_sign => {}
        Some(_) => return Err(invalid("its key usage has no digitalSignature, or those of an authority")),
        None => return Err(invalid("it has no key usage, and needs digitalSignature")),
    }
    KeyKind::of(&leaf.spki)
        .ok_or_else(|| invalid("its key is not ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits"))
}
