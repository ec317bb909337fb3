//! The handshake of `docs/protocol.md`, sections 2 to 4. It has no sockets,
//! tasks or clock: bytes and `now` go in, bytes and decisions come out.
//!
//! Each state is a type with one consuming transition. Code that sends data
//! before the peer is proved, or repeats a step, does not compile:
//!
//! ```text
//! client  Initiator ─M1▶ AwaitHello ─◀M2─ Unproved ─prove()─M3▶ AwaitFinish ─◀M4─ Established
//! server  Responder ─◀M1,M2▶ AwaitProof ─◀M3─ Proved ─accept()─M4▶ Established
//! ```
//!
//! `prove` and `accept` do the RSA private operations, the only slow steps, so
//! callers run them away from the I/O thread. A client with a ticket of a
//! previous session goes through the same states without these operations
//! ([`resumption`]).

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

/// The longest lifetime of an accepted token. It is also the limit of `security.jwtExpiration`.
pub(crate) const MAX_TOKEN_LIFETIME: Duration = Duration::from_hours(24);

/// The identity of one side, and its requirements on peers.
#[derive(Clone, Debug)]
pub struct Local {
    /// This service's id.
    pub id: ServiceId,
    /// This service's RSA key.
    pub key: KeyPair,
    /// The mesh secrets that it accepts: the current one, then previous ones
    /// within their grace, the latest first. Empty in pinned mode.
    pub secrets: Vec<MeshSecret>,
    /// Previous secrets whose grace is over, so that an error distinguishes them from wrong ones.
    pub retired: Retired,
    /// The statement in which the previous key names the current one, if there was a previous key.
    pub succession: Option<Succession>,
    /// This service's certificate, whose delegation names the key. With a
    /// certificate there is neither a secret nor a succession.
    pub certificate: Option<Certificate>,
    /// Supported suites.
    pub suites: Vec<Suite>,
    /// Its `aesKeySize`; the session uses the larger of the two sides'.
    pub aes: AesKeySize,
    /// The lifetime of its tokens.
    pub token_lifetime: Duration,
    /// The limits that it announces to its peers.
    pub parameters: Parameters,
    /// The time after which an unfinished handshake is dropped.
    pub handshake_timeout: Duration,
    /// The tickets that it issues to its clients.
    pub tickets: Arc<Tickets>,
    /// The holder keys with which it resumes sessions as a client.
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

/// The result of a handshake: both sides have proved themselves to each other.
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
    /// The kind of proof behind the peer's identity.
    pub trust: Trust,
    /// The previous key of the peer, if it has named this one its successor.
    pub former_key: Option<Thumbprint>,
    /// The proof of the peer's certificate, if it has one.
    pub certified: Option<Arc<Certified>>,
    /// The suite in use.
    pub suite: Suite,
    /// The AES key size in use.
    pub aes: AesKeySize,
    /// The limits that the peer announced.
    pub parameters: Parameters,
    /// The root of the keys for sealing.
    pub seal: Secret<32>,
    /// The root of the keys for opening.
    pub open: Secret<32>,
    /// Thumbprint of this side's key, for the tokens inside the session.
    pub own_thumbprint: Thumbprint,
    /// Whether a ticket replaced the RSA operations.
    pub resumed: bool,
    /// For a client: the ticket for its next session with this peer.
    pub ticket: Option<Ticket>,
}

/// Unwraps a secret of 32 bytes with this side's RSA key. After a failure the
/// handshake continues with a random secret (implicit rejection), so that only
/// the following Finished fails. A visible failure of this step would be an
/// oracle for decrypting.
fn unwrap_secret(key: &KeyPair, wrapped: &[u8], label: &[u8]) -> Result<Secret<32>, CryptoError> {
    let substitute = Secret::random()?;
    let unwrapped = key.oaep_decrypt(wrapped, label).ok();
    Ok(unwrapped.and_then(|secret| Secret::from_slice(secret.as_bytes())).unwrap_or(substitute))
}

impl Local {
    /// The deadline of a handshake that begins at `now`.
    fn deadline(&self, now: Timestamp) -> Timestamp {
        now + self.handshake_timeout
    }

    fn check_deadline(&self, deadline: Timestamp, now: Timestamp) -> Result<(), HandshakeError> {
        if now > deadline { Err(HandshakeError::Expired(self.handshake_timeout)) } else { Ok(()) }
    }
}
