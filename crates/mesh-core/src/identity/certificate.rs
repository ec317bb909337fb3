//! The facts of one certificate. webpki judges its form and signatures;
//! x509-parser reads the fields that webpki keeps to itself.

use std::time::Duration;

use rsa::pkcs8::{ObjectIdentifier, spki::SubjectPublicKeyInfoRef};
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, KeyUsage},
    prelude::FromDer,
    x509::X509Name,
};

use super::algorithms::{self, Algorithm};
use crate::{
    clock::Timestamp,
    crypto::{mac::sha256, rsa::PublicKey},
};

/// Longest name that is kept for people to read, in characters.
const MAX_SHOWN: usize = 256;

/// The parts of a certificate that the checks use.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// The subject in DER.
    pub(super) subject: Vec<u8>,
    /// The issuer in DER.
    pub(super) issuer: Vec<u8>,
    /// Both for people, without characters that could deceive them.
    pub(super) shown_subject: String,
    pub(super) shown_issuer: String,
    /// The serial number, big-endian, without leading zeros.
    pub(super) serial: Vec<u8>,
    /// SHA-256 over the whole certificate.
    pub(super) fingerprint: [u8; 32],
    pub(super) not_before: Timestamp,
    /// The first instant at which it is no longer valid.
    pub(super) expires: Timestamp,
    /// The extension as it is there.
    pub(super) usage: Option<Usage>,
    pub(super) is_ca: bool,
    /// The names of its subject alternative names, whatever they mean.
    pub(super) uris: Vec<String>,
    pub(super) dns: Vec<String>,
    /// The public key in DER.
    pub(super) spki: Vec<u8>,
}

/// The bits of the key usage that matter here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    pub(super) digital_signature: bool,
    pub(super) cert_sign: bool,
    pub(super) crl_sign: bool,
}

impl From<&KeyUsage> for Usage {
    fn from(usage: &KeyUsage) -> Self {
        Self {
            digital_signature: usage.digital_signature(),
            cert_sign: usage.key_cert_sign(),
            crl_sign: usage.crl_sign(),
        }
    }
}

impl Facts {
    /// Reads a certificate; `None` unless it is one of version 3, in DER, with
    /// nothing behind it and no extension twice.
    pub(super) fn read(der: &CertificateDer<'_>) -> Option<Self> {
        // First the strict parser: what it accepts, the other one reads alike.
        EndEntityCert::try_from(der).ok()?;
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let (mut uris, mut dns) = (Vec::new(), Vec::new());
        if let Some(names) = certificate.subject_alternative_name().ok()? {
            for name in &names.value.general_names {
                match name {
                    GeneralName::URI(uri) => uris.push((*uri).to_owned()),
                    GeneralName::DNSName(name) => dns.push((*name).to_owned()),
                    GeneralName::Invalid(..) => return None,
                    _ => {}
                }
            }
        }
        let usage = certificate.key_usage().ok()?.map(|usage| Usage::from(usage.value));
        let is_ca = certificate.basic_constraints().ok()?.is_some_and(|constraints| constraints.value.ca);
        let seconds = |time: i64| Timestamp::from_secs(u64::try_from(time).unwrap_or(0));
        let validity = certificate.validity();
        let serial = certificate.raw_serial();
        Some(Self {
            subject: certificate.subject().as_raw().to_vec(),
            issuer: certificate.issuer().as_raw().to_vec(),
            shown_subject: readable(certificate.subject()),
            shown_issuer: readable(certificate.issuer()),
            serial: serial[serial.iter().take_while(|byte| **byte == 0).count()..].to_vec(),
            fingerprint: sha256(&[der]),
            not_before: seconds(validity.not_before.timestamp()),
            // The second of `notAfter` belongs to its validity.
            expires: seconds(validity.not_after.timestamp()) + Duration::from_secs(1),
            usage,
            is_ca,
            uris,
            dns,
            spki: certificate.public_key().raw.to_vec(),
        })
    }
}

/// A name for people. It is signed by the authority; its characters are checked
/// nevertheless, since logs and terminals show it.
fn readable(name: &X509Name<'_>) -> String {
    let deceives = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    name.to_string().chars().take(MAX_SHOWN).map(|c| if deceives(c) { '\u{fffd}' } else { c }).collect()
}

/// A kind of key that may sign delegations. It alone determines the algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    P256,
    P384,
    Ed25519,
    Rsa,
}

impl KeyKind {
    /// The kind of a `SubjectPublicKeyInfo`, if it is one of these.
    pub(super) fn of(spki: &[u8]) -> Option<Self> {
        const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
        const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
        const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
        const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
        let algorithm = SubjectPublicKeyInfoRef::try_from(spki).ok()?.algorithm;
        match algorithm.oid {
            EC => match algorithm.parameters_oid().ok()? {
                P256 => Some(Self::P256),
                P384 => Some(Self::P384),
                _ => None,
            },
            ED25519 if algorithm.parameters.is_none() => Some(Self::Ed25519),
            // The bounds of mesh keys are those of leaves as well.
            _ => PublicKey::from_spki_der(spki).ok().map(|_| Self::Rsa),
        }
    }

    /// The algorithm that verifies its delegations.
    pub(super) fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::P256 => &algorithms::P256_SHA256,
            Self::P384 => &algorithms::P384_SHA384,
            Self::Ed25519 => &algorithms::ED25519,
            Self::Rsa => &algorithms::PSS_SHA256,
        }
    }
}

/// The key itself, without its algorithm.
pub(super) fn key_bits(spki: &[u8]) -> Option<Vec<u8>> {
    Some(SubjectPublicKeyInfoRef::try_from(spki).ok()?.subject_public_key.as_bytes()?.to_vec())
}
