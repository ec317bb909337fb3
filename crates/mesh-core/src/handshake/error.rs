//! The faults of a handshake.

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

/// The fault that ended a handshake. It stays on this side: the peer gets one status for all faults.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// A message that is not well formed.
    #[error("the peer sent a malformed handshake message")]
    Format,
    /// A message that does not belong to the current step.
    #[error("the peer sent a handshake message out of place")]
    State,
    /// The handshake was not complete within its time.
    #[error("the handshake was not complete within limits.handshakeTimeoutMs ({} ms)", .0.as_millis())]
    Expired(Duration),
    /// No version in common.
    #[error("the peer supports no protocol version of this side; supported here: {PROTOCOL_VERSION}")]
    Version,
    /// A peer's id is not well formed.
    #[error(transparent)]
    Id(#[from] IdSyntaxError),
    /// The peer claims this service's id.
    #[error("the peer claims this service's own id")]
    SelfId,
    /// The hello names another service.
    #[error(
        "the handshake is addressed to another service: the caller's discovery.services has this address under another id"
    )]
    WrongTarget,
    /// The two sides are configured with different kinds of trust.
    #[error(
        "the peer uses another kind of trust than this side; configure both with certificates, both with a mesh secret, or both with pinned keys only"
    )]
    Mode,
    /// The peer does not know the mesh secret.
    #[error(
        "the peer does not know the mesh secret; services that call each other need the same security.jwtSecret, or without it the same user and the same state directory"
    )]
    HelloMac,
    /// The peer uses a previous secret whose grace is over.
    #[error(
        "the peer uses a previous mesh secret whose grace is over; give it the current security.jwtSecret by a restart or a rotation"
    )]
    SecretRetired,
    /// There is neither a secret nor a pin by which to trust this peer.
    #[error(
        "there is no trust configured for {0}: add its publicKey to discovery.services, or set security.jwtSecret"
    )]
    UnknownPeer(ServiceId),
    /// The peer's key is not the pinned one.
    #[error("{0} does not hold the key pinned in discovery.services")]
    KeyMismatch(ServiceId),
    /// The peer's key differs from its remembered key.
    #[error("the key of {0} differs from its remembered key, which it proved at its first contact")]
    PeerKeyChanged(ServiceId),
    /// The peer has proved a certificate before, and now offers a weaker trust.
    #[error("{0} has proved a certificate to this service before, so it is no longer accepted without one")]
    ProvedMore(ServiceId),
    /// The peer's key is remembered as another service's.
    #[error("{peer} shows the remembered key of {owner}; one key belongs to one service")]
    PeerKeyInUse {
        /// The id that the peer claims.
        peer: ServiceId,
        /// The service to which the remembered key belongs.
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
    /// The agreed parameters are weaker than both sides support.
    #[error(
        "the handshake agreed on weaker parameters than both sides support; something on the network may have altered it"
    )]
    Downgrade,
    /// The peer did not prove possession of its key.
    #[error("the peer did not prove that it holds its key")]
    Finished,
    /// The peer's token is unacceptable.
    #[error("the peer's handshake token is refused: {0}")]
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
