//! Who this service is, and what it knows of others: its key and secrets, the
//! keys of its peers, the tickets it was given.

mod keys;
mod rotation;
mod trust;
mod wallet;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use self::{
    keys::{OwnKey, open_store, own_key},
    trust::TrustStore,
    wallet::Wallet,
};
use super::{error::Error, shared::Shared, sync::lock};
use crate::{
    crypto::{aead::AesKeySize, rsa::Thumbprint},
    handshake::{Local, MeshSecret, Parameters, Retired, Suite, Tickets},
    id::ServiceId,
};

pub(crate) use self::trust::NotRemembered;

/// Who this service is, and what it knows of others.
pub(crate) struct Identity {
    pub(crate) trust: TrustStore,
    pub(crate) wallet: Wallet,
    /// This service made a new key when it started: nobody remembers it.
    pub(crate) key_is_new: bool,
    shared: Arc<Shared>,
    local: Mutex<Arc<Local>>,
    /// Rotations of the key, one at a time.
    rotation: tokio::sync::Mutex<()>,
    /// RSA private operations of keys that another took the place of.
    previous_operations: AtomicU64,
}

impl Identity {
    /// Makes or loads keys and secrets. Blocks: runs on the blocking pool.
    pub(crate) fn load(shared: Arc<Shared>, pins: HashMap<ServiceId, Thumbprint>) -> Result<Self, Error> {
        let config = &shared.config;
        let store = open_store(config)?;
        let secrets = match &config.secret {
            Some(secret) => vec![MeshSecret::new(secret.as_bytes())],
            None if config.is_embedded() => vec![MeshSecret::new(store.mesh_secret()?.as_bytes())],
            None => Vec::new(),
        };
        let OwnKey { key, is_new: key_is_new, succession } = own_key(config, &store)?;
        let tickets = Tickets::new(&config.service_id, &key, &secrets)?;
        let local = Local {
            id: config.service_id.clone(),
            key,
            secrets,
            suites: vec![Suite::Hybrid, Suite::X25519],
            aes: AesKeySize::from_bits(config.aes_bits).unwrap_or(AesKeySize::Aes256),
            token_lifetime: config.token_lifetime,
            parameters: Parameters {
                max_message: config.limits.max_message,
                max_calls: config.limits.max_calls,
            },
            handshake_timeout: config.limits.handshake_timeout,
            tickets: Arc::new(tickets),
            holders: Arc::default(),
            retired: Retired::default(),
            succession,
        };
        Ok(Self {
            // Without a secret only pins count; nothing is looked up for strangers.
            trust: TrustStore::new(pins, store, config.enforce_peer_keys && !local.secrets.is_empty()),
            wallet: Wallet::default(),
            key_is_new,
            local: Mutex::new(Arc::new(local)),
            rotation: tokio::sync::Mutex::default(),
            previous_operations: AtomicU64::new(0),
            shared,
        })
    }

    /// What this side says of itself now.
    pub(crate) fn local(&self) -> Arc<Local> {
        Arc::clone(&lock(&self.local))
    }

    /// Whether a key or a secret was rotated since `local` was current.
    pub(crate) fn has_changed_since(&self, local: &Arc<Local>) -> bool {
        !Arc::ptr_eq(local, &lock(&self.local))
    }

    /// RSA private operations done with this service's keys.
    pub(crate) fn private_operations(&self) -> u64 {
        self.previous_operations.load(Ordering::Relaxed) + self.local().key.private_ops()
    }
}
