//! Honest nodes: services and clients as users run them. A node can start,
//! close, crash and start again.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    app::{App, Handler},
    ledger::Ledger,
    network::Network,
    world::{HostId, World},
};
use crate::{
    config::MeshConfig,
    crypto::{keystore::KeyStore, rsa::KeyPair},
    mesh::{Events, Mesh, core::Core, sync::lock, tests::merge},
};

/// The secret of a world whose services have one.
pub(super) const SECRET: &str = "a secret of the simulated mesh, 32 bytes and more";

/// Every service of the simulated worlds. Those of one name share a key.
pub(super) const SERVICES: [&str; 7] = ["alpha", "beta", "carol", "dave", "mallory", "newcomer", "neighbour"];

/// The key of a service, the same in all worlds of this process. Every service
/// remembers it from the start, because otherwise a member could take the id of a
/// service before its first contact.
pub(super) fn key_of(service: &str) -> KeyPair {
    static KEYS: OnceLock<HashMap<&str, KeyPair>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let store = KeyStore::in_memory();
        let make = |id: &'static str| {
            let (name, pair) = (id.parse().unwrap(), KeyPair::generate(2048).unwrap());
            store.save_key_pair(&name, &pair).unwrap();
            store.remember_peer(&name, &pair.public_key().thumbprint()).unwrap();
            (id, pair)
        };
        SERVICES.into_iter().map(make).collect()
    });
    keys[service].clone()
}

/// The public key of a service, as configurations have it.
pub(super) fn pem_of(service: &str) -> String {
    key_of(service).public_key().to_pem()
}

/// The fixed properties of a node.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: &'static str,
    pub(super) service: &'static str,
    /// The port it listens on, if it serves.
    pub(super) port: Option<u16>,
    /// Services it calls, and the ports of the links to their instances.
    pub(super) calls: Vec<(&'static str, u16)>,
    /// Keys are pinned, and there is no secret.
    pub(super) pinned: bool,
    pub(super) limits: Value,
    /// Counts the bytes that leave it.
    pub(super) carried: Arc<AtomicU64>,
}

impl Plan {
    fn config(&self, network: &str) -> MeshConfig {
        let pin = |entry: &mut Value, service: &str| {
            if self.pinned {
                entry["publicKey"] = pem_of(service).into();
            }
        };
        let mut services = Vec::new();
        for (service, port) in &self.calls {
            let mut entry = json!({ "id": service, "host": "127.0.0.1", "port": port });
            pin(&mut entry, service);
            services.push(entry);
        }
        if self.pinned && self.port.is_some() {
            for service in SERVICES {
                if service != self.service && self.calls.iter().all(|(called, _)| *called != service) {
                    services.push(json!({ "id": service, "publicKey": pem_of(service) }));
                }
            }
        }
        let mut config = json!({
            "serviceId": self.service,
            "security": { "rsaKeySize": 2048 },
            "discovery": { "services": services },
            "limits": {},
        });
        if !self.pinned {
            config["security"]["jwtSecret"] = SECRET.into();
        }
        if let Some(port) = self.port {
            config["port"] = port.into();
            merge(&mut config["limits"], self.limits.clone());
        }
        MeshConfig::parse(&config, |_| None).unwrap().on_network(network)
    }
}

type Slot<T> = Arc<Mutex<Option<T>>>;

/// A node, which runs or does not.
pub(super) struct Node {
    pub(super) plan: Plan,
    pub(super) app: Arc<App>,
    pub(super) host: HostId,
    /// How far its wall clock is off.
    pub(super) skew_ms: Arc<AtomicI64>,
    mesh: Slot<Arc<Mesh>>,
    core: Slot<Weak<Core>>,
    closed: Slot<()>,
}

impl Node {
    /// A node that is about to start.
    pub(super) fn boot(plan: Plan, world: &mut World, network: &Network, ledger: &Arc<Ledger>) -> Self {
        let app = Arc::new(App::new(plan.name, plan.service, Arc::clone(ledger), Arc::clone(&plan.carried)));
        let skew_ms = Arc::new(AtomicI64::new(0));
        let host = world.boot(Arc::clone(&skew_ms));
        let node = Self {
            plan,
            app,
            host,
            skew_ms,
            mesh: Slot::default(),
            core: Slot::default(),
            closed: Slot::default(),
        };
        node.start(world, network, ledger);
        node
    }

    /// Starts again after a crash.
    pub(super) fn reboot(&self, world: &mut World, network: &Network, ledger: &Arc<Ledger>) {
        self.skew_ms.store(0, Ordering::Relaxed);
        world.reboot(self.host, Arc::clone(&self.skew_ms));
        self.start(world, network, ledger);
    }

    fn start(&self, world: &World, network: &Network, ledger: &Arc<Ledger>) {
        let Some(host) = world.host(self.host) else { return };
        key_of(self.plan.service);
        let events: Arc<dyn Events> = Arc::new(Handler(Arc::clone(&self.app)));
        let (ready, running) = Mesh::on(host.platform(), self.plan.config(&network.name.0), events);
        host.spawn(running);
        let (slot, core, ledger) = (Arc::clone(&self.mesh), Arc::clone(&self.core), Arc::clone(ledger));
        let app = Arc::clone(&self.app);
        host.spawn(async move {
            match ready.await {
                Ok(mesh) => {
                    let mesh = Arc::new(mesh);
                    mesh.post(move |io| *lock(&core) = Some(Arc::downgrade(&io.0)));
                    app.attach(&mesh);
                    *lock(&slot) = Some(mesh);
                    ledger.journal.note(format!("{} is up", app.name));
                }
                Err(error) => ledger.violated(format!("{} does not start: {error}", app.name)),
            }
        });
    }

    /// Whether it runs, and is not about to end.
    pub(super) fn is_up(&self) -> bool {
        lock(&self.mesh).is_some() && lock(&self.closed).is_none()
    }

    /// Its core, for checks between two windows.
    pub(super) fn core(&self) -> Option<Arc<Core>> {
        lock(&self.core).as_ref()?.upgrade()
    }

    /// Ends it between any two polls of its tasks. All memory of it must be gone.
    pub(super) fn crash(&self, world: &mut World, network: &Network, ledger: &Ledger, polls: u64) {
        world.crash(self.host, network, polls);
        ledger.lost(self.plan.name);
        ledger.journal.note(format!("{} crashes", self.plan.name));
        self.app.forget();
        *lock(&self.mesh) = None;
        *lock(&self.closed) = None;
        if lock(&self.core).take().is_some_and(|core| core.strong_count() > 0) {
            ledger.violated(format!("{} is gone, and something still holds its memory", self.plan.name));
        }
    }

    /// Begins to close it in good order.
    pub(super) fn close(&self, world: &World, patience: Duration) {
        let (Some(mesh), Some(host)) = (lock(&self.mesh).take(), world.host(self.host)) else { return };
        let closed = Arc::clone(&self.closed);
        host.spawn(async move {
            mesh.close(patience).await;
            *lock(&closed) = Some(());
        });
    }

    /// Whether it has closed in good order.
    pub(super) fn is_closed(&self) -> bool {
        lock(&self.closed).is_some()
    }
}
