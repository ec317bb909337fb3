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

mod initiator;
mod messages;
mod responder;
mod resumption;
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
    initiator::{AwaitFinish, AwaitHello, Initiator, Unproved},
    messages::{MAX_HANDSHAKE_MESSAGE, PROTOCOL_VERSION},
    responder::{AwaitProof, Hello, Proved, Responder},
    resumption::{Holders, Ticket, Tickets},
    rotation::Retired,
    succession::Succession,
    trust::{Expectation, MeshSecret, Mode, Trust},
};
use crate::{
    auth::{AuthError, Claims},
    clock::Timestamp,
    crypto::{
        CryptoError,
        aead::AesKeySize,
        rsa::{KeyPair, PublicKey, Thumbprint},
        secret::Secret,
    },
    error::{Code, Coded, Reason},
    id::{IdSyntaxError, ServiceId, SessionId},
    wire::Malformed,
};

/// Longest life of a token that is accepted; `security.jwtExpiration` ends here too.
pub(crate) const MAX_TOKEN_LIFETIME: Duration = Duration::from_hours(24);

/// How the two sides agree on a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum Suite {
    /// ML-KEM-768 and X25519: closed to a later quantum computer.
    Hybrid = 1,
    /// X25519 alone.
    X25519 = 2,
}

impl Suite {
    const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Hybrid),
            2 => Some(Self::X25519),
            _ => None,
        }
    }

    /// The suite's name in logs and statistics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hybrid => "X25519MLKEM768",
            Self::X25519 => "X25519",
        }
    }
}

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
        if self.secrets.is_empty() { Mode::Pinned } else { Mode::Secret }
    }
}

/// Limits that each side announces and the other keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Largest message accepted, in bytes.
    pub max_message: u32,
    /// Calls in flight accepted.
    pub max_calls: u32,
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

/// Why a handshake failed. Local only: a peer hears one status for all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// A message that is not well formed.
    #[error("the peer sent a malformed handshake message")]
    Format,
    /// A message out of place.
    #[error("the peer sent a handshake message out of place")]
    State,
    /// The handshake took too long.
    #[error("the handshake was not done within limits.handshakeTimeoutMs ({} ms)", .0.as_millis())]
    Expired(Duration),
    /// No version in common.
    #[error("the peer speaks no protocol version known here; supported: {PROTOCOL_VERSION}")]
    Version,
    /// A peer's id is not well formed.
    #[error(transparent)]
    Id(#[from] IdSyntaxError),
    /// The peer claims this service's id.
    #[error("the peer claims this service's own id")]
    SelfId,
    /// The hello names another service.
    #[error(
        "the message is meant for another service: the caller has this address under another id in its discovery.services"
    )]
    WrongTarget,
    /// The kinds of trust differ.
    #[error(
        "the peer's kind of trust is not the one configured here: one side has a mesh secret, the other only pinned keys; give both the same security.jwtSecret, or neither"
    )]
    Mode,
    /// The peer does not know the mesh secret.
    #[error(
        "the peer does not know this mesh's secret; services that call each other need the same security.jwtSecret, or without one must run as the same user with the same state directory"
    )]
    HelloMac,
    /// The peer uses a secret that was rotated out here.
    #[error(
        "the peer uses a mesh secret that has been rotated out; give it the current security.jwtSecret, or rotate its own"
    )]
    SecretRetired,
    /// Nothing says how to trust this peer.
    #[error(
        "nothing says how to trust {0}: add its publicKey to discovery.services, or set security.jwtSecret"
    )]
    UnknownPeer(ServiceId),
    /// The peer's key is not the pinned one.
    #[error("{0} does not hold the key pinned in discovery.services")]
    KeyMismatch(ServiceId),
    /// The peer's key changed since it was first seen.
    #[error("{0} shows another key than the one it was first seen with")]
    PeerKeyChanged(ServiceId),
    /// The peer's key is remembered as another service's.
    #[error("{peer} shows the key of {owner}; one key names one service")]
    PeerKeyInUse {
        /// The id that the peer claims.
        peer: ServiceId,
        /// The service that the key is remembered for.
        owner: ServiceId,
    },
    /// The peer's public key is unacceptable.
    #[error("the peer's RSA key is unacceptable: 2048 to 4096 bits, e = 65537, canonical DER")]
    BadPeerKey,
    /// The peer's ephemeral share is unacceptable.
    #[error("the peer's ephemeral share is unacceptable")]
    BadShare,
    /// The peer chose less than both sides support.
    #[error("the two sides were made to settle for less than both support")]
    Downgrade,
    /// The peer did not prove possession of its key.
    #[error("the peer could not prove that it holds its key")]
    Finished,
    /// The peer's token is unacceptable.
    #[error("the peer's handshake token: {0}")]
    Token(#[from] AuthError),
    /// The cryptographic library failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl From<Malformed> for HandshakeError {
    fn from(_: Malformed) -> Self {
        Self::Format
    }
}

impl Coded for HandshakeError {
    fn code(&self) -> Code {
        match self {
            Self::Expired(_) => Code::DeadlineExceeded,
            Self::Version => Code::FailedPrecondition,
            Self::Crypto(error) => error.code(),
            _ => Code::Unauthenticated,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Format => Reason::HandshakeFormat,
            Self::State => Reason::HandshakeState,
            Self::Expired(_) => Reason::HandshakeExpired,
            Self::Version => Reason::Version,
            Self::Id(error) => error.reason(),
            Self::SelfId => Reason::SelfId,
            Self::WrongTarget => Reason::WrongTarget,
            Self::Mode => Reason::Mode,
            Self::HelloMac => Reason::HelloMac,
            Self::SecretRetired => Reason::SecretRetired,
            Self::UnknownPeer(_) => Reason::UnknownPeer,
            Self::KeyMismatch(_) => Reason::KeyMismatch,
            Self::PeerKeyChanged(_) => Reason::PeerKeyChanged,
            Self::PeerKeyInUse { .. } => Reason::PeerKeyInUse,
            Self::BadPeerKey => Reason::BadPeerKey,
            Self::BadShare => Reason::BadShare,
            Self::Downgrade => Reason::Downgrade,
            Self::Finished => Reason::Finished,
            Self::Token(error) => error.reason(),
            Self::Crypto(error) => error.reason(),
        }
    }
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
