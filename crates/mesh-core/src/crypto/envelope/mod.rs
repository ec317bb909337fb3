//! Envelopes: data encrypted to an RSA key in one step, for storage or for a
//! transport without sessions. The format is in `docs/envelope.md`.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    CryptoError,
    aead::{AeadKey, AesKeySize, Nonce, Tag},
    kdf::Prk,
    mac::{MacKey, sha256},
    rsa::{KeyPair, PublicKey, SignatureDomain, Thumbprint},
    secret::{Secret, SecretVec, fill_random},
};
use crate::error::{Code, Coded, Reason};

mod legacy;
#[cfg(test)]
mod tests;

pub use legacy::{LegacyEnvelope, open_legacy};

/// The version that is written, and the only version that is accepted.
pub const VERSION: u32 = 1;

/// The name of the format: it is the OAEP label, the associated data and the
/// prefix of the authenticated bytes.
const DOMAIN: &[u8] = b"secure-stack-mesh/envelope/v1";
const AES_INFO: &[u8] = b"secure-stack-mesh/envelope/v1 aes";
const HMAC_INFO: &[u8] = b"secure-stack-mesh/envelope/v1 hmac";

/// An encrypted and signed message. In JSON the members are `version`,
/// `encryptedData`, `encryptedKey`, `iv`, `authTag`, `hmac` and `signature`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// [`VERSION`].
    pub version: u32,
    /// The AES-GCM ciphertext, base64.
    pub encrypted_data: String,
    /// The wrapped secret, base64.
    pub encrypted_key: String,
    /// The 96-bit nonce, base64.
    pub iv: String,
    /// The 128-bit tag of AES-GCM, base64.
    pub auth_tag: String,
    /// HMAC-SHA256 over all members above, hexadecimal.
    pub hmac: String,
    /// The sender's RSASSA-PSS signature, base64.
    #[serde(default)]
    pub signature: String,
}

/// The reason why an envelope could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// A member violates the format; no key is needed to see it.
    #[error("the envelope's {member} must be {wanted}")]
    Format {
        /// The member's name in JSON.
        member: &'static str,
        /// The form that the format requires.
        wanted: &'static str,
    },
    /// This build does not support the envelope's version.
    #[error(
        "the envelope's version must be 1, got {0}; an envelope without a version is one of 0.2.0, \
         which is opened with the option {{ legacy: true }}"
    )]
    Version(u32),
    /// The envelope is for a different key, from a different sender, or damaged.
    #[error(
        "the envelope cannot be opened: it is not encrypted to this key, not signed by this sender, or damaged"
    )]
    Open,
    /// A key was unusable, or the library failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl Coded for EnvelopeError {
    fn code(&self) -> Code {
        match self {
            Self::Format { .. } | Self::Version(_) | Self::Open => Code::InvalidArgument,
            Self::Crypto(err) => err.code(),
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Format { .. } | Self::Version(_) => Reason::EnvelopeFormat,
            Self::Open => Reason::DecryptFailed,
            Self::Crypto(err) => err.reason(),
        }
    }
}

/// Encrypts `data` to `recipient` and signs it as `sender`.
///
/// Each envelope has a fresh AES key of the given size.
pub fn seal(
    data: &[u8],
    recipient: &PublicKey,
    sender: &KeyPair,
    size: AesKeySize,
) -> Result<Envelope, EnvelopeError> {
    // The length of the wrapped secret gives the recipient the AES key size.
    // The sender's thumbprint in it keeps others from signing an envelope they
    // cannot read.
    let mut wrapped = Zeroizing::new(vec![0; size.bytes() + Thumbprint::LEN]);
    let (secret, name) = wrapped.split_at_mut(size.bytes());
    fill_random(secret)?;
    name.copy_from_slice(sender.public_key().thumbprint().as_bytes());
    let keys = Keys::derive(secret)?;
    let encrypted_key = recipient.oaep_encrypt(&wrapped, DOMAIN)?;

    let mut iv = [0; 12];
    fill_random(&mut iv)?;
    let mut ciphertext = data.to_vec();
    let tag = keys.aead.seal_in_place(&Nonce(iv), DOMAIN, &mut ciphertext)?;

    let recipient = recipient.thumbprint();
    let covered =
        Covered { recipient, encrypted_key: &encrypted_key, iv: &iv, tag: &tag, ciphertext: &ciphertext };
    let hmac = covered.hmac(&keys.mac);
    let signature = sender.pss_sign(SignatureDomain::Envelope, &covered.signed(&hmac))?;
    Ok(Envelope {
        version: VERSION,
        encrypted_data: STANDARD.encode(&ciphertext),
        encrypted_key: STANDARD.encode(&encrypted_key),
        iv: STANDARD.encode(iv),
        auth_tag: STANDARD.encode(tag.0),
        hmac: hex::encode(hmac),
        signature: STANDARD.encode(signature),
    })
}

/// Opens an envelope sealed to `recipient`. With a `sender`, that sender must
/// have signed it. Without a `sender`, **the origin is not authenticated**:
/// anyone who has the recipient's public key could have made the envelope.
///
/// # Errors
/// `ENVELOPE_FORMAT` for a malformed member; `DECRYPT_FAILED` for every other
/// failure, so that the error does not reveal which check failed.
pub fn open(
    envelope: &Envelope,
    recipient: &KeyPair,
    sender: Option<&PublicKey>,
) -> Result<Vec<u8>, EnvelopeError> {
    if envelope.version != VERSION {
        return Err(EnvelopeError::Version(envelope.version));
    }
    let mut ciphertext = base64(&envelope.encrypted_data, "encryptedData")?;
    let encrypted_key = base64(&envelope.encrypted_key, "encryptedKey")?;
    let iv: [u8; 12] = base64(&envelope.iv, "iv")?
        .try_into()
        .map_err(|_| EnvelopeError::Format { member: "iv", wanted: "12 bytes in base64" })?;
    let tag = Tag::from_slice(&base64(&envelope.auth_tag, "authTag")?)
        .ok_or(EnvelopeError::Format { member: "authTag", wanted: "16 bytes in base64" })?;
    let hmac = hmac(&envelope.hmac)?;
    let signature = base64(&envelope.signature, "signature")?;

    let covered = Covered {
        recipient: recipient.public_key().thumbprint(),
        encrypted_key: &encrypted_key,
        iv: &iv,
        tag: &tag,
        ciphertext: &ciphertext,
    };
    // The signature first: it is cheap and needs no secret.
    if let Some(sender) = sender
        && !sender.pss_verify(SignatureDomain::Envelope, &covered.signed(&hmac), &signature)
    {
        return Err(EnvelopeError::Open);
    }
    let (keys, name) = unwrap(recipient, &encrypted_key)?;
    if covered.hmac_differs(&keys.mac, &hmac) {
        return Err(EnvelopeError::Open);
    }
    if sender.is_some_and(|sender| sender.thumbprint() != name) {
        return Err(EnvelopeError::Open);
    }
    keys.aead.open_in_place(&Nonce(iv), DOMAIN, &mut ciphertext, &tag).map_err(|_| EnvelopeError::Open)?;
    Ok(ciphertext)
}

/// Unwraps the secret. A random secret replaces one that cannot be unwrapped,
/// so that the envelope fails at the HMAC like any forgery (implicit
/// rejection). The time of the failure therefore reveals nothing about the OAEP
/// padding.
fn unwrap(recipient: &KeyPair, encrypted_key: &[u8]) -> Result<(Keys, Thumbprint), EnvelopeError> {
    let stand_in = SecretVec::new(Secret::<64>::random()?.as_bytes().to_vec());
    let wrapped = recipient.oaep_decrypt(encrypted_key, DOMAIN).unwrap_or(stand_in);
    let (secret, name) = match wrapped.as_bytes().split_last_chunk() {
        Some((secret, name)) if matches!(secret.len(), 16 | 24 | 32) => (secret, *name),
        _ => return Err(EnvelopeError::Open),
    };
    Ok((Keys::derive(secret)?, Thumbprint::from_bytes(name)))
}

struct Keys {
    aead: AeadKey,
    mac: MacKey,
}

impl Keys {
    fn derive(secret: &[u8]) -> Result<Self, CryptoError> {
        let prk = Prk::extract(b"", &[secret]);
        let mut aes = Zeroizing::new(vec![0; secret.len()]);
        prk.expand_info(AES_INFO, &mut aes)?;
        let mut hmac = Zeroizing::new([0; 32]);
        prk.expand_info(HMAC_INFO, &mut *hmac)?;
        Ok(Self { aead: AeadKey::new(&aes)?, mac: MacKey::new(&*hmac) })
    }
}

/// The data that the HMAC and the signature cover.
struct Covered<'a> {
    recipient: Thumbprint,
    encrypted_key: &'a [u8],
    iv: &'a [u8; 12],
    tag: &'a Tag,
    ciphertext: &'a [u8],
}

impl Covered<'_> {
    /// Runs `then` on the parts. Their concatenation is unambiguous: the
    /// wrapped key has its length before it, the ciphertext is last, and all
    /// other parts have a fixed length.
    fn with_parts<T>(&self, then: impl FnOnce(&[&[u8]]) -> T) -> T {
        let length = (self.encrypted_key.len() as u64).to_be_bytes();
        then(&[
            DOMAIN,
            &[0],
            self.recipient.as_bytes(),
            &length,
            self.encrypted_key,
            self.iv,
            &self.tag.0,
            self.ciphertext,
        ])
    }

    fn hmac(&self, key: &MacKey) -> [u8; 32] {
        self.with_parts(|parts| key.sign(parts))
    }

    fn hmac_differs(&self, key: &MacKey, hmac: &[u8; 32]) -> bool {
        !self.with_parts(|parts| key.verify(parts, hmac))
    }

    /// Returns the bytes that the sender signs: the hash of the covered data,
    /// and the HMAC over it.
    fn signed(&self, hmac: &[u8; 32]) -> Vec<u8> {
        [self.with_parts(sha256), *hmac].concat()
    }
}

fn base64(text: &str, member: &'static str) -> Result<Vec<u8>, EnvelopeError> {
    STANDARD.decode(text).map_err(|_| EnvelopeError::Format { member, wanted: "base64" })
}

fn hmac(text: &str) -> Result<[u8; 32], EnvelopeError> {
    let mut hmac = [0; 32];
    hex::decode_to_slice(text, &mut hmac)
        .map_err(|_| EnvelopeError::Format { member: "hmac", wanted: "64 hexadecimal digits" })?;
    Ok(hmac)
}
