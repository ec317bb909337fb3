//! Replaces the mesh key or the mesh secret of a running mesh. The caller ends
//! the sessions that rest on the previous ones.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::Identity;
use crate::{
    clock::Timestamp,
    config,
    crypto::rsa::{KeyPair, PublicKey},
    handshake::MeshSecret,
    mesh::{error::Error, events::Level, sync::lock},
};

impl Identity {
    /// The key directory; `None` for keys in memory.
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        self.trust.store().disk().map(Path::to_owned)
    }

    /// Makes a new key, stores it, and uses it. If another process has already
    /// replaced the stored key, uses that one instead.
    pub(crate) async fn rotate_key(self: &Arc<Self>) -> Result<PublicKey, Error> {
        if let Some(given) = &self.shared.config.private_key {
            return Err(Error::GivenKey(given.option));
        }
        if self.certificates.is_some() {
            return self.renew_delegation().await;
        }
        let one_at_a_time = self.rotation.lock().await;
        let identity = Arc::clone(self);
        let rotated = self.shared.platform.blocking(move || identity.replace_key()).await;
        let key = rotated.map_err(|_| Error::Thread)??;
        drop(one_at_a_time);
        let fields = vec![("thumbprint", key.thumbprint().to_string())];
        self.shared.log(Level::Info, "key.rotated", "this service has a new key".to_owned(), fields);
        Ok(key)
    }

    /// Reads, makes and writes keys. Blocks.
    fn replace_key(&self) -> Result<PublicKey, Error> {
        let id = &self.shared.config.service_id;
        let store = self.trust.store();
        let used = self.local().key.public_key().clone();
        let next = match store.load_key_pair(id)? {
            Some(stored) if *stored.public_key() != used => stored,
            _ => {
                let made = KeyPair::generate(self.shared.config.rsa_bits)?;
                store.replace_key_pair(id, &made)?;
                made
            }
        };
        let key = next.public_key().clone();
        if store.known_peer(id)? == Some(used.thumbprint()) {
            // Services that share this directory belong to the same user, so
            // their remembered key is updated without a proof.
            store.succeed_peer(id, &used.thumbprint(), &key.thumbprint())?;
        }
        let mut local = lock(&self.local);
        let previous = Arc::clone(&local);
        *local = Arc::new(previous.with_key(next)?);
        lock(&self.shown).clone_from(&key);
        self.previous_operations.fetch_add(previous.key.private_ops(), Ordering::Relaxed);
        Ok(key)
    }

    /// Uses `secret` from now on, and accepts the previous one for `grace`.
    pub(crate) fn rotate_secret(&self, secret: &str, grace: Duration) -> Result<(), Error> {
        if self.shared.config.secret.is_none() || self.certificates.is_some() {
            return Err(Error::NoSecret);
        }
        config::check_secret("secret", secret)?;
        let now = self.shared.now();
        {
            let mut local = lock(&self.local);
            let next = local.with_secret(MeshSecret::new(secret.as_bytes()), now + grace, now)?;
            *local = Arc::new(next.ok_or(Error::SecretInUse)?);
        }
        self.shared.log(Level::Info, "secret.rotated", "this mesh has a new secret".to_owned(), Vec::new());
        Ok(())
    }

    /// Forgets the secrets whose grace is over; returns whether there were any.
    pub(crate) fn retire_secrets(&self, now: Timestamp) -> bool {
        {
            let mut local = lock(&self.local);
            // There is nothing to forget, or the attempt failed and the next sweep repeats it.
            let Ok(Some(next)) = local.without_retired(now) else { return false };
            *local = Arc::new(next);
        }
        let text = "the grace of a previous secret is over".to_owned();
        self.shared.log(Level::Info, "secret.retired", text, Vec::new());
        true
    }
}
