//! The reasons for which a source of instances has no answer.

use crate::{
    error::{Code, Coded, Reason},
    providers::files::FileError,
};

/// The reason for which a source of instances has no answer. Its text names the source and the thing to
/// check.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProviderError {
    /// The file cannot be read.
    #[error("{0}")]
    File(#[from] FileError),
    /// The file is not a list of instances.
    #[error("{path} is not a list of instances: {detail}; correct the file")]
    List {
        /// The file.
        path: String,
        /// The first fault, with its place.
        detail: String,
    },
    /// DNS has no usable answer.
    #[error("DNS has no answer for {name}: {detail}; check discovery.domain and the DNS server")]
    Dns {
        /// The name that was asked for.
        name: String,
        /// The fault.
        detail: String,
    },
    /// A server that is asked over HTTP has no usable answer.
    #[error("{name} at {place} has no answer: {detail}; check the options of discovery and that {name} runs")]
    Http {
        /// The product.
        name: &'static str,
        /// The server.
        place: String,
        /// The fault, which contains no token.
        detail: String,
    },
    /// A token would travel unencrypted.
    #[error(
        "{name} at {place} is asked with a token, which would travel unencrypted; give an https:// address"
    )]
    Unencrypted {
        /// The product.
        name: &'static str,
        /// The server.
        place: String,
    },
    /// etcd has no usable answer.
    #[error("etcd at {endpoint} has no answer: {detail}; check discovery.endpoints and that etcd runs")]
    Etcd {
        /// The member that was asked.
        endpoint: String,
        /// The fault, which contains no credentials.
        detail: String,
    },
}

impl Coded for ProviderError {
    fn code(&self) -> Code {
        match self {
            Self::File(error) => error.code(),
            Self::List { .. } | Self::Unencrypted { .. } => Code::InvalidArgument,
            Self::Dns { .. } | Self::Etcd { .. } | Self::Http { .. } => Code::Unavailable,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::File(error) => error.reason(),
            Self::List { .. } => Reason::File,
            Self::Unencrypted { .. } => Reason::Config,
            Self::Dns { .. } | Self::Etcd { .. } | Self::Http { .. } => Reason::NoInstance,
        }
    }
}
