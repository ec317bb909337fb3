//! Making tokens.

use std::{fmt, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;

use super::{
    AuthError, Claims, TokenType,
    jws::{self, Alg},
};
use crate::{
    clock::Timestamp,
    id::{ServiceId, SessionId},
};

/// Issues the tokens of one sender in one session: HS256 under a key of that
/// session and direction.
pub struct TokenIssuer {
    key: EncodingKey,
    typ: TokenType,
    /// Everything but times and `jti`.
    subject: Subject,
    lifetime: Duration,
    current: Option<Issued>,
}

struct Issued {
    token: String,
    made_at: Timestamp,
    renew_at: Timestamp,
}

/// The part of the claims that stays the same from token to token.
#[derive(Clone)]
pub(super) struct Subject {
    pub(super) iss: String,
    pub(super) aud: String,
    pub(super) sid: Option<String>,
    pub(super) jkt: Option<String>,
}

impl TokenIssuer {
    /// An issuer for what `iss` sends to `aud` in the session `sid`, bound to
    /// the sender's key with the thumbprint `jkt` (base64url, RFC 7638).
    ///
    /// `key` is used as it is; it must be uniformly random and of 32 bytes.
    #[must_use]
    pub fn new(
        key: &[u8],
        typ: TokenType,
        iss: &ServiceId,
        aud: &ServiceId,
        sid: &SessionId,
        jkt: impl fmt::Display,
        lifetime: Duration,
    ) -> Self {
        let subject = Subject {
            iss: iss.to_string(),
            aud: aud.to_string(),
            sid: Some(sid.to_string()),
            jkt: Some(jkt.to_string()),
        };
        Self { key: EncodingKey::from_secret(key), typ, subject, lifetime, current: None }
    }

    /// A new token.
    pub fn issue(&self, now: Timestamp) -> Result<String, AuthError> {
        let claims = self.subject.claims(self.lifetime, now)?;
        jws::sign(Alg::Hs256, self.typ, None, &claims, &self.key)
    }

    /// The token in use: made anew at half of its life, so that it never
    /// expires on its way, and otherwise the same bytes as before, which
    /// [`CachedVerifier`](super::CachedVerifier) recognises. A clock that was
    /// set back makes a new one as well: the peer would take the old one for a
    /// token from the future.
    pub fn current(&mut self, now: Timestamp) -> Result<&str, AuthError> {
        let current = match self.current.take() {
            Some(issued) if issued.made_at <= now && now < issued.renew_at => issued,
            _ => Issued { token: self.issue(now)?, made_at: now, renew_at: now + self.lifetime / 2 },
        };
        Ok(&self.current.insert(current).token)
    }
}

impl fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenIssuer")
            .field("typ", &self.typ)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

impl Subject {
    /// Claims that begin now. `exp` is rounded up to the next whole second:
    /// rounding down would shorten the shortest lifetimes to nothing.
    pub(super) fn claims(&self, lifetime: Duration, now: Timestamp) -> Result<Claims, AuthError> {
        let iat = now.as_secs();
        Ok(Claims {
            iss: self.iss.clone(),
            sub: self.iss.clone(),
            aud: self.aud.clone(),
            sid: self.sid.clone(),
            jkt: self.jkt.clone(),
            iat,
            nbf: iat,
            exp: (now + lifetime).as_millis().div_ceil(1000),
            jti: random_id()?,
        })
    }
}

/// 128 random bits as 22 characters.
fn random_id() -> Result<String, AuthError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| AuthError::Crypto("make random bytes"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
