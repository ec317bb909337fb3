//! Certificates issued for tests, by rcgen and by the real `openssl`.

mod bounds;
mod delegations;
mod material;
mod names;
mod openssl;
mod paths;
pub(crate) mod revocations;

use std::{
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair as IssuedKey, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls_pki_types::CertificateDer;

use super::*;
use crate::{
    clock::Timestamp,
    crypto::rsa::KeyPair,
    error::{Coded, Reason},
    id::ServiceId,
};

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const PATH: &str = "spiffe://shop.example/ns/prod/sa/";

pub(crate) fn before(time: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_millis(time.as_millis() - by.as_millis() as u64)
}

/// Mesh keys, made once: which one it is does not matter.
pub(crate) fn mesh_key(index: usize) -> KeyPair {
    static KEYS: OnceLock<Vec<KeyPair>> = OnceLock::new();
    KEYS.get_or_init(|| (0..3).map(|_| KeyPair::generate(2048).unwrap()).collect())[index].clone()
}

pub(crate) fn service(id: &str) -> ServiceId {
    id.parse().unwrap()
}

/// The change that a test makes to a certificate before it is issued.
pub(crate) type Change<'a> = &'a dyn Fn(&mut CertificateParams);

/// Validity from an hour ago to thirty days from now.
pub(crate) fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    valid(&mut params, before(NOW, HOUR), NOW + 30 * 24 * HOUR);
    params
}

pub(crate) fn valid(params: &mut CertificateParams, from: Timestamp, until: Timestamp) {
    let at = |time: Timestamp| date_time_ymd(1970, 1, 1) + Duration::from_secs(time.as_secs());
    (params.not_before, params.not_after) = (at(from), at(until));
}

/// An authority that issues certificates.
pub(crate) struct Authority(pub(crate) CertifiedIssuer<'static, IssuedKey>);

fn authority_params(name: &str, change: Change<'_>) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    change(&mut params);
    params
}

impl Authority {
    pub(crate) fn root(name: &str) -> Self {
        Self::root_with(name, &|_| ())
    }

    pub(crate) fn root_with(name: &str, change: Change<'_>) -> Self {
        let params = authority_params(name, change);
        Self(CertifiedIssuer::self_signed(params, IssuedKey::generate().unwrap()).unwrap())
    }

    pub(crate) fn below(&self, name: &str, change: Change<'_>) -> Self {
        let params = authority_params(name, change);
        Self(CertifiedIssuer::signed_by(params, IssuedKey::generate().unwrap(), &self.0).unwrap())
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A certificate for the service `id`, and its key.
    pub(crate) fn issue(&self, id: &str, change: Change<'_>) -> Issued {
        self.issue_for(id, IssuedKey::generate().unwrap(), change)
    }

    pub(crate) fn issue_for(&self, id: &str, key: IssuedKey, change: Change<'_>) -> Issued {
        let mut params = leaf_params(id);
        change(&mut params);
        let leaf = params.signed_by(&key, &self.0).unwrap();
        Issued { chain: vec![leaf.der().clone()], key }
    }
}

pub(crate) fn leaf_params(id: &str) -> CertificateParams {
    let mut params = params(id);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![uri(&format!("{PATH}{id}"))];
    params
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

pub(crate) fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

/// A leaf with what follows it, and its key.
pub(crate) struct Issued {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: IssuedKey,
}

impl Issued {
    pub(crate) fn then(mut self, authority: &Authority) -> Self {
        self.chain.push(authority.der());
        self
    }

    pub(crate) fn credential(&self) -> Credential {
        Credential::new(self.pem().as_bytes(), &self.key.serialize_der()).unwrap()
    }

    pub(crate) fn pem(&self) -> String {
        pem("CERTIFICATE", &self.chain)
    }
}

pub(crate) fn pem<T: AsRef<[u8]>>(label: &str, ders: &[T]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let block = |der: &T| {
        let text = STANDARD.encode(der);
        let lines: Vec<_> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    };
    ders.iter().map(block).collect()
}

/// A verifier of the service `gateway`, which trusts `roots`.
pub(crate) fn verifier(roots: &[&Authority]) -> Verifier {
    verifier_with(roots, None, CrlPolicy::Refuse, &NameRule::default())
}

pub(crate) fn verifier_with(
    roots: &[&Authority],
    crl: Option<&[u8]>,
    policy: CrlPolicy,
    rule: &NameRule,
) -> Verifier {
    let own = roots[0].issue("gateway", &|_| ()).credential();
    let ders: Vec<_> = roots.iter().map(|root| root.der()).collect();
    let anchors = Anchors::new(pem("CERTIFICATE", &ders).as_bytes(), crl, policy).unwrap();
    Verifier::new(anchors, rule, &own, Arc::default(), Arc::new(AtomicU64::new(0)))
}

/// The identity of `id` with this chain, delegated to a mesh key.
pub(crate) fn identity(issued: &Issued, id: &str) -> Vec<u8> {
    let until = NOW + 12 * HOUR;
    let presented =
        issued.credential().delegate_for(&service(id), mesh_key(0).public_key(), (NOW, until)).unwrap();
    presented.bytes
}

/// How `verifier` judges the chain as the identity of `orders`.
pub(crate) fn judged(verifier: &Verifier, issued: &Issued) -> Result<Arc<Certified>, IdentityError> {
    verifier.verify(&identity(issued, "orders"), &service("orders"), NOW)
}

pub(crate) fn refused(verifier: &Verifier, issued: &Issued) -> Reason {
    judged(verifier, issued).unwrap_err().reason()
}

/// The text of the refusal, which says which rule it was.
pub(crate) fn why(verifier: &Verifier, issued: &Issued) -> String {
    judged(verifier, issued).unwrap_err().to_string()
}
