//! `NativeDiscovery`: the registry behind `StaticDiscovery`.

use std::collections::{BTreeMap, HashMap};

use mesh_core::{
    discovery::{Address, Endpoint, Entry, HealthStatus, Picker, Registry},
    id::ServiceId,
};
use napi::{Env, Result};
use napi_derive::napi;

use crate::{
    auth::service_id,
    convert::{argument, from_timestamp, timestamp},
    error::throw,
};

/// One instance of a service.
#[napi(object)]
pub struct NativeInstance {
    /// Service id.
    pub id: String,
    /// DNS name or IP address.
    pub host: String,
    /// TCP port.
    pub port: f64,
    /// The registered string; it is not parsed here.
    pub public_key: Option<String>,
    /// Strings by name.
    pub metadata: HashMap<String, String>,
    /// `UNKNOWN`, `SERVING` or `NOT_SERVING`.
    pub health: Option<String>,
    /// The time at which the health was set, in milliseconds since 1970.
    pub checked_at: Option<f64>,
}

/// A table of services with a picker for each.
#[napi]
pub struct NativeDiscovery {
    registry: Registry<String>,
    pickers: BTreeMap<ServiceId, Picker>,
}

#[napi]
impl NativeDiscovery {
    /// Creates an empty table.
    #[napi(constructor, catch_unwind)]
    #[allow(clippy::new_without_default, reason = "made by JavaScript only")]
    pub fn new() -> Self {
        Self { registry: Registry::new(), pickers: BTreeMap::new() }
    }

    /// Adds or replaces an instance; returns it if anything has changed.
    #[napi(catch_unwind)]
    pub fn register(&mut self, env: Env, instance: NativeInstance) -> Result<Option<NativeInstance>> {
        let id = service_id(env, "id", &instance.id)?;
        let address = address(env, &instance.host, instance.port)?;
        self.pickers.entry(id.clone()).or_default();
        let metadata = instance.metadata.into_iter().collect();
        let (zone, weight) = (None, 1);
        let endpoint = Endpoint { id, address, public_key: instance.public_key, zone, weight, metadata };
        Ok(self.registry.register(endpoint).as_ref().map(convert))
    }

    /// Picks the next instance of those that serve.
    #[napi(catch_unwind)]
    pub fn pick(&self, id: String) -> Option<NativeInstance> {
        let id: ServiceId = id.parse().ok()?;
        self.pickers.get(&id)?.pick(&self.registry.lookup(&id)).map(convert)
    }

    /// All instances of a service.
    #[napi(catch_unwind)]
    pub fn lookup(&self, id: String) -> Vec<NativeInstance> {
        id.parse().map_or_else(|_| Vec::new(), |id| self.registry.lookup(&id).iter().map(convert).collect())
    }

    /// All instances of all services.
    #[napi(catch_unwind)]
    pub fn list(&self) -> Vec<NativeInstance> {
        self.registry.list().iter().map(convert).collect()
    }

    /// Sets the health of one instance, or of all of them; returns the instances whose health has changed.
    #[napi(catch_unwind)]
    pub fn set_health(
        &self,
        env: Env,
        id: String,
        host: Option<String>,
        port: Option<f64>,
        health: String,
        now: f64,
    ) -> Result<Vec<NativeInstance>> {
        let id = service_id(env, "id", &id)?;
        let address = optional_address(env, host, port)?;
        let health = match health.as_str() {
            "UNKNOWN" => HealthStatus::Unknown,
            "SERVING" => HealthStatus::Serving,
            "NOT_SERVING" => HealthStatus::NotServing,
            _ => return Err(argument(env, "health must be UNKNOWN, SERVING or NOT_SERVING")),
        };
        let now = timestamp(env, now)?;
        let changed = self.registry.set_health(&id, address.as_ref(), health, now);
        changed.map(convert_all).map_err(|error| throw(env, error))
    }

    /// Removes one instance, or all of them; returns the removed instances.
    #[napi(catch_unwind)]
    pub fn remove(
        &mut self,
        env: Env,
        id: String,
        host: Option<String>,
        port: Option<f64>,
    ) -> Result<Vec<NativeInstance>> {
        let id = service_id(env, "id", &id)?;
        let removed = self.registry.remove(&id, optional_address(env, host, port)?.as_ref());
        if self.registry.lookup(&id).is_empty() {
            self.pickers.remove(&id);
        }
        Ok(convert_all(removed))
    }
}

fn address(env: Env, host: &str, port: f64) -> Result<Address> {
    // An invalid port becomes 0, which the core rejects with the right message.
    #[allow(clippy::cast_sign_loss, reason = "the range is checked")]
    let number = if port.fract() == 0.0 && (1.0..=65535.0).contains(&port) { port as u16 } else { 0 };
    Address::new(host, number).map_err(|error| throw(env, error))
}

fn optional_address(env: Env, host: Option<String>, port: Option<f64>) -> Result<Option<Address>> {
    match (host, port) {
        (Some(host), Some(port)) => address(env, &host, port).map(Some),
        (None, None) => Ok(None),
        _ => Err(argument(env, "host and port go together: give both or neither")),
    }
}

fn convert_all(entries: Vec<Entry<String>>) -> Vec<NativeInstance> {
    entries.iter().map(convert).collect()
}

fn convert(entry: &Entry<String>) -> NativeInstance {
    let endpoint = &entry.endpoint;
    NativeInstance {
        id: endpoint.id.to_string(),
        host: endpoint.address.host.to_string(),
        port: f64::from(endpoint.address.port.get()),
        public_key: endpoint.public_key.clone(),
        metadata: endpoint.metadata.clone().into_iter().collect(),
        health: Some(entry.health.as_str().to_owned()),
        checked_at: entry.checked.map(from_timestamp),
    }
}
