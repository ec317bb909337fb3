//! Why a handshake failed.

use std::time::Duration;

use super::parameters::PROTOCOL_VERSION;
use crate::{
    auth::AuthError,
    crypto::CryptoError,
    error::{Code, Coded, Reason},
    id::{IdSyntaxError, ServiceId},
    identity::IdentityError,
    wire::Malformed,
};

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
        "the peer's kind of trust is not the one configured here: each side has certificates, a mesh secret or only pinned keys; give both the same"
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
    /// The peer has proved a certificate before, and comes with less.
    #[error("{0} has proved a certificate here before, and is accepted by nothing less since")]
    ProvedMore(ServiceId),
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
    /// The peer's certificate or delegation is refused.
    #[error(transparent)]
    Identity(#[from] IdentityError),
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
            Self::ProvedMore(_) => Reason::TrustDowngrade,
            Self::BadPeerKey => Reason::BadPeerKey,
            Self::BadShare => Reason::BadShare,
            Self::Identity(error) => error.reason(),
            Self::Downgrade => Reason::Downgrade,
            Self::Finished => Reason::Finished,
            Self::Token(error) => error.reason(),
            Self::Crypto(error) => error.reason(),
        }
    }
}
