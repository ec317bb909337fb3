use aes_gcm::{
    AeadInOut, AesGcm, KeyInit,
    aead::{array::Array, consts::U16},
    aes::Aes256,
};
use serde::{Deserialize, Serialize};

use super::{EnvelopeError, base64, hmac};
use crate::crypto::{
    aead::Tag,
    mac::MacKey,
    rsa::KeyPair,
    secret::{Secret, SecretVec},
};

/// An envelope as version 0.2.0 wrote it: AES-256-GCM with a 128-bit nonce, an HMAC under the AES key over
/// the ciphertext alone, and no signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LegacyEnvelope {
    /// The AES-GCM ciphertext, base64.
    pub encrypted_data: String,
    /// The AES key under RSA-OAEP with SHA-256 and no label, base64.
    pub encrypted_key: String,
    /// The 128-bit nonce, base64.
    pub iv: String,
    /// The 128-bit tag of AES-GCM, base64.
    pub auth_tag: String,
    /// HMAC-SHA256 over the ciphertext, hexadecimal.
    pub hmac: String,
}

/// Opens an envelope of 0.2.0. Such an envelope does not authenticate its sender. Use this function only to
/// read old data and to seal it again.
///
/// # Errors
/// As [`open`](super::open).
pub fn open_legacy(envelope: &LegacyEnvelope, recipient: &KeyPair) -> Result<Vec<u8>, EnvelopeError> {
    let mut ciphertext = base64(&envelope.encrypted_data, "encryptedData")?;
    let encrypted_key = base64(&envelope.encrypted_key, "encryptedKey")?;
    let iv: [u8; 16] = base64(&envelope.iv, "iv")?
        .try_into()
        .map_err(|_| EnvelopeError::Format { member: "iv", wanted: "16 bytes in base64" })?;
    let tag = Tag::from_slice(&base64(&envelope.auth_tag, "authTag")?)
        .ok_or(EnvelopeError::Format { member: "authTag", wanted: "16 bytes in base64" })?;
    let hmac = hmac(&envelope.hmac)?;

    // Implicit rejection, as in `unwrap`.
    let stand_in = SecretVec::new(Secret::<32>::random()?.as_bytes().to_vec());
    let key = recipient.oaep_decrypt(&encrypted_key, b"").unwrap_or(stand_in);
    if !MacKey::new(key.as_bytes()).verify(&[&ciphertext], &hmac) {
        return Err(EnvelopeError::Open);
    }
    let cipher = AesGcm::<Aes256, U16>::new_from_slice(key.as_bytes()).map_err(|_| EnvelopeError::Open)?;
    cipher
        .decrypt_inout_detached(&Array::from(iv), b"", ciphertext.as_mut_slice().into(), &Array::from(tag.0))
        .map_err(|_| EnvelopeError::Open)?;
    Ok(ciphertext)
}
