//! Verifying tokens.

use std::{fmt, time::Duration};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jsonwebtoken::DecodingKey;

use super::{
    AuthError, Claims, TokenType,
    jws::{Alg, Parts},
};
use crate::{
    clock::Timestamp,
    id::{ServiceId, SessionId},
};

/// The largest tolerated difference between two clocks.
pub const LEEWAY: Duration = Duration::from_secs(30);

/// The claims of an acceptable token. `None` leaves the check of a claim to the
/// caller.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The `typ` header parameter.
    pub typ: TokenType,
    /// `iss` and `sub`.
    pub issuer: Option<String>,
    /// `aud`.
    pub audience: String,
    /// `sid`.
    pub session: Option<String>,
    /// `cnf.jkt`.
    pub jkt: Option<String>,
    /// The longest time from `iat` to `exp`.
    pub max_lifetime: Duration,
    /// The time after `exp` during which the token is still accepted.
    pub grace: Duration,
}

impl Expected {
    /// Checks claims after the verification of the signature.
    pub(super) fn check(&self, claims: &Claims, now: Timestamp) -> Result<(), AuthError> {
        let issuer_as_expected = self.issuer.as_ref().is_none_or(|issuer| *issuer == claims.iss);
        if claims.iss != claims.sub || !issuer_as_expected || claims.iss.parse::<ServiceId>().is_err() {
            return Err(AuthError::Iss);
        }
        if claims.aud != self.audience {
            return Err(AuthError::Aud);
        }
        if self.session.is_some() && claims.sid != self.session {
            return Err(AuthError::Sid);
        }
        if self.jkt.is_some() && claims.jkt != self.jkt {
            return Err(AuthError::Cnf);
        }
        self.check_times(claims, now)
    }

    /// Checks the times, whose result can change later.
    fn check_times(&self, claims: &Claims, now: Timestamp) -> Result<(), AuthError> {
        let now = now.as_secs();
        let leeway = LEEWAY.as_secs();
        let Some(lifetime) = claims.exp.checked_sub(claims.iat) else {
            return Err(AuthError::Lifetime("exp lies before iat"));
        };
        // Both times are whole seconds, so one second above the limit can be
        // the result of rounding.
        if lifetime > self.max_lifetime.as_secs().saturating_add(1) {
            return Err(AuthError::Lifetime("from iat to exp is longer than the limit"));
        }
        let skew = i64::try_from(i128::from(claims.iat) - i128::from(now)).unwrap_or(i64::MAX);
        // A handshake's token is always fresh, so an old token proves a slow
        // clock just as a token from the future proves a fast one.
        let too_old = self.typ == TokenType::Handshake && skew.unsigned_abs() > leeway;
        if too_old || claims.iat > now.saturating_add(leeway) {
            return Err(AuthError::ClockSkew(skew));
        }
        if claims.nbf > now.saturating_add(leeway) {
            return Err(AuthError::NotYet(claims.nbf - now));
        }
        let expired = now.checked_sub(claims.exp);
        match expired {
            Some(ago) if ago >= self.grace.as_secs() => Err(AuthError::Expired(ago)),
            _ => Ok(()),
        }
    }
}

/// Verifies the tokens of one sender in one session.
pub struct TokenVerifier {
    key: DecodingKey,
    expected: Expected,
}

impl TokenVerifier {
    /// Creates a verifier of tokens from `iss` to `aud`, which is this service,
    /// in the session `sid`, bound to the sender's key with the thumbprint
    /// `jkt`. A token may live for at most `max_lifetime` and is accepted for
    /// [`LEEWAY`] after its end.
    #[must_use]
    pub fn new(
        key: &[u8],
        typ: TokenType,
        iss: &ServiceId,
        aud: &ServiceId,
        sid: &SessionId,
        jkt: impl fmt::Display,
        max_lifetime: Duration,
    ) -> Self {
        let expected = Expected {
            typ,
            issuer: Some(iss.to_string()),
            audience: aud.to_string(),
            session: Some(sid.to_string()),
            jkt: Some(jkt.to_string()),
            max_lifetime,
            grace: LEEWAY,
        };
        Self { key: DecodingKey::from_secret(key), expected }
    }

    /// Verifies form, header, signature and claims, in this order.
    pub fn verify(&self, token: &[u8], now: Timestamp) -> Result<Claims, AuthError> {
        let claims = Parts::parse(token)?.verify(Alg::Hs256, self.expected.typ, &self.key)?;
        self.expected.check(&claims, now)?;
        Ok(claims)
    }
}

impl fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenVerifier").field("expected", &self.expected).finish_non_exhaustive()
    }
}

/// A [`TokenVerifier`] that remembers the bytes of the last accepted token. If
/// the same token comes again, it checks only the times.
#[derive(Debug)]
pub struct CachedVerifier {
    verifier: TokenVerifier,
    accepted: Option<Accepted>,
}

struct Accepted {
    token: Box<[u8]>,
    claims: Claims,
}

impl CachedVerifier {
    /// Creates a verifier without a remembered token.
    #[must_use]
    pub fn new(verifier: TokenVerifier) -> Self {
        Self { verifier, accepted: None }
    }

    /// Verifies `token`, in full unless it is the last accepted one. A rejected
    /// token does not replace the accepted one.
    pub fn check(&mut self, token: &[u8], now: Timestamp) -> Result<&Claims, AuthError> {
        let accepted = match self.accepted.take_if(|accepted| accepted.is(token)) {
            Some(accepted) => accepted,
            None => Accepted { token: token.into(), claims: self.verifier.verify(token, now)? },
        };
        let claims = &self.accepted.insert(accepted).claims;
        self.verifier.expected.check_times(claims, now)?;
        Ok(claims)
    }
}

impl Accepted {
    fn is(&self, token: &[u8]) -> bool {
        verify_slices_are_equal(&self.token, token).is_ok()
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted").field("claims", &self.claims).finish_non_exhaustive()
    }
}
