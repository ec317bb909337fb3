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
    rsa::{self as aws, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey},
    signature::RSA_PSS_SHA256,
};
use rsa::{
    pkcs1::DecodeRsaPrivateKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding, SecretDocument},
    rand_core::{TryCryptoRng, TryRng},
};
use zeroize::Zeroizing;

use super::{PublicKey, SignatureDomain};
use crate::crypto::{
    CryptoError,
    kdf::Prk,
    secret::{Secret, SecretVec, fill_random},
};

/// A PKCS#8 document of a 4096-bit key has about 2400 bytes.
const MAX_PKCS8_DER: usize = 4096;
const MAX_PEM: usize = 8192;

/// An RSA key pair whose halves belong together. Cheap to clone; the private
/// half is wiped with the last clone.
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
    /// Makes a key of 2048, 3072 or 4096 bits. A key of 4096 bits takes most
    /// of a second and sometimes several: keep it off threads that must answer.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`] for any other size.
    pub fn generate(bits: u32) -> Result<Self, CryptoError> {
        if !matches!(bits, 2048 | 3072 | 4096) {
            return Err(CryptoError::BadKey("the size must be 2048, 3072 or 4096 bits"));
        }
        let key = rsa::PrivateKey::new(&mut LibraryRng, bits as usize).map_err(|_| CryptoError::Library)?;
        let der = key.to_pkcs8_der().map_err(|_| CryptoError::Library)?;
        Self::new(&key, der.as_bytes())
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
        let key = rsa::PrivateKey::from_pkcs8_der(der)
            .map_err(|_| CryptoError::BadKey("not a consistent RSA key in PKCS#8"))?;
        Self::new(&key, der)
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
                let key = rsa::PrivateKey::from_pkcs1_der(document.as_bytes())
                    .map_err(|_| CryptoError::BadKey("not a consistent RSA key in PKCS#1"))?;
                let der = key.to_pkcs8_der().map_err(|_| CryptoError::Library)?;
                Self::new(&key, der.as_bytes())
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

    fn new(key: &rsa::PrivateKey, pkcs8: &[u8]) -> Result<Self, CryptoError> {
        let inconsistent = |_| CryptoError::BadKey("not a consistent RSA key");
        let exporting = PrivateDecryptingKey::from_pkcs8(pkcs8).map_err(inconsistent)?;
        Ok(Self(Arc::new(Inner {
            public: PublicKey::new(key.as_public_key(), None)?,
            decrypting: OaepPrivateDecryptingKey::new(exporting.clone())?,
            signing: aws::KeyPair::from_pkcs8(pkcs8).map_err(inconsistent)?,
            exporting,
            private_ops: AtomicU64::new(0),
        })))
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

    /// Decrypts what [`PublicKey::oaep_encrypt`] made under the same `label`.
    ///
    /// # Errors
    /// [`CryptoError::Open`], whatever is wrong.
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

    /// A secret that only the holder of this key can derive, for `purpose`; the
    /// same each time. No private operation.
    pub fn derive(&self, purpose: &str) -> Result<Secret<32>, CryptoError> {
        let der: Pkcs8V1Der<'static> = self.0.exporting.as_der()?;
        Ok(Prk::extract(b"ssm private key v1", &[der.as_ref()]).expand_secret(purpose, &[]))
    }

    /// How many private operations this key has done. A peer that has proven
    /// nothing must not move it.
    #[must_use]
    pub fn private_ops(&self) -> u64 {
        self.0.private_ops.load(Ordering::Relaxed)
    }

    fn count(&self) {
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

/// The generator of `aws-lc-rs`, as the `rsa` crate wants it.
struct LibraryRng;

impl TryRng for LibraryRng {
    type Error = CryptoError;

    fn try_next_u32(&mut self) -> Result<u32, CryptoError> {
        let mut bytes = [0; 4];
        fill_random(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, CryptoError> {
        let mut bytes = [0; 8];
        fill_random(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), CryptoError> {
        fill_random(out)
    }
}

impl TryCryptoRng for LibraryRng {}
