//! `NativeJwt` and its RSA relatives: tokens of `JWTManager`.

use std::time::Duration;

use mesh_core::{
    auth::{Claims, Expected, RsaTokenIssuer, RsaTokenVerifier, SecretRing, TokenType},
    crypto::rsa::{KeyPair, PublicKey},
    duration,
    id::{IdSyntaxError, ServiceId},
};
use napi::{Env, Result, bindgen_prelude::Uint8Array};
use napi_derive::napi;

use crate::{
    convert::{at, from_count, millis, timestamp},
    error::throw,
};

/// The claims of a token; times in seconds since 1970.
#[napi(object)]
pub struct NativeClaims {
    /// Issuer.
    pub iss: String,
    /// Subject.
    pub sub: String,
    /// Audience.
    pub aud: String,
    /// Session id.
    pub sid: Option<String>,
    /// Issued at.
    pub iat: f64,
    /// Not before.
    pub nbf: f64,
    /// Expires at.
    pub exp: f64,
    /// Unique name.
    pub jti: String,
}

impl From<Claims> for NativeClaims {
    fn from(claims: Claims) -> Self {
        Self {
            iss: claims.iss,
            sub: claims.sub,
            aud: claims.aud,
            sid: claims.sid,
            iat: from_count(claims.iat),
            nbf: from_count(claims.nbf),
            exp: from_count(claims.exp),
            jti: claims.jti,
        }
    }
}

/// HS256 tokens under a secret that can be rotated.
#[napi]
pub struct NativeJwt {
    ring: SecretRing,
}

#[napi]
impl NativeJwt {
    /// Uses the given secret, or a random one.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, secret: Option<Uint8Array>) -> Result<Self> {
        let ring = match secret {
            Some(secret) => SecretRing::new(&secret),
            None => SecretRing::random(),
        };
        Ok(Self { ring: ring.map_err(|error| throw(env, error))? })
    }

    /// Issues a token from `iss` for `aud`.
    #[napi(catch_unwind)]
    pub fn issue(
        &self,
        env: Env,
        iss: String,
        aud: String,
        sid: String,
        lifetime_ms: f64,
        now: f64,
    ) -> Result<String> {
        let iss = service_id(env, "serviceId", &iss)?;
        let lifetime = millis(env, "expiresIn", lifetime_ms)?;
        let now = timestamp(env, now)?;
        self.ring.issue(&iss, &aud, &sid, lifetime, now).map_err(|error| throw(env, error))
    }

    /// Returns the claims of a valid token; compares `iss` and `sid` if they
    /// are given.
    #[napi(catch_unwind)]
    pub fn verify(
        &mut self,
        env: Env,
        token: String,
        aud: String,
        iss: Option<String>,
        sid: Option<String>,
        now: f64,
    ) -> Result<NativeClaims> {
        let expected = Expected {
            typ: TokenType::Service,
            issuer: iss,
            audience: aud,
            session: sid,
            jkt: None,
            max_lifetime: duration::MAX,
            grace: Duration::ZERO,
        };
        let now = timestamp(env, now)?;
        let claims = self.ring.verify(token.as_bytes(), &expected, now);
        claims.map(NativeClaims::from).map_err(|error| throw(env, error))
    }

    /// Makes a new secret the current one.
    #[napi(catch_unwind)]
    pub fn rotate(&mut self, env: Env, secret: Option<Uint8Array>, grace_ms: f64, now: f64) -> Result<()> {
        let grace = millis(env, "graceMs", grace_ms)?;
        let now = timestamp(env, now)?;
        self.ring.rotate(secret.as_deref(), grace, now).map_err(|error| throw(env, error))
    }

    /// Whether the secret is short, or evidently not random.
    #[napi(getter)]
    pub fn weak_secret(&self) -> bool {
        self.ring.is_weak()
    }
}

/// PS256 tokens of one service.
#[napi]
pub struct NativeRsaIssuer {
    issuer: RsaTokenIssuer,
}

#[napi]
impl NativeRsaIssuer {
    /// Uses the service's private key in PEM.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, private_key: String, iss: String) -> Result<Self> {
        let iss = service_id(env, "serviceId", &iss)?;
        let key = KeyPair::from_pkcs8_pem(&private_key).map_err(|error| throw(env, error))?;
        Ok(Self { issuer: RsaTokenIssuer::new(&key, &iss).map_err(|error| throw(env, error))? })
    }

    /// Issues a token for `aud`.
    #[napi(catch_unwind)]
    pub fn issue(&self, env: Env, aud: String, lifetime_ms: f64, now: f64) -> Result<String> {
        let aud = service_id(env, "targetServiceId", &aud)?;
        let lifetime = millis(env, "expiresIn", lifetime_ms)?;
        let now = timestamp(env, now)?;
        self.issuer.issue(&aud, lifetime, now).map_err(|error| throw(env, error))
    }
}

/// Verifies the PS256 tokens of one service.
#[napi]
pub struct NativeRsaVerifier {
    verifier: RsaTokenVerifier,
}

#[napi]
impl NativeRsaVerifier {
    /// Verifies tokens from `iss`, whose public key is given in PEM, for `aud`.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, public_key: String, iss: String, aud: String) -> Result<Self> {
        let iss = service_id(env, "sourceServiceId", &iss)?;
        let aud = service_id(env, "serviceId", &aud)?;
        let key = PublicKey::from_pem(&public_key).map_err(|error| throw(env, error))?;
        Ok(Self { verifier: RsaTokenVerifier::new(&key, &iss, &aud).map_err(|error| throw(env, error))? })
    }

    /// Returns the claims of a valid token.
    #[napi(catch_unwind)]
    pub fn verify(&self, env: Env, token: String, now: f64) -> Result<NativeClaims> {
        let now = timestamp(env, now)?;
        let claims = self.verifier.verify(token.as_bytes(), now);
        claims.map(NativeClaims::from).map_err(|error| throw(env, error))
    }
}

/// Throws if the argument `name` is not a service id.
#[napi(catch_unwind)]
pub fn check_service_id(env: Env, name: String, id: String) -> Result<()> {
    service_id(env, &name, &id).map(drop)
}

/// Parses a service id; an error names the argument.
pub(crate) fn service_id(env: Env, name: &str, text: &str) -> Result<ServiceId> {
    text.parse().map_err(|error: IdSyntaxError| at(env, name, &error))
}
