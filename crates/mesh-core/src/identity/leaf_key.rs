//! The private key of this service's certificate. It signs delegations, and the
//! handshakes of TLS; it never decrypts, and is never the mesh key.

use std::fmt;

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeyPair as RsaKeyPair,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        Ed25519KeyPair, KeyPair as _, RSA_PSS_SHA256,
    },
};
use rustls_pki_types::PrivateKeyDer;

use super::certificate::{KeyKind, key_bits};
use crate::crypto::CryptoError;

/// The private key of a leaf. aws-lc-rs wipes it.
pub(super) enum LeafKey {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// The reason for which a key is not that of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTheKey {
    /// The certificate has a key that signs no delegation.
    Kind,
    /// It is a key of another kind, or damaged.
    Format,
    /// It belongs to another certificate.
    Mismatch,
}

impl LeafKey {
    /// Takes the key in `der` for the certificate with the key `spki`.
    pub(super) fn new(der: &PrivateKeyDer<'_>, spki: &[u8]) -> Result<Self, NotTheKey> {
        let kind = KeyKind::of(spki).ok_or(NotTheKey::Kind)?;
        let key = Self::parse(kind, der).ok_or(NotTheKey::Format)?;
        let public = match &key {
            Self::Ecdsa(pair) => pair.public_key().as_ref(),
            Self::Ed25519(pair) => pair.public_key().as_ref(),
            Self::Rsa(pair) => pair.public_key().as_ref(),
        };
        if key_bits(spki).as_deref() == Some(public) { Ok(key) } else { Err(NotTheKey::Mismatch) }
    }

    fn parse(kind: KeyKind, der: &PrivateKeyDer<'_>) -> Option<Self> {
        let ecdsa = |algorithm: &'static EcdsaSigningAlgorithm| {
            EcdsaKeyPair::from_private_key_der(algorithm, der.secret_der()).ok().map(Self::Ecdsa)
        };
        match (kind, der) {
            (KeyKind::P256, PrivateKeyDer::Sec1(_) | PrivateKeyDer::Pkcs8(_)) => {
                ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING)
            }
            (KeyKind::P384, PrivateKeyDer::Sec1(_) | PrivateKeyDer::Pkcs8(_)) => {
                ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING)
            }
            (KeyKind::Ed25519, PrivateKeyDer::Pkcs8(key)) => {
                // OpenSSL leaves the public half out.
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_pkcs8_der()).ok().map(Self::Ed25519)
            }
            (KeyKind::Rsa, PrivateKeyDer::Pkcs8(key)) => {
                RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).ok().map(Self::Rsa)
            }
            (KeyKind::Rsa, PrivateKeyDer::Pkcs1(key)) => {
                RsaKeyPair::from_der(key.secret_pkcs1_der()).ok().map(Self::Rsa)
            }
            _ => None,
        }
    }

    /// Signs `message` with the one algorithm of this kind of key.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let random = SystemRandom::new();
        match self {
            Self::Ecdsa(pair) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
            Self::Ed25519(pair) => Ok(pair.try_sign(message)?.as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PSS_SHA256, &random, message, &mut signature)?;
                Ok(signature)
            }
        }
    }
}

impl fmt::Debug for LeafKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeafKey(..)")
    }
}
