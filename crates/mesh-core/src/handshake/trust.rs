//! What a peer's identity rests on.

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

/// The kind of trust spoken on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// Both know a mesh secret.
    Secret = 1,
    /// Each pins the other's key; there is no common secret.
    Pinned = 2,
    /// Each has a certificate, which says what its key is.
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

/// What a peer's proved identity rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Membership, and the key it has shown since it was first seen.
    Secret,
    /// The pinned key.
    Pinned,
    /// Membership and the pinned key.
    PinnedAndSecret,
    /// A certificate that leads to a trust anchor and names the service.
    Certificate,
    /// The secret of a join token: enough to ask the authority for a certificate, and for nothing else.
    JoinToken,
}

/// What is known of a peer's key before it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Exactly this key, by configuration.
    Pinned(Thumbprint),
    /// The key it was first seen with.
    Known(Thumbprint),
    /// Never seen, not configured. Enough where a mesh secret proves
    /// membership, refused where none does.
    Unknown,
}

/// What holding a peer's key against what is expected has found.
#[derive(Clone, Debug)]
pub(super) struct Recognised {
    pub(super) trust: Trust,
    /// The key it was known by, if the one it shows has taken its place.
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
    /// Holds the key a peer shows against what is expected. A pinned key is
    /// exactly that key; one that was merely remembered may have named its
    /// successor.
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
                    // A pin would be a second, weaker answer to the same question.
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
    /// The end of its grace, once another has taken its place.
    pub(super) until: Option<Timestamp>,
}

/// Names a mesh secret without telling it.
pub(super) type SecretId = [u8; 8];

impl MeshSecret {
    /// Prepares a secret. Its strength is the caller's to check.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let root = Prk::extract(b"ssm mesh secret v1", &[secret]);
        let mut id = [0; 8];
        root.expand("secret id", &[], &mut id);
        Self { root, id, until: None }
    }

    /// The name of the secret on the wire.
    #[must_use]
    pub fn id(&self) -> [u8; 8] {
        self.id
    }

    /// Stands in where there is no secret: public by construction, so it
    /// proves nothing, and has the id that says so.
    pub(super) fn none() -> Self {
        Self { root: Prk::extract(b"ssm mesh secret v1", &[&[0; 32]]), id: [0; 8], until: None }
    }

    /// Whether it still counts.
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    pub(super) fn hello_key(&self, label: &str) -> MacKey {
        let key: Secret<32> = self.root.expand_secret(label, &[]);
        MacKey::new(key.as_bytes())
    }
}
