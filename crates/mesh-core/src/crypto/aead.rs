//! AES-GCM (NIST SP 800-38D) with 96-bit nonces and 128-bit tags. Shorter tags
//! are not supported.

use std::fmt;

use aws_lc_rs::aead::{self as aws, AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, UnboundKey};

use super::CryptoError;

/// The largest plaintext for one nonce: 2³⁹ − 256 bits.
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

    /// Returns the size with `bits` bits, if there is one.
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

/// A number used once per key (RFC 5116). A second use would reveal both
/// plaintexts and the authentication key, so its maker must take it from a
/// counter or a random generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub [u8; 12]);

/// The proof that a ciphertext and its associated data are authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(pub [u8; 16]);

impl Tag {
    /// Bytes in a tag.
    pub const LEN: usize = 16;

    /// Takes a tag of exactly 16 bytes; a shorter tag would be easier to forge.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// An AES-GCM key, expanded and ready; wiped when dropped.
pub struct AeadKey(LessSafeKey);

impl AeadKey {
    /// Expands a key of 16, 24 or 32 bytes.
    ///
    /// # Errors
    /// [`CryptoError::KeyLength`] for any other length.
    pub fn new(key: &[u8]) -> Result<Self, CryptoError> {
        let expanded = Self::expand(key);
        // The library computed the key schedule on this stack, and the schedule
        // contains the key.
        super::secret::wipe_stack();
        expanded
    }

    #[inline(never)]
    fn expand(key: &[u8]) -> Result<Self, CryptoError> {
        let algorithm = match key.len() {
            16 => &AES_128_GCM,
            24 => &AES_192_GCM,
            _ => &AES_256_GCM,
        };
        let key = UnboundKey::new(algorithm, key).map_err(|_| CryptoError::KeyLength(key.len()))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Encrypts `buf` in place and returns the tag over it and `aad`.
    ///
    /// # Errors
    /// [`CryptoError::TooLong`] above 64 GiB.
    pub fn seal_in_place(&self, nonce: &Nonce, aad: &[u8], buf: &mut [u8]) -> Result<Tag, CryptoError> {
        let len = buf.len();
        let nonce = aws::Nonce::assume_unique_for_key(nonce.0);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), buf);
        let too_long = CryptoError::TooLong { len, max: MAX_PLAINTEXT };
        tag.ok().and_then(|tag| Tag::from_slice(tag.as_ref())).ok_or(too_long)
    }

    /// Checks the tag over `buf` and `aad`, and decrypts `buf` in place. If the
    /// check fails, `buf` is all zeros.
    ///
    /// # Errors
    /// [`CryptoError::Open`] if the tag is wrong.
    pub fn open_in_place(
        &self,
        nonce: &Nonce,
        aad: &[u8],
        buf: &mut [u8],
        tag: &Tag,
    ) -> Result<(), CryptoError> {
        let nonce = aws::Nonce::assume_unique_for_key(nonce.0);
        let opened = self.0.open_in_place_separate_tag(nonce, Aad::from(aad), &tag.0, buf);
        opened.map(|_| ()).map_err(|_| CryptoError::Open)
    }
}

impl Drop for AeadKey {
    fn drop(&mut self) {
        // The library wipes the key itself. Processors have fewer registers
        // than AES has round keys, so the last use left some of them on the
        // stack.
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
    fn agrees_with_another_implementation() {
        use aes_gcm::{AeadInOut, Aes128Gcm, Aes256Gcm, KeyInit};

        let text: Vec<u8> = (0..70_000_u32).map(|at| at as u8).collect();
        // Lengths around the thresholds at which the library processes many
        // blocks at once.
        let lens = (0..=70).chain([127, 128, 129, 255, 256, 257, 511, 513, 1024, 4095, 16_385, 70_000]);
        for len in lens {
            let (key, nonce) = ([3; 32], Nonce([len as u8; 12]));
            let (mut ours, mut theirs) = (text[..len].to_vec(), text[..len].to_vec());
            for size in [AesKeySize::Aes128, AesKeySize::Aes256] {
                let key = &key[..size.bytes()];
                let tag = AeadKey::new(key).unwrap().seal_in_place(&nonce, b"aad", &mut ours).unwrap();
                let (iv, buf) = (nonce.0.into(), theirs.as_mut_slice().into());
                let expected = if size == AesKeySize::Aes128 {
                    Aes128Gcm::new_from_slice(key).unwrap().encrypt_inout_detached(&iv, b"aad", buf)
                } else {
                    Aes256Gcm::new_from_slice(key).unwrap().encrypt_inout_detached(&iv, b"aad", buf)
                };
                assert_eq!((&ours, tag.0), (&theirs, expected.unwrap().into()), "{len} bytes, {size:?}");
            }
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
            assert_eq!(buf, [0; 14]);
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
