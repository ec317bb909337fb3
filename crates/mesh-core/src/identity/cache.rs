//! Identities that were verified, by the SHA-256 of all their bytes. Only what
//! has passed every check comes in, so that strangers can put nothing here.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::certified::Certified;
use crate::{clock::Timestamp, id::ServiceId};

/// Most identities in all, and of one service.
pub(super) const MOST: usize = 4096;
pub(super) const MOST_OF_ONE: usize = 8;

type Hash = [u8; 32];

#[derive(Debug)]
struct Entry {
    certified: Arc<Certified>,
    /// It counts from the first instant, up to but not including the second.
    from: Timestamp,
    until: Timestamp,
}

/// The identities that need no second verification.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: HashMap<Hash, Entry>,
    /// Those of each service, the oldest first.
    by_service: HashMap<ServiceId, VecDeque<Hash>>,
}

impl Cache {
    /// The identity, if it was verified for `service` and counts at `now`.
    pub(super) fn find(&self, hash: &Hash, service: &ServiceId, now: Timestamp) -> Option<Arc<Certified>> {
        let entry = self.entries.get(hash)?;
        let counts = entry.from <= now && now < entry.until && entry.certified.service == *service;
        counts.then(|| Arc::clone(&entry.certified))
    }

    /// Keeps an identity. The oldest of its service gives way; where services in
    /// all have too many, those that have ended do, and without any this one.
    pub(super) fn keep(
        &mut self,
        hash: Hash,
        certified: &Arc<Certified>,
        (from, until): (Timestamp, Timestamp),
        now: Timestamp,
    ) {
        if self.entries.contains_key(&hash) {
            return;
        }
        let of_one = self.by_service.get(&certified.service).map_or(0, VecDeque::len);
        if of_one >= MOST_OF_ONE {
            let oldest = self.by_service.get_mut(&certified.service).and_then(VecDeque::pop_front);
            oldest.and_then(|oldest| self.entries.remove(&oldest));
        } else if self.entries.len() >= MOST {
            self.drop_ended(now);
            if self.entries.len() >= MOST {
                return;
            }
        }
        self.by_service.entry(certified.service.clone()).or_default().push_back(hash);
        self.entries.insert(hash, Entry { certified: Arc::clone(certified), from, until });
    }

    fn drop_ended(&mut self, now: Timestamp) {
        self.entries.retain(|_, entry| now < entry.until);
        let entries = &self.entries;
        self.by_service.retain(|_, hashes| {
            hashes.retain(|hash| entries.contains_key(hash));
            !hashes.is_empty()
        });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
