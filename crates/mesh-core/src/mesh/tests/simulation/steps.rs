//! The steps of a seed. A step is a call, a fault, an end, an attack, or a
//! pause.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::json;

use super::{
    app::Order,
    hostile::{Act, Attacker},
    ledger::{Method, Uid},
    network::Fate,
    node::{Node, Plan},
    peer::Door,
    story::Story,
};

/// The time within which a newcomer must be served under any attack.
const NEWCOMER_MS: u64 = 1000;
/// The largest error of a clock at which any two clocks are close enough.
pub(super) const TOLERATED_MS: u64 = 14_000;

impl Story {
    /// One decision, and a moment for it to take effect.
    pub(super) fn step(&mut self) {
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

    pub(super) fn begin(&mut self, caller: &str, order: Order) -> Option<Uid> {
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

    /// A fault of a link.
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
                // Within what tokens tolerate of two clocks, or far from it.
                let most = if self.rng.percent(80) { TOLERATED_MS } else { 10_000_000 };
                let skew = self.rng.below(2 * most).cast_signed() - most.cast_signed();
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
        if act.holds_places() && service == "alpha" && self.rng.percent(30) {
            // It has taken what it can get.
            self.world.pass(Duration::from_millis(self.rng.between(200, 900)));
            self.newcomer();
        }
    }

    /// A new service makes its first call, and must be served in time.
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
}
