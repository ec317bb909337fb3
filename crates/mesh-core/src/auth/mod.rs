//! Tokens: their claims, issuers and verifiers.
//!
//! JSON Web Tokens (RFC 7519) in the strict reading of RFC 8725: one pinned
//! algorithm, an explicit type, one audience, no header that points anywhere.
//! The signature is verified before a claim is parsed. No content of a token
//! makes this module read a file, open a connection or use a different key.

mod asymmetric;
mod claims;
mod issue;
mod json;
mod jws;
mod secrets;
mod verify;

pub use asymmetric::{RsaTokenIssuer, RsaTokenVerifier};
pub use claims::{Claims, TokenType};
pub use issue::TokenIssuer;
pub use jws::MAX_TOKEN;
pub use secrets::SecretRing;
pub use verify::{CachedVerifier, Expected, LEEWAY, TokenVerifier};

use crate::error::{Code, Coded, Reason};

/// The reason why a token is rejected or cannot be issued.
///
/// A message names the fault and never repeats content of the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Not three base64url segments, not JSON, too large, or a member twice.
    #[error("the token is not a well-formed JWT: {0}")]
    Format(&'static str),
    /// The algorithm is not the pinned one; `none` is never pinned.
    #[error("the token's header has an alg other than {0}")]
    Alg(&'static str),
    /// The type is not the expected one, or is missing.
    #[error("the token's header does not have the typ {0}")]
    Typ(&'static str),
    /// A header parameter that is never followed: `crit`, `jku`, `jwk`, `kid`, `x5u`…
    #[error(
        "the token's header has a parameter that is never followed ({0}); issue tokens with alg and typ only"
    )]
    Header(&'static str),
    /// The signature was made with a different key, or the token was changed
    /// afterwards.
    #[error(
        "the token's signature is wrong: the token was changed, or signed with a different key or secret"
    )]
    Sig,
    /// The audience is a different receiver, or several.
    #[error("the token's aud is not the one receiver expected")]
    Aud,
    /// The sender is a different one, or `iss` and `sub` differ.
    #[error("the token's iss and sub are not the one sender expected")]
    Iss,
    /// The session is a different one.
    #[error("the token's sid is not the session expected")]
    Sid,
    /// The token is bound to a different key, or to none.
    #[error("the token's cnf.jkt is not the thumbprint of the sender's key")]
    Cnf,
    /// The token has expired.
    #[error("the token expired {0} s ago; issue a new one, or compare the two machines' clocks")]
    Expired(u64),
    /// `exp` or `iat` missing or not a whole number of seconds, or too far apart.
    #[error("the token's lifetime is unacceptable: {0}")]
    Lifetime(&'static str),
    /// The token is not valid yet.
    #[error("the token is not valid for another {0} s")]
    NotYet(u64),
    /// The sender's clock differs too much from this one.
    #[error(
        "the sender's clock is {0} s from this one (positive: ahead); set both clocks, for example with NTP"
    )]
    ClockSkew(i64),
    /// The grace period of the token's secret is over.
    #[error("the token was signed with a secret that has been rotated out; issue a new one")]
    SecretRetired,
    /// An argument is wrong; the string names it and the repair.
    #[error("{0}")]
    Argument(&'static str),
    /// The cryptographic library failed.
    #[error("the cryptographic library could not {0}")]
    Crypto(&'static str),
}

impl AuthError {
    /// Whether the token was rejected only for its times, so that a new one may
    /// be accepted.
    #[must_use]
    pub const fn is_about_time(&self) -> bool {
        matches!(self, Self::Expired(_) | Self::NotYet(_) | Self::ClockSkew(_))
    }
}

impl Coded for AuthError {
    fn code(&self) -> Code {
        match self {
            Self::Format(_)
            | Self::Alg(_)
            | Self::Typ(_)
            | Self::Header(_)
            | Self::Sig
            | Self::Aud
            | Self::Iss
            | Self::Sid
            | Self::Cnf
            | Self::Expired(_)
            | Self::Lifetime(_)
            | Self::NotYet(_)
            | Self::ClockSkew(_)
            | Self::SecretRetired => Code::Unauthenticated,
            Self::Argument(_) => Code::InvalidArgument,
            Self::Crypto(_) => Code::Internal,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Format(_) => Reason::JwtFormat,
            Self::Alg(_) => Reason::JwtAlg,
            Self::Typ(_) => Reason::JwtTyp,
            Self::Header(_) => Reason::JwtHeader,
            Self::Sig => Reason::JwtSig,
            Self::Aud => Reason::JwtAud,
            Self::Iss => Reason::JwtIss,
            Self::Sid => Reason::JwtSid,
            Self::Cnf => Reason::JwtCnf,
            Self::Expired(_) | Self::Lifetime(_) => Reason::JwtExp,
            Self::NotYet(_) => Reason::JwtNbf,
            Self::ClockSkew(_) => Reason::ClockSkew,
            Self::SecretRetired => Reason::SecretRetired,
            Self::Argument(_) => Reason::Argument,
            Self::Crypto(_) => Reason::Crypto,
        }
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
