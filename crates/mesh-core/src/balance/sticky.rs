//! Rendezvous hashing: the same key goes to the same instance from every caller, and a change of the
//! instances moves only the keys of those that came or went.

use super::dice::{fraction, mix};

/// The hash of an instance's address. Every process computes the same one.
#[must_use]
pub fn hash(text: &str) -> u64 {
    // FNV-1a. Keys that collide share an instance, which harms nobody.
    let bits = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |bits, byte| {
        (bits ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(bits)
}

/// The hash of a call's `sticky` string.
#[must_use]
pub fn key(sticky: &str) -> u64 {
    hash(sticky)
}

/// How much an instance with a weight attracts a key: the highest score wins. Each instance wins a share of
/// all keys in proportion to its weight.
pub(super) fn score(key: u64, instance: u64, weight: f64) -> f64 {
    let chance = fraction(mix(key ^ instance.rotate_left(17))).max(f64::MIN_POSITIVE);
    -weight / chance.ln()
}
