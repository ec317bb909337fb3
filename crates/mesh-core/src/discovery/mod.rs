//! The registry of services and their instances, and the choice of an instance.

mod endpoint;
mod picker;
mod registry;
mod report;

pub use endpoint::{Address, Endpoint, HealthStatus, Host};
pub use picker::Picker;
pub use registry::{Entry, Registry};
pub use report::{MAX_INSTANCES, check_instance, instances};

use crate::{
    error::{Code, Coded, Reason},
    id::ServiceId,
};

/// The reason for an error of the registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// A host is neither a DNS name nor an IP address.
    #[error(
        "host must be a DNS name, an IPv4 or an IPv6 address of at most 253 characters, without port or scheme"
    )]
    Host,
    /// A port is zero.
    #[error("port must be 1…65535")]
    Port,
    /// A provider's report cannot be used; the text has the path.
    #[error("{0}")]
    Report(String),
    /// There is no such service.
    #[error("there is no service {0} in the registry; register it first")]
    UnknownService(ServiceId),
    /// The service has no instance at this address.
    #[error("the service {0} has no instance at this host and port")]
    UnknownInstance(ServiceId),
}

impl Coded for DiscoveryError {
    fn code(&self) -> Code {
        match self {
            Self::Host | Self::Port | Self::Report(_) => Code::InvalidArgument,
            Self::UnknownService(_) | Self::UnknownInstance(_) => Code::NotFound,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Host | Self::Port | Self::Report(_) => Reason::Argument,
            Self::UnknownService(_) | Self::UnknownInstance(_) => Reason::UnknownService,
        }
    }
}
