//! The table of services and their instances.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Address, DiscoveryError, Endpoint, HealthStatus};
use crate::{clock::Timestamp, id::ServiceId};

/// An instance with what is known about its health.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry<Key> {
    /// The instance.
    pub endpoint: Arc<Endpoint<Key>>,
    /// Whether it can be used.
    pub health: HealthStatus,
    /// When the health was last set, to the same value or another.
    pub checked: Option<Timestamp>,
}

/// What has changed in a [`Registry`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An instance is new, or its key or metadata are.
    Registered(ServiceId, Address),
    /// An instance is gone.
    Removed(ServiceId, Address),
    /// The health of an instance is another one.
    Health(ServiceId, Address, HealthStatus),
}

impl Change {
    /// The service it is about.
    #[must_use]
    pub const fn service(&self) -> &ServiceId {
        match self {
            Self::Registered(id, _) | Self::Removed(id, _) | Self::Health(id, _, _) => id,
        }
    }
}

/// Names a watcher, to take it away again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WatchId(u64);

type Watcher = Arc<dyn Fn(&Change) + Send + Sync>;

/// Looked up for every call and changed rarely: a lookup shares the list, a
/// change copies one that is shared.
type Services<Key> = BTreeMap<ServiceId, Arc<Vec<Entry<Key>>>>;

/// Services by id, each with any number of instances by address, in the order
/// they were registered. Shared by reference; a change is seen by the next
/// lookup and told to every watcher.
pub struct Registry<Key> {
    services: RwLock<Services<Key>>,
    watchers: RwLock<BTreeMap<u64, Watcher>>,
    next_watch: AtomicU64,
    version: AtomicU64,
}

impl<Key> Default for Registry<Key> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Key> fmt::Debug for Registry<Key> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.read().keys().cloned().collect();
        f.debug_struct("Registry")
            .field("services", &ids)
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}

impl<Key> Registry<Key> {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self {
            services: RwLock::default(),
            watchers: RwLock::default(),
            next_watch: AtomicU64::new(0),
            version: AtomicU64::new(0),
        }
    }

    /// All instances of `id`, whatever their health; empty if there is none.
    #[must_use]
    pub fn lookup(&self, id: &ServiceId) -> Arc<Vec<Entry<Key>>> {
        self.read().get(id).map_or_else(Arc::default, Arc::clone)
    }

    /// Every instance of every service, ordered by id.
    #[must_use]
    pub fn list(&self) -> Vec<Entry<Key>> {
        self.read().values().flat_map(|instances| instances.iter().cloned()).collect()
    }

    /// Sets the health of one instance of `id`, or of all of them.
    pub fn set_health(
        &self,
        id: &ServiceId,
        address: Option<&Address>,
        health: HealthStatus,
        now: Timestamp,
    ) -> Result<(), DiscoveryError> {
        let mut changes = Vec::new();
        {
            let mut services = self.write();
            let instances = services.get_mut(id).ok_or_else(|| DiscoveryError::UnknownService(id.clone()))?;
            let mut found = false;
            for entry in Arc::make_mut(instances)
                .iter_mut()
                .filter(|entry| address.is_none_or(|address| entry.is_at(address)))
            {
                found = true;
                entry.checked = Some(now);
                if entry.health != health {
                    entry.health = health;
                    changes.push(Change::Health(id.clone(), entry.endpoint.address.clone(), health));
                }
            }
            if !found {
                return Err(DiscoveryError::UnknownInstance(id.clone()));
            }
        }
        self.announce(&changes);
        Ok(())
    }

    /// Removes one instance of `id`, or all of them; whether there was any.
    pub fn remove(&self, id: &ServiceId, address: Option<&Address>) -> bool {
        let mut changes = Vec::new();
        {
            let mut services = self.write();
            let Some(instances) = services.get_mut(id) else { return false };
            Arc::make_mut(instances).retain(|entry| {
                let goes = address.is_none_or(|address| entry.is_at(address));
                if goes {
                    changes.push(Change::Removed(id.clone(), entry.endpoint.address.clone()));
                }
                !goes
            });
            if instances.is_empty() {
                services.remove(id);
            }
        }
        self.announce(&changes);
        !changes.is_empty()
    }

    /// Grows with every change, so that a copy of the table can tell whether
    /// it is still the newest.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Calls `watcher` after each change, on the thread that made it and
    /// without a lock held: it may ask this registry, and must not block.
    pub fn watch(&self, watcher: impl Fn(&Change) + Send + Sync + 'static) -> WatchId {
        let id = self.next_watch.fetch_add(1, Ordering::Relaxed);
        self.watchers.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::new(watcher));
        WatchId(id)
    }

    /// Takes a watcher away; whether it was there.
    pub fn unwatch(&self, id: WatchId) -> bool {
        self.watchers.write().unwrap_or_else(PoisonError::into_inner).remove(&id.0).is_some()
    }

    fn announce(&self, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        self.version.fetch_add(1, Ordering::AcqRel);
        let watchers: Vec<_> =
            self.watchers.read().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect();
        for change in changes {
            for watcher in &watchers {
                watcher(change);
            }
        }
    }

    // No user code runs under these locks, so a poisoned one holds a whole table.
    fn read(&self) -> RwLockReadGuard<'_, Services<Key>> {
        self.services.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Services<Key>> {
        self.services.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Key: PartialEq> Registry<Key> {
    /// Adds an instance, or replaces the key and metadata of the one at this
    /// address, which keeps its health. Whether anything has changed.
    pub fn register(&self, endpoint: Endpoint<Key>) -> bool {
        let change = Change::Registered(endpoint.id.clone(), endpoint.address.clone());
        {
            let mut services = self.write();
            let instances = Arc::make_mut(services.entry(endpoint.id.clone()).or_default());
            match instances.iter_mut().find(|entry| entry.is_at(&endpoint.address)) {
                Some(entry) if *entry.endpoint == endpoint => return false,
                Some(entry) => entry.endpoint = Arc::new(endpoint),
                None => instances.push(Entry {
                    endpoint: Arc::new(endpoint),
                    health: HealthStatus::Unknown,
                    checked: None,
                }),
            }
        }
        self.announce(&[change]);
        true
    }
}

impl<Key> Entry<Key> {
    fn is_at(&self, address: &Address) -> bool {
        self.endpoint.address == *address
    }
}

/// Shares the endpoint; deriving this would ask it of `Key`.
impl<Key> Clone for Entry<Key> {
    fn clone(&self) -> Self {
        Self { endpoint: Arc::clone(&self.endpoint), health: self.health, checked: self.checked }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Mutex};

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
        Endpoint { id: id(service), address: address(port), public_key: None, metadata: BTreeMap::new() }
    }

    fn ports(entries: &[Entry<&str>]) -> Vec<u16> {
        entries.iter().map(|entry| entry.endpoint.address.port.get()).collect()
    }

    #[test]
    fn a_service_has_several_instances() {
        let registry = Registry::new();
        for port in [3, 1, 2] {
            assert!(registry.register(endpoint("a", port)));
        }
        registry.register(endpoint("b", 9));
        assert_eq!(ports(&registry.lookup(&id("a"))), [3, 1, 2]);
        assert_eq!(ports(&registry.list()), [3, 1, 2, 9]);
        assert!(registry.lookup(&id("c")).is_empty());

        assert!(registry.remove(&id("a"), Some(&address(1))));
        assert!(!registry.remove(&id("a"), Some(&address(1))));
        assert_eq!(ports(&registry.lookup(&id("a"))), [3, 2]);
        assert!(registry.remove(&id("a"), None));
        assert!(!registry.remove(&id("a"), None));
        assert_eq!(ports(&registry.list()), [9]);
    }

    #[test]
    fn registering_again_replaces_what_is_known_and_keeps_the_health() {
        let registry = Registry::new();
        registry.register(endpoint("a", 1));
        registry.set_health(&id("a"), None, HealthStatus::NotServing, NOW).unwrap();
        let version = registry.version();
        assert!(!registry.register(endpoint("a", 1)), "the same again is no change");
        assert_eq!(registry.version(), version);
        assert!(registry.register(Endpoint { public_key: Some("key"), ..endpoint("a", 1) }));
        let instances = registry.lookup(&id("a"));
        let [entry] = instances.as_slice() else { panic!("{instances:?}") };
        assert_eq!((entry.endpoint.public_key, entry.health), (Some("key"), HealthStatus::NotServing));
    }

    #[test]
    fn health_is_per_instance() {
        let registry = Registry::new();
        registry.register(endpoint("a", 1));
        registry.register(endpoint("a", 2));
        registry.set_health(&id("a"), Some(&address(2)), HealthStatus::Serving, NOW).unwrap();
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
    fn watchers_hear_of_each_change_and_may_ask_back() {
        let registry = Arc::new(Registry::new());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let watch = registry.watch({
            let (registry, seen) = (Arc::downgrade(&registry), Arc::clone(&seen));
            move |change: &Change| {
                let registry = registry.upgrade().unwrap();
                seen.lock().unwrap().push((change.clone(), registry.lookup(change.service()).len()));
            }
        });
        registry.register(endpoint("a", 1));
        registry.register(endpoint("a", 1));
        registry.set_health(&id("a"), None, HealthStatus::Serving, NOW).unwrap();
        registry.set_health(&id("a"), None, HealthStatus::Serving, NOW).unwrap();
        registry.remove(&id("a"), None);
        assert!(registry.unwatch(watch) && !registry.unwatch(watch));
        registry.register(endpoint("a", 1));
        let (a, at) = (id("a"), address(1));
        assert_eq!(
            *seen.lock().unwrap(),
            [
                (Change::Registered(a.clone(), at.clone()), 1),
                (Change::Health(a.clone(), at.clone(), HealthStatus::Serving), 1),
                (Change::Removed(a, at), 0),
            ]
        );
        assert_eq!(registry.version(), 4);
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
