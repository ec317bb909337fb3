use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{self as aws, KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey},
    signature::{KeyPair as _, RSA_PSS_SHA256},
};
use rsa::{
    pkcs1::{ALGORITHM_ID, DecodeRsaPublicKey},
    pkcs8::{LineEnding, PrivateKeyInfoRef, SecretDocument, der::asn1::OctetStringRef},
};
use zeroize::Zeroizing;

use super::{PublicKey, SignatureDomain};
use crate::crypto::{
    CryptoError,
    kdf::Prk,
    secret::{Secret, SecretVec},
};

/// A PKCS#8 document of a 4096-bit key has about 2400 bytes.
const MAX_PKCS8_DER: usize = 4096;
const MAX_PEM: usize = 8192;

/// An RSA key pair with matching halves. A clone is cheap; dropping the last
/// clone wipes the private half.
#[derive(Clone)]
pub struct KeyPair(Arc<Inner>);

struct Inner {
    public: PublicKey,
    decrypting: OaepPrivateDecryptingKey,
    signing: aws::KeyPair,
    exporting: PrivateDecryptingKey,
    private_ops: AtomicU64,
}

impl KeyPair {
    /// Generates a key of 2048, 3072 or 4096 bits. A key of 4096 bits takes
    /// most of a second and sometimes several seconds, so an event loop must
    /// not wait for it.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`] for any other size.
    pub fn generate(bits: u32) -> Result<Self, CryptoError> {
        let size = match bits {
            2048 => KeySize::Rsa2048,
            3072 => KeySize::Rsa3072,
            4096 => KeySize::Rsa4096,
            _ => return Err(CryptoError::BadKey("the size must be 2048, 3072 or 4096 bits")),
        };
        let der: Pkcs8V1Der<'static> = PrivateDecryptingKey::generate(size)?.as_der()?;
        Self::from_pkcs8_der(der.as_ref())
    }

    /// Parses PKCS#8 in DER.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`] unless it is a whole and consistent RSA key with
    /// an acceptable public half ([`PublicKey::from_spki_der`]).
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, CryptoError> {
        if der.len() > MAX_PKCS8_DER {
            return Err(CryptoError::BadKey("larger than any key of 4096 bits"));
        }
        // aws-lc-rs keeps the numbers, because it wipes its intermediate
        // results; `rsa` would leave copies of the primes behind.
        let inconsistent = |_| CryptoError::BadKey("not a consistent RSA key in PKCS#8");
        let exporting = PrivateDecryptingKey::from_pkcs8(der).map_err(inconsistent)?;
        let signing = aws::KeyPair::from_pkcs8(der).map_err(inconsistent)?;
        let public = rsa::PublicKey::from_pkcs1_der(signing.public_key().as_ref())
            .map_err(|_| CryptoError::BadKey("not a consistent RSA key in PKCS#8"))?;
        Ok(Self(Arc::new(Inner {
            public: PublicKey::new(&public, None)?,
            decrypting: OaepPrivateDecryptingKey::new(exporting.clone())?,
            signing,
            exporting,
            private_ops: AtomicU64::new(0),
        })))
    }

    /// Parses a PEM block `PRIVATE KEY` (PKCS#8) or `RSA PRIVATE KEY` (PKCS#1).
    ///
    /// # Errors
    /// As [`from_pkcs8_der`](Self::from_pkcs8_der).
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, CryptoError> {
        if pem.len() > MAX_PEM {
            return Err(CryptoError::BadKey("larger than any key of 4096 bits"));
        }
        let (label, document) = SecretDocument::from_pem(pem.trim())
            .map_err(|_| CryptoError::BadKey("not a PEM block '-----BEGIN PRIVATE KEY-----'"))?;
        match label {
            "PRIVATE KEY" => Self::from_pkcs8_der(document.as_bytes()),
            "RSA PRIVATE KEY" => {
                let inconsistent = |_| CryptoError::BadKey("not a consistent RSA key in PKCS#1");
                let key = OctetStringRef::new(document.as_bytes()).map_err(inconsistent)?;
                let der = SecretDocument::encode_msg(&PrivateKeyInfoRef::new(ALGORITHM_ID, key))
                    .map_err(inconsistent)?;
                Self::from_pkcs8_der(der.as_bytes())
                    .map_err(|_| CryptoError::BadKey("not a consistent RSA key in PKCS#1"))
            }
            "ENCRYPTED PRIVATE KEY" => {
                Err(CryptoError::BadKey("encrypted keys are not supported: decrypt it first"))
            }
            "PUBLIC KEY" | "RSA PUBLIC KEY" => {
                Err(CryptoError::BadKey("this is a public key; give the private one"))
            }
            _ => Err(CryptoError::BadKey("not a PEM block '-----BEGIN PRIVATE KEY-----'")),
        }
    }

    /// The key as a PEM block `PRIVATE KEY`, with a line feed at the end.
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, CryptoError> {
        let der: Pkcs8V1Der<'static> = self.0.exporting.as_der()?;
        let document = SecretDocument::try_from(der.as_ref()).map_err(|_| CryptoError::Library)?;
        document.to_pem("PRIVATE KEY", LineEnding::LF).map_err(|_| CryptoError::Library)
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public
    }

    /// Decrypts a ciphertext of [`PublicKey::oaep_encrypt`] under the same `label`.
    ///
    /// # Errors
    /// [`CryptoError::Open`] for every failure, so that the error reveals
    /// nothing about its cause.
    pub fn oaep_decrypt(&self, ciphertext: &[u8], label: &[u8]) -> Result<SecretVec, CryptoError> {
        self.count();
        let mut plaintext = Zeroizing::new(vec![0; self.0.decrypting.min_output_size()]);
        let opened = self
            .0
            .decrypting
            .decrypt(&OAEP_SHA256_MGF1SHA256, ciphertext, &mut plaintext, Some(label))
            .map_err(|_| CryptoError::Open)?;
        Ok(SecretVec::new(opened.to_vec()))
    }

    /// Signs `message` in `domain`: RSASSA-PSS with SHA-256, MGF1-SHA-256 and a
    /// salt of 32 bytes.
    pub fn pss_sign(&self, domain: SignatureDomain, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.count();
        let mut signature = vec![0; self.0.signing.public_modulus_len()];
        let rng = SystemRandom::new();
        self.0.signing.sign(&RSA_PSS_SHA256, &rng, &domain.wrap(message), &mut signature)?;
        Ok(signature)
    }

    /// Derives a secret for `purpose` that only the holder of this key can
    /// derive. The result is deterministic and needs no private operation.
    pub fn derive(&self, purpose: &str) -> Result<Secret<32>, CryptoError> {
        let der: Pkcs8V1Der<'static> = self.0.exporting.as_der()?;
        Ok(Prk::extract(b"ssm private key v1", &[der.as_ref()]).expand_secret(purpose, &[]))
    }

    /// The number of private operations this key has done. A peer that has
    /// proved nothing must not increase it.
    #[must_use]
    pub fn private_ops(&self) -> u64 {
        self.0.private_ops.load(Ordering::Relaxed)
    }

    fn count(&self) {
        // Relaxed: a counter orders no other memory access.
        self.0.private_ops.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "KeyPair({} bits, {}, private half redacted)",
            self.0.public.bits(),
            self.0.public.thumbprint()
        )
    }
}
