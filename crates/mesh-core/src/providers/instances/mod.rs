//! Sources of instances: where a service is, according to a file, DNS or etcd.
//!
//! A provider reports each list as JSON objects in the form of `discovery.services`. Nothing in a list is trusted:
//! [`crate::discovery::instances`] checks and bounds it, and no list brings a key.

mod dns;
mod error;
mod etcd;
mod list_file;
mod sink;

use serde_json::Value;

use self::{dns::Dns, etcd::Etcd, list_file::ListFile};
pub use self::{
    error::ProviderError,
    etcd::{Registration, WithdrawError},
    sink::Sink,
};
use crate::{config::ProviderConfig, id::ServiceId};

/// A source of instances.
#[derive(Debug)]
pub struct Provider(Kind);

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a mesh has a few of them")]
enum Kind {
    File(ListFile),
    Dns(Dns),
    Etcd(Etcd),
}

impl Provider {
    /// A source with these options. Nothing is read or connected to yet.
    ///
    /// # Errors
    /// `UNAVAILABLE`, if the operating system's DNS configuration cannot be read.
    pub fn new(config: ProviderConfig) -> Result<Self, ProviderError> {
        Ok(Self(match config {
            ProviderConfig::File(file) => Kind::File(ListFile::new(file.path)),
            ProviderConfig::Dns(dns) => Kind::Dns(Dns::new(dns)?),
            ProviderConfig::Etcd(etcd) => Kind::Etcd(Etcd::new(etcd)),
        }))
    }

    /// Reports the instances of a service: now, and after each change, until the future is dropped. It ends with an
    /// error after a failure; then the caller watches again, after a delay.
    pub async fn watch(&self, service: &ServiceId, sink: &dyn Sink) -> ProviderError {
        match &self.0 {
            Kind::File(file) => file.watch(service, sink).await,
            Kind::Dns(dns) => dns.watch(service, sink).await,
            Kind::Etcd(etcd) => etcd.watch(service, sink).await,
        }
    }

    /// Whether the service itself is to be registered here.
    #[must_use]
    pub const fn registers(&self) -> bool {
        matches!(&self.0, Kind::Etcd(etcd) if etcd.registers())
    }

    /// Registers this service as one of the instances, and keeps the registration alive until it is withdrawn or
    /// dropped. `own` is an object in the form of `discovery.services`; the `sink` hears of troubles.
    ///
    /// # Errors
    /// `UNAVAILABLE`, if the source cannot be reached or refuses.
    pub async fn register(
        &self,
        service: &ServiceId,
        own: &Value,
        sink: Box<dyn Sink>,
    ) -> Result<Option<Registration>, ProviderError> {
        match &self.0 {
            Kind::Etcd(etcd) if etcd.registers() => etcd.register(service, own, sink).await.map(Some),
            Kind::File(_) | Kind::Dns(_) | Kind::Etcd(_) => Ok(None),
        }
    }
}
