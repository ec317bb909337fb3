//! The signatures that count, each tied to one kind of key: what is not in this
//! file is refused. webpki brings no algorithms of its own here; its feature for
//! them would build aws-lc with other options for the whole package.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};

/// An algorithm of aws-lc-rs under the names that X.509 has for it.
#[derive(Debug)]
pub(super) struct Algorithm {
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    verification: &'static dyn VerificationAlgorithm,
}

macro_rules! algorithms {
    ($($name:ident = $key:ident, $signature:ident, $verification:ident;)+) => {
        $(pub(super) static $name: Algorithm = Algorithm {
            key: alg_id::$key,
            signature: alg_id::$signature,
            verification: &signature::$verification,
        };)+

        /// The signatures that authorities may make on certificates and lists. SHA-1,
        /// P-521 and RSA below 2048 bits are not among them.
        pub(super) static OF_AUTHORITIES: &[&Algorithm] = &[$(&$name,)+];
    };
}

algorithms! {
    P256_SHA256 = ECDSA_P256, ECDSA_SHA256, ECDSA_P256_SHA256_ASN1;
    P256_SHA384 = ECDSA_P256, ECDSA_SHA384, ECDSA_P256_SHA384_ASN1;
    P384_SHA256 = ECDSA_P384, ECDSA_SHA256, ECDSA_P384_SHA256_ASN1;
    P384_SHA384 = ECDSA_P384, ECDSA_SHA384, ECDSA_P384_SHA384_ASN1;
    ED25519 = ED25519, ED25519, ED25519;
    PKCS1_SHA256 = RSA_ENCRYPTION, RSA_PKCS1_SHA256, RSA_PKCS1_2048_8192_SHA256;
    PKCS1_SHA384 = RSA_ENCRYPTION, RSA_PKCS1_SHA384, RSA_PKCS1_2048_8192_SHA384;
    PKCS1_SHA512 = RSA_ENCRYPTION, RSA_PKCS1_SHA512, RSA_PKCS1_2048_8192_SHA512;
    PSS_SHA256 = RSA_ENCRYPTION, RSA_PSS_SHA256, RSA_PSS_2048_8192_SHA256;
    PSS_SHA384 = RSA_ENCRYPTION, RSA_PSS_SHA384, RSA_PSS_2048_8192_SHA384;
    PSS_SHA512 = RSA_ENCRYPTION, RSA_PSS_SHA512, RSA_PSS_2048_8192_SHA512;
}

impl Algorithm {
    /// Whether `der` begins with the name of this algorithm, an `AlgorithmIdentifier`.
    pub(super) fn is_named_by(&self, der: &[u8]) -> bool {
        // Each is shorter than 128 bytes.
        let header = [0x30, self.signature.len() as u8];
        der.strip_prefix(&header).is_some_and(|rest| rest.starts_with(&self.signature))
    }

    /// Whether the holder of `key` has signed `message`.
    pub(super) fn verifies(&self, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.verification, key).verify(message, signature).is_ok()
    }
}

/// An algorithm that counts its uses, those that fail included.
#[derive(Debug)]
pub(super) struct Counted<'a> {
    pub(super) inner: &'static Algorithm,
    pub(super) count: &'a AtomicU64,
}

impl SignatureVerificationAlgorithm for Counted<'_> {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        self.count.fetch_add(1, Ordering::Relaxed);
        // A point is uncompressed or compressed (RFC 5480); the hybrid form is neither.
        let is_curve = [alg_id::ECDSA_P256, alg_id::ECDSA_P384].contains(&self.inner.key);
        if is_curve && !matches!(key.first(), Some(0x02..=0x04)) {
            return Err(InvalidSignature);
        }
        UnparsedPublicKey::new(self.inner.verification, key)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.inner.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.inner.signature
    }
}
