//! Certificates and revocation lists, made by rcgen. Bytes and times in, bytes out.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, PublicKeyData, RevokedCertParams, SanType,
    SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use zeroize::Zeroizing;

use super::error::AuthorityError;
use crate::{
    clock::Timestamp,
    crypto::secret::fill_random,
    id::ServiceId,
    identity::{KeyKind, RequestedKey},
};

/// A time as rcgen takes it, whose type rcgen does not export. X.509 has whole seconds.
macro_rules! at {
    ($time:expr) => {
        date_time_ymd(1970, 1, 1) + Duration::from_secs($time.as_secs())
    };
}

/// The time by which the beginning of a certificate is set back, for peers whose clocks are slow.
pub(super) const BACKDATED: Duration = Duration::from_mins(5);
/// The longest name of a DNS host and of its labels.
const MAX_HOST: usize = 253;
const MAX_LABEL: usize = 63;

/// The time in which a certificate counts.
#[derive(Clone, Copy)]
pub(super) struct Validity {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

impl Validity {
    /// From a little before `now` on, for `lifetime` from `now`. A short life begins only a tenth of it earlier: renewals
    /// and warnings come at a share of the whole.
    pub(super) fn of(now: Timestamp, lifetime: Duration) -> Self {
        let before = BACKDATED.min(lifetime / 10);
        let from = now.as_millis().saturating_sub(before.as_millis() as u64);
        Self { from: Timestamp::from_millis(from), until: now + lifetime }
    }

    /// Writes the time into a certificate. The second of `notAfter` belongs to its validity.
    fn set(self, params: &mut CertificateParams) {
        (params.not_before, params.not_after) = (at!(self.from), at!(self.until) - Duration::from_secs(1));
    }
}

/// The rank of an authority.
#[derive(Clone, Copy)]
pub(super) enum Rank {
    Root,
    Issuer,
}

/// A certificate that may sign others, with its key.
pub(super) struct Signer {
    params: CertificateParams,
    key: KeyPair,
}

/// A new one, to be kept.
pub(super) struct Made {
    pub(super) der: Vec<u8>,
    pub(super) pkcs8: Zeroizing<Vec<u8>>,
    pub(super) signer: Signer,
}

/// The subject is the rank and a random id, so no two authorities have the same.
fn authority_params(rank: Rank, id: &str, trust_domain: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    // RFC 5280 permits 64 characters here.
    subject.push(DnType::OrganizationName, trust_domain.chars().take(64).collect::<String>());
    let (word, below) = match rank {
        Rank::Root => ("root", 1),
        Rank::Issuer => ("issuer", 0),
    };
    subject.push(DnType::CommonName, format!("{word} {id}"));
    params.distinguished_name = subject;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
}

impl Signer {
    /// Makes a root, which signs itself: ECDSA P-384.
    pub(super) fn root(id: &str, trust_domain: &str, validity: Validity) -> Result<Made, AuthorityError> {
        let mut params = authority_params(Rank::Root, id, trust_domain);
        params.use_authority_key_identifier_extension = false;
        set(&mut params, validity)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
        let der = params.self_signed(&key)?.der().to_vec();
        Ok(Made { der, pkcs8: Zeroizing::new(key.serialize_der()), signer: Self { params, key } })
    }

    /// Makes an issuer below this root: ECDSA P-256.
    pub(super) fn issuer(
        &self,
        id: &str,
        trust_domain: &str,
        validity: Validity,
    ) -> Result<Made, AuthorityError> {
        let mut params = authority_params(Rank::Issuer, id, trust_domain);
        set(&mut params, validity)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let der = params.signed_by(&key, &self.as_issuer())?.der().to_vec();
        Ok(Made { der, pkcs8: Zeroizing::new(key.serialize_der()), signer: Self { params, key } })
    }

    /// One that was made before.
    pub(super) fn kept(
        rank: Rank,
        id: &str,
        trust_domain: &str,
        pkcs8: &[u8],
    ) -> Result<Self, AuthorityError> {
        let algorithm = match rank {
            Rank::Root => &PKCS_ECDSA_P384_SHA384,
            Rank::Issuer => &PKCS_ECDSA_P256_SHA256,
        };
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8), algorithm)?;
        Ok(Self { params: authority_params(rank, id, trust_domain), key })
    }

    fn as_issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    /// Signs the certificate of a service. Its name is the service's SPIFFE id; a host name beside it is for tools
    /// that compare host names.
    pub(super) fn leaf(
        &self,
        service: &ServiceId,
        spiffe_id: &str,
        key: &RequestedKey,
        serial: &[u8],
        validity: Validity,
    ) -> Result<Vec<u8>, AuthorityError> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::ExplicitNoCa;
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, service.as_str().chars().take(64).collect::<String>());
        params.distinguished_name = subject;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = vec![SanType::URI(spiffe_id.try_into()?)];
        if is_host(service.as_str()) {
            params.subject_alt_names.push(SanType::DnsName(service.as_str().try_into()?));
        }
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(SerialNumber::from_slice(serial));
        validity.set(&mut params);
        Ok(params.signed_by(&Requested(key), &self.as_issuer())?.der().to_vec())
    }

    /// Signs a revocation list: serial numbers with the times of their revocation.
    pub(super) fn list(
        &self,
        revoked: impl Iterator<Item = (Vec<u8>, Timestamp)>,
        validity: Validity,
        number: Timestamp,
    ) -> Result<Vec<u8>, AuthorityError> {
        let revoked_certs = revoked
            .map(|(serial, time)| RevokedCertParams {
                serial_number: SerialNumber::from_slice(&serial),
                revocation_time: at!(time),
                reason_code: None,
                invalidity_date: None,
            })
            .collect();
        let list = CertificateRevocationListParams {
            this_update: at!(validity.from),
            next_update: at!(validity.until),
            crl_number: SerialNumber::from_slice(&number.as_millis().to_be_bytes()),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.as_issuer())?.der().to_vec())
    }
}

fn set(params: &mut CertificateParams, validity: Validity) -> Result<(), AuthorityError> {
    params.serial_number = Some(SerialNumber::from_slice(&serial()?));
    validity.set(params);
    Ok(())
}

/// A random serial number of 126 bits, positive and without leading zeros.
pub(super) fn serial() -> Result<[u8; 16], AuthorityError> {
    let mut bytes = [0; 16];
    fill_random(&mut bytes)?;
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(bytes)
}

/// A random name for a root or an issuer.
pub(super) fn random_id() -> Result<String, AuthorityError> {
    let mut bytes = [0; 6];
    fill_random(&mut bytes)?;
    Ok(hex::encode(bytes))
}

fn is_host(name: &str) -> bool {
    let label = |part: &str| {
        (1..=MAX_LABEL).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    name.len() <= MAX_HOST && name.split('.').all(label)
}

/// The key of a request, as rcgen takes one.
struct Requested<'a>(&'a RequestedKey);

impl PublicKeyData for Requested<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.0.bits
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.0.kind {
            KeyKind::P256 => &PKCS_ECDSA_P256_SHA256,
            KeyKind::P384 => &PKCS_ECDSA_P384_SHA384,
            KeyKind::Ed25519 => &PKCS_ED25519,
            KeyKind::Rsa => &PKCS_RSA_SHA256,
        }
    }
}

/// A PEM block.
pub(super) fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(BASE64_STANDARD.encode(der));
    let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / 64 + 2 * label.len() + 40));
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// The key of a service that has none, and a request for it.
pub(super) fn request() -> Result<(Zeroizing<String>, Vec<u8>), AuthorityError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let request = CertificateParams::default().serialize_request(&key)?.der().to_vec();
    Ok((pem("PRIVATE KEY", &Zeroizing::new(key.serialize_der())), request))
}
