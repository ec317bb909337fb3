//! HMAC-SHA256 (RFC 2104) and SHA-256.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::secret::wipe_stack;

/// An HMAC-SHA256 key. The two key blocks are hashed once, here; each use
/// clones that state.
#[derive(Clone)]
pub struct MacKey(Hmac<Sha256>);

impl MacKey {
    /// Takes a key of any length; 32 bytes are the recommended length.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        // HMAC hashes a key longer than a block. Hashing it here leaves a length that the library's
        // infallible constructor accepts.
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        if key.len() > block.len() {
            block[..32].copy_from_slice(&Sha256::digest(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let keyed = keyed(&block);
        zeroize::Zeroize::zeroize(block.as_mut_slice());
        wipe_stack();
        Self(keyed)
    }

    /// Returns the MAC over the concatenation of `parts`. A caller whose parts vary in length must encode the
    /// lengths in the parts; otherwise two different inputs have one MAC.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut state = self.0.clone();
        for part in parts {
            state.update(part);
        }
        state.finalize().into_bytes().into()
    }

    /// Returns whether `mac` is the full MAC of 32 bytes over `parts`. The comparison takes constant time.
    #[must_use]
    pub fn verify(&self, parts: &[&[u8]], mac: &[u8]) -> bool {
        self.sign(parts).as_slice().ct_eq(mac).into()
    }
}

/// Computes in its own stack frame, so that [`wipe_stack`] overwrites the copies of the key in it.
#[inline(never)]
fn keyed(block: &hmac::digest::Key<Hmac<Sha256>>) -> Hmac<Sha256> {
    Hmac::new(block)
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(..)")
    }
}

/// SHA-256 over the concatenation of `parts`.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_rfc_4231() {
        // Test cases 1, 2 and 6 (a key longer than a block).
        let cases: [(&[u8], &[u8], &str); 3] = [
            (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ];
        for (key, message, mac) in cases {
            let key = MacKey::new(key);
            assert_eq!(hex::encode(key.sign(&[message])), mac);
            let (head, tail) = message.split_at(3);
            assert!(key.verify(&[head, tail], &hex::decode(mac).unwrap()));
        }
    }

    #[test]
    fn a_part_of_a_mac_is_no_mac() {
        let key = MacKey::new(&[1; 32]);
        let mac = key.sign(&[b"x"]);
        for len in 0..32 {
            assert!(!key.verify(&[b"x"], &mac[..len]));
        }
        assert!(!key.verify(&[b"x"], &[&mac[..], &[0]].concat()));
        assert!(key.verify(&[b"x"], &mac));
    }

    #[test]
    fn sha256_of_abc() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex::encode(sha256(&[b"a", b"bc"])), abc);
    }
}
