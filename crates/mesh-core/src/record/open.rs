//! Checking and opening records.

use super::{
    HASTY_AGE, HASTY_RECORDS, HEADER_LEN, MAC_LEN, MAX_DISCARDED, MAX_HASTY_REKEYS, OVERHEAD, RecordError,
    RecordType, TAG_LEN, VERSION, keys::EpochKeys,
};
use crate::{
    clock::Timestamp,
    crypto::{
        aead::{AesKeySize, Tag},
        secret::Secret,
    },
    wire::Reader,
};

/// Opens the records of one direction, in order.
#[derive(Debug)]
pub struct Opener {
    keys: EpochKeys,
    next: u64,
    records: u64,
    /// The beginning of the current epoch.
    since: Timestamp,
    discarded: u32,
    hasty_rekeys: u32,
    max_plaintext: usize,
}

/// The content of an opened record.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened<'a> {
    /// The messages of a record.
    Messages(&'a [u8]),
    /// The peer changed keys, and this side followed.
    Rekeyed,
}

impl Opener {
    /// Starts at epoch 0 and sequence 0. A plaintext of more than
    /// `max_plaintext` bytes is malformed.
    pub fn new(
        traffic: Secret<32>,
        size: AesKeySize,
        max_plaintext: usize,
        now: Timestamp,
    ) -> Result<Self, RecordError> {
        Ok(Self {
            keys: EpochKeys::first(traffic, size)?,
            next: 0,
            records: 0,
            since: now,
            discarded: 0,
            hasty_rekeys: 0,
            max_plaintext,
        })
    }

    /// Opens the first record of `input` in place and moves `input` past it.
    ///
    /// After a survivable error ([`RecordError::is_survivable`]) the session
    /// may continue with the next record: the state is unchanged. Malformed
    /// input is skipped as a whole, since the start of the next record is then
    /// unknown.
    #[allow(clippy::mut_mut)] // a cursor that moves forward through the slice
    pub fn open<'a>(&mut self, input: &mut &'a mut [u8], now: Timestamp) -> Result<Opened<'a>, RecordError> {
        let result = self.try_open(input, now);
        if let Err(error) = &result
            && error.is_survivable()
        {
            self.discarded += 1;
            if self.discarded > MAX_DISCARDED {
                return Err(RecordError::Discarded);
            }
        }
        result
    }

    /// Records discarded so far.
    #[must_use]
    pub fn discarded(&self) -> u32 {
        self.discarded
    }

    /// The sequence the next record must have.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.next
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

    #[allow(clippy::mut_mut)]
    fn try_open<'a>(&mut self, input: &mut &'a mut [u8], now: Timestamp) -> Result<Opened<'a>, RecordError> {
        let taken = std::mem::take(input);
        let header = parse(taken, self.max_plaintext)?;
        let (record, rest) = taken.split_at_mut(header.len + OVERHEAD);
        *input = rest;

        // The MAC comes first: before it, no field of the header is trusted beyond its form.
        let (covered, mac) = record.split_at_mut(header.len + OVERHEAD - MAC_LEN);
        if header.epoch != self.keys.epoch || !self.keys.mac.verify(&[covered], mac) {
            return Err(RecordError::Auth);
        }
        // Only after the MAC: flags that a third party set are a forgery, and
        // the session survives it.
        if header.flags != 0 {
            return Err(RecordError::Flags);
        }
        // The stream is ordered, so a sequence other than the next one is a replay or a loss.
        if header.sequence != self.next {
            return Err(if header.sequence < self.next { RecordError::Replay } else { RecordError::Gap });
        }
        let (head, sealed) = covered.split_at_mut(HEADER_LEN);
        let (text, tag) = sealed.split_at_mut(header.len);
        let tag: [u8; TAG_LEN] = (&*tag).try_into().map_err(|_| RecordError::Format)?;
        self.keys
            .aead
            .open_in_place(&self.keys.nonce(header.sequence), head, text, &Tag(tag))
            .map_err(|_| RecordError::Corrupt)?;

        // The sequence advances only after the record has been opened, so that a forgery cannot skip one.
        self.next = header.sequence.checked_add(1).ok_or(RecordError::Exhausted)?;
        self.records += 1;
        match header.kind {
            RecordType::Messages => Ok(Opened::Messages(text)),
            RecordType::Rekey => self.rekey(now),
        }
    }

    fn rekey<'a>(&mut self, now: Timestamp) -> Result<Opened<'a>, RecordError> {
        // A session with few records changes keys by age, which is legitimate.
        if self.records < HASTY_RECORDS && now.since(self.since) < HASTY_AGE {
            self.hasty_rekeys += 1;
            if self.hasty_rekeys > MAX_HASTY_REKEYS {
                return Err(RecordError::RekeyLimit);
            }
        }
        // Replacing the keys wipes the previous ones.
        self.keys = self.keys.next()?;
        self.records = 0;
        self.since = now;
        Ok(Opened::Rekeyed)
    }
}

struct Header {
    kind: RecordType,
    flags: u16,
    epoch: u32,
    sequence: u64,
    len: usize,
}

fn parse(input: &[u8], max_plaintext: usize) -> Result<Header, RecordError> {
    let malformed = |_| RecordError::Format;
    let mut reader = Reader::new(input);
    let version = reader.u8().map_err(malformed)?;
    let kind = match reader.u8().map_err(malformed)? {
        1 => RecordType::Messages,
        2 => RecordType::Rekey,
        _ => return Err(RecordError::Format),
    };
    let flags = reader.u16().map_err(malformed)?;
    let epoch = reader.u32().map_err(malformed)?;
    let sequence = reader.u64().map_err(malformed)?;
    let len = reader.u32().map_err(malformed)? as usize;
    let fits = len <= max_plaintext && len + TAG_LEN + MAC_LEN <= reader.rest().len();
    let empty = len == 0;
    if version != VERSION || !fits || empty != (kind == RecordType::Rekey) {
        return Err(RecordError::Format);
    }
    Ok(Header { kind, flags, epoch, sequence, len })
}
