//! The table of live sessions, with every limit a table needs.
//!
//! A session ends when it has been idle for too long, and at the latest when
//! its absolute lifetime is over. Looking one up never prolongs it: who asks is
//! not yet known at that point. [`SessionStore::touch`] and
//! [`SessionStore::track_message`] prolong it and are for after authentication.

use std::{collections::HashMap, hash::Hash, time::Duration};

use crate::{
    clock::Timestamp,
    error::{Code, Coded, Reason},
};

/// The limits of a [`SessionStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    idle: Duration,
    lifetime: Duration,
    sessions: usize,
}

impl Limits {
    /// The limits of a mesh without configuration: an hour idle, a day in all,
    /// 10,000 sessions.
    pub const DEFAULT: Self =
        Self { idle: Duration::from_hours(1), lifetime: Duration::from_hours(24), sessions: 10_000 };

    /// Limits of at least a millisecond, a millisecond and one session. The
    /// idle limit cannot exceed the lifetime and is cut to it.
    pub fn new(idle: Duration, lifetime: Duration, sessions: usize) -> Result<Self, SessionError> {
        const SHORTEST: Duration = Duration::from_millis(1);
        if idle < SHORTEST {
            return Err(SessionError::Limit("timeout must be at least 1 ms"));
        }
        if lifetime < SHORTEST {
            return Err(SessionError::Limit("maxLifetime must be at least 1 ms"));
        }
        if sessions == 0 {
            return Err(SessionError::Limit("maxSessions must be at least 1"));
        }
        Ok(Self { idle: idle.min(lifetime), lifetime, sessions })
    }

    /// Longest time without activity.
    #[must_use]
    pub const fn idle(&self) -> Duration {
        self.idle
    }

    /// Longest time from the beginning to the end, however busy.
    #[must_use]
    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Most sessions at once.
    #[must_use]
    pub const fn sessions(&self) -> usize {
        self.sessions
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why a session cannot be made or used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// There is none of this id, or no longer.
    #[error("there is no such session; it was ended, has expired or never existed")]
    NotFound,
    /// It was idle for too long, or its lifetime is over.
    #[error("the session has expired; begin a new one")]
    Expired,
    /// The table is full of sessions that are alive.
    #[error("there are {0} sessions already, as many as allowed; end some or raise the limit")]
    Full(usize),
    /// There is one of this id already.
    #[error("there is a session of this id already")]
    Duplicate,
    /// A limit is out of range; the text names it.
    #[error("{0}")]
    Limit(&'static str),
}

impl Coded for SessionError {
    fn code(&self) -> Code {
        match self {
            Self::NotFound => Code::NotFound,
            Self::Expired => Code::FailedPrecondition,
            Self::Full(_) => Code::ResourceExhausted,
            Self::Duplicate => Code::AlreadyExists,
            Self::Limit(_) => Code::InvalidArgument,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::NotFound => Reason::SessionNotFound,
            Self::Expired => Reason::SessionExpired,
            Self::Full(_) => Reason::SessionLimit,
            Self::Duplicate | Self::Limit(_) => Reason::Argument,
        }
    }
}

/// A session with what its owner keeps along with it.
#[derive(Clone, Debug)]
pub struct Session<T> {
    /// The owner's data.
    pub data: T,
    created: Timestamp,
    last_activity: Timestamp,
    messages: u64,
    limits: Limits,
}

impl<T> Session<T> {
    /// When it began.
    #[must_use]
    pub const fn created(&self) -> Timestamp {
        self.created
    }

    /// When it was last touched; at first, when it began.
    #[must_use]
    pub const fn last_activity(&self) -> Timestamp {
        self.last_activity
    }

    /// How many messages were tracked.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// When it ends if nothing happens until then.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        (self.last_activity + self.limits.idle).min(self.created + self.limits.lifetime)
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at()
    }
}

/// Figures about a [`SessionStore`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions alive.
    pub active: usize,
    /// Sessions begun since the start.
    pub created: u64,
    /// Of these, ended by a limit.
    pub expired: u64,
    /// Of these, ended on purpose.
    pub removed: u64,
    /// Sessions refused because the table was full.
    pub refused: u64,
    /// Messages tracked, in all sessions.
    pub messages: u64,
}

/// A bounded table of sessions by their id.
#[derive(Debug)]
pub struct SessionStore<K, T> {
    sessions: HashMap<K, Session<T>>,
    limits: Limits,
    /// No session ends before this time, so no sweep is needed before it.
    /// Sessions only ever move their end away from it.
    nothing_expires_before: Timestamp,
    counts: Counts,
}

impl<K: Eq + Hash + Clone, T> SessionStore<K, T> {
    /// An empty table.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            sessions: HashMap::new(),
            limits,
            nothing_expires_before: Timestamp::from_millis(u64::MAX),
            counts: Counts::default(),
        }
    }

    /// The limits given.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Begins a session. If the table is full, ended sessions make room;
    /// sessions that are alive never do, so that a flood of new ones cannot
    /// push out anybody.
    pub fn insert(&mut self, id: K, data: T, now: Timestamp) -> Result<&Session<T>, SessionError> {
        if self.sessions.len() >= self.limits.sessions {
            self.sweep(now);
        }
        if self.sessions.len() >= self.limits.sessions {
            self.counts.refused += 1;
            return Err(SessionError::Full(self.limits.sessions));
        }
        if let Some(former) = self.sessions.get(&id) {
            if !former.is_expired(now) {
                return Err(SessionError::Duplicate);
            }
            self.counts.expired += 1;
        }
        let session = Session { data, created: now, last_activity: now, messages: 0, limits: self.limits };
        self.nothing_expires_before = self.nothing_expires_before.min(session.expires_at());
        self.counts.created += 1;
        Ok(self.sessions.entry(id).insert_entry(session).into_mut())
    }

    /// The session `id`, if it is alive. Does not prolong it.
    #[must_use]
    pub fn get(&self, id: &K, now: Timestamp) -> Option<&Session<T>> {
        self.sessions.get(id).filter(|session| !session.is_expired(now))
    }

    /// As [`get`](Self::get), to change the data. Does not prolong it.
    #[must_use]
    pub fn get_mut(&mut self, id: &K, now: Timestamp) -> Option<&mut Session<T>> {
        self.sessions.get_mut(id).filter(|session| !session.is_expired(now))
    }

    /// Prolongs the session `id`. Only for messages that have been authenticated.
    pub fn touch(&mut self, id: &K, now: Timestamp) -> Result<&Session<T>, SessionError> {
        let session = self.sessions.get_mut(id).ok_or(SessionError::NotFound)?;
        if session.is_expired(now) {
            return Err(SessionError::Expired);
        }
        // A clock that was set back must not shorten a life either.
        session.last_activity = session.last_activity.max(now);
        Ok(session)
    }

    /// Counts a message of the session `id` and prolongs it: one that has been
    /// authenticated, or one that was sent.
    pub fn track_message(&mut self, id: &K, now: Timestamp) -> Result<&Session<T>, SessionError> {
        self.touch(id, now)?;
        let session = self.sessions.get_mut(id).ok_or(SessionError::NotFound)?;
        session.messages += 1;
        self.counts.messages += 1;
        Ok(session)
    }

    /// Ends the session `id`, alive or not, and returns it.
    pub fn remove(&mut self, id: &K) -> Option<Session<T>> {
        let session = self.sessions.remove(id)?;
        self.counts.removed += 1;
        Some(session)
    }

    /// Removes the sessions that have ended and returns them. Costs nothing
    /// when none can have.
    pub fn sweep(&mut self, now: Timestamp) -> Vec<(K, Session<T>)> {
        if now < self.nothing_expires_before {
            return Vec::new();
        }
        let ended: Vec<_> = self.sessions.extract_if(|_, session| session.is_expired(now)).collect();
        self.counts.expired += ended.len() as u64;
        let earliest = self.sessions.values().map(Session::expires_at).min();
        self.nothing_expires_before = earliest.unwrap_or(Timestamp::from_millis(u64::MAX));
        ended
    }

    /// A time before which no session ends, as a hint when to
    /// [`sweep`](Self::sweep) next; `None` if there is no session.
    #[must_use]
    pub fn next_sweep(&self) -> Option<Timestamp> {
        (!self.sessions.is_empty()).then_some(self.nothing_expires_before)
    }

    /// The sessions alive, in no particular order.
    pub fn iter(&self, now: Timestamp) -> impl Iterator<Item = (&K, &Session<T>)> {
        self.sessions.iter().filter(move |(_, session)| !session.is_expired(now))
    }

    /// Entries in the table, ended ones that were not swept yet included;
    /// never more than the limit.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether the table is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Figures as of `now`.
    #[must_use]
    pub fn counts(&self, now: Timestamp) -> Counts {
        Counts { active: self.iter(now).count(), ..self.counts }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const IDLE: u64 = 100;
    const LIFETIME: u64 = 1000;

    fn ms(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn store(sessions: usize) -> SessionStore<u8, &'static str> {
        let limits = Limits::new(Duration::from_millis(IDLE), Duration::from_millis(LIFETIME), sessions);
        SessionStore::new(limits.unwrap())
    }

    #[test]
    fn looking_at_a_session_does_not_prolong_it() {
        let mut store = store(8);
        store.insert(1, "data", ms(0)).unwrap();
        for now in 0..IDLE {
            assert_eq!(store.get(&1, ms(now)).unwrap().data, "data");
            assert!(store.get_mut(&1, ms(now)).is_some());
            assert_eq!(store.iter(ms(now)).count(), 1);
        }
        assert!(store.get(&1, ms(IDLE)).is_none());
        assert_eq!(store.iter(ms(IDLE)).count(), 0);
        assert_eq!(store.touch(&1, ms(IDLE)).unwrap_err(), SessionError::Expired);
        assert_eq!(store.track_message(&1, ms(IDLE)).unwrap_err(), SessionError::Expired);
    }

    #[test]
    fn activity_prolongs_a_session_up_to_its_lifetime() {
        let mut store = store(8);
        store.insert(1, "", ms(0)).unwrap();
        let mut now = 0;
        while now + IDLE / 2 < LIFETIME {
            now += IDLE / 2;
            store.track_message(&1, ms(now)).unwrap();
        }
        let session = store.get(&1, ms(now)).unwrap();
        assert_eq!((session.messages(), session.expires_at()), (19, ms(LIFETIME)));
        assert_eq!(store.touch(&1, ms(LIFETIME)).unwrap_err().reason(), Reason::SessionExpired);
    }

    #[test]
    fn a_full_table_gives_the_room_of_ended_sessions_only() {
        let mut store = store(2);
        store.insert(1, "", ms(0)).unwrap();
        store.insert(2, "", ms(50)).unwrap();
        let refused = store.insert(3, "", ms(IDLE - 1)).unwrap_err();
        assert_eq!((refused.code(), refused.reason()), (Code::ResourceExhausted, Reason::SessionLimit));
        store.insert(3, "", ms(IDLE)).unwrap();
        assert!(store.get(&1, ms(IDLE)).is_none() && store.get(&2, ms(IDLE)).is_some());
        let counts = store.counts(ms(IDLE));
        assert_eq!((counts.active, counts.created, counts.expired, counts.refused), (2, 3, 1, 1));
    }

    #[test]
    fn an_id_can_be_used_again_after_its_end() {
        let mut store = store(8);
        store.insert(1, "old", ms(0)).unwrap();
        assert_eq!(store.insert(1, "new", ms(1)).unwrap_err(), SessionError::Duplicate);
        assert_eq!(store.insert(1, "new", ms(IDLE)).unwrap().data, "new");
        assert_eq!(store.remove(&1).unwrap().data, "new");
        assert!(store.remove(&1).is_none());
        assert_eq!(store.touch(&1, ms(IDLE)).unwrap_err().reason(), Reason::SessionNotFound);
    }

    #[test]
    fn a_clock_set_back_does_not_shorten_a_life() {
        let mut store = store(8);
        store.insert(1, "", ms(500)).unwrap();
        store.touch(&1, ms(550)).unwrap();
        store.touch(&1, ms(10)).unwrap();
        assert_eq!(store.get(&1, ms(600)).unwrap().expires_at(), ms(650));
    }

    #[test]
    fn limits_that_make_no_sense_are_named() {
        let text = |idle, lifetime, sessions| {
            Limits::new(Duration::from_millis(idle), Duration::from_millis(lifetime), sessions)
                .map_err(|error| error.to_string())
        };
        assert!(text(0, 1, 1).unwrap_err().contains("timeout"));
        assert!(text(1, 0, 1).unwrap_err().contains("maxLifetime"));
        assert!(text(1, 1, 0).unwrap_err().contains("maxSessions"));
        assert_eq!(text(5, 1, 1).unwrap().idle(), Duration::from_millis(1));
        assert_eq!(Limits::default(), Limits::DEFAULT);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8),
        Look(u8),
        Touch(u8),
        Track(u8),
        Remove(u8),
        Sweep,
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let id = 0..6u8;
        prop_oneof![
            3 => id.clone().prop_map(Step::Insert),
            2 => id.clone().prop_map(Step::Look),
            2 => id.clone().prop_map(Step::Touch),
            2 => id.clone().prop_map(Step::Track),
            1 => id.prop_map(Step::Remove),
            1 => Just(Step::Sweep),
            3 => (0..IDLE + 20).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// Against a model that knows nothing but two numbers for each session.
        #[test]
        fn the_table_does_what_a_list_of_times_would(steps in prop::collection::vec(step(), 1..200)) {
            const BOUND: usize = 4;
            let mut store = store(BOUND);
            let mut model: HashMap<u8, (u64, u64)> = HashMap::new();
            let mut now = 1;
            for step in steps {
                let live = |model: &HashMap<u8, (u64, u64)>, id: &u8| {
                    model.get(id).is_some_and(|(born, last)| now < (last + IDLE).min(born + LIFETIME))
                };
                match step {
                    Step::Insert(id) => {
                        let room = model.keys().filter(|id| live(&model, id)).count() < BOUND;
                        // An ended session of the same id gives its place up.
                        let expected = room && !live(&model, &id);
                        prop_assert_eq!(store.insert(id, "", ms(now)).is_ok(), expected);
                        if expected {
                            model.insert(id, (now, now));
                        }
                    }
                    Step::Look(id) => {
                        prop_assert_eq!(store.get(&id, ms(now)).is_some(), live(&model, &id));
                        prop_assert_eq!(store.get_mut(&id, ms(now)).is_some(), live(&model, &id));
                    }
                    Step::Touch(id) | Step::Track(id) => {
                        let before = store.get(&id, ms(now)).map_or(0, Session::messages);
                        let tracks = matches!(step, Step::Track(_));
                        let outcome = if tracks { store.track_message(&id, ms(now)) } else { store.touch(&id, ms(now)) };
                        prop_assert_eq!(outcome.is_ok(), live(&model, &id));
                        if let Ok(session) = outcome {
                            prop_assert_eq!(session.messages(), before + u64::from(tracks));
                            model.entry(id).and_modify(|(_, last)| *last = now);
                        }
                    }
                    Step::Remove(id) => {
                        if live(&model, &id) {
                            prop_assert!(store.remove(&id).is_some());
                        } else {
                            store.remove(&id);
                        }
                        model.remove(&id);
                    }
                    Step::Sweep => {
                        for (id, _) in store.sweep(ms(now)) {
                            prop_assert!(!live(&model, &id));
                        }
                        let alive = model.keys().filter(|id| live(&model, id)).count();
                        prop_assert_eq!(store.len(), alive, "a sweep leaves only what is alive");
                    }
                    Step::Wait(millis) => now += millis,
                }
                prop_assert!(store.len() <= BOUND);
                let alive = model.iter().filter(|(_, (born, last))| now < (last + IDLE).min(born + LIFETIME)).count();
                prop_assert_eq!(store.counts(ms(now)).active, alive);
                if let Some(hint) = store.next_sweep() {
                    let earliest = store.sessions.values().map(Session::expires_at).min();
                    prop_assert!(Some(hint) <= earliest);
                }
            }
        }
    }
}
