//! Tokens signed with a service's RSA key, for receivers that know no secret
//! but the sender's public key.
//!
//! RS256 on purpose: everything else this library signs with a service's key
//! is RSASSA-PSS, so no signature made elsewhere, over whatever bytes, can
//! ever pass as a token's.

use std::{fmt, time::Duration};

use jsonwebtoken::{DecodingKey, EncodingKey};

use super::{
    AuthError, Claims, Expected, TokenType,
    issue::Subject,
    jws::{self, Alg, Parts},
    secrets::check_lifetime,
};
use crate::{clock::Timestamp, duration, id::ServiceId};

/// Issues tokens signed with the RSA key of one service.
///
/// Each signature costs an RSA private operation (about a millisecond), so
/// this is for a token now and then, not for one per request.
pub struct RsaTokenIssuer {
    key: EncodingKey,
    iss: ServiceId,
}

impl RsaTokenIssuer {
    /// An issuer for the service `iss` with its private key in PEM (PKCS#8 or PKCS#1).
    pub fn new(private_key_pem: &str, iss: &ServiceId) -> Result<Self, AuthError> {
        let key = EncodingKey::from_rsa_pem(private_key_pem.as_bytes())
            .map_err(|_| AuthError::Key("privateKey is not an RSA private key in PEM (PKCS#8 or PKCS#1)"))?;
        Ok(Self { key, iss: iss.clone() })
    }

    /// A token for the service `aud`; `lifetime` is a second to [`duration::MAX`].
    pub fn issue(&self, aud: &ServiceId, lifetime: Duration, now: Timestamp) -> Result<String, AuthError> {
        let subject = Subject { iss: self.iss.to_string(), aud: aud.to_string(), sid: None, jkt: None };
        let claims = subject.claims(check_lifetime(lifetime)?, now)?;
        jws::sign(Alg::Rs256, TokenType::Service, None, &claims, &self.key).map_err(|_| {
            AuthError::Key("privateKey cannot sign; it must be an RSA key of at least 2048 bits")
        })
    }
}

impl fmt::Debug for RsaTokenIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaTokenIssuer").field("iss", &self.iss).finish_non_exhaustive()
    }
}

/// Checks the tokens of one service with its public key.
#[derive(Debug)]
pub struct RsaTokenVerifier {
    key: DecodingKey,
    expected: Expected,
}

impl RsaTokenVerifier {
    /// A verifier for what `iss`, whose public key in PEM is given, issues for `aud`.
    pub fn new(public_key_pem: &str, iss: &ServiceId, aud: &ServiceId) -> Result<Self, AuthError> {
        let key = DecodingKey::from_rsa_pem(public_key_pem.as_bytes())
            .map_err(|_| AuthError::Key("publicKey is not an RSA public key in PEM (SPKI or PKCS#1)"))?;
        let expected = Expected {
            typ: TokenType::Service,
            issuer: Some(iss.to_string()),
            audience: aud.to_string(),
            session: None,
            jkt: None,
            max_lifetime: duration::MAX,
            grace: Duration::ZERO,
        };
        Ok(Self { key, expected })
    }

    /// Checks form, header, signature and claims, in this order.
    pub fn verify(&self, token: &[u8], now: Timestamp) -> Result<Claims, AuthError> {
        let parts = Parts::parse(token)?;
        if parts.key_id()?.is_some() {
            return Err(AuthError::Header("kid"));
        }
        let claims = parts.verify(Alg::Rs256, self.expected.typ, &self.key)?;
        self.expected.check(&claims, now)?;
        Ok(claims)
    }
}
