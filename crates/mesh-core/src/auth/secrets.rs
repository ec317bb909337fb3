//! The secrets that sign tokens, and their rotation.

use std::{collections::VecDeque, fmt, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{DecodingKey, EncodingKey};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{
    AuthError, Claims, Expected, TokenType,
    issue::Subject,
    jws::{self, Alg, Parts},
};
use crate::{
    clock::Timestamp,
    config::{MIN_SECRET, Weakness},
    duration,
    id::ServiceId,
};

/// The limit of secrets in their grace period; beyond it the oldest is dropped.
const MAX_RETIRING: usize = 8;

/// The limit of remembered ids of retired secrets, which distinguish a retired
/// secret from a wrong one.
const MAX_RETIRED: usize = 64;

/// The current secret and its predecessors. The ring signs with the current
/// secret and accepts a previous one during its grace period.
pub struct SecretRing {
    current: RingKey,
    retiring: VecDeque<Retiring>,
    retired: VecDeque<String>,
}

struct Retiring {
    key: RingKey,
    until: Timestamp,
}

struct RingKey {
    /// The value of the `kid` header parameter, which identifies the secret
    /// without revealing it.
    id: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
    weak: bool,
}

impl SecretRing {
    /// Creates a ring with one secret, which must not be empty. A weak secret
    /// is accepted, see [`is_weak`](Self::is_weak).
    pub fn new(secret: &[u8]) -> Result<Self, AuthError> {
        Ok(Self { current: RingKey::new(secret)?, retiring: VecDeque::new(), retired: VecDeque::new() })
    }

    /// Creates a ring with a random secret of 32 bytes.
    pub fn random() -> Result<Self, AuthError> {
        Self::new(&*random_secret()?)
    }

    /// Whether the current secret is short or evidently not random
    /// ([`Weakness`]). Such a secret can be found by an exhaustive search,
    /// given one token.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        self.current.weak
    }

    /// Makes `secret`, or a random one, the current secret. The previous secret
    /// is accepted until `grace` is over. Older ones are accepted no longer
    /// than that, whatever the grace of an earlier rotation was: without grace
    /// only the new secret counts.
    ///
    /// Rejects a secret that is or was in use here, since it would not replace
    /// anything.
    pub fn rotate(
        &mut self,
        secret: Option<&[u8]>,
        grace: Duration,
        now: Timestamp,
    ) -> Result<(), AuthError> {
        let new = match secret {
            Some(secret) => RingKey::new(secret)?,
            None => RingKey::new(&*random_secret()?)?,
        };
        let known = self.current.id == new.id
            || self.retiring.iter().any(|retiring| retiring.key.id == new.id)
            || self.retired.contains(&new.id);
        if known {
            return Err(AuthError::Argument("secret is or was in use here; rotate to one that is new"));
        }
        // The new grace also limits those of earlier rotations, or `grace: 0` would leave an older secret
        // valid.
        let until = now + grace;
        for retiring in &mut self.retiring {
            retiring.until = retiring.until.min(until);
        }
        let previous = std::mem::replace(&mut self.current, new);
        self.retiring.push_back(Retiring { key: previous, until });
        self.retire(now);
        while self.retiring.len() > MAX_RETIRING {
            if let Some(oldest) = self.retiring.pop_front() {
                self.remember_retired(oldest.key.id);
            }
        }
        Ok(())
    }

    /// Issues a token of the type [`TokenType::Service`] from `iss` for `aud`
    /// and the session `sid`.
    ///
    /// `sid` is 1 to 128 characters without control characters; `lifetime` is
    /// one second to [`duration::MAX`].
    pub fn issue(
        &self,
        iss: &ServiceId,
        aud: &str,
        sid: &str,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<String, AuthError> {
        let sid = Some(check_session_id(sid)?.to_owned());
        let subject = Subject { iss: iss.to_string(), aud: aud.to_owned(), sid, jkt: None };
        let claims = subject.claims(check_lifetime(lifetime)?, now)?;
        jws::sign(Alg::Hs256, TokenType::Service, Some(&self.current.id), &claims, &self.current.encoding)
    }

    /// Verifies a token under the current secret or one in its grace period. A
    /// token without `kid`, as other libraries issue it, is verified under the
    /// current secret.
    pub fn verify(&mut self, token: &[u8], expected: &Expected, now: Timestamp) -> Result<Claims, AuthError> {
        self.retire(now);
        let parts = Parts::parse(token)?;
        let key = match parts.key_id()? {
            None => &self.current,
            Some(id) => self.key(id)?,
        };
        let claims = parts.verify(Alg::Hs256, expected.typ, &key.decoding)?;
        expected.check(&claims, now)?;
        Ok(claims)
    }

    fn key(&self, id: &str) -> Result<&RingKey, AuthError> {
        if self.current.id == id {
            return Ok(&self.current);
        }
        if let Some(retiring) = self.retiring.iter().find(|retiring| retiring.key.id == id) {
            return Ok(&retiring.key);
        }
        if self.retired.iter().any(|retired| retired == id) {
            return Err(AuthError::SecretRetired);
        }
        // Ids of this crate have 22 characters of base64url. Any other `kid`
        // could be a reference to a key elsewhere, which is never followed.
        let of_our_form = id.len() == self.current.id.len()
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        Err(if of_our_form { AuthError::Sig } else { AuthError::Header("kid") })
    }

    /// Drops the secrets whose grace is over, which wipes them.
    fn retire(&mut self, now: Timestamp) {
        let (keep, over): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.retiring).into_iter().partition(|retiring| now < retiring.until);
        self.retiring = keep;
        for retiring in over {
            self.remember_retired(retiring.key.id);
        }
    }

    fn remember_retired(&mut self, id: String) {
        self.retired.push_back(id);
        if self.retired.len() > MAX_RETIRED {
            self.retired.pop_front();
        }
    }
}

impl fmt::Debug for SecretRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretRing").field("retiring", &self.retiring.len()).finish_non_exhaustive()
    }
}

impl RingKey {
    fn new(secret: &[u8]) -> Result<Self, AuthError> {
        if secret.is_empty() {
            return Err(AuthError::Argument(
                "secret is empty; give at least 32 random bytes, or leave it out",
            ));
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| AuthError::Crypto("key an HMAC"))?;
        mac.update(b"ssm token secret id");
        let id = URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..16]);
        Ok(Self {
            id,
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            weak: Weakness::of(secret).is_some(),
        })
    }
}

pub(super) fn check_lifetime(lifetime: Duration) -> Result<Duration, AuthError> {
    if lifetime < Duration::from_secs(1) || lifetime > duration::MAX {
        return Err(AuthError::Argument(
            "expiresIn must be from one second to 36500d, as in '15m', '1h' or a number of milliseconds",
        ));
    }
    Ok(lifetime)
}

fn check_session_id(sid: &str) -> Result<&str, AuthError> {
    if sid.is_empty() || sid.len() > 128 || sid.chars().any(char::is_control) {
        return Err(AuthError::Argument(
            "sessionId must be a string of 1 to 128 bytes without control characters",
        ));
    }
    Ok(sid)
}

fn random_secret() -> Result<Zeroizing<[u8; MIN_SECRET]>, AuthError> {
    let mut secret = Zeroizing::new([0; MIN_SECRET]);
    aws_lc_rs::rand::fill(&mut *secret).map_err(|_| AuthError::Crypto("make random bytes"))?;
    Ok(secret)
}

#[cfg(test)]
mod tests;
