//! The remembered keys of other services, like the hosts' keys in
//! `known_hosts`: one key for each service, and one service for each key.
//!
//! `peer-<hash of the id>.jkt` holds the thumbprint and the id. `owner-<thumbprint
//! in hex>.id` holds the id that the key belongs to, so that one member cannot
//! take many ids with one key.

use std::path::PathBuf;

use super::{KeyStore, KeyStoreError, hash};
use crate::{crypto::rsa::Thumbprint, id::ServiceId};

/// The limit of a valid file, which has 43 characters, a space and at most 128
/// characters.
const MAX_PEER_FILE: usize = 192;

impl KeyStore {
    /// Returns the thumbprint of the remembered key of the service `id`, if
    /// there is one.
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

    /// Remembers the first key that the service `id` proved.
    ///
    /// # Errors
    /// `PEER_KEY_CHANGED` if a different key is remembered, `PEER_KEY_IN_USE`
    /// if the key is remembered as another service's, `KEYDIR_FULL` at
    /// [`MAX_KNOWN_PEERS`](super::MAX_KNOWN_PEERS).
    pub fn remember_peer(&self, id: &ServiceId, thumbprint: &Thumbprint) -> Result<(), KeyStoreError> {
        let name = peer_file(id);
        let mut known = self.known_peer(id)?;
        if known.is_none() {
            self.check_room()?;
            // The owner file comes first: after a crash between the two files
            // the same service can continue.
            self.claim_key(id, thumbprint)?;
            if self.directory.create(&name, peer_line(id, thumbprint).as_bytes())? {
                return Ok(());
            }
            known = self.known_peer(id)?;
        }
        if known == Some(*thumbprint) {
            return Ok(());
        }
        // A different key was remembered first, so this one does not belong to
        // `id`.
        if self.key_owner(thumbprint)?.as_ref() == Some(id) {
            self.directory.remove(&owner_file(thumbprint))?;
        }
        Err(KeyStoreError::PeerKeyChanged { path: self.known_peer_path(id) })
    }

    /// Remembers the key `successor` of the service `id` in place of `previous`.
    ///
    /// # Errors
    /// `PEER_KEY_CHANGED` if a third key is remembered, `PEER_KEY_IN_USE` if
    /// the successor is remembered as another service's.
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
        // The previous key has no owner now. A crash that leaves its file is
        // harmless.
        self.directory.remove(&owner_file(previous))
    }

    /// The file that remembers the key of `id`. After its removal the service
    /// can present a different key.
    #[must_use]
    pub fn known_peer_path(&self, id: &ServiceId) -> PathBuf {
        self.path().join(peer_file(id))
    }

    /// Whether the service `id` has once proved a certificate.
    pub fn has_certified(&self, id: &ServiceId) -> Result<bool, KeyStoreError> {
        Ok(self.read_text(&certified_file(id), MAX_PEER_FILE)?.is_some())
    }

    /// Remembers that the service `id` has proved a certificate.
    ///
    /// # Errors
    /// `KEYDIR_FULL` at [`MAX_KNOWN_PEERS`](super::MAX_KNOWN_PEERS).
    pub fn remember_certified(&self, id: &ServiceId) -> Result<(), KeyStoreError> {
        if self.has_certified(id)? {
            return Ok(());
        }
        self.check_room()?;
        self.directory.create(&certified_file(id), format!("{id}\n").as_bytes()).map(drop)
    }

    /// The file that remembers that `id` has proved a certificate. After its removal it can be accepted by
    /// less.
    #[must_use]
    pub fn certified_path(&self, id: &ServiceId) -> PathBuf {
        self.path().join(certified_file(id))
    }

    /// Records `id` as the key's owner, unless another service owns the key.
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

    /// Returns the service that owns the key.
    fn key_owner(&self, thumbprint: &Thumbprint) -> Result<Option<ServiceId>, KeyStoreError> {
        let name = owner_file(thumbprint);
        let Some(text) = self.read_text(&name, MAX_PEER_FILE)? else { return Ok(None) };
        let owner = text.strip_suffix('\n').unwrap_or(&text).parse();
        owner.map(Some).map_err(|_| self.corrupt(&name, "not a service id"))
    }

    /// The file that records the key's owner. After its removal another service
    /// can present the key.
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

fn certified_file(id: &ServiceId) -> String {
    format!("certified-{}.id", hash(id))
}

fn owner_file(thumbprint: &Thumbprint) -> String {
    format!("owner-{}.id", hex::encode(thumbprint.as_bytes()))
}
