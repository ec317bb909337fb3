//! Another key or mesh secret for a mesh that runs. Sessions under way give
//! way to new ones without losing a call.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::{core::Core, error::Error, events::Level, inbound::leave, session::Role, sync::lock};
use crate::{
    clock::Timestamp,
    config,
    crypto::rsa::{KeyPair, PublicKey},
    handshake::{Local, MeshSecret},
};

impl Core {
    /// What this side says of itself now.
    pub(super) fn local(&self) -> Arc<Local> {
        Arc::clone(&lock(&self.local))
    }

    /// Makes a new key, stores it, and uses it from now on. A key that another
    /// process has put in the place of this one's is taken over instead.
    pub(super) async fn rotate_key(self: &Arc<Self>) -> Result<PublicKey, Error> {
        if let Some(given) = &self.config.private_key {
            return Err(Error::GivenKey(given.option));
        }
        let one_at_a_time = self.rotation.lock().await;
        let core = Arc::clone(self);
        let rotated = self.platform.blocking(move || core.replace_key()).await;
        let key = rotated.map_err(|_| Error::Thread)??;
        drop(one_at_a_time);
        self.renew_sessions();
        let fields = vec![("thumbprint", key.thumbprint().to_string())];
        self.log(Level::Info, "key.rotated", "this service has another key".to_owned(), fields);
        self.events.flush();
        Ok(key)
    }

    /// Blocks: reads, makes and writes keys.
    fn replace_key(&self) -> Result<PublicKey, Error> {
        let id = &self.config.service_id;
        let store = self.trust.store();
        let used = self.local().key.public_key().clone();
        let next = match store.load_key_pair(id)? {
            Some(stored) if *stored.public_key() != used => stored,
            _ => {
                let made = KeyPair::generate(self.config.rsa_bits)?;
                store.replace_key_pair(id, &made)?;
                made
            }
        };
        let key = next.public_key().clone();
        if store.known_peer(id)? == Some(used.thumbprint()) {
            // Services that share this directory remember this one in it: they
            // are of the same user, and need no other proof.
            store.succeed_peer(id, &used.thumbprint(), &key.thumbprint())?;
        }
        let mut local = lock(&self.local);
        let former = Arc::clone(&local);
        *local = Arc::new(former.with_key(next)?);
        self.former_operations.fetch_add(former.key.private_ops(), Ordering::Relaxed);
        Ok(key)
    }

    /// Uses `secret` from now on, and accepts the former one for `grace` more.
    pub(super) fn rotate_secret(self: &Arc<Self>, secret: &str, grace: Duration) -> Result<(), Error> {
        if self.config.secret.is_none() {
            return Err(Error::NoSecret);
        }
        config::check_secret("secret", secret)?;
        let now = self.now();
        {
            let mut local = lock(&self.local);
            let next = local.with_secret(MeshSecret::new(secret.as_bytes()), now + grace, now)?;
            *local = Arc::new(next.ok_or(Error::SecretInUse)?);
        }
        // Who refused the former one may accept this one.
        lock(&self.outbound).links.forgive(Instant::now());
        self.log(Level::Info, "secret.rotated", "this mesh has another secret".to_owned(), Vec::new());
        if grace.is_zero() {
            self.renew_sessions();
        }
        self.events.flush();
        Ok(())
    }

    /// Forgets the secrets whose grace is over, and ends what rests on them.
    pub(super) fn retire_secrets(self: &Arc<Self>, now: Timestamp) {
        let retired = {
            let mut local = lock(&self.local);
            match local.without_retired(now) {
                Ok(Some(next)) => {
                    *local = Arc::new(next);
                    true
                }
                // Where there is nothing to forget; a failure is tried again.
                Ok(None) | Err(_) => false,
            }
        };
        if retired {
            self.log(
                Level::Info,
                "secret.retired",
                "a former secret counts no longer".to_owned(),
                Vec::new(),
            );
            self.renew_sessions();
        }
    }

    /// Lets every session end with the calls it carries; the next call gets a
    /// new one.
    fn renew_sessions(self: &Arc<Self>) {
        let sessions = lock(&self.sessions).list();
        for session in sessions {
            match &session.role {
                Role::Server(_) => {
                    leave(&session);
                }
                Role::Client(_) => self.on_go_away(&session, u32::MAX),
            }
        }
    }
}
