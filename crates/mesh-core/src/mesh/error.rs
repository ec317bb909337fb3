//! Failures of the start of a mesh and of operations on it.

use std::time::Duration;

use crate::{
    admin::AdminError,
    auth::AuthError,
    config::{ConfigError, PolicyFileError},
    crypto::{CryptoError, keystore::KeyStoreError},
    discovery::DiscoveryError,
    error::{Code, Coded, Reason},
    handshake::HandshakeError,
    id::IdSyntaxError,
    identity::MaterialError,
    providers::{files::FileError, workload::WorkloadError},
    resilience::ResilienceError,
    transport::TransportError,
};

/// A failure of the start of a mesh or of an operation on it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A pinned key in the configuration is unacceptable.
    #[error("{path} must be an RSA public key in PEM (SubjectPublicKeyInfo), 2048 to 4096 bits: {source}")]
    PinnedKey {
        /// The option.
        path: String,
        /// The fault.
        source: CryptoError,
    },
    /// The service's own key in the configuration is unacceptable.
    #[error("{option} must be an RSA private key in PEM (PKCS#8 or PKCS#1), 2048 to 4096 bits: {source}")]
    OwnKey {
        /// The option or variable.
        option: &'static str,
        /// The fault.
        source: CryptoError,
    },
    /// The key is given by an option, so the mesh cannot replace it.
    #[error(
        "{0} gives this service's key, so the mesh does not replace it; give the next key there and restart"
    )]
    GivenKey(&'static str),
    /// An address in the configuration is invalid.
    #[error("{path}.{source}")]
    Address {
        /// The option.
        path: String,
        /// The fault.
        source: DiscoveryError,
    },
    /// The key directory cannot be used.
    #[error(transparent)]
    KeyStore(#[from] KeyStoreError),
    /// A cryptographic operation failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// A token could not be made.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// An option of `resilience` is out of range.
    #[error("resilience: {0}")]
    Resilience(#[from] ResilienceError),
    /// A file that an option names cannot be read.
    #[error("{option}: {source}")]
    File {
        /// The option.
        option: &'static str,
        /// The fault.
        source: FileError,
    },
    /// The Workload API gives this service no identity.
    #[error("security.certificate.workloadApi: {0}")]
    Workload(#[from] WorkloadError),
    /// The identity that the Workload API gave cannot be used.
    #[error("security.certificate.workloadApi: the identity that the agent gave cannot be used: {0}")]
    Delivered(MaterialError),
    /// A policy file is wrong.
    #[error("authorization.file: {0}")]
    Policy(#[from] PolicyFileError),
    /// A service id is not well formed.
    #[error(transparent)]
    Id(#[from] IdSyntaxError),
    /// The network failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The keys or tickets for handshakes could not be made.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The admin port cannot be opened.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// This service's certificate, key, anchors or lists cannot be used.
    #[error(transparent)]
    Certificate(#[from] MaterialError),
    /// This mesh has no certificate.
    #[error("this mesh has no certificate; give it security.certificate first")]
    NoCertificate,
    /// There is no secret to rotate.
    #[error(
        "this mesh has no configured secret to rotate; give every service the same security.jwtSecret first"
    )]
    NoSecret,
    /// The secret is not new, so this would be no rotation.
    #[error("the secret is or was in use on this mesh; rotate to a new one")]
    SecretInUse,
    /// The I/O thread could not start, or has ended.
    #[error("the mesh's I/O thread is not running")]
    Thread,
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Config(error) => error.code(),
            Self::Admin(error) => error.code(),
            Self::PinnedKey { .. } | Self::OwnKey { .. } | Self::Address { .. } | Self::SecretInUse => {
                Code::InvalidArgument
            }
            Self::KeyStore(error) => error.code(),
            Self::Crypto(error) => error.code(),
            Self::Auth(error) => error.code(),
            Self::Resilience(error) => error.code(),
            Self::File { source, .. } => source.code(),
            Self::Workload(error) => error.code(),
            Self::Policy(error) => error.code(),
            Self::Id(error) => error.code(),
            Self::Transport(error) => error.code(),
            Self::Handshake(error) => error.code(),
            Self::Certificate(error) | Self::Delivered(error) => error.code(),
            Self::NoSecret | Self::NoCertificate | Self::GivenKey(_) => Code::FailedPrecondition,
            Self::Thread => Code::Internal,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Config(error) => error.reason(),
            Self::Admin(error) => error.reason(),
            Self::PinnedKey { .. } | Self::OwnKey { .. } => Reason::BadKey,
            Self::Address { .. } | Self::Resilience(_) => Reason::Config,
            Self::KeyStore(error) => error.reason(),
            Self::Crypto(error) => error.reason(),
            Self::Auth(error) => error.reason(),
            Self::File { source, .. } => source.reason(),
            Self::Workload(error) => error.reason(),
            Self::Policy(error) => error.reason(),
            Self::Id(error) => error.reason(),
            Self::Transport(error) => error.reason(),
            Self::Handshake(error) => error.reason(),
            Self::Certificate(error) | Self::Delivered(error) => error.reason(),
            Self::NoSecret | Self::NoCertificate | Self::SecretInUse | Self::GivenKey(_) => Reason::Argument,
            Self::Thread => Reason::Internal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Transport(error) => error.retry_after(),
            _ => None,
        }
    }
}
