//! The compact serialisation (RFC 7515, 7.1) and its header, read strictly.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, crypto};
use serde_json::Value;

use super::{
    AuthError, Claims, TokenType,
    json::{Object, parse_object},
};

/// The limit of a token, in bytes; tokens of this crate have about 500.
pub const MAX_TOKEN: usize = 4096;

/// Header parameters that are rejected by name (RFC 7515, 4.1): each would let the token choose how it is
/// verified. All other parameters are rejected as unknown.
const NEVER_FOLLOWED: [&str; 11] =
    ["crit", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "b64", "zip", "cty"];

/// The algorithms that can be pinned (RFC 7518, 3.1).
#[derive(Clone, Copy)]
pub(super) enum Alg {
    /// HMAC with SHA-256.
    Hs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
}

impl Alg {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Ps256 => "PS256",
        }
    }

    const fn algorithm(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::Ps256 => Algorithm::PS256,
        }
    }
}

/// The segments of a token; none of them is trusted yet.
pub(super) struct Parts<'a> {
    header: Object,
    /// `header.payload`, the signed bytes.
    message: &'a [u8],
    /// The decoded payload, not yet parsed.
    payload: Vec<u8>,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    pub(super) fn parse(token: &'a [u8]) -> Result<Self, AuthError> {
        if token.len() > MAX_TOKEN {
            return Err(AuthError::Format("it is longer than 4096 bytes"));
        }
        let token = std::str::from_utf8(token).map_err(|_| AuthError::Format("it is not ASCII text"))?;
        let mut segments = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(AuthError::Format("it does not have three segments"));
        };
        let header = parse_object(&decode(header)?).ok_or(AuthError::Format(
            "its header is not a JSON object, is nested too deeply or has a duplicate member",
        ))?;
        let message = &token.as_bytes()[..token.len() - signature.len() - 1];
        Ok(Self { header, message, payload: decode(payload)?, signature })
    }

    /// The `kid`, for callers that know the ids they issued.
    pub(super) fn key_id(&self) -> Result<Option<&str>, AuthError> {
        match self.header.get("kid") {
            None => Ok(None),
            Some(Value::String(kid)) => Ok(Some(kid)),
            Some(_) => Err(AuthError::Header("kid")),
        }
    }

    /// Verifies the header, then the signature, and only then parses the payload.
    pub(super) fn verify(&self, alg: Alg, typ: TokenType, key: &DecodingKey) -> Result<Claims, AuthError> {
        if !self.signed_by(alg, typ, key)? {
            return Err(AuthError::Sig);
        }
        let payload = parse_object(&self.payload).ok_or(AuthError::Format(
            "its claims are not a JSON object, are nested too deeply or have a duplicate member",
        ))?;
        Claims::from_object(&payload)
    }

    /// Whether the header has the pinned values and the signature verifies under `key`.
    fn signed_by(&self, alg: Alg, typ: TokenType, key: &DecodingKey) -> Result<bool, AuthError> {
        self.check_header(alg, typ)?;
        // The library's decoder is as strict as this one: no padding, no stray bits.
        crypto::verify(self.signature, self.message, key, alg.algorithm())
            .map_err(|_| AuthError::Format("its signature is not base64url without padding"))
    }

    fn check_header(&self, alg: Alg, typ: TokenType) -> Result<(), AuthError> {
        // The secret ring checks the `kid`; other tokens have none.
        let allowed =
            |name: &str| matches!(name, "alg" | "typ") || (name == "kid" && typ == TokenType::Service);
        if let Some(name) = self.header.keys().find(|name| !allowed(name.as_str())) {
            let named = NEVER_FOLLOWED.into_iter().find(|known| known == name);
            return Err(AuthError::Header(named.unwrap_or("an unknown one")));
        }
        if self.header.get("alg").and_then(Value::as_str) != Some(alg.as_str()) {
            return Err(AuthError::Alg(alg.as_str()));
        }
        if self.header.get("typ").and_then(Value::as_str) != Some(typ.as_str()) {
            return Err(AuthError::Typ(typ.as_str()));
        }
        Ok(())
    }
}

pub(super) fn sign(
    alg: Alg,
    typ: TokenType,
    key_id: Option<&str>,
    claims: &Claims,
    key: &EncodingKey,
) -> Result<String, AuthError> {
    let mut header = Header::new(alg.algorithm());
    header.typ = Some(typ.as_str().to_owned());
    header.kid = key_id.map(str::to_owned);
    jsonwebtoken::encode(&header, claims, key).map_err(|_| AuthError::Crypto("sign a token"))
}

fn decode(segment: &str) -> Result<Vec<u8>, AuthError> {
    URL_SAFE_NO_PAD
        .decode(segment)
        .map_err(|_| AuthError::Format("a segment of it is not base64url without padding"))
}
