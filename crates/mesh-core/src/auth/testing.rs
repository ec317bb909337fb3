//! Handmade tokens, with claims that no issuer would write.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{clock::Timestamp, id::ServiceId};

pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const KEY: &[u8; 32] = b"the key of this direction, 32 B.";
pub(super) const OTHER_KEY: &[u8; 32] = b"the key of the other direction!!";
pub(super) const JKT: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
pub(super) const SID: &str = "000102030405060708090a0b0c0d0e0f";
/// Seconds; every hand-made token was issued at this time.
pub(super) const NOW: u64 = 1_800_000_000;

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Signs any header and payload.
pub(super) fn forge(header: &str, payload: &str, key: &[u8]) -> String {
    let message = format!("{}.{}", encode(header), encode(payload));
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message.as_bytes());
    format!("{message}.{}", encode(mac.finalize().into_bytes()))
}

pub(super) fn header() -> Value {
    json!({ "typ": "ssm-request+jwt", "alg": "HS256" })
}

pub(super) fn claims() -> Value {
    json!({
        "iss": "orders", "sub": "orders", "aud": "billing", "sid": SID, "cnf": { "jkt": JKT },
        "iat": NOW, "nbf": NOW, "exp": NOW + 3600, "jti": "0123456789abcdefABCDEF",
    })
}

/// A copy of `object` with `name` set, or removed if `value` is `None`.
pub(super) fn with(mut object: Value, name: &str, value: impl Into<Option<Value>>) -> Value {
    match value.into() {
        Some(value) => {
            object[name] = value;
        }
        None => {
            object.as_object_mut().unwrap().remove(name);
        }
    }
    object
}

pub(super) fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

pub(super) fn id(text: &str) -> ServiceId {
    text.parse().unwrap()
}
