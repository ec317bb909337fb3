//! The claims of a token and their strict parser.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use super::{AuthError, json::Object};

/// The purpose of a token. The `typ` header parameter (RFC 8725, 3.11) prevents
/// the use of one type as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenType {
    /// Exchanged once, at the end of a handshake.
    Handshake,
    /// Carried by each request of a session.
    Request,
    /// Issued by a token manager for the application.
    Service,
}

impl TokenType {
    /// The `typ` header parameter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handshake => "ssm-handshake+jwt",
            Self::Request => "ssm-request+jwt",
            Self::Service => "JWT",
        }
    }
}

/// The claims of a token (RFC 7519, 4.1), after they have been checked or
/// before they are signed. Times are whole seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Issuer: the sender's service id.
    pub iss: String,
    /// Subject: the same as [`iss`](Self::iss).
    pub sub: String,
    /// Audience: the one receiver.
    pub aud: String,
    /// Session id.
    pub sid: Option<String>,
    /// `cnf.jkt` (RFC 7800): thumbprint of the sender's key.
    pub jkt: Option<String>,
    /// Issued at.
    pub iat: u64,
    /// Not before.
    pub nbf: u64,
    /// Expires at; from this second on the token is invalid.
    pub exp: u64,
    /// Unique name of the token.
    pub jti: String,
}

/// The limit of a string claim, in bytes.
const MAX_TEXT: usize = 256;

impl Claims {
    /// Parses the claims of an object whose signature has been verified. A
    /// claim of the wrong type fails with the reason of that claim. Unknown
    /// claims are ignored, as RFC 7519 requires.
    pub(super) fn from_object(object: &Object) -> Result<Self, AuthError> {
        let iss = text(object, "iss").ok_or(AuthError::Iss)?;
        let sub = text(object, "sub").ok_or(AuthError::Iss)?;
        let aud = text(object, "aud").ok_or(AuthError::Aud)?;
        let sid = match object.get("sid") {
            None => None,
            Some(_) => Some(text(object, "sid").ok_or(AuthError::Sid)?),
        };
        let jkt = match object.get("cnf") {
            None => None,
            Some(Value::Object(cnf)) if cnf.len() == 1 => Some(text(cnf, "jkt").ok_or(AuthError::Cnf)?),
            Some(_) => return Err(AuthError::Cnf),
        };
        let exp =
            seconds(object, "exp").ok_or(AuthError::Lifetime("exp is not a whole number of seconds"))?;
        let iat =
            seconds(object, "iat").ok_or(AuthError::Lifetime("iat is not a whole number of seconds"))?;
        let nbf = match object.get("nbf") {
            None => iat,
            Some(_) => {
                seconds(object, "nbf").ok_or(AuthError::Lifetime("nbf is not a whole number of seconds"))?
            }
        };
        let jti = text(object, "jti").ok_or(AuthError::Format("jti is missing or not a short string"))?;
        Ok(Self { iss, sub, aud, sid, jkt, iat, nbf, exp, jti })
    }
}

fn text(object: &Object, name: &str) -> Option<String> {
    match object.get(name) {
        Some(Value::String(text)) if !text.is_empty() && text.len() <= MAX_TEXT => Some(text.clone()),
        _ => None,
    }
}

/// A `NumericDate` without a fraction. `as_u64` is `None` for negative numbers
/// and for everything written as a float.
fn seconds(object: &Object, name: &str) -> Option<u64> {
    object.get(name).and_then(Value::as_u64)
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Confirmation<'a> {
            jkt: &'a str,
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("iss", &self.iss)?;
        map.serialize_entry("sub", &self.sub)?;
        map.serialize_entry("aud", &self.aud)?;
        if let Some(sid) = &self.sid {
            map.serialize_entry("sid", sid)?;
        }
        if let Some(jkt) = &self.jkt {
            map.serialize_entry("cnf", &Confirmation { jkt })?;
        }
        map.serialize_entry("iat", &self.iat)?;
        map.serialize_entry("nbf", &self.nbf)?;
        map.serialize_entry("exp", &self.exp)?;
        map.serialize_entry("jti", &self.jti)?;
        map.end()
    }
}
