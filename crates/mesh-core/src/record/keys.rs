//! The keys of one direction in one epoch.

use super::RecordError;
use crate::crypto::{
    aead::{AeadKey, AesKeySize, Nonce},
    kdf::Prk,
    mac::MacKey,
    secret::Secret,
};

#[derive(Debug)]
pub(super) struct EpochKeys {
    traffic: Prk,
    size: AesKeySize,
    iv: [u8; 12],
    pub(super) epoch: u32,
    pub(super) aead: AeadKey,
    pub(super) mac: MacKey,
}

impl EpochKeys {
    pub(super) fn first(traffic: Secret<32>, size: AesKeySize) -> Result<Self, RecordError> {
        Self::derive(Prk::from_secret(traffic), size, 0)
    }

    fn derive(traffic: Prk, size: AesKeySize, epoch: u32) -> Result<Self, RecordError> {
        let mut key = zeroize::Zeroizing::new([0; 32]);
        let key = &mut key[..size.bytes()];
        traffic.expand("key", &[], key);
        let mut iv = [0; 12];
        traffic.expand("iv", &[], &mut iv);
        let mac: Secret<32> = traffic.expand_secret("mac", &[]);
        Ok(Self { aead: AeadKey::new(key)?, mac: MacKey::new(mac.as_bytes()), traffic, size, iv, epoch })
    }

    /// Derives the keys of the next epoch. Dropping the current keys wipes them.
    pub(super) fn next(&self) -> Result<Self, RecordError> {
        let epoch = self.epoch.checked_add(1).ok_or(RecordError::Exhausted)?;
        Self::derive(Prk::from_secret(self.traffic.expand_secret("rekey", &[])), self.size, epoch)
    }

    /// Returns IV xor sequence. The nonce is unique as long as no sequence repeats under one IV.
    pub(super) fn nonce(&self, sequence: u64) -> Nonce {
        let mut nonce = self.iv;
        for (byte, part) in nonce[4..].iter_mut().zip(sequence.to_be_bytes()) {
            *byte ^= part;
        }
        Nonce(nonce)
    }

    /// The key of request tokens in this epoch.
    pub(super) fn token_key(&self) -> Secret<32> {
        self.traffic.expand_secret("token", &[])
    }
}
