//! `NativeCrypto` and `NativeKeys`: the native halves of `CryptoManager` and `KeyManager`.

#![allow(clippy::needless_pass_by_value, reason = "napi passes owned values")]
#![allow(clippy::unused_self, reason = "JavaScript calls methods, whether they need the object or not")]

mod keys;
mod manager;
mod slot;

use mesh_core::crypto::{
    CryptoError,
    rsa::{KeyPair, PublicKey},
};
use mesh_core::error::{Code, Coded, Reason};
use napi_derive::napi;

use crate::error::Failure;

/// The default size of a key pair in bits, if neither the options nor a stored key determine it.
const DEFAULT_BITS: u32 = 4096;

/// A key pair in PEM.
#[napi(object)]
pub struct NativeKeyPair {
    /// `PUBLIC KEY`, SPKI.
    pub public_key: String,
    /// `PRIVATE KEY`, PKCS#8.
    pub private_key: String,
}

impl NativeKeyPair {
    fn of(pair: &KeyPair) -> Result<Self, CryptoError> {
        // From here on the string belongs to JavaScript, which cannot wipe it.
        let private_key = pair.to_pkcs8_pem()?.to_string();
        Ok(Self { public_key: pair.public_key().to_pem(), private_key })
    }
}

/// Parses the argument `name`; an error contains that name.
fn public_key(name: &str, pem: &str) -> Result<PublicKey, Failure> {
    PublicKey::from_pem(pem).map_err(|err| in_argument(name, &err))
}

/// As [`public_key`], for a pair. If `public` is given, it must belong to the pair.
fn key_pair(name: &str, private: &str, public: Option<&str>) -> Result<KeyPair, Failure> {
    let pair =
        KeyPair::from_pkcs8_pem(private).map_err(|err| in_argument(&format!("{name}.privateKey"), &err))?;
    if let Some(public) = public
        && public_key(&format!("{name}.publicKey"), public)? != *pair.public_key()
    {
        let text = format!("{name}.publicKey does not belong to {name}.privateKey");
        return Err(Failure::new(Code::InvalidArgument, Reason::BadKey, text));
    }
    Ok(pair)
}

fn in_argument(name: &str, err: &CryptoError) -> Failure {
    Failure::new(err.code(), err.reason(), format!("{name}: {err}"))
}
