//! The keys that other services showed first, as `known_hosts` keeps those of
//! hosts: one key for each service, and one service for each key.
//!
//! `peer-<hash of the id>.jkt` holds the thumbprint and the id. `owner-<thumbprint
//! in hex>.id` holds the id that the key belongs to, so that one member cannot
//! take many ids with one key.

use std::path::PathBuf;

use super::{KeyStore, KeyStoreError, hash};
use crate::{crypto::rsa::Thumbprint, id::ServiceId};

/// Larger than any honest file: 43 characters, a space, 128 characters.
const MAX_PEER_FILE: usize = 192;

impl KeyStore {
    /// The thumbprint of the key that the service `id` showed first, if it was
    /// ever seen.
    pub fn known_peer(&self, id: &ServiceId) -> Result<Option<Thumbprint>, KeyStoreError> {
        let name = peer_file(id);
        let Some(text) = self.read_text(&name, MAX_PEER_FILE)? else { return Ok(None) };
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let thumbprint = match text.split_once(' ') {
            Some((thumbprint, owner)) if owner == id.as_str() => Thumbprint::parse(thumbprint),
            Some(_) => None,
            None => Thumbprint::parse(text),
        };
        thumbprint.map(Some).ok_or_else(|| self.corrupt(&name, "not a key's thumbprint and its service"))
    }

    /// Remembers the key the service `id` showed, once and for all.
    ///
    /// # Errors
    /// `PEER_KEY_CHANGED` if another key is remembered, `PEER_KEY_IN_USE` if the key
    /// is remembered as another service's, `KEYDIR_FULL` at
    /// [`MAX_KNOWN_PEERS`](super::MAX_KNOWN_PEERS).
    pub fn remember_peer(&self, id: &ServiceId, thumbprint: &Thumbprint) -> Result<(), KeyStoreError> {
        let name = peer_file(id);
        let mut known = self.known_peer(id)?;
        if known.is_none() {
            self.check_room()?;
            // First: after a crash between the two files the same service goes on.
            self.claim_key(id, thumbprint)?;
            if self.directory.create(&name, peer_line(id, thumbprint).as_bytes())? {
                return Ok(());
            }
            known = self.known_peer(id)?;
        }
        if known == Some(*thumbprint) {
            return Ok(());
        }
        // Another key was first, so this one is not that of `id`.
        if self.key_owner(thumbprint)?.as_ref() == Some(id) {
            self.directory.remove(&owner_file(thumbprint))?;
        }
        Err(KeyStoreError::PeerKeyChanged { path: self.known_peer_path(id) })
    }

    /// Remembers the key `successor` of the service `id` in place of `previous`.
    ///
    /// # Errors
    /// `PEER_KEY_CHANGED` if another key than these two is remembered,
    /// `PEER_KEY_IN_USE` if the successor is remembered as another service's.
    pub fn succeed_peer(
        &self,
        id: &ServiceId,
        previous: &Thumbprint,
        successor: &Thumbprint,
    ) -> Result<(), KeyStoreError> {
        if self.known_peer(id)? != Some(*previous) {
            return self.remember_peer(id, successor);
        }
        self.claim_key(id, successor)?;
        self.directory.replace(&peer_file(id), peer_line(id, successor).as_bytes())?;
        // The previous key is nobody's now. A file that stays does no harm.
        self.directory.remove(&owner_file(previous))
    }

    /// The file that remembers the key of `id`: removing it accepts another
    /// key.
    #[must_use]
    pub fn known_peer_path(&self, id: &ServiceId) -> PathBuf {
        self.path().join(peer_file(id))
    }

    /// Makes the key that of `id`, unless it is another service's.
    fn claim_key(&self, id: &ServiceId, thumbprint: &Thumbprint) -> Result<(), KeyStoreError> {
        let name = owner_file(thumbprint);
        // Read first: a member that tries many ids with one key causes no write.
        let mut owner = self.key_owner(thumbprint)?;
        if owner.is_none() {
            if self.directory.create(&name, format!("{id}\n").as_bytes())? {
                return Ok(());
            }
            owner = self.key_owner(thumbprint)?;
        }
        match owner {
            Some(owner) if owner == *id => Ok(()),
            Some(owner) => Err(KeyStoreError::PeerKeyInUse { path: self.path().join(name), owner }),
            None => Err(self.vanished(&name)),
        }
    }

    /// The service that a key is remembered for.
    fn key_owner(&self, thumbprint: &Thumbprint) -> Result<Option<ServiceId>, KeyStoreError> {
        let name = owner_file(thumbprint);
        let Some(text) = self.read_text(&name, MAX_PEER_FILE)? else { return Ok(None) };
        let owner = text.strip_suffix('\n').unwrap_or(&text).parse();
        owner.map(Some).map_err(|_| self.corrupt(&name, "not a service id"))
    }

    /// The file that says whose key this is: removing it lets another service have
    /// the key.
    #[must_use]
    pub fn key_owner_path(&self, thumbprint: &Thumbprint) -> PathBuf {
        self.path().join(owner_file(thumbprint))
    }
}

fn peer_line(id: &ServiceId, thumbprint: &Thumbprint) -> String {
    format!("{thumbprint} {id}\n")
}

pub(super) fn peer_file(id: &ServiceId) -> String {
    format!("peer-{}.jkt", hash(id))
}

fn owner_file(thumbprint: &Thumbprint) -> String {
    format!("owner-{}.id", hex::encode(thumbprint.as_bytes()))
}
