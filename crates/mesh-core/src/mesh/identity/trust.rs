//! The expectation about each peer's key: a pin of the configuration, or the
//! key remembered from the first contact.

use std::{collections::HashMap, sync::Mutex};

use crate::{
    crypto::{
        keystore::{KeyStore, KeyStoreError, Shown},
        rsa::Thumbprint,
    },
    handshake::{Established, Expectation, HandshakeError, Trust},
    id::ServiceId,
    mesh::sync::lock,
};

/// The reason why a proved peer's key was not remembered. Its session is then refused.
#[derive(Debug)]
pub(crate) enum NotRemembered {
    /// Another key of this peer is remembered, or the key belongs to another service.
    Refused(HandshakeError),
    /// The address of the peer has brought too many new services.
    TooMany,
    /// The key directory failed.
    Store(KeyStoreError),
}

#[derive(Debug)]
pub(crate) struct TrustStore {
    pins: HashMap<ServiceId, Thumbprint>,
    store: KeyStore,
    enforce: bool,
    /// Whether the directory records the services that have proved a certificate, because others
    /// may prove less.
    keeps_certified: bool,
    fault: Mutex<Option<Fault>>,
}

/// A fault of the key directory that keeps peers out, until the directory works again.
#[derive(Debug)]
struct Fault {
    /// The peer at which it occurred.
    peer: ServiceId,
    message: String,
}

impl TrustStore {
    pub(crate) fn new(
        pins: HashMap<ServiceId, Thumbprint>,
        store: KeyStore,
        enforce: bool,
        keeps_certified: bool,
    ) -> Self {
        Self { pins, store, enforce, keeps_certified, fault: Mutex::default() }
    }

    /// Whether `peer` has ever proved a certificate, so that a weaker trust is refused. Reads a small file.
    /// Blocks.
    pub(crate) fn has_certified(&self, peer: &ServiceId) -> Result<bool, KeyStoreError> {
        if !self.keeps_certified {
            return Ok(false);
        }
        self.store.has_certified(peer).inspect_err(|error| self.found(peer, error))
    }

    /// The key directory.
    pub(crate) fn store(&self) -> &KeyStore {
        &self.store
    }

    /// Whether the configuration pins the key of `peer`.
    pub(crate) fn is_pinned(&self, peer: &ServiceId) -> bool {
        self.pins.contains_key(peer)
    }

    /// The fault of the key directory that keeps peers out, with path and repair.
    pub(crate) fn fault(&self) -> Option<String> {
        lock(&self.fault).as_ref().map(|fault| fault.message.clone())
    }

    fn found(&self, peer: &ServiceId, error: &KeyStoreError) {
        *lock(&self.fault) = Some(Fault { peer: peer.clone(), message: error.to_string() });
    }

    /// Records that the directory works for `peer`. After storing a key it works for every peer.
    fn mended(&self, peer: &ServiceId, kept: bool) {
        lock(&self.fault).take_if(|fault| kept || fault.peer == *peer);
    }

    /// The expectation about the key of `peer`. Reads a small file. Blocks.
    pub(crate) fn expectation(&self, peer: &ServiceId) -> Result<Expectation, KeyStoreError> {
        if let Some(pin) = self.pins.get(peer) {
            return Ok(Expectation::Pinned(*pin));
        }
        if !self.enforce {
            return Ok(Expectation::Unknown);
        }
        // The file is read each time, because another process may have stored the peer's next key.
        let known = self.store.known_peer(peer).inspect_err(|error| self.found(peer, error))?;
        Ok(known.map_or(Expectation::Unknown, Expectation::Known))
    }

    /// Remembers the key of a peer that has just proved itself. Writes files at the
    /// first contact, if `admit` permits one more service, and after a succession.
    /// Blocks.
    ///
    /// The check is repeated here, because another handshake with another key
    /// may have been faster.
    pub(crate) fn remember(
        &self,
        established: &Established,
        admit: impl FnOnce() -> bool,
    ) -> Result<(), NotRemembered> {
        let peer = &established.peer;
        if established.trust == Trust::Certificate && self.keeps_certified {
            let kept = self.store.remember_certified(peer).inspect_err(|error| self.found(peer, error));
            return kept.map_err(NotRemembered::Store);
        }
        if established.trust != Trust::Secret || !self.enforce {
            return Ok(());
        }
        let result = self.keep(established, admit);
        match &result {
            Ok(kept) => self.mended(peer, *kept),
            Err(NotRemembered::Store(error)) => self.found(peer, error),
            Err(NotRemembered::Refused(_) | NotRemembered::TooMany) => {}
        }
        result.map(|_| ())
    }

    /// Stores the key; returns whether it was new.
    fn keep(&self, established: &Established, admit: impl FnOnce() -> bool) -> Result<bool, NotRemembered> {
        let (peer, thumbprint) = (&established.peer, established.peer_key.thumbprint());
        let known = self.store.known_peer(peer).map_err(NotRemembered::Store)?;
        if known.is_none() && !admit() {
            return Err(NotRemembered::TooMany);
        }
        let remembered = match &established.former_key {
            None => self.store.remember_peer(peer, &thumbprint),
            Some(former) => self.store.succeed_peer(peer, former, &thumbprint),
        };
        remembered.map_err(|error| match error {
            KeyStoreError::PeerKeyChanged { .. } => {
                NotRemembered::Refused(HandshakeError::PeerKeyChanged(peer.clone()))
            }
            KeyStoreError::PeerKeyInUse { owner, .. } => {
                NotRemembered::Refused(HandshakeError::PeerKeyInUse { peer: peer.clone(), owner })
            }
            error => NotRemembered::Store(error),
        })?;
        Ok(known != Some(thumbprint))
    }

    /// The repair of a failed handshake, if this side knows one.
    pub(crate) fn hint(&self, error: &HandshakeError) -> String {
        match error {
            // The message says that the file is on this side, because it may be read on another
            // machine.
            HandshakeError::PeerKeyChanged(peer) => format!(
                "; this service keeps that key in its own key directory. If it was changed on purpose, run here: \
                 rm {}. If {peer} has several replicas, or starts on an empty disk each time, every one makes a \
                 key of its own: give them one key (security.privateKey or SECURE_MESH_PRIVATE_KEY at {peer}), \
                 or set security.peerKeys: 'ignore' here",
                Shown(&self.store.known_peer_path(peer))
            ),
            HandshakeError::ProvedMore(peer) => format!(
                "; if {peer} has no certificate any more on purpose, remove on this machine: {}",
                Shown(&self.store.certified_path(peer))
            ),
            HandshakeError::PeerKeyInUse { owner, .. } => {
                format!("; if {owner} was renamed, remove its file owner-….id from the key directory")
            }
            _ => String::new(),
        }
    }
}
