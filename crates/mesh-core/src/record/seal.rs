//! Sealing records.

use bytes::BytesMut;

use super::{
    HEADER_LEN, OVERHEAD, REKEY_AGE, REKEY_BYTES, REKEY_RECORDS, RecordError, RecordType, VERSION,
    keys::EpochKeys,
};
use crate::{
    clock::Timestamp,
    crypto::{aead::AesKeySize, secret::Secret},
    wire::Write,
};

/// Seals the records of one direction, in order.
#[derive(Debug)]
pub struct Sealer {
    keys: EpochKeys,
    sequence: u64,
    records: u64,
    bytes: u64,
    since: Timestamp,
}

impl Sealer {
    /// Starts at epoch and sequence 0.
    pub fn new(traffic: Secret<32>, size: AesKeySize, now: Timestamp) -> Result<Self, RecordError> {
        Ok(Self { keys: EpochKeys::first(traffic, size)?, sequence: 0, records: 0, bytes: 0, since: now })
    }

    /// Appends a record to `out`; `write` appends the plaintext.
    ///
    /// The caller must rekey when [`Sealer::is_due`]. This method fails for a caller that never rekeys, long
    /// before a key reaches its limits.
    pub fn seal(&mut self, out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) -> Result<(), RecordError> {
        if self.records >= 2 * REKEY_RECORDS {
            return Err(RecordError::Exhausted);
        }
        self.append(RecordType::Messages, out, write)
    }

    /// Whether the current keys are due for a rekey.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.records >= REKEY_RECORDS || self.bytes >= REKEY_BYTES || now.since(self.since) >= REKEY_AGE
    }

    /// Appends a rekey record and steps to the next epoch.
    pub fn rekey(&mut self, now: Timestamp, out: &mut BytesMut) -> Result<(), RecordError> {
        let next = self.keys.next()?;
        self.append(RecordType::Rekey, out, |_| {})?;
        self.keys = next;
        (self.records, self.bytes, self.since) = (0, 0, now);
        Ok(())
    }

    /// The current epoch; request tokens are bound to it.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.keys.epoch
    }

    /// The key of request tokens in the current epoch.
    #[must_use]
    pub fn token_key(&self) -> Secret<32> {
        self.keys.token_key()
    }

    fn append(
        &mut self,
        kind: RecordType,
        out: &mut BytesMut,
        write: impl FnOnce(&mut BytesMut),
    ) -> Result<(), RecordError> {
        // The sequence increases before its use: after a failure below, the same number must not be used again.
        let sequence = self.sequence;
        self.sequence = sequence.checked_add(1).ok_or(RecordError::Exhausted)?;

        let start = out.len();
        out.reserve(OVERHEAD);
        out.put(&[VERSION, kind as u8, 0, 0]);
        out.put_u32(self.keys.epoch);
        out.put(&sequence.to_be_bytes());
        out.put_u32(0);
        let body = start + HEADER_LEN;
        write(out);
        let len = u32::try_from(out.len() - body).map_err(|_| RecordError::TooLarge)?;
        out[body - 4..body].copy_from_slice(&len.to_be_bytes());

        let (header, plaintext) = out[start..].split_at_mut(HEADER_LEN);
        // Encrypt-then-MAC: the HMAC also covers the ciphertext and its tag, and so commits to the key, which
        // GCM does not.
        let tag = self.keys.aead.seal_in_place(&self.keys.nonce(sequence), header, plaintext)?;
        out.put(&tag.0);
        let mac = self.keys.mac.sign(&[&out[start..]]);
        out.put(&mac);

        self.records += 1;
        self.bytes += u64::from(len);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Coded, Reason};

    #[test]
    fn a_worn_out_key_seals_nothing_more() {
        let now = Timestamp::from_secs(1_000_000);
        let mut sealer = Sealer::new(Secret::new([7; 32]), AesKeySize::Aes256, now).unwrap();
        sealer.records = 2 * REKEY_RECORDS;
        let mut out = BytesMut::new();
        let refused = sealer.seal(&mut out, |_| {}).unwrap_err();
        assert_eq!((refused.reason(), out.len()), (Reason::Crypto, 0));
        // The last sequence is not used twice either.
        (sealer.records, sealer.sequence) = (0, u64::MAX);
        assert_eq!(sealer.seal(&mut out, |_| {}).unwrap_err().reason(), Reason::Crypto);
        assert!(out.is_empty());
    }
}
