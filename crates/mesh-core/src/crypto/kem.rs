//! Ephemeral key agreement: X25519 (RFC 7748) and ML-KEM-768 (FIPS 203).

use std::fmt;

use aws_lc_rs::{
    agreement::{self, UnparsedPublicKey, X25519},
    kem::{DecapsulationKey, EncapsulationKey, ML_KEM_768},
};
use subtle::ConstantTimeEq;

use super::{CryptoError, secret::Secret};

/// Bytes of an ML-KEM-768 encapsulation key.
pub const ML_KEM_PUBLIC_KEY_LEN: usize = 1184;
/// Bytes of an ML-KEM-768 ciphertext.
pub const ML_KEM_CIPHERTEXT_LEN: usize = 1088;

/// One side's X25519 secret. An agreement consumes it, so that it cannot serve
/// two sessions.
pub struct X25519Secret {
    private: agreement::PrivateKey,
    share: [u8; 32],
}

impl X25519Secret {
    /// A fresh secret.
    pub fn generate() -> Result<Self, CryptoError> {
        Self::new(agreement::PrivateKey::generate(&X25519)?)
    }

    /// A known secret, for test vectors.
    ///
    /// # Errors
    /// [`CryptoError::BadShare`] unless it has 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CryptoError> {
        Self::new(agreement::PrivateKey::from_private_key(&X25519, bytes).map_err(|_| CryptoError::BadShare)?)
    }

    fn new(private: agreement::PrivateKey) -> Result<Self, CryptoError> {
        let public = private.compute_public_key()?;
        let share = public.as_ref().try_into().map_err(|_| CryptoError::Library)?;
        Ok(Self { private, share })
    }

    /// The public share for the peer.
    #[must_use]
    pub fn public_share(&self) -> [u8; 32] {
        self.share
    }

    /// The shared secret with `peer`.
    ///
    /// # Errors
    /// [`CryptoError::BadShare`] for a share of another length or of small
    /// order. Such a share makes the result all zeros, whatever the secret is.
    pub fn agree(self, peer: &[u8]) -> Result<Secret<32>, CryptoError> {
        self.agree_with(peer)
    }

    /// Agrees on the shared secrets with two keys of one peer, within one session.
    ///
    /// # Errors
    /// As [`agree`](Self::agree), of either.
    pub fn agree_twice(self, first: &[u8], second: &[u8]) -> Result<(Secret<32>, Secret<32>), CryptoError> {
        Ok((self.agree_with(first)?, self.agree_with(second)?))
    }

    /// Converts the secret into one that serves several sessions.
    #[must_use]
    pub fn into_reusable(self) -> ReusableX25519Secret {
        ReusableX25519Secret(self)
    }

    fn agree_with(&self, peer: &[u8]) -> Result<Secret<32>, CryptoError> {
        let peer = UnparsedPublicKey::new(&X25519, peer);
        let shared = agreement::agree(&self.private, peer, CryptoError::BadShare, |shared| {
            Secret::from_slice(shared).ok_or(CryptoError::BadShare)
        })?;
        if shared.as_bytes().ct_eq(&[0; 32]).into() { Err(CryptoError::BadShare) } else { Ok(shared) }
    }
}

/// Whether nobody could agree with this share: it has another length, or is of small
/// order, so that its secret with anybody is known to everybody.
#[must_use]
pub fn is_unusable_share(share: &[u8]) -> bool {
    // Every secret is a multiple of 8, the cofactor, and so tells as much as another.
    X25519Secret::from_bytes(&[9; 32]).and_then(|any| any.agree(share)).is_err()
}

impl fmt::Debug for X25519Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("X25519Secret(..)")
    }
}

/// An X25519 secret that serves more than one session. It only proves
/// possession, so each session also needs a secret that serves once.
#[derive(Debug)]
pub struct ReusableX25519Secret(X25519Secret);

impl ReusableX25519Secret {
    /// The public half.
    #[must_use]
    pub fn public_share(&self) -> [u8; 32] {
        self.0.public_share()
    }

    /// The shared secret with `peer`.
    ///
    /// # Errors
    /// As [`X25519Secret::agree`].
    pub fn agree(&self, peer: &[u8]) -> Result<Secret<32>, CryptoError> {
        self.0.agree_with(peer)
    }
}

/// An ML-KEM-768 decapsulation key.
pub struct MlKemSecret(DecapsulationKey);

impl MlKemSecret {
    /// A fresh key.
    pub fn generate() -> Result<Self, CryptoError> {
        Ok(Self(DecapsulationKey::generate(&ML_KEM_768)?))
    }

    /// Takes a known key in its expanded form of 2400 bytes, for test vectors.
    /// The public key cannot be derived from this form.
    ///
    /// # Errors
    /// [`CryptoError::BadShare`] for another length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CryptoError> {
        DecapsulationKey::new(&ML_KEM_768, bytes).map(Self).map_err(|_| CryptoError::BadShare)
    }

    /// The encapsulation key the peer needs, 1184 bytes.
    pub fn public_key(&self) -> Result<Vec<u8>, CryptoError> {
        Ok(self.0.encapsulation_key()?.key_bytes()?.as_ref().to_vec())
    }

    /// Returns the shared secret in `ciphertext`. A tampered ciphertext yields
    /// a different secret and no error (implicit rejection).
    ///
    /// # Errors
    /// [`CryptoError::BadShare`] unless it has 1088 bytes.
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret<32>, CryptoError> {
        if ciphertext.len() != ML_KEM_CIPHERTEXT_LEN {
            return Err(CryptoError::BadShare);
        }
        let shared = self.0.decapsulate(ciphertext.into()).map_err(|_| CryptoError::BadShare)?;
        Secret::from_slice(shared.as_ref()).ok_or(CryptoError::Library)
    }
}

impl fmt::Debug for MlKemSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MlKemSecret(..)")
    }
}

/// Generates a shared secret for the owner of the ML-KEM-768 key `peer_key`.
/// Returns the ciphertext of 1088 bytes and the secret.
///
/// # Errors
/// [`CryptoError::BadShare`] if the key does not have 1184 bytes or is not
/// reduced (the modulus check of FIPS 203, section 7.2).
pub fn encapsulate(peer_key: &[u8]) -> Result<(Vec<u8>, Secret<32>), CryptoError> {
    let key = EncapsulationKey::new(&ML_KEM_768, peer_key).map_err(|_| CryptoError::BadShare)?;
    let (ciphertext, shared) = key.encapsulate().map_err(|_| CryptoError::BadShare)?;
    let shared = Secret::from_slice(shared.as_ref()).ok_or(CryptoError::Library)?;
    Ok((ciphertext.as_ref().to_vec(), shared))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x25519_agrees() {
        let (a, b) = (X25519Secret::generate().unwrap(), X25519Secret::generate().unwrap());
        let (share_a, share_b) = (a.public_share(), b.public_share());
        assert_eq!(a.agree(&share_b).unwrap(), b.agree(&share_a).unwrap());
    }

    #[test]
    fn x25519_refuses_points_of_small_order() {
        // The points of order 1, 2, 4 and 8, and their non-canonical twins.
        let small = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "0100000000000000000000000000000000000000000000000000000000000080",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        ];
        for point in small {
            let secret = X25519Secret::generate().unwrap();
            let shared = secret.agree(&hex::decode(point).unwrap());
            assert_eq!(shared.err(), Some(CryptoError::BadShare), "{point}");
            assert!(is_unusable_share(&hex::decode(point).unwrap()), "{point}");
        }
        assert!(!is_unusable_share(&X25519Secret::generate().unwrap().public_share()));
        assert!(is_unusable_share(&[9; 31]));
    }

    #[test]
    fn x25519_refuses_other_lengths() {
        for len in [0, 31, 33, 64] {
            let secret = X25519Secret::generate().unwrap();
            assert_eq!(secret.agree(&vec![9; len]).err(), Some(CryptoError::BadShare), "{len}");
        }
    }

    #[test]
    fn ml_kem_agrees() {
        let secret = MlKemSecret::generate().unwrap();
        let public = secret.public_key().unwrap();
        assert_eq!(public.len(), ML_KEM_PUBLIC_KEY_LEN);
        let (ciphertext, shared) = encapsulate(&public).unwrap();
        assert_eq!(ciphertext.len(), ML_KEM_CIPHERTEXT_LEN);
        assert_eq!(secret.decapsulate(&ciphertext).unwrap(), shared);
    }

    #[test]
    fn ml_kem_rejects_implicitly() {
        let secret = MlKemSecret::generate().unwrap();
        let (mut ciphertext, shared) = encapsulate(&secret.public_key().unwrap()).unwrap();
        ciphertext[100] ^= 1;
        let other = secret.decapsulate(&ciphertext).unwrap();
        assert_ne!(other, shared);
        assert_eq!(other, secret.decapsulate(&ciphertext).unwrap());
    }

    #[test]
    fn ml_kem_refuses_malformed_input() {
        let secret = MlKemSecret::generate().unwrap();
        for len in [0, 1087, 1089] {
            assert_eq!(secret.decapsulate(&vec![0; len]).err(), Some(CryptoError::BadShare));
        }
        for len in [0, 1183, 1185] {
            assert_eq!(encapsulate(&vec![0; len]).err(), Some(CryptoError::BadShare));
        }
        // Coefficients of 4095 are not reduced modulo 3329.
        assert_eq!(encapsulate(&[0xff; ML_KEM_PUBLIC_KEY_LEN]).err(), Some(CryptoError::BadShare));
    }
}
