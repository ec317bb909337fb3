//! Tokens: what they claim, how they are made and how they are checked.
//!
//! JSON Web Tokens (RFC 7519) in the strict reading of RFC 8725: one pinned
//! algorithm, an explicit type, one audience, no header that points anywhere.
//! The signature is checked before a claim is looked at, and nothing a token
//! says makes this module read a file, open a connection or take another key.

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

/// Why a token is refused, or cannot be made.
///
/// A message names what was wrong and never repeats text out of the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Not three base64url segments, not JSON, too large, or a member twice.
    #[error("the token is not a well-formed JWT: {0}")]
    Format(&'static str),
    /// Another algorithm than the one pinned, `none` included.
    #[error("the token's header has another alg than {0}")]
    Alg(&'static str),
    /// Another type than the one expected, or none.
    #[error("the token's header does not have the typ {0}")]
    Typ(&'static str),
    /// A header parameter that is never followed: `crit`, `jku`, `jwk`, `kid`, `x5u`…
    #[error(
        "the token's header has a parameter that is never followed ({0}); issue tokens with alg and typ only"
    )]
    Header(&'static str),
    /// Signed with another key, or changed after signing.
    #[error("the token's signature is wrong: it was changed, or signed with another key or secret")]
    Sig,
    /// Meant for another receiver, or for several.
    #[error("the token's aud is not the one receiver expected")]
    Aud,
    /// From another sender, or `iss` and `sub` differ.
    #[error("the token's iss and sub are not the one sender expected")]
    Iss,
    /// Of another session.
    #[error("the token's sid is not the session expected")]
    Sid,
    /// Bound to another key, or to none.
    #[error("the token's cnf.jkt is not the thumbprint of the sender's key")]
    Cnf,
    /// Expired.
    #[error("the token expired {0} s ago; issue a new one, or compare the two machines' clocks")]
    Expired(u64),
    /// `exp` or `iat` missing or not a whole number of seconds, or too far apart.
    #[error("the token's lifetime is unacceptable: {0}")]
    Lifetime(&'static str),
    /// Not valid yet.
    #[error("the token is not valid for another {0} s")]
    NotYet(u64),
    /// Issued by a clock too far from this one.
    #[error(
        "the sender's clock is {0} s from this one (positive: ahead); set both clocks, for example with NTP"
    )]
    ClockSkew(i64),
    /// Made under a secret whose grace period is over.
    #[error("the token was signed with a secret that has been rotated out; issue a new one")]
    SecretRetired,
    /// An argument is wrong; the text names it and the repair.
    #[error("{0}")]
    Argument(&'static str),
    /// The cryptographic library failed.
    #[error("the cryptographic library could not {0}")]
    Crypto(&'static str),
}

impl AuthError {
    /// Whether the token was refused for its times alone: a new one may count.
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
