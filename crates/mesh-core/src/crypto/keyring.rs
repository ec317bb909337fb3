//! The current and the previous key pair, so that data encrypted before a
//! rotation stays readable.

use std::{fmt, sync::Arc};

use super::{
    CryptoError,
    envelope::{self, Envelope, EnvelopeError, LegacyEnvelope},
    keystore::{KeyStore, KeyStoreError},
    rsa::{KeyPair, MAX_BITS, PublicKey},
    secret::SecretVec,
};
use crate::id::ServiceId;

/// The current key pair, which signs and opens, and the previous key pair,
/// which only opens.
#[derive(Clone)]
pub struct KeyRing {
    current: KeyPair,
    previous: Option<KeyPair>,
    home: Option<Arc<Home>>,
}

/// The place of keys that are stored.
struct Home {
    store: KeyStore,
    id: ServiceId,
}

impl KeyRing {
    /// Creates a ring that exists in memory only.
    #[must_use]
    pub fn in_memory(current: KeyPair) -> Self {
        Self { current, previous: None, home: None }
    }

    /// Loads the keys of the service `id` from `store`. A missing key is
    /// generated with `bits` bits, or 4096, and stored.
    ///
    /// # Errors
    /// Those of [`KeyStore::key_pair`], and `KEYDIR_KEY_SIZE` if `bits` is
    /// given and differs from the size of the stored key.
    pub fn stored(store: KeyStore, id: ServiceId, bits: Option<u32>) -> Result<Self, KeyStoreError> {
        let current = match bits {
            Some(bits) => store.key_pair(&id, bits)?,
            None => store.any_key_pair(&id, MAX_BITS)?,
        };
        let previous = store.load_previous_key_pair(&id)?;
        Ok(Self { current, previous, home: Some(Arc::new(Home { store, id })) })
    }

    /// Returns the ring with `next` as the current key and the current key as
    /// the previous one. A stored ring is on disk before this method returns.
    pub fn succeeded_by(&self, next: KeyPair) -> Result<Self, KeyStoreError> {
        if let Some(home) = &self.home {
            home.store.replace_key_pair(&home.id, &next)?;
        }
        let same = next.public_key() == self.current.public_key();
        let previous = if same { self.previous.clone() } else { Some(self.current.clone()) };
        Ok(Self { current: next, previous, home: self.home.clone() })
    }

    /// The key pair in use.
    #[must_use]
    pub fn current(&self) -> &KeyPair {
        &self.current
    }

    /// Opens an envelope sealed to either key.
    ///
    /// # Errors
    /// Those of [`envelope::open`].
    pub fn open(&self, envelope: &Envelope, sender: Option<&PublicKey>) -> Result<Vec<u8>, EnvelopeError> {
        self.try_each(&EnvelopeError::Open, |pair| envelope::open(envelope, pair, sender))
    }

    /// Opens an envelope of 0.2.0 encrypted to either key.
    ///
    /// # Errors
    /// Those of [`envelope::open_legacy`].
    pub fn open_legacy(&self, envelope: &LegacyEnvelope) -> Result<Vec<u8>, EnvelopeError> {
        self.try_each(&EnvelopeError::Open, |pair| envelope::open_legacy(envelope, pair))
    }

    /// Decrypts a ciphertext of RSA-OAEP-SHA256 for either key.
    ///
    /// # Errors
    /// [`CryptoError::Open`].
    pub fn oaep_decrypt(&self, ciphertext: &[u8], label: &[u8]) -> Result<SecretVec, CryptoError> {
        self.try_each(&CryptoError::Open, |pair| pair.oaep_decrypt(ciphertext, label))
    }

    /// Tries the previous key if the current key fails with `unfit`.
    fn try_each<T, E: PartialEq>(&self, unfit: &E, open: impl Fn(&KeyPair) -> Result<T, E>) -> Result<T, E> {
        match (open(&self.current), &self.previous) {
            (Err(err), Some(previous)) if err == *unfit => open(previous),
            (outcome, _) => outcome,
        }
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("current", &self.current)
            .field("previous", &self.previous)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{aead::AesKeySize, keystore::tests::TempDir, rsa::SignatureDomain};

    fn sealed_to(pair: &KeyPair) -> Envelope {
        envelope::seal(b"data", pair.public_key(), pair, AesKeySize::Aes256).unwrap()
    }

    #[test]
    fn the_previous_key_opens_and_no_longer_signs() {
        let first = KeyRing::in_memory(KeyPair::generate(2048).unwrap());
        let old = sealed_to(first.current());
        let wrapped = first.current().public_key().oaep_encrypt(b"x", b"").unwrap();
        let second = first.succeeded_by(KeyPair::generate(2048).unwrap()).unwrap();
        let sender = Some(first.current().public_key());
        assert_eq!(second.open(&old, sender).unwrap(), b"data");
        assert_eq!(second.oaep_decrypt(&wrapped, b"").unwrap().as_bytes(), b"x");
        let signature = second.current().pss_sign(SignatureDomain::Data, b"m").unwrap();
        assert!(!first.current().public_key().pss_verify(SignatureDomain::Data, b"m", &signature));
        // The ring keeps one previous key, not two.
        let third = second.succeeded_by(KeyPair::generate(2048).unwrap()).unwrap();
        assert_eq!(third.open(&old, sender), Err(EnvelopeError::Open));
    }

    #[test]
    fn stored_rings_survive_a_restart() {
        let temp = TempDir::new();
        let (dir, id) = (temp.0.join("keys"), "a".parse::<ServiceId>().unwrap());
        let open = |bits| KeyRing::stored(KeyStore::open(&dir).unwrap(), id.clone(), bits);
        let first = open(Some(2048)).unwrap();
        let old = sealed_to(first.current());
        first.succeeded_by(KeyPair::generate(3072).unwrap()).unwrap();
        let again = open(None).unwrap();
        assert_eq!(again.current().public_key().bits(), 3072);
        assert_eq!(again.open(&old, None).unwrap(), b"data");
        assert!(matches!(open(Some(2048)), Err(KeyStoreError::KeySize { stored: 3072, .. })));
    }
}
