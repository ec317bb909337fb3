//! The open sessions of one side.

use std::{
    collections::HashMap,
    ops::Deref,
    sync::{Arc, Mutex},
};

use super::state::Session;
use crate::mesh::sync::lock;

/// The open sessions of one side, by handle.
#[derive(Debug)]
pub(crate) struct Sessions<H>(Mutex<HashMap<u32, Arc<H>>>);

impl<H> Default for Sessions<H> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<H: Deref<Target = Session>> Sessions<H> {
    pub(super) fn insert(&self, session: &Arc<H>) {
        lock(&self.0).insert(session.info.handle, Arc::clone(session));
    }

    pub(super) fn remove(&self, session: &H) {
        lock(&self.0).remove(&session.info.handle);
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.0).len()
    }

    /// All sessions at this moment, in the order of their opening.
    pub(crate) fn list(&self) -> Vec<Arc<H>> {
        let mut sessions: Vec<_> = lock(&self.0).values().cloned().collect();
        sessions.sort_unstable_by_key(|session| session.info.handle);
        sessions
    }

    /// The bytes that wait for the connections of all sessions.
    pub(crate) fn unsent(&self) -> usize {
        lock(&self.0).values().map(|session| session.unsent()).sum()
    }
}
