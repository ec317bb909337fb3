//! AES-GCM (NIST SP 800-38D) with 96-bit nonces and full 128-bit tags, the
//! only tag length there is here.

use std::fmt;

use aes_gcm::{
    AeadInOut, Aes128Gcm, Aes256Gcm, AesGcm, KeyInit,
    aead::{array::Array, consts::U12},
    aes::Aes192,
};

use super::CryptoError;

/// Most plaintext one nonce may encrypt: 2³⁹ − 256 bits.
const MAX_PLAINTEXT: usize = if usize::BITS >= 64 { ((1_u64 << 36) - 32) as usize } else { usize::MAX };

/// The size of an AES key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AesKeySize {
    /// 128 bits.
    Aes128,
    /// 192 bits.
    Aes192,
    /// 256 bits.
    Aes256,
}

impl AesKeySize {
    /// The size in bits: 128, 192 or 256.
    #[must_use]
    pub const fn bits(self) -> u16 {
        match self {
            Self::Aes128 => 128,
            Self::Aes192 => 192,
            Self::Aes256 => 256,
        }
    }

    /// The size in bytes: 16, 24 or 32.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.bits() as usize / 8
    }

    /// The size of `bits` bits, if there is one.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        match bits {
            128 => Some(Self::Aes128),
            192 => Some(Self::Aes192),
            256 => Some(Self::Aes256),
            _ => None,
        }
    }
}

/// A number used once per key (RFC 5116). Using it twice gives both plaintexts
/// and the authentication key away, so whoever makes one must count or draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub [u8; 12]);

/// The proof that a ciphertext and its associated data are authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(pub [u8; 16]);

impl Tag {
    /// Bytes in a tag.
    pub const LEN: usize = 16;

    /// A tag of exactly 16 bytes; a shorter one would be easier to forge.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

// Boxed, because the first round key is the key itself: moving the box leaves
// no copy behind.
enum Cipher {
    Aes128(Box<Aes128Gcm>),
    Aes192(Box<AesGcm<Aes192, U12>>),
    Aes256(Box<Aes256Gcm>),
}

/// An AES-GCM key, expanded and ready; its schedule is wiped when dropped.
pub struct AeadKey(Cipher);

impl AeadKey {
    /// Expands a key of 16, 24 or 32 bytes.
    ///
    /// # Errors
    /// [`CryptoError::KeyLength`] for any other length.
    pub fn new(key: &[u8]) -> Result<Self, CryptoError> {
        let expanded = Self::expand(key);
        // Its schedule was made there, and the key is a part of it.
        super::secret::wipe_stack();
        expanded
    }

    #[inline(never)]
    fn expand(key: &[u8]) -> Result<Self, CryptoError> {
        let bad_length = |_| CryptoError::KeyLength(key.len());
        let cipher = match key.len() {
            16 => Cipher::Aes128(Box::new(KeyInit::new_from_slice(key).map_err(bad_length)?)),
            24 => Cipher::Aes192(Box::new(KeyInit::new_from_slice(key).map_err(bad_length)?)),
            _ => Cipher::Aes256(Box::new(KeyInit::new_from_slice(key).map_err(bad_length)?)),
        };
        Ok(Self(cipher))
    }

    /// Encrypts `buf` where it lies and returns the tag over it and `aad`.
    ///
    /// # Errors
    /// [`CryptoError::TooLong`] above 64 GiB.
    pub fn seal_in_place(&self, nonce: &Nonce, aad: &[u8], buf: &mut [u8]) -> Result<Tag, CryptoError> {
        let len = buf.len();
        let nonce = Array::from(nonce.0);
        let tag = match &self.0 {
            Cipher::Aes128(cipher) => cipher.encrypt_inout_detached(&nonce, aad, buf.into()),
            Cipher::Aes192(cipher) => cipher.encrypt_inout_detached(&nonce, aad, buf.into()),
            Cipher::Aes256(cipher) => cipher.encrypt_inout_detached(&nonce, aad, buf.into()),
        };
        tag.map(|tag| Tag(tag.into())).map_err(|_| CryptoError::TooLong { len, max: MAX_PLAINTEXT })
    }

    /// Checks the tag over `buf` and `aad`, then decrypts `buf` where it lies.
    /// If the check fails, `buf` still holds the ciphertext.
    ///
    /// # Errors
    /// [`CryptoError::Open`] if the tag does not fit.
    pub fn open_in_place(
        &self,
        nonce: &Nonce,
        aad: &[u8],
        buf: &mut [u8],
        tag: &Tag,
    ) -> Result<(), CryptoError> {
        let (nonce, tag) = (Array::from(nonce.0), Array::from(tag.0));
        match &self.0 {
            Cipher::Aes128(cipher) => cipher.decrypt_inout_detached(&nonce, aad, buf.into(), &tag),
            Cipher::Aes192(cipher) => cipher.decrypt_inout_detached(&nonce, aad, buf.into(), &tag),
            Cipher::Aes256(cipher) => cipher.decrypt_inout_detached(&nonce, aad, buf.into(), &tag),
        }
        .map_err(|_| CryptoError::Open)
    }
}

impl Drop for AeadKey {
    fn drop(&mut self) {
        // Processors have fewer registers than AES has round keys: the last
        // use has left some of them on the stack.
        super::secret::wipe_stack();
    }
}

impl fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seals_and_opens_with_every_key_size() {
        for size in [AesKeySize::Aes128, AesKeySize::Aes192, AesKeySize::Aes256] {
            let key = AeadKey::new(&vec![1; size.bytes()]).unwrap();
            let nonce = Nonce([2; 12]);
            let mut buf = *b"attack at dawn";
            let tag = key.seal_in_place(&nonce, b"aad", &mut buf).unwrap();
            assert_ne!(&buf, b"attack at dawn");
            key.open_in_place(&nonce, b"aad", &mut buf, &tag).unwrap();
            assert_eq!(&buf, b"attack at dawn");
            assert_eq!(AesKeySize::from_bits(size.bits().into()), Some(size));
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed_and_nothing_is_decrypted() {
        let key = AeadKey::new(&[1; 32]).unwrap();
        let (nonce, mut sealed) = (Nonce([2; 12]), *b"attack at dawn");
        let tag = key.seal_in_place(&nonce, b"aad", &mut sealed).unwrap();
        let refuses = |nonce: Nonce, aad: &[u8], text: [u8; 14], tag: Tag| {
            let mut buf = text;
            assert_eq!(key.open_in_place(&nonce, aad, &mut buf, &tag), Err(CryptoError::Open));
            assert_eq!(buf, text);
        };
        for bit in 0..8 {
            for byte in 0..12 {
                let mut other = nonce;
                other.0[byte] ^= 1 << bit;
                refuses(other, b"aad", sealed, tag);
            }
            for byte in 0..14 {
                let mut other = sealed;
                other[byte] ^= 1 << bit;
                refuses(nonce, b"aad", other, tag);
            }
            for byte in 0..16 {
                let mut other = tag;
                other.0[byte] ^= 1 << bit;
                refuses(nonce, b"aad", sealed, other);
            }
        }
        refuses(nonce, b"aad ", sealed, tag);
    }

    #[test]
    fn refuses_other_lengths() {
        for len in [0, 15, 17, 31, 33, 64] {
            assert_eq!(AeadKey::new(&vec![0; len]).err(), Some(CryptoError::KeyLength(len)));
        }
        for len in [0, 4, 8, 12, 15, 17] {
            assert_eq!(Tag::from_slice(&vec![0; len]), None);
        }
        assert_eq!(AesKeySize::from_bits(512), None);
    }
}
