//! One seed from beginning to end: its faults, its steps, and the checks at the
//! end.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::json;

use super::{
    app::Order,
    invariants::{check_limits, leftovers},
    ledger::{Ledger, Method, Uid},
    network::{Link, Network},
    node::{Node, Plan},
    rng::Rng,
    steps::TOLERATED_MS,
    world::{HostId, World},
};

/// Events of one seed, steps of one, and of one in which little happens.
pub(super) const EVENTS: usize = 1000;
const STEPS: u32 = 450;
const MOST_STEPS: u32 = 2000;
/// The time after which nothing of ended peers may remain. A vanished peer is
/// noticed after 15 s.
const REST: Duration = Duration::from_secs(25);

/// The result of a seed.
pub(super) struct Outcome {
    pub(super) trace: Vec<String>,
    pub(super) violations: Vec<String>,
}

/// The kinds of faults that a seed has. With all kinds at once, a few would
/// hide the others.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "any of them goes with any other")]
pub(super) struct Weather {
    pub(super) crashes: bool,
    pub(super) closes: bool,
    pub(super) resets: bool,
    pub(super) stalls: bool,
    pub(super) vanishing: bool,
    pub(super) corruption: bool,
    pub(super) slowness: bool,
    pub(super) clocks: bool,
    pub(super) hostile: bool,
}

pub(super) struct Story {
    pub(super) world: World,
    pub(super) network: Network,
    /// The host of the network's tasks and of hostile peers.
    wires: HostId,
    pub(super) wild: HostId,
    pub(super) ledger: Arc<Ledger>,
    pub(super) nodes: Vec<Node>,
    /// Links between honest nodes, and those of newcomers.
    pub(super) links: Vec<Arc<Link>>,
    pub(super) newcomer_ports: Vec<u16>,
    /// Ways of hostile peers, by service.
    pub(super) doors: Vec<(&'static str, Vec<u16>)>,
    pub(super) attacks: Vec<tokio::task::JoinHandle<()>>,
    pub(super) weather: Weather,
    pub(super) pinned: bool,
    pub(super) last: Uid,
    pub(super) rng: Rng,
}

/// Plays one seed.
pub(super) fn play(seed: u64) -> Outcome {
    let mut story = Story::new(seed);
    for step in 0..MOST_STEPS {
        if step >= STEPS && story.world.journal.len() >= EVENTS {
            break;
        }
        story.step();
        story.check();
        if !story.ledger.violations().is_empty() {
            break;
        }
    }
    story.rest();
    story.end();
    let trace = story.world.journal.entries();
    Outcome { trace, violations: story.ledger.violations() }
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed).fork(1);
        let mut world = World::new(rng.fork(2));
        let ledger = Arc::new(Ledger::new(Arc::clone(&world.journal)));
        let network =
            Network::new(&format!("simulated {seed} {:?}", std::thread::current().id()), rng.fork(3));
        let wires = world.boot(Arc::default());
        let wild = world.boot(Arc::default());
        let mut likely = |chance| rng.percent(chance);
        let weather = Weather {
            crashes: likely(60),
            closes: likely(40),
            resets: likely(60),
            stalls: likely(50),
            vanishing: likely(40),
            corruption: likely(40),
            slowness: likely(40),
            clocks: likely(40),
            hostile: likely(75),
        };
        let pinned = likely(40);
        world.journal.note(format!("{weather:?}, pinned: {pinned}"));
        let story = Self {
            world,
            network,
            wires,
            wild,
            ledger,
            nodes: Vec::new(),
            links: Vec::new(),
            newcomer_ports: Vec::new(),
            doors: Vec::new(),
            attacks: Vec::new(),
            weather,
            pinned,
            last: 0,
            rng,
        };
        story.populate()
    }

    /// Two instances of alpha, beta, which calls them, and two clients.
    fn populate(mut self) -> Self {
        let limits = json!({
            "maxSessionsPerPeer": self.rng.between(2, 4),
            "maxPendingHandshakes": 24,
            "maxPendingHandshakesPerAddress": 8,
            "maxConnections": 600,
            "maxConcurrentCalls": 64,
        });
        let instances = [("a1", "alpha", 1001), ("a2", "alpha", 1002), ("b1", "beta", 1003)];
        let carried: Vec<Arc<_>> = instances.iter().map(|_| Arc::default()).collect();
        let callers = [("b1", "beta", 11), ("c1", "carol", 12), ("d1", "dave", 13)];
        let mut ways: Vec<(&str, Vec<(&'static str, u16)>)> = Vec::new();
        for (caller, service, address) in callers {
            let mut calls = Vec::new();
            for (at, (instance, called, port)) in instances.into_iter().enumerate() {
                if called != service {
                    let link = self.link(&format!("{caller}-{instance}"), [0, address], port, &carried[at]);
                    calls.push((called, link.port));
                    self.links.push(link);
                }
            }
            ways.push((caller, calls));
        }
        // Newcomers come from the address of strangers, and from a separate one.
        for (address, name) in [([9, 1], "near"), ([8, 1], "far")] {
            let link = self.link(&format!("{name} newcomer"), address, 1001, &carried[0]);
            self.newcomer_ports.push(link.port);
        }
        for (at, (instance, service, port)) in instances.into_iter().enumerate() {
            let links: Vec<_> = (1..=4)
                .map(|address| {
                    self.link(&format!("wild {address}-{instance}"), [9, address], port, &carried[at]).port
                })
                .collect();
            self.doors.push((service, links));
        }
        let calls_of = |name: &str| {
            let found = ways.iter().find(|(caller, _)| *caller == name);
            found.map(|(_, calls)| calls.clone()).unwrap_or_default()
        };
        let serving = instances.into_iter().map(|(name, service, port)| (name, service, Some(port)));
        let calling = [("c1", "carol", None), ("d1", "dave", None)];
        for (at, (name, service, port)) in serving.chain(calling).enumerate() {
            let plan = Plan {
                name,
                service,
                port,
                calls: calls_of(name),
                pinned: self.pinned,
                limits: limits.clone(),
                carried: carried.get(at).cloned().unwrap_or_default(),
            };
            let node = Node::boot(plan, &mut self.world, &self.network, &self.ledger);
            self.nodes.push(node);
        }
        self.world.pass(Duration::from_millis(10));
        self
    }

    fn link(
        &mut self,
        name: &str,
        from: [u8; 2],
        to: u16,
        carried: &Arc<std::sync::atomic::AtomicU64>,
    ) -> Arc<Link> {
        let host = self.world.host(self.wires).unwrap();
        self.network.link(host, &self.world.journal, name, from, to, carried)
    }

    pub(super) fn note(&self, what: impl AsRef<str>) {
        self.world.journal.note(what);
    }

    fn check(&self) {
        self.ledger.check();
        for node in &self.nodes {
            check_limits(node, &self.ledger);
        }
    }

    /// Ends the faults and the attacks, starts every node again, and checks that
    /// every service can be reached.
    fn rest(&mut self) {
        self.note("all is well");
        for link in &self.network.links {
            link.heal();
        }
        self.attacks.clear();
        self.world.crash(self.wild, &self.network, 0);
        for at in 0..self.nodes.len() {
            // A node with a very wrong clock is restarted, because everything
            // that it signed by that clock would be refused.
            let far_off = self.nodes[at].skew_ms.load(Ordering::Relaxed).unsigned_abs() > TOLERATED_MS;
            if far_off || !self.nodes[at].is_up() {
                self.nodes[at].crash(&mut self.world, &self.network, &self.ledger, 0);
                self.nodes[at].reboot(&mut self.world, &self.network, &self.ledger);
            }
            self.nodes[at].skew_ms.store(0, Ordering::Relaxed);
        }
        self.world.pass(REST);
        self.check();
        let ways = [("b1", "alpha"), ("c1", "alpha"), ("c1", "beta"), ("d1", "alpha"), ("d1", "beta")];
        for (caller, service) in ways {
            let order = Order {
                uid: 0,
                service,
                method: Method::Echo,
                idempotent: false,
                timeout_ms: 2000,
                items: 0,
                size: 0,
            };
            let uid = self.begin(caller, order);
            self.world.pass_in(Duration::from_millis(200), Duration::from_millis(2));
            if !uid.is_some_and(|uid| self.ledger.is_answered(uid)) {
                self.ledger.violated(format!("{caller} does not reach {service} when all is well"));
            }
        }
    }

    /// Ends the clients, checks that nothing is left of them, and ends the services.
    fn end(&mut self) {
        for node in &self.nodes {
            if node.plan.port.is_none() {
                node.close(&self.world, Duration::ZERO);
            }
        }
        // beta is a client too, because it calls alpha, and the last of them.
        self.world.pass(Duration::from_secs(3));
        let beta = self.nodes.iter().find(|node| node.plan.name == "b1");
        if let Some(beta) = beta {
            beta.close(&self.world, Duration::ZERO);
        }
        self.world.pass(Duration::from_secs(17));
        for node in self.nodes.iter().filter(|node| node.is_up()) {
            let left = leftovers(node);
            if !left.is_empty() {
                self.ledger.violated(format!("{} still has {}", node.plan.name, left.join(", ")));
            }
            node.close(&self.world, Duration::ZERO);
        }
        self.world.pass(Duration::from_secs(2));
        for at in 0..self.nodes.len() {
            if !self.nodes[at].is_closed() {
                self.ledger.violated(format!("{} does not close", self.nodes[at].plan.name));
            }
            self.nodes[at].crash(&mut self.world, &self.network, &self.ledger, 0);
        }
        self.world.crash(self.wires, &self.network, 0);
    }
}
