//! This service's own certificate and key, from PEM or DER.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use zeroize::Zeroize;

use super::{
    anchors::{certificates, is_pem},
    certificate::Facts,
    delegation::{MAX_DELEGATION, encode, encode_chain, signed_bytes},
    error::{IdentityError, MaterialError},
    leaf_key::{LeafKey, NotTheKey},
};
use crate::{
    clock::Timestamp,
    crypto::{CryptoError, rsa::PublicKey},
    id::ServiceId,
};

const CERT: &str = "security.certificate.cert";
const KEY: &str = "security.certificate.key";

/// The time by which the beginning of a delegation is set back, for peers whose clocks are slow.
const BACKDATED: Duration = Duration::from_mins(5);

/// This service's chain, and the key of its leaf.
#[derive(Debug)]
pub struct Credential {
    chain: Vec<CertificateDer<'static>>,
    key: LeafKey,
    pub(super) leaf: Facts,
    /// The validity that all of the chain has in common.
    not_before: Timestamp,
    expires: Timestamp,
}

/// This service's identity as its peers see it.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The bytes of an identity of kind 2.
    pub bytes: Vec<u8>,
    /// The end of the delegation.
    pub expires: Timestamp,
}

impl Credential {
    /// Reads a chain, leaf first, and the private key of the leaf: PEM, or DER
    /// with a single certificate. Self-signed certificates behind the leaf are
    /// left out: peers have their anchors themselves.
    pub fn new(cert: &[u8], key: &[u8]) -> Result<Self, MaterialError> {
        let mut chain = certificates(CERT, cert)?;
        let read = |der: &CertificateDer<'_>| {
            Facts::read(der).ok_or_else(|| {
                MaterialError::new(CERT, "has something that is not an X.509 certificate of version 3 in DER")
            })
        };
        let facts: Vec<Facts> = chain.iter().map(read).collect::<Result<_, _>>()?;
        let mut index = 0;
        chain.retain(|_| {
            let kept = index == 0 || facts[index].subject != facts[index].issuer;
            index += 1;
            kept
        });
        if encode_chain(&chain).is_err() {
            return Err(MaterialError::new(
                CERT,
                "has more than 8 certificates, or more than 10 KiB of them",
            ));
        }
        let (not_before, expires) = facts
            .iter()
            .enumerate()
            .filter(|(at, one)| *at == 0 || one.subject != one.issuer)
            .fold((Timestamp::default(), Timestamp::from_millis(u64::MAX)), |(from, until), (_, one)| {
                (from.max(one.not_before), until.min(one.expires))
            });
        let leaf = facts.into_iter().next().ok_or_else(|| MaterialError::new(CERT, "has no certificate"))?;
        let mut der = private_key(key)?;
        let taken = LeafKey::new(&der, &leaf.spki);
        der.zeroize();
        let key = taken.map_err(|fault| match fault {
            NotTheKey::Kind => MaterialError::new(
                CERT,
                "has a key of a kind that is not supported; issue it with ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits",
            ),
            NotTheKey::Format => MaterialError::new(KEY, "is damaged, or not of the kind that the certificate has"),
            NotTheKey::Mismatch => MaterialError::new(KEY, "belongs to another certificate than security.certificate.cert; both have to come from the same issue"),
        })?;
        Ok(Self { chain, key, leaf, not_before, expires })
    }

    /// The end of the chain: of the first of its certificates to end.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// The beginning of the chain's validity.
    #[must_use]
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// SHA-256 of the leaf, which tells whether a file holds another one.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        self.leaf.fingerprint
    }

    /// Whether both have the same chain.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.chain == other.chain
    }

    /// The chain, the leaf first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The leaf's public key in DER.
    pub(super) fn leaf_spki(&self) -> &[u8] {
        &self.leaf.spki
    }

    /// Signs a message of TLS, which no delegation can be mistaken for.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.key.sign(message)
    }

    /// Signs that `mesh_key` is the key of `service`, for 24 hours or until the
    /// chain ends. Each key is named by one delegation only.
    pub fn delegate(
        &self,
        service: &ServiceId,
        mesh_key: &PublicKey,
        now: Timestamp,
    ) -> Result<Presented, MaterialError> {
        if now >= self.expires {
            return Err(MaterialError::Own(IdentityError::Expired {
                service: service.clone(),
                what: "the certificate",
                until: self.expires,
                now,
            }));
        }
        let begun = Timestamp::from_millis(now.as_millis().saturating_sub(BACKDATED.as_millis() as u64));
        let from = begun.max(self.not_before);
        let until = (from + MAX_DELEGATION).min(self.expires);
        self.delegate_for(service, mesh_key, (from, until))
    }

    /// Signs for exactly this time.
    pub(super) fn delegate_for(
        &self,
        service: &ServiceId,
        mesh_key: &PublicKey,
        validity: (Timestamp, Timestamp),
    ) -> Result<Presented, MaterialError> {
        let too_long = |_| MaterialError::new(CERT, "does not fit an identity");
        let text = signed_bytes(&self.leaf.fingerprint, service, mesh_key.thumbprint(), validity)
            .map_err(too_long)?;
        let signature = self.key.sign(&text)?;
        let bytes = encode(&self.chain, mesh_key, validity, &signature).map_err(too_long)?;
        Ok(Presented { bytes, expires: validity.1 })
    }
}

fn private_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, MaterialError> {
    if !is_pem(bytes) {
        return PrivateKeyDer::try_from(bytes)
            .map(|key| key.clone_key())
            .map_err(|_| MaterialError::new(KEY, "is not a private key in DER (PKCS#8, SEC1 or PKCS#1)"));
    }
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    if has("ENCRYPTED") {
        return Err(MaterialError::new(
            KEY,
            "is encrypted, which is not supported; decrypt it first: openssl pkey -in encrypted.key -out plain.key",
        ));
    }
    PrivateKeyDer::from_pem_slice(bytes).map_err(|_| {
        MaterialError::new(
            KEY,
            if has("BEGIN CERTIFICATE") {
                "is a certificate; give its private key"
            } else {
                "has no whole PEM block of a private key (PKCS#8, SEC1 or PKCS#1)"
            },
        )
    })
}
