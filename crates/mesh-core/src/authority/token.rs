//! Join tokens. A newcomer has nothing else, so a token carries everything that it needs.
//!
//! The text is `ssm-join-` and base64url of
//! `version 1 ‖ id 8 ‖ secret 32 ‖ SHA-256 of the root 32 ‖ end u64 ms ‖ vec8 service id`.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::error::AuthorityError;
use crate::{
    clock::Timestamp,
    crypto::{mac::sha256, secret::Secret},
    id::{MAX_SERVICE_ID, ServiceId},
    wire::{Reader, Write},
};

/// The beginning of each token, by which scanners of secrets recognise one.
const PREFIX: &str = "ssm-join-";
const VERSION: u8 = 1;
const LABEL: &[u8] = b"secure-stack-mesh/join/v1\0";
/// The longest text of a token.
const MAX_TEXT: usize = PREFIX.len() + (1 + 8 + 32 + 32 + 8 + 1 + MAX_SERVICE_ID).div_ceil(3) * 4;

/// The name of a token, which is no secret.
pub(super) type TokenId = [u8; 8];

/// The permission to get certificates for one service.
pub struct JoinToken {
    pub(super) id: TokenId,
    pub(super) secret: Secret<32>,
    /// SHA-256 of the root's certificate.
    pub(super) root: [u8; 32],
    service: ServiceId,
    expires: Timestamp,
}

impl JoinToken {
    /// A token with a fresh secret.
    pub(super) fn new(
        service: ServiceId,
        root: [u8; 32],
        expires: Timestamp,
    ) -> Result<Self, AuthorityError> {
        let mut id = [0; 8];
        crate::crypto::secret::fill_random(&mut id)?;
        Ok(Self { id, secret: Secret::random()?, root, service, expires })
    }

    /// Reads the text of a token.
    ///
    /// # Errors
    /// `JOIN_TOKEN` for anything else; the text is not repeated.
    pub fn parse(text: &str) -> Result<Self, AuthorityError> {
        Self::read(text.trim()).ok_or(AuthorityError::TokenFormat)
    }

    fn read(text: &str) -> Option<Self> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let bytes = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?);
        let mut reader = Reader::new(&bytes);
        if reader.u8().ok()? != VERSION {
            return None;
        }
        let id = reader.array::<8>().ok()?;
        let secret = Secret::from_slice(&reader.array::<32>().ok()?)?;
        let root = reader.array::<32>().ok()?;
        let expires = Timestamp::from_millis(reader.u64().ok()?);
        let service = ServiceId::from_bytes(reader.vec8().ok()?).ok()?;
        reader.end().ok()?;
        Some(Self { id, secret, root, service, expires })
    }

    /// The text, which is a secret.
    pub(super) fn to_text(&self) -> Result<Zeroizing<String>, AuthorityError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_TEXT));
        bytes.put(&[VERSION]);
        bytes.put(&self.id);
        bytes.put(self.secret.as_bytes());
        bytes.put(&self.root);
        bytes.put(&self.expires.as_millis().to_be_bytes());
        bytes.put_vec8(self.service.as_str().as_bytes()).map_err(|_| AuthorityError::TokenFormat)?;
        let mut text = Zeroizing::new(String::with_capacity(MAX_TEXT));
        text.push_str(PREFIX);
        BASE64_URL_SAFE_NO_PAD.encode_string(&*bytes, &mut text);
        Ok(text)
    }

    /// The service that it is for.
    #[must_use]
    pub fn service(&self) -> &ServiceId {
        &self.service
    }

    /// The first instant at which it has ended.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// SHA-256 of its secret: what the authority keeps, and what the sessions of newcomers rest on.
    #[must_use]
    pub fn hash(&self) -> Secret<32> {
        Secret::new(sha256(&[LABEL, self.secret.as_bytes()]))
    }

    /// The mesh secret of the session in which its holder asks for a certificate.
    #[must_use]
    pub fn session_secret(&self) -> Zeroizing<String> {
        session_secret(&self.hash())
    }
}

/// As [`JoinToken::session_secret`], from the hash that the authority keeps.
pub(super) fn session_secret(hash: &Secret<32>) -> Zeroizing<String> {
    hex::encode(hash.as_bytes()).into()
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken({})", self.service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_in_no_other_form() {
        let end = Timestamp::from_secs(1_800_000_000);
        let token = JoinToken::new("orders".parse().unwrap(), [7; 32], end).unwrap();
        let text = token.to_text().unwrap();
        let read = JoinToken::parse(&format!(" {}\n", *text)).unwrap();
        assert_eq!((read.service().as_str(), read.expires(), read.root), ("orders", end, [7; 32]));
        assert_eq!((read.id, read.hash()), (token.id, token.hash()));
        for cut in 0..text.len() {
            let error = JoinToken::parse(&text[..cut]).unwrap_err().to_string();
            assert!(!error.contains(&text[9..20]), "{error}");
        }
        assert!(JoinToken::parse(&format!("{}AAAA", *text)).is_err());
        assert!(JoinToken::parse(&text.replacen("ssm-join-", "", 1)).is_err());
        assert!(!format!("{token:?}").contains(&text[9..20]));
    }
}
