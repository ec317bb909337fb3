//! AES-GCM does not commit to its key: an attacker with two keys can make one
//! ciphertext that is authentic under both (Dodis, Grubbs, Ristenpart and
//! Woodage, 2018, "invisible salamanders"). The record's HMAC commits to one.

use aes_gcm::aes::{
    Aes256,
    cipher::{BlockCipherEncrypt, KeyInit},
};

use super::*;
use crate::crypto::{
    aead::{AeadKey, Nonce, Tag},
    kdf::Prk,
    mac::MacKey,
};

/// AES-GCM with one key and the nonce of sequence 0.
struct Side {
    aead: AeadKey,
    nonce: Nonce,
    mac: MacKey,
    /// The point at which GHASH evaluates its polynomial.
    h: u128,
    /// The block that encrypts the GHASH into the tag.
    mask: u128,
}

impl Side {
    fn of(traffic: [u8; 32]) -> Self {
        let secret = Prk::from_secret(Secret::new(traffic));
        let (mut key, mut iv, mut mac) = ([0; 32], [0; 12], [0; 32]);
        secret.expand("key", &[], &mut key);
        secret.expand("iv", &[], &mut iv);
        secret.expand("mac", &[], &mut mac);
        let cipher = Aes256::new(&key.into());
        let encrypt = |block: u128| {
            let mut block = block.to_be_bytes().into();
            cipher.encrypt_block(&mut block);
            u128::from_be_bytes(block.into())
        };
        let mut counter = [0; 16];
        counter[..12].copy_from_slice(&iv);
        counter[15] = 1;
        Self {
            aead: AeadKey::new(&key).unwrap(),
            nonce: Nonce(iv),
            mac: MacKey::new(&mac),
            h: encrypt(0),
            mask: encrypt(u128::from_be_bytes(counter)),
        }
    }

    /// The tag over `blocks`: GHASH by Horner's rule, then the mask.
    fn tag(&self, blocks: &[u128]) -> u128 {
        blocks.iter().fold(0, |sum, block| multiply(sum ^ block, self.h)) ^ self.mask
    }

    fn accepts(&self, header: &[u8], ciphertext: &[u8], tag: u128) -> bool {
        let mut text = ciphertext.to_vec();
        self.aead.open_in_place(&self.nonce, header, &mut text, &Tag(tag.to_be_bytes())).is_ok()
    }
}

/// The product in GF(2¹²⁸) as GCM writes it: the first bit is the constant term.
fn multiply(a: u128, mut b: u128) -> u128 {
    let mut product = 0;
    for bit in (0..128).rev() {
        if a >> bit & 1 == 1 {
            product ^= b;
        }
        b = b >> 1 ^ if b & 1 == 1 { 0xe1 << 120 } else { 0 };
    }
    product
}

fn power(base: u128, exponent: u128) -> u128 {
    const ONE: u128 = 1 << 127;
    (0..128).rev().fold(ONE, |sum, bit| {
        let square = multiply(sum, sum);
        if exponent >> bit & 1 == 1 { multiply(square, base) } else { square }
    })
}

fn inverse(of: u128) -> u128 {
    power(of, u128::MAX - 1)
}

fn blocks(bytes: &[u8]) -> Vec<u128> {
    let block = |part: &[u8]| {
        let mut padded = [0; 16];
        padded[..part.len()].copy_from_slice(part);
        u128::from_be_bytes(padded)
    };
    bytes.chunks(16).map(block).collect()
}

/// A ciphertext of three blocks and the tag that it has under both keys. The
/// first block is free, and solved for.
fn salamander(header: &[u8; HEADER_LEN], sides: [&Side; 2]) -> (Vec<u8>, u128) {
    let mut ciphertext = [[0; 16], *b"any two blocks, ", *b"of any content.."].concat();
    let lengths = ((8 * HEADER_LEN as u128) << 64) | (8 * ciphertext.len() as u128);
    let hashed = |ciphertext: &[u8]| [blocks(header), blocks(ciphertext), vec![lengths]].concat();
    // The free block precedes two blocks of ciphertext and the block of lengths, so each tag contains it
    // exactly once, times h⁴.
    let all = hashed(&ciphertext);
    let differs = sides[0].tag(&all) ^ sides[1].tag(&all);
    let factor = power(sides[0].h, 4) ^ power(sides[1].h, 4);
    ciphertext[..16].copy_from_slice(&multiply(differs, inverse(factor)).to_be_bytes());
    let tag = sides[0].tag(&hashed(&ciphertext));
    (ciphertext, tag)
}

#[test]
fn a_ciphertext_valid_under_two_keys_is_refused_under_the_second() {
    let (ours, theirs) = ([7; 32], [8; 32]);
    let sides = [Side::of(ours), Side::of(theirs)];
    let mut header = [0; HEADER_LEN];
    header[..2].copy_from_slice(&[VERSION, RecordType::Messages as u8]);
    header[19] = 48;
    let (ciphertext, tag) = salamander(&header, [&sides[0], &sides[1]]);
    for side in &sides {
        assert!(side.accepts(&header, &ciphertext, tag), "AES-GCM alone accepts it under either key");
        assert!(!side.accepts(&header, &ciphertext, tag ^ 1), "and would notice another tag");
    }

    let mut record = [&header[..], &ciphertext, &tag.to_be_bytes()].concat();
    let mac = sides[0].mac.sign(&[&record]);
    record.extend_from_slice(&mac);
    let mut openers =
        [ours, theirs].map(|key| Opener::new(Secret::new(key), AesKeySize::Aes256, LIMIT, NOW).unwrap());
    assert_eq!(open(&mut openers[0], &record).map(|text| text.len()), Ok(48));
    assert_eq!(open(&mut openers[1], &record), Err(RecordError::Auth));
    assert_eq!((openers[1].next_sequence(), openers[1].discarded()), (0, 1));
}
