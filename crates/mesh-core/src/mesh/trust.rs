//! What is known of each peer's key: pinned by configuration, or remembered
//! from the first time it proved itself.

use std::{collections::HashMap, sync::Mutex};

use super::session::lock;
use crate::{
    crypto::{
        keystore::{KeyStore, KeyStoreError},
        rsa::Thumbprint,
    },
    handshake::{Established, Expectation, HandshakeError, Trust},
    id::ServiceId,
};

/// Why a proved peer's key was not remembered, and so its session is refused.
#[derive(Debug)]
pub(super) enum NotRemembered {
    /// Another key was.
    Changed(HandshakeError),
    /// The key directory failed.
    Store(KeyStoreError),
}

#[derive(Debug)]
pub(super) struct TrustStore {
    pins: HashMap<ServiceId, Thumbprint>,
    store: KeyStore,
    /// Peers whose key need not be looked up on disk again.
    known: Mutex<HashMap<ServiceId, Thumbprint>>,
    enforce: bool,
}

impl TrustStore {
    pub(super) fn new(pins: HashMap<ServiceId, Thumbprint>, store: KeyStore, enforce: bool) -> Self {
        Self { pins, store, known: Mutex::default(), enforce }
    }

    /// Whether the configuration has the key of `peer`.
    pub(super) fn is_pinned(&self, peer: &ServiceId) -> bool {
        self.pins.contains_key(peer)
    }

    /// What is known of `peer`. Reads a small file the first time.
    pub(super) fn expectation(&self, peer: &ServiceId) -> Result<Expectation, KeyStoreError> {
        if let Some(pin) = self.pins.get(peer) {
            return Ok(Expectation::Pinned(*pin));
        }
        if !self.enforce {
            return Ok(Expectation::Unknown);
        }
        if let Some(known) = lock(&self.known).get(peer) {
            return Ok(Expectation::Known(*known));
        }
        Ok(match self.store.known_peer(peer)? {
            Some(known) => {
                lock(&self.known).insert(peer.clone(), known);
                Expectation::Known(known)
            }
            None => Expectation::Unknown,
        })
    }

    /// Remembers the key of a peer that has just proved itself. Writes a file
    /// the first time.
    ///
    /// What was known when the handshake began may be out of date: another one,
    /// with another key, may have been first.
    pub(super) fn remember(&self, established: &Established) -> Result<(), NotRemembered> {
        let peer = &established.peer;
        if established.trust != Trust::Secret || !self.enforce {
            return Ok(());
        }
        let thumbprint = established.peer_key.thumbprint();
        let changed = || NotRemembered::Changed(HandshakeError::PeerKeyChanged(peer.clone()));
        let known = lock(&self.known).get(peer).copied();
        match known {
            Some(known) if known == thumbprint => return Ok(()),
            Some(_) => return Err(changed()),
            None => {}
        }
        match self.store.remember_peer(peer, &thumbprint) {
            Ok(()) => {
                lock(&self.known).insert(peer.clone(), thumbprint);
                Ok(())
            }
            Err(KeyStoreError::PeerKeyChanged { .. }) => Err(changed()),
            Err(error) => Err(NotRemembered::Store(error)),
        }
    }

    /// What to do about a failed handshake, if this side can tell.
    pub(super) fn hint(&self, error: &HandshakeError) -> String {
        match error {
            HandshakeError::PeerKeyChanged(peer) => format!(
                "; if its key was changed on purpose, accept the new one with: rm '{}', and restart",
                self.store.known_peer_path(peer).display()
            ),
            _ => String::new(),
        }
    }
}
