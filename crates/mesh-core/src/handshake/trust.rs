//! The kinds of trust, and the comparison of a peer's key with the expectation.

use std::sync::Arc;

use super::{error::HandshakeError, succession};
use crate::{
    clock::Timestamp,
    crypto::{
        kdf::Prk,
        mac::MacKey,
        rsa::{PublicKey, Thumbprint},
        secret::Secret,
    },
    id::ServiceId,
    identity::Certified,
};

/// The kind of trust, as its number stands in the hellos.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// Both sides know a mesh secret.
    Secret = 1,
    /// Each side pins the other's key, and there is no common secret.
    Pinned = 2,
    /// Each side has a certificate, which determines its key.
    Certificate = 3,
}

impl Mode {
    pub(super) const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Secret),
            2 => Some(Self::Pinned),
            3 => Some(Self::Certificate),
            _ => None,
        }
    }
}

/// The kind of proof behind a peer's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Membership and the remembered key.
    Secret,
    /// The pinned key.
    Pinned,
    /// Membership and the pinned key.
    PinnedAndSecret,
    /// A certificate that leads to a trust anchor and names the service.
    Certificate,
}

/// The expectation about a peer's key before its hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Exactly this key, by configuration.
    Pinned(Thumbprint),
    /// The remembered key of the peer.
    Known(Thumbprint),
    /// No pin and no remembered key. Accepted if a mesh secret proves
    /// membership, refused otherwise.
    Unknown,
}

/// The result of comparing a peer's key with the expectation.
#[derive(Clone, Debug)]
pub(super) struct Recognised {
    pub(super) trust: Trust,
    /// The previous key of the peer, if it has named the shown one its successor.
    pub(super) former: Option<Thumbprint>,
    /// The proof of its certificate, if it has one.
    pub(super) certified: Option<Arc<Certified>>,
}

impl From<Trust> for Recognised {
    fn from(trust: Trust) -> Self {
        Self { trust, former: None, certified: None }
    }
}

impl Expectation {
    /// Compares the key that a peer shows with the expectation. A pinned key
    /// must be exactly that key. A remembered key may have named its successor.
    pub(super) fn check(
        self,
        peer: &ServiceId,
        shown: &PublicKey,
        succession: Option<&[u8]>,
        mode: Mode,
    ) -> Result<Recognised, HandshakeError> {
        match (self, mode) {
            (Self::Pinned(pin), mode) => {
                if pin != shown.thumbprint() {
                    return Err(HandshakeError::KeyMismatch(peer.clone()));
                }
                Ok(match mode {
                    Mode::Secret => Trust::PinnedAndSecret.into(),
                    Mode::Pinned => Trust::Pinned.into(),
                    // A pin beside certificates would be a second and weaker trust.
                    Mode::Certificate => return Err(HandshakeError::Mode),
                })
            }
            (Self::Known(known), Mode::Secret) => {
                if known == shown.thumbprint() {
                    return Ok(Trust::Secret.into());
                }
                match succession {
                    Some(sent) if succession::verify(sent, peer, known, shown) => {
                        Ok(Recognised { trust: Trust::Secret, former: Some(known), certified: None })
                    }
                    _ => Err(HandshakeError::PeerKeyChanged(peer.clone())),
                }
            }
            (Self::Unknown, Mode::Secret) => Ok(Trust::Secret.into()),
            (Self::Known(_) | Self::Unknown, Mode::Pinned) => Err(HandshakeError::UnknownPeer(peer.clone())),
            (Self::Known(_) | Self::Unknown, Mode::Certificate) => Err(HandshakeError::Mode),
        }
    }
}

/// A mesh secret, prepared for use.
#[derive(Clone, Debug)]
pub struct MeshSecret {
    pub(super) root: Prk,
    pub(super) id: SecretId,
    /// The end of its grace, once it is a previous secret.
    pub(super) until: Option<Timestamp>,
}

/// An id of a mesh secret, which does not reveal the secret.
pub(super) type SecretId = [u8; 8];

impl MeshSecret {
    /// Prepares a secret. The caller checks its strength.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let root = Prk::extract(b"ssm mesh secret v1", &[secret]);
        let mut id = [0; 8];
        root.expand("secret id", &[], &mut id);
        Self { root, id, until: None }
    }

    /// The placeholder for modes without a secret. Its value is public, so it
    /// proves nothing; its id of zeros marks it.
    pub(super) fn none() -> Self {
        Self { root: Prk::extract(b"ssm mesh secret v1", &[&[0; 32]]), id: [0; 8], until: None }
    }

    /// Whether it is still accepted.
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    pub(super) fn hello_key(&self, label: &str) -> MacKey {
        let key: Secret<32> = self.root.expand_secret(label, &[]);
        MacKey::new(key.as_bytes())
    }
}
