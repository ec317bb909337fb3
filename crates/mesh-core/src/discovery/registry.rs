//! The table of services and their instances.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use super::{Address, DiscoveryError, Endpoint, HealthStatus};
use crate::{clock::Timestamp, id::ServiceId};

/// An instance and its health.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry<Key> {
    /// The instance.
    pub endpoint: Arc<Endpoint<Key>>,
    /// The health of the instance.
    pub health: HealthStatus,
    /// The time at which the health was last set, even to the same value.
    pub checked: Option<Timestamp>,
}

/// Lookups are frequent and changes rare: a lookup shares the list, and a
/// change copies a list that is shared.
type Services<Key> = BTreeMap<ServiceId, Arc<Vec<Entry<Key>>>>;

/// Services by id, each with any number of instances by address, in the order
/// of registration. The registry is shared by reference: the next lookup sees a
/// change. Each method that changes it returns the instances it has changed.
pub struct Registry<Key> {
    services: RwLock<Services<Key>>,
}

impl<Key> Default for Registry<Key> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Key> fmt::Debug for Registry<Key> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.read().keys().cloned().collect();
        f.debug_struct("Registry").field("services", &ids).finish()
    }
}

impl<Key> Registry<Key> {
    /// Creates an empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self { services: RwLock::default() }
    }

    /// Returns all instances of `id`, whatever their health.
    #[must_use]
    pub fn lookup(&self, id: &ServiceId) -> Arc<Vec<Entry<Key>>> {
        self.read().get(id).map_or_else(Arc::default, Arc::clone)
    }

    /// Returns every instance of every service, ordered by id.
    #[must_use]
    pub fn list(&self) -> Vec<Entry<Key>> {
        self.read().values().flat_map(|instances| instances.iter().cloned()).collect()
    }

    /// Sets the health of one instance of `id`, or of all of them. Returns the
    /// instances whose health has changed.
    pub fn set_health(
        &self,
        id: &ServiceId,
        address: Option<&Address>,
        health: HealthStatus,
        now: Timestamp,
    ) -> Result<Vec<Entry<Key>>, DiscoveryError> {
        let mut services = self.write();
        let instances = services.get_mut(id).ok_or_else(|| DiscoveryError::UnknownService(id.clone()))?;
        let mut found = false;
        let mut changed = Vec::new();
        for entry in Arc::make_mut(instances)
            .iter_mut()
            .filter(|entry| address.is_none_or(|address| entry.is_at(address)))
        {
            found = true;
            entry.checked = Some(now);
            if entry.health != health {
                entry.health = health;
                changed.push(entry.clone());
            }
        }
        if found { Ok(changed) } else { Err(DiscoveryError::UnknownInstance(id.clone())) }
    }

    /// Replaces all instances of `id`, and returns the new ones. An instance at a known address keeps its
    /// health.
    pub fn replace(&self, id: &ServiceId, endpoints: Vec<Endpoint<Key>>) -> Arc<Vec<Entry<Key>>> {
        let mut services = self.write();
        let former = services.remove(id).unwrap_or_default();
        let former: HashMap<_, _> =
            former.iter().map(|entry| (&entry.endpoint.address, (entry.health, entry.checked))).collect();
        let entry = |endpoint: Endpoint<Key>| {
            let (health, checked) = former.get(&endpoint.address).copied().unwrap_or_default();
            Entry { endpoint: Arc::new(endpoint), health, checked }
        };
        let instances = Arc::new(endpoints.into_iter().map(entry).collect::<Vec<_>>());
        if !instances.is_empty() {
            services.insert(id.clone(), Arc::clone(&instances));
        }
        instances
    }

    /// Removes one instance of `id`, or all of them. Returns the removed instances.
    pub fn remove(&self, id: &ServiceId, address: Option<&Address>) -> Vec<Entry<Key>> {
        let mut services = self.write();
        let Some(instances) = services.get_mut(id) else { return Vec::new() };
        let goes = |entry: &mut Entry<Key>| address.is_none_or(|address| entry.is_at(address));
        let removed = Arc::make_mut(instances).extract_if(.., goes).collect();
        if instances.is_empty() {
            services.remove(id);
        }
        removed
    }

    // No user code runs under these locks, so the table is consistent even if a
    // lock is poisoned.
    fn read(&self) -> RwLockReadGuard<'_, Services<Key>> {
        self.services.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Services<Key>> {
        self.services.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Key: PartialEq> Registry<Key> {
    /// Adds an instance, or replaces the key and metadata of the one at this
    /// address, which keeps its health. Returns the instance if anything has
    /// changed.
    pub fn register(&self, endpoint: Endpoint<Key>) -> Option<Entry<Key>> {
        let mut services = self.write();
        let instances = Arc::make_mut(services.entry(endpoint.id.clone()).or_default());
        let endpoint = Arc::new(endpoint);
        match instances.iter_mut().find(|entry| entry.is_at(&endpoint.address)) {
            Some(entry) if entry.endpoint == endpoint => None,
            Some(entry) => {
                entry.endpoint = endpoint;
                Some(entry.clone())
            }
            None => {
                let entry = Entry { endpoint, health: HealthStatus::Unknown, checked: None };
                instances.push(entry.clone());
                Some(entry)
            }
        }
    }
}

impl<Key> Entry<Key> {
    fn is_at(&self, address: &Address) -> bool {
        self.endpoint.address == *address
    }
}

/// Shares the endpoint. A derived implementation would require `Key: Clone`.
impl<Key> Clone for Entry<Key> {
    fn clone(&self) -> Self {
        Self { endpoint: Arc::clone(&self.endpoint), health: self.health, checked: self.checked }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{super::Picker, *};
    use crate::error::{Code, Coded, Reason};

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn id(text: &str) -> ServiceId {
        text.parse().unwrap()
    }

    fn address(port: u16) -> Address {
        Address::new("localhost", port).unwrap()
    }

    fn endpoint(service: &str, port: u16) -> Endpoint<&'static str> {
        let (id, address, metadata) = (id(service), address(port), BTreeMap::new());
        Endpoint { id, address, public_key: None, zone: None, weight: 1, metadata }
    }

    fn ports(entries: &[Entry<&str>]) -> Vec<u16> {
        entries.iter().map(|entry| entry.endpoint.address.port.get()).collect()
    }

    #[test]
    fn a_service_has_several_instances() {
        let registry = Registry::new();
        for port in [3, 1, 2] {
            assert!(registry.register(endpoint("a", port)).is_some());
        }
        registry.register(endpoint("b", 9));
        assert_eq!(ports(&registry.lookup(&id("a"))), [3, 1, 2]);
        assert_eq!(ports(&registry.list()), [3, 1, 2, 9]);
        assert!(registry.lookup(&id("c")).is_empty());

        assert_eq!(ports(&registry.remove(&id("a"), Some(&address(1)))), [1]);
        assert!(registry.remove(&id("a"), Some(&address(1))).is_empty());
        assert_eq!(ports(&registry.lookup(&id("a"))), [3, 2]);
        assert_eq!(ports(&registry.remove(&id("a"), None)), [3, 2]);
        assert!(registry.remove(&id("a"), None).is_empty());
        assert_eq!(ports(&registry.list()), [9]);
    }

    #[test]
    fn registering_again_replaces_what_is_known_and_keeps_the_health() {
        let registry = Registry::new();
        registry.register(endpoint("a", 1));
        registry.set_health(&id("a"), None, HealthStatus::NotServing, NOW).unwrap();
        assert!(registry.register(endpoint("a", 1)).is_none(), "the same again is no change");
        let changed = registry.register(Endpoint { public_key: Some("key"), ..endpoint("a", 1) });
        let instances = registry.lookup(&id("a"));
        let [entry] = instances.as_slice() else { panic!("{instances:?}") };
        assert_eq!(changed.as_ref(), Some(entry));
        assert_eq!((entry.endpoint.public_key, entry.health), (Some("key"), HealthStatus::NotServing));
    }

    #[test]
    fn a_list_takes_the_place_of_another() {
        let registry = Registry::new();
        registry.replace(&id("a"), vec![endpoint("a", 1), endpoint("a", 2)]);
        registry.set_health(&id("a"), Some(&address(2)), HealthStatus::NotServing, NOW).unwrap();
        let instances = registry.replace(&id("a"), vec![endpoint("a", 2), endpoint("a", 3)]);
        assert_eq!(ports(&instances), [2, 3]);
        assert_eq!(instances[0].health, HealthStatus::NotServing, "it keeps its health");
        assert!(registry.replace(&id("a"), Vec::new()).is_empty());
        assert!(registry.list().is_empty());
    }

    #[test]
    fn health_is_per_instance() {
        let registry = Registry::new();
        registry.register(endpoint("a", 1));
        registry.register(endpoint("a", 2));
        let set = || registry.set_health(&id("a"), Some(&address(2)), HealthStatus::Serving, NOW).unwrap();
        assert_eq!(ports(&set()), [2]);
        assert!(set().is_empty(), "the same again is no change");
        let health: Vec<_> = registry.lookup(&id("a")).iter().map(|entry| entry.health).collect();
        assert_eq!(health, [HealthStatus::Unknown, HealthStatus::Serving]);
        let checked: Vec<_> = registry.lookup(&id("a")).iter().map(|entry| entry.checked).collect();
        assert_eq!(checked, [None, Some(NOW)]);

        let serving = HealthStatus::Serving;
        let unknown = registry.set_health(&id("x"), None, serving, NOW).unwrap_err();
        assert_eq!((unknown.code(), unknown.reason()), (Code::NotFound, Reason::UnknownService));
        assert!(registry.set_health(&id("a"), Some(&address(3)), serving, NOW).is_err());
    }

    #[test]
    fn instances_take_turns_and_those_that_do_not_serve_are_left_out() {
        let registry = Registry::new();
        for port in [1, 2, 3] {
            registry.register(endpoint("a", port));
        }
        let picker = Picker::new();
        let pick = || picker.pick(&registry.lookup(&id("a"))).map(|entry| entry.endpoint.address.port.get());
        assert_eq!([pick(), pick(), pick(), pick()], [Some(1), Some(2), Some(3), Some(1)]);
        registry.set_health(&id("a"), Some(&address(2)), HealthStatus::NotServing, NOW).unwrap();
        assert_eq!([pick(), pick(), pick(), pick()], [Some(1), Some(3), Some(1), Some(3)]);
        registry.set_health(&id("a"), None, HealthStatus::NotServing, NOW).unwrap();
        assert_eq!(pick(), None);
        assert!(Picker::new().pick::<()>(&[]).is_none());
    }
}
