use std::{fmt, sync::Arc};

use aws_lc_rs::{
    rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey},
    signature::{ParsedPublicKey, RSA_PSS_2048_8192_SHA256},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rsa::{
    pkcs1::DecodeRsaPublicKey,
    pkcs8::{DecodePublicKey, Document, EncodePublicKey},
    traits::PublicKeyParts,
};

use super::{MAX_BITS, MIN_BITS, SignatureDomain};
use crate::crypto::{CryptoError, mac::sha256};

/// Bytes of the `SubjectPublicKeyInfo` of a 4096-bit key with exponent 65537. A
/// longer input is rejected before it is parsed.
const MAX_SPKI_DER: usize = 550;
const MAX_PEM: usize = 2048;
/// 65537, the only exponent accepted, big-endian.
const EXPONENT: [u8; 3] = [1, 0, 1];
/// Two hashes and two bytes of padding (RFC 8017, section 7.1.1).
const OAEP_OVERHEAD: usize = 2 * 32 + 2;

/// An RSA public key that passed every check. Cheap to clone.
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

struct Inner {
    der: Vec<u8>,
    bits: u32,
    thumbprint: Thumbprint,
    oaep: OaepPublicEncryptingKey,
    pss: ParsedPublicKey,
}

impl PublicKey {
    /// Parses a `SubjectPublicKeyInfo` in DER.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`] unless it is the canonical encoding of an
    /// `rsaEncryption` key of 2048 to 4096 bits, with an odd modulus and the
    /// exponent 65537.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, CryptoError> {
        if der.len() > MAX_SPKI_DER {
            return Err(CryptoError::BadKey("larger than any key of 4096 bits"));
        }
        let key = rsa::PublicKey::from_public_key_der(der)
            .map_err(|_| CryptoError::BadKey("not an RSA SubjectPublicKeyInfo in DER"))?;
        Self::new(&key, Some(der))
    }

    /// Parses a PEM block `PUBLIC KEY` (SPKI) or `RSA PUBLIC KEY` (PKCS#1).
    ///
    /// # Errors
    /// As [`from_spki_der`](Self::from_spki_der).
    pub fn from_pem(pem: &str) -> Result<Self, CryptoError> {
        if pem.len() > MAX_PEM {
            return Err(CryptoError::BadKey(if pem.contains("PRIVATE KEY") {
                "this is a private key; give the public one"
            } else {
                "larger than any key of 4096 bits"
            }));
        }
        let (label, document) = Document::from_pem(pem.trim())
            .map_err(|_| CryptoError::BadKey("not a PEM block '-----BEGIN PUBLIC KEY-----'"))?;
        match label {
            "PUBLIC KEY" => Self::from_spki_der(document.as_bytes()),
            "RSA PUBLIC KEY" if document.as_bytes().len() <= MAX_SPKI_DER => {
                let key = rsa::PublicKey::from_pkcs1_der(document.as_bytes())
                    .map_err(|_| CryptoError::BadKey("not an RSAPublicKey in DER"))?;
                Self::new(&key, None)
            }
            label if label.ends_with("PRIVATE KEY") => {
                Err(CryptoError::BadKey("this is a private key; give the public one"))
            }
            _ => Err(CryptoError::BadKey("not a PEM block '-----BEGIN PUBLIC KEY-----'")),
        }
    }

    /// Checks `key`. If the key came in DER, also checks that `received` is its
    /// canonical encoding: two encodings of one key would be two pins.
    pub(super) fn new(key: &rsa::PublicKey, received: Option<&[u8]>) -> Result<Self, CryptoError> {
        let bits = key.n().bit_width_vartime();
        if !(MIN_BITS..=MAX_BITS).contains(&bits) {
            return Err(CryptoError::BadKey("the modulus must have 2048 to 4096 bits"));
        }
        if *key.e_bytes() != EXPONENT {
            return Err(CryptoError::BadKey("the public exponent must be 65537"));
        }
        let der = key.to_public_key_der().map_err(|_| CryptoError::Library)?.into_vec();
        if received.is_some_and(|received| received != der) {
            return Err(CryptoError::BadKey("not the canonical DER encoding of an rsaEncryption key"));
        }
        let unusable = |_| CryptoError::BadKey("the modulus is not usable");
        let oaep = PublicEncryptingKey::from_der(&der).map_err(unusable)?;
        Ok(Self(Arc::new(Inner {
            bits,
            thumbprint: Thumbprint::of_modulus(&key.n_bytes()),
            oaep: OaepPublicEncryptingKey::new(oaep)?,
            pss: ParsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, &der).map_err(unusable)?,
            der,
        })))
    }

    /// The `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.0.der
    }

    /// The key as a PEM block `PUBLIC KEY`, with a line feed at the end.
    #[must_use]
    pub fn to_pem(&self) -> String {
        // 48 bytes are a line of 64 characters (RFC 7468).
        let lines = self.spki_der().chunks(48).map(|line| STANDARD.encode(line) + "\n");
        format!("-----BEGIN PUBLIC KEY-----\n{}-----END PUBLIC KEY-----\n", lines.collect::<String>())
    }

    /// The length of the modulus in bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.0.bits
    }

    /// The length of a ciphertext or signature in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.bits.div_ceil(8) as usize
    }

    /// The key's thumbprint.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.0.thumbprint
    }

    /// Encrypts `plaintext` under RSA-OAEP with SHA-256 and MGF1-SHA-256,
    /// bound to `label`.
    ///
    /// # Errors
    /// [`CryptoError::TooLong`] if `plaintext` is longer than the modulus minus
    /// 66 bytes.
    pub fn oaep_encrypt(&self, plaintext: &[u8], label: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let max = self.size() - OAEP_OVERHEAD;
        if plaintext.len() > max {
            return Err(CryptoError::TooLong { len: plaintext.len(), max });
        }
        let mut ciphertext = vec![0; self.0.oaep.ciphertext_size()];
        let len =
            self.0.oaep.encrypt(&OAEP_SHA256_MGF1SHA256, plaintext, &mut ciphertext, Some(label))?.len();
        ciphertext.truncate(len);
        Ok(ciphertext)
    }

    /// Returns whether `signature` is the RSASSA-PSS signature (SHA-256,
    /// MGF1-SHA-256, salt of 32 bytes) over `message` in `domain`.
    #[must_use]
    pub fn pss_verify(&self, domain: SignatureDomain, message: &[u8], signature: &[u8]) -> bool {
        self.0.pss.verify_sig(&domain.wrap(message), signature).is_ok()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} bits, {})", self.bits(), self.thumbprint())
    }
}

/// The name of a public key: the SHA-256 JWK thumbprint of RFC 7638, written in
/// base64url without padding.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// Bytes of the hash.
    pub const LEN: usize = 32;

    /// Takes the bytes as they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Parses the string form; `None` unless it has 43 characters of canonical
    /// base64url.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// The raw hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn of_modulus(n: &[u8]) -> Self {
        // The required members in lexical order, without white space.
        let n = URL_SAFE_NO_PAD.encode(n);
        let e = URL_SAFE_NO_PAD.encode(EXPONENT);
        Self(sha256(&[format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#).as_bytes()]))
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
