//! Sources of instances: where a service is, according to a file, DNS, etcd, Consul or Kubernetes.
//!
//! A provider reports each list as JSON objects in the form of `discovery.services`. Nothing in a list is trusted:
//! [`crate::discovery::instances`] checks and bounds it, and no list brings a key.

mod consul;
mod dns;
mod error;
mod etcd;
mod http;
mod kubernetes;
mod list_file;
mod sink;

use serde_json::Value;

use self::{
    consul::{Consul, ConsulRegistration},
    dns::Dns,
    etcd::{Etcd, EtcdRegistration},
    kubernetes::Kubernetes,
    list_file::ListFile,
};
pub use self::{error::ProviderError, sink::Sink};
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
    Consul(Consul),
    Kubernetes(Kubernetes),
}

/// A registration of this service. When it is dropped, it ends by itself after a while.
#[derive(Debug)]
pub struct Registration(Keeper);

#[derive(Debug)]
enum Keeper {
    Etcd(EtcdRegistration),
    Consul(ConsulRegistration),
}

/// Why a registration could not be withdrawn. It ends by itself when its time is over.
#[derive(Debug, thiserror::Error)]
pub enum WithdrawError {
    /// The source refused, or did not answer.
    #[error("{0}; the registration ends when its time is over")]
    Source(#[from] ProviderError),
    /// The task that keeps the registration is gone.
    #[error("the registration is not kept alive any more; it ends when its time is over")]
    Gone,
}

impl Registration {
    /// Takes the registration back: no new call is directed here from then on.
    ///
    /// # Errors
    /// The registration stays until its time is over.
    pub async fn withdraw(self) -> Result<(), WithdrawError> {
        let withdrawn = match self.0 {
            Keeper::Etcd(registration) => registration.withdraw().await,
            Keeper::Consul(registration) => registration.withdraw().await,
        };
        withdrawn.ok_or(WithdrawError::Gone)?.map_err(WithdrawError::Source)
    }
}

impl Provider {
    /// A source with these options. Nothing is read or connected to yet.
    ///
    /// # Errors
    /// `UNAVAILABLE`, if the operating system's DNS configuration cannot be read, or nothing says where the API
    /// server of Kubernetes is.
    pub fn new(config: ProviderConfig) -> Result<Self, ProviderError> {
        Ok(Self(match config {
            ProviderConfig::File(file) => Kind::File(ListFile::new(file.path)),
            ProviderConfig::Dns(dns) => Kind::Dns(Dns::new(dns)?),
            ProviderConfig::Etcd(etcd) => Kind::Etcd(Etcd::new(etcd)),
            ProviderConfig::Consul(consul) => Kind::Consul(Consul::new(consul)?),
            ProviderConfig::Kubernetes(kubernetes) => {
                Kind::Kubernetes(Kubernetes::new(kubernetes, |name| std::env::var(name).ok())?)
            }
        }))
    }

    /// Reports the instances of a service: now, and after each change, until the future is dropped. It ends with an
    /// error after a failure; then the caller watches again, after a delay.
    pub async fn watch(&self, service: &ServiceId, sink: &dyn Sink) -> ProviderError {
        match &self.0 {
            Kind::File(file) => file.watch(service, sink).await,
            Kind::Dns(dns) => dns.watch(service, sink).await,
            Kind::Etcd(etcd) => etcd.watch(service, sink).await,
            Kind::Consul(consul) => consul.watch(service, sink).await,
            Kind::Kubernetes(kubernetes) => kubernetes.watch(service, sink).await,
        }
    }

    /// Whether the service itself is to be registered here.
    #[must_use]
    pub fn registers(&self) -> bool {
        match &self.0 {
            Kind::Etcd(etcd) => etcd.registers(),
            Kind::Consul(consul) => consul.registers(),
            Kind::File(_) | Kind::Dns(_) | Kind::Kubernetes(_) => false,
        }
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
        if !self.registers() {
            return Ok(None);
        }
        let keeper = match &self.0 {
            Kind::Etcd(etcd) => Keeper::Etcd(etcd.register(service, own, sink).await?),
            Kind::Consul(consul) => Keeper::Consul(consul.register(service, own, sink).await?),
            Kind::File(_) | Kind::Dns(_) | Kind::Kubernetes(_) => return Ok(None),
        };
        Ok(Some(Registration(keeper)))
    }
}
