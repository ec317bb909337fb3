//! The handshake of `docs/protocol.md`, sections 2 to 4, without sockets,
//! tasks or a clock: bytes and `now` in, bytes and decisions out.
//!
//! Each state is a type with one consuming transition, so that sending data
//! before the peer is proved, or a step twice, does not compile:
//!
//! ```text
//! client  Initiator ─M1▶ AwaitHello ─◀M2─ Unproved ─prove()─M3▶ AwaitFinish ─◀M4─ Established
//! server  Responder ─◀M1,M2▶ AwaitProof ─◀M3─ Proved ─accept()─M4▶ Established
//! ```
//!
//! `prove` and `accept` hold the RSA private operations, the only slow steps;
//! callers run them off their I/O thread. A client that comes with a ticket of
//! a former session goes through the same states without them ([`resumption`]).

mod certificate;
mod error;
mod initiator;
mod messages;
mod parameters;
mod recognise;
mod responder;
mod resumption;
mod retired;
mod rotation;
mod schedule;
mod succession;
#[cfg(test)]
mod tests;
mod trust;
#[cfg(test)]
mod vectors;

use std::{sync::Arc, time::Duration};

#[cfg(test)]
pub(crate) use self::resumption::forge_ticket;
pub use self::{
    certificate::Certificate,
    error::HandshakeError,
    initiator::{AwaitFinish, AwaitHello, Initiator, Unproved},
    messages::MAX_HANDSHAKE_MESSAGE,
    parameters::{PROTOCOL_VERSION, Parameters, Suite},
    responder::{AwaitProof, Hello, Proved, Responder},
    resumption::{Holders, MAX_TICKET, Ticket, Tickets},
    retired::Retired,
    schedule::Exporter,
    succession::Succession,
    trust::{Expectation, MeshSecret, Mode, Trust},
};
use crate::{
    auth::Claims,
    clock::Timestamp,
    crypto::{
        CryptoError,
        aead::AesKeySize,
        rsa::{KeyPair, PublicKey, Thumbprint},
        secret::Secret,
    },
    id::{ServiceId, SessionId},
    identity::Certified,
};

/// Longest life of a token that is accepted; `security.jwtExpiration` ends here too.
pub(crate) const MAX_TOKEN_LIFETIME: Duration = Duration::from_hours(24);

/// What one side says of itself, and what it insists on.
#[derive(Clone, Debug)]
pub struct Local {
    /// This service's id.
    pub id: ServiceId,
    /// This service's RSA key.
    pub key: KeyPair,
    /// The mesh secrets it accepts, the current one first, then former ones
    /// in their grace, the latest first; empty in pinned mode.
    pub secrets: Vec<MeshSecret>,
    /// Former secrets whose grace is over, to tell them from wrong ones.
    pub retired: Retired,
    /// What the former key says of the key in use, if there was one.
    pub succession: Option<Succession>,
    /// This service's certificate, whose delegation names the key. With it there
    /// is neither a secret nor a succession.
    pub certificate: Option<Certificate>,
    /// Supported suites.
    pub suites: Vec<Suite>,
    /// Its `aesKeySize`; the session uses the larger of the two sides'.
    pub aes: AesKeySize,
    /// Life of its tokens.
    pub token_lifetime: Duration,
    /// Limits it announces to its peers.
    pub parameters: Parameters,
    /// A handshake that is not done after this time is dropped.
    pub handshake_timeout: Duration,
    /// The tickets it gives to its clients.
    pub tickets: Arc<Tickets>,
    /// The keys that it resumes sessions with as a client.
    pub holders: Arc<Holders>,
}

impl Local {
    fn mode(&self) -> Mode {
        match (&self.certificate, &self.secrets[..]) {
            (Some(_), _) => Mode::Certificate,
            (None, []) => Mode::Pinned,
            (None, _) => Mode::Secret,
        }
    }
}

/// Two sides that have proved themselves to each other.
#[derive(Debug)]
pub struct Established {
    /// The session's id, the same on both sides.
    pub session: SessionId,
    /// The peer's proved id.
    pub peer: ServiceId,
    /// The peer's proved key.
    pub peer_key: PublicKey,
    /// The verified claims of the peer's handshake token.
    pub claims: Claims,
    /// What the peer's identity rests on.
    pub trust: Trust,
    /// The key the peer was known by, if it has named this one its successor.
    pub former_key: Option<Thumbprint>,
    /// The proof of the peer's certificate, if it has one.
    pub certified: Option<Arc<Certified>>,
    /// The suite in use.
    pub suite: Suite,
    /// The AES key size in use.
    pub aes: AesKeySize,
    /// Limits the peer announced.
    pub parameters: Parameters,
    /// Root of the keys for sealing.
    pub seal: Secret<32>,
    /// Root of the keys for opening.
    pub open: Secret<32>,
    /// Thumbprint of this side's key, for the tokens inside the session.
    pub own_thumbprint: Thumbprint,
    /// Whether a ticket took the place of the RSA operations.
    pub resumed: bool,
    /// For a client: what its next session with this peer may start from.
    pub ticket: Option<Ticket>,
}

/// Unwraps a secret of 32 bytes with this side's RSA key. A failure goes on
/// with a random secret (implicit rejection): only the Finished that follows
/// fails, and nobody learns which step it was.
fn unwrap_secret(key: &KeyPair, wrapped: &[u8], label: &[u8]) -> Result<Secret<32>, CryptoError> {
    let substitute = Secret::random()?;
    let unwrapped = key.oaep_decrypt(wrapped, label).ok();
    Ok(unwrapped.and_then(|secret| Secret::from_slice(secret.as_bytes())).unwrap_or(substitute))
}

impl Local {
    /// The instant after which a handshake begun at `now` is over.
    fn deadline(&self, now: Timestamp) -> Timestamp {
        now + self.handshake_timeout
    }

    fn check_deadline(&self, deadline: Timestamp, now: Timestamp) -> Result<(), HandshakeError> {
        if now > deadline { Err(HandshakeError::Expired(self.handshake_timeout)) } else { Ok(()) }
    }
}
