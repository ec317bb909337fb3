//! The life of a session in the table, from its handshake to the release of everything that it
//! held.

use std::sync::Arc;

use super::{
    side::Side,
    state::{End, Session},
};
use crate::{
    error::Reason,
    mesh::{events::Level, shared::Shared},
    record::message::Encoded,
    telemetry::Direction,
};

/// The entry of a session in the table. The session's task owns it, so the
/// session also ends if the task panics.
pub(crate) struct Open<S: Side> {
    side: Arc<S>,
    session: Arc<S::Held>,
    is_closed: bool,
}

impl<S: Side> Open<S> {
    /// Enters an established session into the table for as long as the guard lives.
    pub(crate) fn new(side: &Arc<S>, session: &Arc<S::Held>) -> Self {
        let shared = side.shared();
        shared.stats.count_handshake(true);
        let direction = if session.info.inbound { Direction::In } else { Direction::Out };
        shared.sight.handshake(direction, "");
        if session.info.resumed {
            shared.stats.count_resumption();
        }
        side.sessions().insert(session);
        let open = Self { side: Arc::clone(side), session: Arc::clone(session), is_closed: false };
        shared.events.session_opened(&session.info);
        log(shared, Level::Info, "session.opened", "a session was established", session, None);
        shared.events.flush();
        open
    }

    /// Releases everything that the session held, and logs why it ended.
    pub(crate) fn close(mut self, end: &End, unwritten: &[Encoded]) {
        self.is_closed = true;
        self.closed(end, unwritten);
    }

    /// Handles the end of the session. A panic in one step does not skip the
    /// others, so everything is released in any case.
    fn closed(&self, end: &End, unwritten: &[Encoded]) {
        let (shared, session) = (self.side.shared(), &self.session);
        self.side.sessions().remove(session);
        shared.guarded(|| {
            let level = if end.is_fault() { Level::Warn } else { Level::Info };
            log(shared, level, "session.closed", &end.to_string(), session, end.reason());
            shared.events.session_closed(&session.info);
            shared.events.flush();
        });
        shared.guarded(|| self.side.ended(session, end, unwritten));
    }
}

impl<S: Side> Drop for Open<S> {
    fn drop(&mut self) {
        if self.is_closed {
            return;
        }
        self.session.end(End::Lost);
        if self.side.shared().stop.is_cancelled() {
            // The runtime is ending, and the application with it, so nothing is reported.
            self.side.sessions().remove(&self.session);
            self.side.forgotten(&self.session);
        } else {
            self.closed(&End::Lost, &[]);
        }
    }
}

fn log(
    shared: &Shared,
    level: Level,
    event: &'static str,
    message: &str,
    session: &Session,
    reason: Option<Reason>,
) {
    let mut fields = vec![
        ("peer", session.info.peer.to_string()),
        ("session", session.info.id.to_string()),
        ("trust", session.info.trust_name().to_owned()),
        ("resumed", session.info.resumed.to_string()),
    ];
    fields.extend(reason.map(|reason| ("reason", reason.to_string())));
    shared.log(level, event, message.to_owned(), fields);
}
