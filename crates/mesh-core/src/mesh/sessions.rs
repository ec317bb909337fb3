//! The sessions of a mesh, and how many there are of each kind.

use std::{collections::HashMap, sync::Arc};

use super::{
    core::Core,
    events::{AbortCause, Level},
    session::{End, Role, Session, lock},
};
use crate::{id::ServiceId, record::message::Encoded};

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

    /// How many peers have opened any.
    pub(super) fn inbound_peers(&self) -> usize {
        self.inbound.len()
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

impl Core {
    /// Puts an established session into the tables, for as long as the guard lives.
    pub(super) fn open(self: &Arc<Self>, session: &Arc<Session>) -> Open {
        self.stats.count_handshake(true);
        if session.info.resumed {
            self.stats.count_resumption();
        }
        lock(&self.sessions).insert(session);
        let open = Open { core: Arc::clone(self), session: Arc::clone(session), is_closed: false };
        self.events.session_opened(&session.info);
        self.log_session(Level::Info, "session.opened", "a session was established", session);
        self.events.flush();
        open
    }

    /// A session has ended. A fault in one step takes no other with it: what
    /// the session had is given back in any case.
    fn closed(self: &Arc<Self>, session: &Arc<Session>, end: &End, unwritten: &[Encoded]) {
        lock(&self.sessions).remove(session);
        self.guarded(|| {
            let level = if matches!(end, End::Record(_) | End::Auth(_)) { Level::Warn } else { Level::Info };
            self.log_session(level, "session.closed", &end.to_string(), session);
            self.events.session_closed(&session.info);
            self.events.flush();
        });
        self.guarded(|| match session.role {
            Role::Server(_) => self.abort_session(session, AbortCause::SessionLost),
            Role::Client(_) => self.on_client_end(session, end, unwritten),
        });
    }
}

/// A session's place in the tables. Its owner is the task that runs it; with
/// that, the session is over, also when it panics.
pub(super) struct Open {
    core: Arc<Core>,
    session: Arc<Session>,
    is_closed: bool,
}

impl Open {
    /// Gives everything back that the session had, and says why it ended.
    pub(super) fn close(mut self, end: &End, unwritten: &[Encoded]) {
        self.is_closed = true;
        self.core.closed(&self.session, end, unwritten);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.is_closed {
            return;
        }
        self.session.end(End::Lost);
        if self.core.stop.is_cancelled() {
            // The runtime goes, and the application with it: it is told nothing.
            lock(&self.core.sessions).remove(&self.session);
            self.core.forget_requests(&self.session);
        } else {
            self.core.closed(&self.session, &End::Lost, &[]);
        }
    }
}
