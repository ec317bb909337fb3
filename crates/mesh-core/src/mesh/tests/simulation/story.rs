//! One seed from beginning to end: which faults there are, what is done step by
//! step, and what must be left when it is over.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::json;

use super::{
    app::Order,
    hostile::{Act, Attacker},
    invariants::{check_limits, leftovers},
    ledger::{Ledger, Method, Uid},
    network::{Fate, Link, Network},
    node::{Node, Plan},
    peer::Door,
    rng::Rng,
    world::{HostId, World},
};

/// Events of one seed, steps of one, and of one in which little happens.
pub(super) const EVENTS: usize = 1000;
const STEPS: u32 = 450;
const MOST_STEPS: u32 = 2000;
/// How soon a newcomer is served, whatever others do.
const NEWCOMER_MS: u64 = 1000;
/// How long all that is over may take to be forgotten: a peer that has vanished
/// without a word is noticed after 15 s.
const REST: Duration = Duration::from_secs(25);

/// What came of a seed.
pub(super) struct Outcome {
    pub(super) trace: Vec<String>,
    pub(super) violations: Vec<String>,
}

/// Faults that a seed has or has not: with all of them at once most would hide
/// behind a few.
#[derive(Clone, Copy, Debug)]
struct Weather {
    crashes: bool,
    closes: bool,
    resets: bool,
    stalls: bool,
    vanishing: bool,
    corruption: bool,
    slowness: bool,
    clocks: bool,
    hostile: bool,
}

struct Story {
    world: World,
    network: Network,
    /// Where the network's own tasks run, and those of hostile peers.
    wires: HostId,
    wild: HostId,
    ledger: Arc<Ledger>,
    nodes: Vec<Node>,
    /// Links between honest nodes, and those of newcomers.
    links: Vec<Arc<Link>>,
    newcomer_ports: Vec<u16>,
    /// Ways of hostile peers, by service.
    doors: Vec<(&'static str, Vec<u16>)>,
    attacks: Vec<tokio::task::JoinHandle<()>>,
    weather: Weather,
    pinned: bool,
    last: Uid,
    rng: Rng,
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
        // Newcomers come from the address of strangers, and from one of their own.
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

    fn note(&self, what: impl AsRef<str>) {
        self.world.journal.note(what);
    }

    /// One decision, and a moment for it to take effect.
    fn step(&mut self) {
        match self.rng.below(100) {
            0..62 => self.call(),
            62..66 => self.cancel(),
            66..78 => self.fault(),
            78..82 => self.end_or_begin(),
            82..90 => self.attack(),
            90..91 => self.newcomer(),
            91..99 => {
                let pause = Duration::from_millis(self.rng.below(300));
                self.note(format!("a pause of {pause:?}"));
                self.world.pass(pause);
            }
            _ => {
                let pause = Duration::from_millis(self.rng.between(1000, 6000));
                self.note(format!("a pause of {pause:?}"));
                self.world.pass(pause);
            }
        }
        if self.rng.percent(50) {
            let moment = Duration::from_millis(self.rng.below(8));
            self.world.pass(moment);
        }
    }

    fn call(&mut self) {
        let callers = ["b1", "c1", "d1"];
        let caller = *self.rng.pick(&callers);
        let service = if caller == "b1" || self.rng.percent(60) { "alpha" } else { "beta" };
        let method = match self.rng.below(20) {
            0..8 => Method::Echo,
            8..11 => Method::Later,
            11 => Method::Never,
            12 => Method::Fail,
            13..16 => Method::Items,
            16..18 => Method::Collect,
            _ => Method::Chat,
        };
        let timeout_ms = *self.rng.pick(&[30, 200, 1000, 3000, 8000]);
        let idempotent = self.rng.percent(30);
        let items = self.rng.below(30) as u32;
        let size = *self.rng.pick(&[10, 1000, 20_000]);
        self.begin(caller, Order { uid: 0, service, method, idempotent, timeout_ms, items, size });
    }

    fn begin(&mut self, caller: &str, order: Order) -> Option<Uid> {
        let node = self.nodes.iter().find(|node| node.plan.name == caller && node.is_up())?;
        self.last += 1;
        let order = Order { uid: self.last, ..order };
        let Order { uid, service, method, timeout_ms, idempotent, .. } = order;
        self.note(format!("{caller} calls {service}: {uid} {method:?} within {timeout_ms} ms"));
        self.ledger.begin(uid, node.plan.name, idempotent, timeout_ms);
        node.app.call(order);
        Some(uid)
    }

    fn cancel(&mut self) {
        let caller = *self.rng.pick(&["b1", "c1", "d1"]);
        let pending = self.ledger.pending(caller);
        let node = self.nodes.iter().find(|node| node.plan.name == caller && node.is_up());
        if let (Some(node), false) = (node, pending.is_empty()) {
            let uid = *self.rng.pick(&pending);
            self.note(format!("{caller} gives {uid} up"));
            node.app.cancel(uid);
        }
    }

    /// Something befalls a link.
    fn fault(&mut self) {
        let link = Arc::clone(self.rng.pick(&self.links));
        let weather = self.weather;
        let name = &link.name;
        match self.rng.below(7) {
            0 if weather.resets => {
                self.note(format!("{name} is reset"));
                link.reset(&self.network.name);
            }
            1 if weather.stalls => {
                self.note(format!("{name} stalls"));
                link.set(Fate::Hold);
            }
            2 if weather.vanishing => {
                self.note(format!("{name} swallows"));
                link.set(Fate::Swallow);
            }
            3 if weather.resets => {
                self.note(format!("{name} refuses"));
                link.set(Fate::Refuse);
            }
            4 if weather.corruption => {
                let upwards = self.rng.percent(50);
                self.note(format!("{name} corrupts"));
                link.corrupt(upwards);
            }
            5 if weather.slowness => {
                self.note(format!("{name} is slow"));
                let bytes = self.rng.between(100, 4000) as usize;
                link.slow(Some((bytes, Duration::from_millis(self.rng.between(1, 20)))));
            }
            _ => {
                self.note(format!("{name} heals"));
                link.heal();
            }
        }
    }

    /// A node ends, or one that has ended begins again, or a clock jumps.
    fn end_or_begin(&mut self) {
        let at = self.rng.below(self.nodes.len() as u64) as usize;
        let (up, closed) = (self.nodes[at].is_up(), self.nodes[at].is_closed());
        let running = self.world.host(self.nodes[at].host).is_some();
        match self.rng.below(4) {
            _ if closed => {
                self.nodes[at].crash(&mut self.world, &self.network, &self.ledger, 0);
            }
            _ if !running => {
                self.note(format!("{} starts again", self.nodes[at].plan.name));
                self.nodes[at].reboot(&mut self.world, &self.network, &self.ledger);
            }
            0 | 1 if self.weather.crashes => {
                let polls = self.rng.below(30);
                self.nodes[at].crash(&mut self.world, &self.network, &self.ledger, polls);
            }
            2 if self.weather.closes && up => {
                self.note(format!("{} closes", self.nodes[at].plan.name));
                let patience = Duration::from_millis(self.rng.below(500));
                self.nodes[at].close(&self.world, patience);
            }
            3 if self.weather.clocks => {
                // All clocks together stay within what tokens tolerate.
                let skew = self.rng.between(0, 28_000) as i64 - 14_000;
                self.note(format!("the clock of {} is off by {skew} ms", self.nodes[at].plan.name));
                self.nodes[at].skew_ms.store(skew, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    fn attack(&mut self) {
        if !self.weather.hostile {
            return;
        }
        self.attacks.retain(|attack| !attack.is_finished());
        if !self.attacks.is_empty() && self.rng.percent(30) {
            let at = self.rng.below(self.attacks.len() as u64) as usize;
            self.note("an attacker is gone");
            self.attacks.remove(at).abort();
            return;
        }
        let act = *self.rng.pick(&Act::ALL);
        if act == Act::Crowd && !self.rng.percent(20) {
            return;
        }
        let Some(host) = self.world.host(self.wild) else { return };
        let (service, ports) = self.rng.pick(&self.doors).clone();
        self.last += 1;
        let door = |port: &u16| Door {
            network: self.network.name.clone(),
            port: *port,
            service,
            pinned: self.pinned,
            clock: host.clock(),
        };
        let attacker = Attacker {
            doors: ports.iter().map(door).collect(),
            rng: self.rng.fork(self.last.into()),
            ledger: Arc::clone(&self.ledger),
            uid: self.last,
            patience: Duration::from_millis(self.rng.between(500, 12_000)),
        };
        self.note(format!("{act:?} at {service}"));
        self.attacks.push(host.spawn(attacker.run(act)));
    }

    /// A service that nobody has seen makes its first call, and has to be served
    /// within its time.
    fn newcomer(&mut self) {
        let server = &self.nodes[0];
        if !server.is_up() || server.skew_ms.load(Ordering::Relaxed) != 0 {
            return;
        }
        let at = self.rng.below(2) as usize;
        let (name, service) = [("n1", "neighbour"), ("n2", "newcomer")][at];
        let calls = vec![("alpha", self.newcomer_ports[at])];
        let plan = Plan {
            name,
            service,
            port: None,
            calls,
            pinned: self.pinned,
            limits: json!({}),
            carried: Arc::default(),
        };
        let node = Node::boot(plan, &mut self.world, &self.network, &self.ledger);
        self.nodes.push(node);
        self.world.pass(Duration::from_millis(10));
        let order = Order {
            uid: 0,
            service: "alpha",
            method: Method::Echo,
            idempotent: false,
            timeout_ms: NEWCOMER_MS,
            items: 0,
            size: 0,
        };
        let uid = self.begin(name, order);
        for _ in 0..NEWCOMER_MS / 50 + 2 {
            self.world.pass(Duration::from_millis(50));
            if uid.is_some_and(|uid| !self.ledger.is_pending(uid)) {
                break;
            }
        }
        if !uid.is_some_and(|uid| self.ledger.is_answered(uid)) {
            self.ledger.violated(format!("{service}, which is new, was not served"));
        }
        if let Some(node) = self.nodes.pop() {
            node.crash(&mut self.world, &self.network, &self.ledger, 0);
        }
    }

    fn check(&self) {
        self.ledger.check();
        for node in &self.nodes {
            check_limits(node, &self.ledger);
        }
    }

    /// The faults end, the hostile peers leave, everybody is up again, and every
    /// service is to be reached.
    fn rest(&mut self) {
        self.note("all is well");
        for link in &self.network.links {
            link.heal();
        }
        self.attacks.clear();
        self.world.crash(self.wild, &self.network, 0);
        for at in 0..self.nodes.len() {
            if !self.nodes[at].is_up() {
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

    /// Clients end, and nothing is left of them; then the services.
    fn end(&mut self) {
        for node in &self.nodes {
            if node.plan.port.is_none() {
                node.close(&self.world, Duration::ZERO);
            }
        }
        // beta calls alpha: it is a client as well, and the last of them.
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
