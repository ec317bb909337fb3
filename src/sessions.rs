//! `NativeSessions`: the table behind `SessionManager`.

use mesh_core::{
    crypto::secret::fill_random,
    id::{ServiceId, SessionId},
    session::{Limits, Session, SessionStore},
};
use napi::{Env, Result};
use napi_derive::napi;

use crate::{
    auth::service_id,
    convert::{from_count, from_timestamp, millis, timestamp, whole},
    error::throw,
};

struct Parties {
    service: ServiceId,
    peer: Option<ServiceId>,
}

type Store = SessionStore<String, Parties>;

/// A session as it is now; times in milliseconds since 1970.
#[napi(object)]
pub struct NativeSession {
    /// 32 hexadecimal digits.
    pub id: String,
    /// The service it was made for.
    pub service_id: String,
    /// The other side.
    pub peer_service_id: Option<String>,
    /// When it began.
    pub created_at: f64,
    /// When it was last used.
    pub last_activity: f64,
    /// When it ends if nothing happens until then.
    pub expires_at: f64,
    /// Messages tracked.
    pub message_count: f64,
}

/// Figures about the table.
#[napi(object)]
pub struct NativeSessionCounts {
    /// Alive now.
    pub active: f64,
    /// Begun since the start.
    pub created: f64,
    /// Ended by a limit.
    pub expired: f64,
    /// Ended on purpose.
    pub removed: f64,
    /// Refused because the table was full.
    pub refused: f64,
    /// Messages tracked.
    pub messages: f64,
}

/// A bounded table of sessions.
#[napi]
pub struct NativeSessions {
    store: Store,
}

#[napi]
impl NativeSessions {
    /// With an idle limit, a lifetime and a bound.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, idle_ms: f64, lifetime_ms: f64, max_sessions: f64) -> Result<Self> {
        let idle = millis(env, "timeout", idle_ms)?;
        let lifetime = millis(env, "maxLifetime", lifetime_ms)?;
        let max_sessions = whole(env, "maxSessions", max_sessions)? as usize;
        let limits = Limits::new(idle, lifetime, max_sessions).map_err(|error| throw(env, error))?;
        Ok(Self { store: SessionStore::new(limits) })
    }

    /// Begins a session.
    #[napi(catch_unwind)]
    pub fn create(
        &mut self,
        env: Env,
        service: String,
        peer: Option<String>,
        now: f64,
    ) -> Result<NativeSession> {
        let service = service_id(env, "serviceId", &service)?;
        let peer = peer.map(|peer| service_id(env, "peerServiceId", &peer)).transpose()?;
        let now = timestamp(env, now)?;
        let mut id = [0; 16];
        fill_random(&mut id).map_err(|error| throw(env, error))?;
        let id = SessionId::from_bytes(id).to_string();
        match self.store.insert(id.clone(), Parties { service, peer }, now) {
            Ok(session) => Ok(convert(&id, session)),
            Err(error) => Err(throw(env, error)),
        }
    }

    /// The session, if it is alive. Does not prolong it.
    #[napi(catch_unwind)]
    pub fn get(&self, env: Env, id: String, now: f64) -> Result<Option<NativeSession>> {
        let now = timestamp(env, now)?;
        Ok(self.store.get(&id, now).map(|session| convert(&id, session)))
    }

    /// Counts a message and prolongs the session.
    #[napi(catch_unwind)]
    pub fn track(&mut self, env: Env, id: String, now: f64) -> Result<NativeSession> {
        let now = timestamp(env, now)?;
        match self.store.track_message(&id, now) {
            Ok(session) => Ok(convert(&id, session)),
            Err(error) => Err(throw(env, error)),
        }
    }

    /// Ends a session; whether there was one.
    #[napi(catch_unwind)]
    pub fn remove(&mut self, id: String) -> bool {
        self.store.remove(&id).is_some()
    }

    /// Removes what has ended and returns the ids.
    #[napi(catch_unwind)]
    pub fn sweep(&mut self, env: Env, now: f64) -> Result<Vec<String>> {
        let now = timestamp(env, now)?;
        Ok(self.store.sweep(now).into_iter().map(|(id, _)| id).collect())
    }

    /// When to sweep next, if there is anything.
    #[napi(catch_unwind)]
    pub fn next_sweep(&self) -> Option<f64> {
        self.store.next_sweep().map(from_timestamp)
    }

    /// Figures about the table.
    #[napi(catch_unwind)]
    pub fn counts(&self, env: Env, now: f64) -> Result<NativeSessionCounts> {
        let counts = self.store.counts(timestamp(env, now)?);
        Ok(NativeSessionCounts {
            active: from_count(counts.active as u64),
            created: from_count(counts.created),
            expired: from_count(counts.expired),
            removed: from_count(counts.removed),
            refused: from_count(counts.refused),
            messages: from_count(counts.messages),
        })
    }
}

fn convert(id: &str, session: &Session<Parties>) -> NativeSession {
    NativeSession {
        id: id.to_owned(),
        service_id: session.data.service.to_string(),
        peer_service_id: session.data.peer.as_ref().map(ToString::to_string),
        created_at: from_timestamp(session.created()),
        last_activity: from_timestamp(session.last_activity()),
        expires_at: from_timestamp(session.expires_at()),
        message_count: from_count(session.messages()),
    }
}
