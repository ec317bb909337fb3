//! Issuing tokens.

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
    /// All claims except times and `jti`.
    subject: Subject,
    lifetime: Duration,
    current: Option<Issued>,
}

struct Issued {
    token: String,
    made_at: Timestamp,
    renew_at: Timestamp,
}

/// The claims that are the same in every token.
#[derive(Clone)]
pub(super) struct Subject {
    pub(super) iss: String,
    pub(super) aud: String,
    pub(super) sid: Option<String>,
    pub(super) jkt: Option<String>,
}

impl TokenIssuer {
    /// Creates an issuer of tokens from `iss` to `aud` in the session `sid`,
    /// bound to the sender's key with the thumbprint `jkt` (base64url, RFC
    /// 7638).
    ///
    /// `key` is used without derivation, so it must be uniformly random and
    /// have 32 bytes.
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

    /// Issues a new token.
    pub fn issue(&self, now: Timestamp) -> Result<String, AuthError> {
        let claims = self.subject.claims(self.lifetime, now)?;
        jws::sign(Alg::Hs256, self.typ, None, &claims, &self.key)
    }

    /// Returns the current token. The same bytes are returned for half of its
    /// lifetime, so that [`CachedVerifier`](super::CachedVerifier) recognises
    /// them and the token cannot expire in transit. After that, or after the
    /// clock was set back, a new token is issued: a peer would reject the old
    /// one as a token from the future.
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
    /// Returns claims that are valid from `now`. `exp` is rounded up to the
    /// next whole second, since rounding down could make a short lifetime zero.
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

/// Returns 128 random bits as 22 characters.
fn random_id() -> Result<String, AuthError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| AuthError::Crypto("make random bytes"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
