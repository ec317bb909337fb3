//! Bytes that must not be shown, copied implicitly, or left in memory.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::CryptoError;

/// `N` secret bytes: wiped when dropped, redacted in `Debug`, compared in
/// constant time. The bytes are on the heap, so that moving the value leaves no
/// copies on the stack.
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Takes ownership of `bytes` and wipes the array they came in.
    #[must_use]
    pub fn new(mut bytes: [u8; N]) -> Self {
        let secret = Self::fill_with(|out| out.copy_from_slice(&bytes));
        bytes.zeroize();
        secret
    }

    /// Lets `fill` write the secret at its final place, which initially holds
    /// zeros.
    #[must_use]
    pub fn fill_with(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut bytes = Box::new([0; N]);
        fill(&mut bytes);
        Self(bytes)
    }

    /// Copies a slice; `None` unless it has exactly `N` bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == N).then(|| Self::fill_with(|out| out.copy_from_slice(bytes)))
    }

    /// `N` bytes from the system's cryptographic generator.
    pub fn random() -> Result<Self, CryptoError> {
        let mut bytes = Box::new([0; N]);
        aws_lc_rs::rand::fill(&mut *bytes)?;
        Ok(Self(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; N] {
        &self.0
    }

    /// Returns whether `other` holds the same bytes, in constant time.
    #[must_use]
    pub fn ct_eq(&self, other: &[u8]) -> bool {
        self.0.as_slice().ct_eq(other).into()
    }
}

impl<const N: usize> Clone for Secret<N> {
    fn clone(&self) -> Self {
        Self::fill_with(|out| out.copy_from_slice(&*self.0))
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(&*other.0)
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Secret bytes whose length is known only at run time, with the guarantees of
/// [`Secret`].
pub struct SecretVec(Vec<u8>);

impl SecretVec {
    /// Takes ownership of `bytes`.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes without wiping them, for a plaintext that now belongs
    /// to the caller.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for SecretVec {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretVec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretVec(..)")
    }
}

/// Bytes of stack that [`wipe_stack`] overwrites, more than any function of
/// symmetric cryptography uses.
const DEAD_STACK: usize = 8 * 1024;

/// Overwrites the stack frames of functions that have just returned. Libraries
/// wipe their stored keys, but not their intermediate results.
#[inline(never)]
pub(crate) fn wipe_stack() {
    let mut dead = [0_u64; DEAD_STACK / 8];
    // `zeroize` keeps the compiler from removing a write that is never read.
    dead.zeroize();
}

/// Fills `out` from the system's cryptographic generator.
pub fn fill_random(out: &mut [u8]) -> Result<(), CryptoError> {
    Ok(aws_lc_rs::rand::fill(out)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new([7; 32])), "Secret(..)");
        assert_eq!(format!("{:?}", SecretVec::new(vec![7; 32])), "SecretVec(..)");
    }

    #[test]
    fn equality_needs_the_same_bytes_and_length() {
        let secret = Secret::new([7; 4]);
        assert_eq!(secret, Secret::new([7; 4]));
        assert_ne!(secret, Secret::new([8; 4]));
        assert!(!secret.ct_eq(&[7; 3]));
        assert!(Secret::<4>::from_slice(&[7; 5]).is_none());
    }

    #[test]
    fn random_is_not_constant() {
        let (a, b) = (Secret::<32>::random().unwrap(), Secret::<32>::random().unwrap());
        assert_ne!(a, b);
    }
}
