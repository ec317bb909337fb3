//! Tokens that are accepted once.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashSet},
};

use super::{AuthError, Claims, LEEWAY};
use crate::clock::Timestamp;

/// Remembers the `jti` of each token until the token has expired.
///
/// The dangerous mistake would be to forget one early, so a full cache refuses
/// new tokens instead of dropping old ones.
#[derive(Debug)]
pub struct ReplayCache {
    seen: HashSet<String>,
    expiry: BinaryHeap<Reverse<(u64, String)>>,
    capacity: usize,
}

impl ReplayCache {
    /// A cache for at most `capacity` unexpired tokens.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { seen: HashSet::new(), expiry: BinaryHeap::new(), capacity }
    }

    /// Accepts each `jti` once until `exp` (seconds) and the leeway are over.
    pub fn check_and_insert(&mut self, jti: &str, exp: u64, now: Timestamp) -> Result<(), AuthError> {
        self.forget_expired(now);
        if self.seen.contains(jti) {
            return Err(AuthError::Replay);
        }
        if self.seen.len() >= self.capacity {
            return Err(AuthError::ReplayFull);
        }
        self.seen.insert(jti.to_owned());
        self.expiry.push(Reverse((exp, jti.to_owned())));
        Ok(())
    }

    /// [`check_and_insert`](Self::check_and_insert) for verified claims.
    pub fn check_claims(&mut self, claims: &Claims, now: Timestamp) -> Result<(), AuthError> {
        self.check_and_insert(&claims.jti, claims.exp, now)
    }

    /// How many tokens are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    fn forget_expired(&mut self, now: Timestamp) {
        while let Some(Reverse((exp, _))) = self.expiry.peek() {
            // As long as the verifier might still take it, and a second more.
            if now.as_secs() <= exp.saturating_add(LEEWAY.as_secs()) {
                break;
            }
            if let Some(Reverse((_, jti))) = self.expiry.pop() {
                self.seen.remove(&jti);
            }
        }
    }
}
