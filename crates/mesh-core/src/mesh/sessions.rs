//! The sessions of a mesh, and how many there are of each kind.

use std::{collections::HashMap, sync::Arc};

use super::{
    core::Core,
    events::{AbortCause, Level},
    session::{End, Role, Session},
    sync::lock,
};
use crate::{id::ServiceId, record::message::Encoded};

/// Every session that is open, and the seats of those that peers have opened.
/// What is asked at each handshake is counted along, so that it costs the same
/// beside ten sessions and ten thousand.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: HashMap<u32, Arc<Session>>,
    inbound: usize,
    /// Seats by peer: sessions that peers have opened, and those they are about to.
    seats: HashMap<ServiceId, usize>,
    seats_taken: usize,
}

impl Sessions {
    fn insert(&mut self, session: &Arc<Session>) {
        let former = self.open.insert(session.info.handle, Arc::clone(session));
        if session.info.inbound && former.is_none() {
            self.inbound += 1;
        }
    }

    fn remove(&mut self, session: &Session) {
        let removed = self.open.remove(&session.info.handle);
        if removed.is_some_and(|removed| removed.info.inbound) {
            self.inbound -= 1;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// How many were opened by peers.
    pub(super) fn inbound(&self) -> usize {
        self.inbound
    }

    /// Seats taken, and the peers that have any.
    pub(super) fn seats(&self) -> (usize, usize) {
        (self.seats_taken, self.seats.len())
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
    pub(super) fn open(self: &Arc<Self>, session: &Arc<Session>, seat: Option<Seat>) -> Open {
        self.stats.count_handshake(true);
        if session.info.resumed {
            self.stats.count_resumption();
        }
        lock(&self.sessions).insert(session);
        let open =
            Open { core: Arc::clone(self), session: Arc::clone(session), is_closed: false, _seat: seat };
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

/// A peer's place for one session, taken before the work of accepting it, so
/// that handshakes at once cannot all see the same place free. Given back when
/// the session is over, or was none.
pub(super) struct Seat {
    core: Arc<Core>,
    peer: ServiceId,
}

impl Seat {
    /// Takes a place for `peer`, or names the limit that is reached.
    pub(super) fn take(core: &Arc<Core>, peer: &ServiceId) -> Result<Self, &'static str> {
        let limits = &core.config.limits;
        let mut sessions = lock(&core.sessions);
        if sessions.seats_taken >= limits.max_sessions as usize {
            return Err("limits.maxSessions");
        }
        let seats = sessions.seats.get(peer).copied().unwrap_or(0);
        if seats >= limits.max_sessions_per_peer as usize {
            return Err("limits.maxSessionsPerPeer");
        }
        sessions.seats.insert(peer.clone(), seats + 1);
        sessions.seats_taken += 1;
        Ok(Self { core: Arc::clone(core), peer: peer.clone() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut sessions = lock(&self.core.sessions);
        sessions.seats_taken -= 1;
        if let Some(count) = sessions.seats.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                sessions.seats.remove(&self.peer);
            }
        }
    }
}

/// A session's place in the tables. Its owner is the task that runs it; with
/// that, the session is over, also when it panics.
pub(super) struct Open {
    core: Arc<Core>,
    session: Arc<Session>,
    is_closed: bool,
    /// Of a session that a peer opened.
    _seat: Option<Seat>,
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
