//! What is known of each peer's key: pinned by configuration, or remembered
//! from the first time it proved itself.

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

/// Why a proved peer's key was not remembered, and so its session is refused.
#[derive(Debug)]
pub(crate) enum NotRemembered {
    /// Another key was, or the key is another service's.
    Refused(HandshakeError),
    /// It would be one more service than its address may bring.
    TooMany,
    /// The key directory failed.
    Store(KeyStoreError),
}

#[derive(Debug)]
pub(crate) struct TrustStore {
    pins: HashMap<ServiceId, Thumbprint>,
    store: KeyStore,
    enforce: bool,
    /// Whether it is kept who has proved a certificate, since less is accepted of others.
    keeps_certified: bool,
    fault: Mutex<Option<Fault>>,
}

/// A fault of the key directory that keeps peers out, until it is found mended.
#[derive(Debug)]
struct Fault {
    /// The peer that met with it.
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

    /// Whether `peer` has once proved a certificate, so that nothing less counts. Reads a small file: runs on
    /// the blocking pool.
    pub(crate) fn has_certified(&self, peer: &ServiceId) -> Result<bool, KeyStoreError> {
        if !self.keeps_certified {
            return Ok(false);
        }
        self.store.has_certified(peer).inspect_err(|error| self.found(peer, error))
    }

    /// Where what is remembered is kept.
    pub(crate) fn store(&self) -> &KeyStore {
        &self.store
    }

    /// Whether the configuration has the key of `peer`.
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

    /// The directory has served `peer`. If it has kept a key, it serves everybody.
    fn mended(&self, peer: &ServiceId, kept: bool) {
        lock(&self.fault).take_if(|fault| kept || fault.peer == *peer);
    }

    /// The knowledge about `peer`. Reads a small file: runs on the blocking pool.
    pub(crate) fn expectation(&self, peer: &ServiceId) -> Result<Expectation, KeyStoreError> {
        if let Some(pin) = self.pins.get(peer) {
            return Ok(Expectation::Pinned(*pin));
        }
        if !self.enforce {
            return Ok(Expectation::Unknown);
        }
        // Read each time: another process may have learnt of a peer's new key.
        let known = self.store.known_peer(peer).inspect_err(|error| self.found(peer, error))?;
        Ok(known.map_or(Expectation::Unknown, Expectation::Known))
    }

    /// Remembers the key of a peer that has just proved itself. Writes files the first
    /// time, if `admit` lets one more service in, and when the key has named a
    /// successor: runs on the blocking pool.
    ///
    /// What was known when the handshake began may be out of date: another one,
    /// with another key, may have been first.
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

    /// Whether the key is kept since now.
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

    /// What to do about a failed handshake, if this side can tell.
    pub(crate) fn hint(&self, error: &HandshakeError) -> String {
        match error {
            // The file is this side's, and said to be: the text may be read on another machine.
            HandshakeError::PeerKeyChanged(peer) => format!(
                "; this service keeps that key in its own key directory. If it was changed on purpose, run here: \
                 rm {}. If {peer} has several replicas, or starts on an empty disk each time, every one makes a \
                 key of its own: give them one key (security.privateKey or SECURE_MESH_PRIVATE_KEY at {peer}), \
                 or set security.peerKeys: 'ignore' here",
                Shown(&self.store.known_peer_path(peer))
            ),
            HandshakeError::ProvedMore(peer) => format!(
                "; if {peer} has no certificate any more on purpose, remove here: {}",
                Shown(&self.store.certified_path(peer))
            ),
            HandshakeError::PeerKeyInUse { owner, .. } => {
                format!("; if {owner} was renamed, remove its file owner-….id from the key directory")
            }
            _ => String::new(),
        }
    }
}
