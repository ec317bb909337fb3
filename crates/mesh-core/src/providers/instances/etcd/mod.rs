//! etcd v3 as the source of instances, and as the place where a service registers.
//!
//! Keys are `<prefix><service id>/<host>:<port>`. A value is JSON in the form of an entry of `discovery.services`:
//! `{"host":"10.0.0.7","port":50051,"zone":"a","weight":2,"metadata":{}}`.

mod cluster;
mod generated;
mod registration;
mod tls;
mod watching;

use std::sync::Arc;

use serde_json::Value;

use self::cluster::Cluster;
pub(super) use self::registration::EtcdRegistration;
use super::{error::ProviderError, sink::Sink};
use crate::{config::EtcdProvider, id::ServiceId};

#[derive(Debug)]
pub(super) struct Etcd {
    options: EtcdProvider,
    cluster: Arc<Cluster>,
}

impl Etcd {
    pub(super) fn new(options: EtcdProvider) -> Self {
        let cluster = Cluster::new(
            options.endpoints.clone(),
            options.ca.clone(),
            options.user.clone(),
            options.password.clone(),
        );
        Self { options, cluster: Arc::new(cluster) }
    }

    pub(super) const fn registers(&self) -> bool {
        self.options.register
    }

    pub(super) async fn watch(&self, service: &ServiceId, sink: &dyn Sink) -> ProviderError {
        watching::watch(&self.cluster, &self.folder(service), self.options.ttl, sink).await
    }

    pub(super) async fn register(
        &self,
        service: &ServiceId,
        own: &Value,
        sink: Box<dyn Sink>,
    ) -> Result<EtcdRegistration, ProviderError> {
        let host = own.get("host").and_then(Value::as_str).unwrap_or_default();
        let port = own.get("port").and_then(Value::as_u64).unwrap_or_default();
        let key = format!("{}{host}:{port}", self.folder(service));
        EtcdRegistration::new(Arc::clone(&self.cluster), key, own.to_string(), self.options.ttl, sink).await
    }

    /// The beginning of the keys of a service.
    fn folder(&self, service: &ServiceId) -> String {
        format!("{}{service}/", self.options.prefix)
    }
}
