//! The weaker trust that is accepted beside certificates during a migration, until its end.

use std::sync::{Arc, Mutex};

use crate::{
    clock::Timestamp,
    config::{Accept, MeshConfig},
    handshake::Local,
    mesh::{error::Error, events::Level, shared::Shared, sync::lock},
};

/// The weaker trust, and this side's identity for it.
pub(super) struct Weaker {
    accept: Accept,
    /// `None` once it has ended.
    local: Mutex<Option<Arc<Local>>>,
}

impl Weaker {
    /// Reads `security.accept`. `local` makes the identity from its key and secret. Blocks.
    pub(super) fn load(
        shared: &Shared,
        local: impl FnOnce(&MeshConfig) -> Result<Local, Error>,
    ) -> Result<Option<Self>, Error> {
        let Some(accept) = shared.config.accept else { return Ok(None) };
        let trust = accept.trust.as_str();
        let local = if shared.now() < accept.until {
            let text = format!(
                "security.accept also accepts services by {trust}; remove it when all of them have certificates"
            );
            shared.log(Level::Warn, "accept.weaker", text, vec![("trust", trust.to_owned())]);
            Some(Arc::new(local(&shared.config)?))
        } else {
            let text = format!("security.accept for {trust} has ended and has no effect; remove it");
            shared.log(Level::Warn, "accept.ended", text, vec![("trust", trust.to_owned())]);
            None
        };
        Ok(Some(Self { accept, local: Mutex::new(local) }))
    }

    /// This side's identity, while the trust is accepted.
    pub(super) fn local(&self, now: Timestamp) -> Option<Arc<Local>> {
        lock(&self.local).clone().filter(|_| now < self.accept.until)
    }

    /// The trust that is accepted now.
    pub(super) fn accepted(&self, now: Timestamp) -> Option<Accept> {
        Some(self.accept).filter(|accept| now < accept.until)
    }

    /// Whether it has ended since the last call.
    pub(super) fn ends(&self, now: Timestamp) -> bool {
        now >= self.accept.until && lock(&self.local).take().is_some()
    }
}
