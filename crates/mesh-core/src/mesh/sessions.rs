//! The sessions of a mesh, and how many there are of each kind.

use std::{collections::HashMap, sync::Arc};

use super::session::Session;
use crate::id::ServiceId;

/// Every session that is open. What is asked at each handshake is counted
/// along, so that it costs the same beside ten sessions and ten thousand.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: HashMap<u32, Arc<Session>>,
    inbound: HashMap<ServiceId, usize>,
    inbound_total: usize,
}

impl Sessions {
    pub(super) fn insert(&mut self, session: &Arc<Session>) {
        let former = self.open.insert(session.info.handle, Arc::clone(session));
        if session.info.inbound && former.is_none() {
            *self.inbound.entry(session.info.peer.clone()).or_default() += 1;
            self.inbound_total += 1;
        }
    }

    pub(super) fn remove(&mut self, session: &Session) {
        let Some(removed) = self.open.remove(&session.info.handle) else { return };
        if !removed.info.inbound {
            return;
        }
        self.inbound_total -= 1;
        if let Some(count) = self.inbound.get_mut(&removed.info.peer) {
            *count -= 1;
            if *count == 0 {
                self.inbound.remove(&removed.info.peer);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// How many were opened by peers.
    pub(super) fn inbound(&self) -> usize {
        self.inbound_total
    }

    /// How many were opened by `peer`.
    pub(super) fn inbound_of(&self, peer: &ServiceId) -> usize {
        self.inbound.get(peer).copied().unwrap_or(0)
    }

    /// All of them, at this moment, in the order in which they were opened.
    pub(super) fn list(&self) -> Vec<Arc<Session>> {
        let mut sessions: Vec<_> = self.open.values().cloned().collect();
        sessions.sort_unstable_by_key(|session| session.info.handle);
        sessions
    }
}
