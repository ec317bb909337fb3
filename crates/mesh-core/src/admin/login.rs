//! Proofs of the token: the sessions of browsers that have shown it, and the limit of guesses.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use subtle::{Choice, ConstantTimeEq};
use tokio::time::Instant;

use crate::{config::AdminToken, crypto::secret::Secret};

/// Wrong tokens that an address may show in a [`WINDOW`].
const MAX_GUESSES: u32 = 10;
const WINDOW: Duration = Duration::from_mins(1);
/// Addresses whose guesses are counted; the others share one count.
const MAX_ADDRESSES: usize = 1_024;
/// Browsers that are logged in. The oldest has to log in again.
const MAX_SESSIONS: usize = 64;
/// The time for which a browser stays logged in.
pub(super) const LIFETIME: Duration = Duration::from_hours(12);
/// The cookie of a browser that is logged in.
pub(super) const COOKIE: &str = "securestack-admin";

/// The verdict about a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    Wrong,
    /// Too many were wrong: not even the right one counts for so long.
    Wait(Duration),
}

#[derive(Debug, Default)]
struct State {
    sessions: VecDeque<(String, Instant)>,
    guesses: HashMap<Option<IpAddr>, (Instant, u32)>,
}

#[derive(Debug)]
pub(super) struct Login {
    token: Option<AdminToken>,
    state: Mutex<State>,
}

impl Login {
    pub(super) fn new(token: Option<AdminToken>) -> Self {
        Self { token, state: Mutex::default() }
    }

    /// Whether a token is asked for at all.
    pub(super) fn is_needed(&self) -> bool {
        self.token.is_some()
    }

    /// Judges a token that was shown.
    pub(super) fn judge(&self, shown: &[u8], from: IpAddr, now: Instant) -> Verdict {
        let Some(token) = &self.token else { return Verdict::Wrong };
        let guesses = &mut self.state().guesses;
        guesses.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        let key = Some(from);
        let key = if guesses.len() < MAX_ADDRESSES || guesses.contains_key(&key) { key } else { None };
        if let Some((since, count)) = guesses.get(&key)
            && *count >= MAX_GUESSES
        {
            return Verdict::Wait(WINDOW.saturating_sub(now.duration_since(*since)));
        }
        if token.is(shown) {
            return Verdict::Right;
        }
        guesses.entry(key).or_insert((now, 0)).1 += 1;
        Verdict::Wrong
    }

    /// Logs a browser in that has shown the token. Returns the value of its cookie.
    pub(super) fn open(&self, now: Instant) -> Option<String> {
        let value = hex::encode(Secret::<32>::random().ok()?.as_bytes());
        let sessions = &mut self.state().sessions;
        if sessions.len() >= MAX_SESSIONS {
            sessions.pop_front();
        }
        sessions.push_back((value.clone(), now));
        Some(value)
    }

    /// Whether a browser with this cookie is logged in.
    pub(super) fn knows(&self, cookie: &str, now: Instant) -> bool {
        let sessions = &mut self.state().sessions;
        sessions.retain(|(_, since)| now.duration_since(*since) < LIFETIME);
        let known = sessions.iter().map(|(value, _)| value.as_bytes().ct_eq(cookie.as_bytes()));
        known.fold(Choice::from(0), |any, one| any | one).into()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
