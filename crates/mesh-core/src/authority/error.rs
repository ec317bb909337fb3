//! The refusals of the authority.

use std::path::PathBuf;

use crate::{
    crypto::{CryptoError, keystore::KeyStoreError},
    error::{Code, Coded, Reason},
    id::ServiceId,
    identity::{BadRequest, IdentityError, MaterialError},
};

/// The reason for which the authority refuses a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// An option cannot be used.
    #[error("{option} must be {expected}")]
    Option {
        /// The option.
        option: &'static str,
        /// The values that are accepted.
        expected: &'static str,
    },
    /// The directory has an authority already.
    #[error("{} already has an authority; open it, or choose another directory", .0.display())]
    Exists(PathBuf),
    /// The directory has none.
    #[error("{} has no authority; make one: npx secure-stack-mesh ca init --dir {}", .0.display(), .0.display())]
    Missing(PathBuf),
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] KeyStoreError),
    /// A file of the directory has other contents than this package writes.
    #[error("{} is damaged: {what}; restore it from a backup", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The fault.
        what: String,
    },
    /// The key of the root is elsewhere.
    #[error(
        "the key of the root is not at {}; put it back for the time of the rotation, or name its place as \
         rootDirectory", .0.display()
    )]
    RootAway(PathBuf),
    /// No issuer is valid now.
    #[error("the issuer of this authority has ended; make the next one: npx secure-stack-mesh ca rotate")]
    NoIssuer,
    /// A rotation of the root is under way.
    #[error(
        "the root is being replaced already, and the next one comes into use later; the next rotation has to wait \
         for that"
    )]
    Rotating,
    /// As many as are kept.
    #[error("the authority keeps as many {what} as it may, {limit}; {repair}")]
    Full {
        /// The records.
        what: &'static str,
        /// Their largest number.
        limit: usize,
        /// The way to make room.
        repair: &'static str,
    },
    /// There is nothing to revoke.
    #[error("no certificate that is valid now was issued here for {0}")]
    NothingToRevoke(String),
    /// The service was revoked, so it renews nothing.
    #[error(
        "{0} was revoked, so its certificates are not renewed; to admit it again, make a token: \
         npx secure-stack-mesh ca token {0}"
    )]
    Barred(ServiceId),
    /// A request without a key that may be certified.
    #[error("the certificate signing request {0}")]
    Request(#[from] BadRequest),
    /// A text that is no join token. It is not repeated.
    #[error("this is not a join token; pass it whole, as `ca token` printed it")]
    TokenFormat,
    /// The token is not known here: another authority made it, it has ended, or its service was revoked.
    #[error(
        "this authority does not know the join token: another one made it, it has ended, or its service was revoked \
         since"
    )]
    TokenUnknown,
    /// The token has ended.
    #[error("the join token has ended")]
    TokenExpired,
    /// All its uses are taken.
    #[error("the join token is used up")]
    TokenUsed,
    /// The token is for another service.
    #[error("the join token is for another service than {0}")]
    TokenService(ServiceId),
    /// The answer of the authority does not lead to the root of the token.
    #[error("the certificate that the authority sent {0}")]
    Answer(&'static str),
    /// The certificate does not pass the checks of peers.
    #[error(transparent)]
    Refused(#[from] IdentityError),
    /// The certificate or the anchors cannot be read.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// The library of certificates failed.
    #[error("a certificate could not be made: {0}")]
    Library(String),
    /// Cryptography failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl From<rcgen::Error> for AuthorityError {
    fn from(error: rcgen::Error) -> Self {
        Self::Library(error.to_string())
    }
}

impl Coded for AuthorityError {
    fn code(&self) -> Code {
        match self {
            Self::Option { .. } | Self::TokenFormat | Self::Request(_) => Code::InvalidArgument,
            Self::Exists(_) => Code::AlreadyExists,
            Self::NothingToRevoke(_) => Code::NotFound,
            Self::Full { .. } => Code::ResourceExhausted,
            Self::TokenUnknown
            | Self::TokenExpired
            | Self::TokenUsed
            | Self::TokenService(_)
            | Self::Answer(_)
            | Self::Barred(_) => Code::Unauthenticated,
            Self::Missing(_) | Self::Damaged { .. } | Self::RootAway(_) | Self::NoIssuer | Self::Rotating => {
                Code::FailedPrecondition
            }
            Self::Library(_) => Code::Internal,
            Self::Directory(error) => error.code(),
            Self::Crypto(error) => error.code(),
            Self::Refused(error) => error.code(),
            Self::Material(error) => error.code(),
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Option { .. } => Reason::Argument,
            Self::Request(_) => Reason::CertRequest,
            Self::TokenFormat
            | Self::TokenUnknown
            | Self::TokenExpired
            | Self::TokenUsed
            | Self::TokenService(_) => Reason::JoinToken,
            Self::Barred(_) => Reason::Revoked,
            Self::Answer(_) => Reason::CertUntrusted,
            Self::Exists(_)
            | Self::Missing(_)
            | Self::Damaged { .. }
            | Self::RootAway(_)
            | Self::NoIssuer
            | Self::Rotating
            | Self::Full { .. }
            | Self::NothingToRevoke(_)
            | Self::Library(_) => Reason::Authority,
            Self::Directory(error) => error.reason(),
            Self::Crypto(error) => error.reason(),
            Self::Refused(error) => error.reason(),
            Self::Material(error) => error.reason(),
        }
    }
}
