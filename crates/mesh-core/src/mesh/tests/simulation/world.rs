//! Virtual time: hosts that run in turn, each on its own runtime.
//!
//! A host is one process of the simulated world: a current-thread runtime whose
//! clock is paused, so that it jumps from timer to timer. All hosts are driven by
//! the thread of the test, one after the other, in windows of a few milliseconds:
//! no host is ever further ahead of another than one window. A crash drops the
//! host's runtime, with every task at any of its awaits.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::{Builder, Runtime},
    time::{Instant, sleep_until},
};

use super::{network::Network, rng::Rng};
use crate::{
    clock::{Clock, Timestamp},
    mesh::{platform::Platform, sync::lock},
};

/// The time of the wall clocks at the beginning of a world.
const EPOCH: Timestamp = Timestamp::from_secs(1_800_000_000);
/// The duration of work on the blocking pool, as that of RSA.
const BLOCKING: Duration = Duration::from_millis(2);

/// The trace of a seed: its events in order.
#[derive(Debug, Default)]
pub(super) struct Journal {
    now_ms: AtomicU64,
    entries: Mutex<Vec<String>>,
}

impl Journal {
    pub(super) fn note(&self, entry: impl AsRef<str>) {
        let line = format!("{:>6} {}", self.now_ms(), entry.as_ref());
        lock(&self.entries).push(line);
    }

    /// The virtual time, as of the beginning of the window.
    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.entries).len()
    }

    pub(super) fn entries(&self) -> Vec<String> {
        lock(&self.entries).clone()
    }
}

/// One process: its runtime, its clock and its birth in virtual time.
pub(super) struct Host {
    runtime: Runtime,
    start: Instant,
    birth: Duration,
    skew_ms: Arc<AtomicI64>,
    chance: Rng,
}

impl Host {
    fn new(birth: Duration, skew_ms: Arc<AtomicI64>, chance: Rng) -> Self {
        // The runtime runs one task at a time, so that a crash can come between any two.
        let runtime =
            Builder::new_current_thread().enable_time().start_paused(true).event_interval(1).build().unwrap();
        let start = runtime.block_on(async { Instant::now() });
        Self { runtime, start, birth, skew_ms, chance }
    }

    /// Runs the host until the world's time is `until`.
    fn run(&self, until: Duration) {
        let until = self.start + until.saturating_sub(self.birth);
        self.runtime.block_on(async { sleep_until(until).await });
    }

    pub(super) fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.runtime.spawn(task)
    }

    /// The host's wall clock: virtual time plus its error. Only tasks of the
    /// host may read it.
    pub(super) fn clock(&self) -> Clock {
        let (start, birth, skew) = (self.start, self.birth, Arc::clone(&self.skew_ms));
        Clock::new(move || {
            let now = EPOCH + birth + Instant::now().duration_since(start);
            Timestamp::from_millis(now.as_millis().saturating_add_signed(skew.load(Ordering::Relaxed)))
        })
    }

    /// The platform of a mesh on this host, in the place of the machine.
    pub(super) fn platform(&self) -> Platform {
        let chance = Mutex::new(self.chance.clone());
        Platform {
            clock: self.clock(),
            // With more cores the I/O thread would spin instead of sleeping.
            cores: 1,
            pool: Arc::new(|work| {
                tokio::spawn(async move {
                    tokio::time::sleep(BLOCKING).await;
                    work();
                });
            }),
            chance: Arc::new(move || f64::from(lock(&chance).below(1 << 20) as u32) / f64::from(1 << 20)),
        }
    }
}

/// Names a host of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HostId(usize);

/// All hosts, and the current time.
pub(super) struct World {
    pub(super) now: Duration,
    pub(super) journal: Arc<Journal>,
    hosts: Vec<Option<Host>>,
    rng: Rng,
}

impl World {
    pub(super) fn new(rng: Rng) -> Self {
        Self { now: Duration::ZERO, journal: Arc::default(), hosts: Vec::new(), rng }
    }

    /// A host that runs from now on.
    pub(super) fn boot(&mut self, skew_ms: Arc<AtomicI64>) -> HostId {
        self.hosts.push(None);
        let id = HostId(self.hosts.len() - 1);
        self.reboot(id, skew_ms);
        id
    }

    /// Starts the host again, without anything that ran on it.
    pub(super) fn reboot(&mut self, id: HostId, skew_ms: Arc<AtomicI64>) {
        let chance = self.rng.fork(self.rng.clone().below(u64::MAX) ^ id.0 as u64);
        self.hosts[id.0] = Some(Host::new(self.now, skew_ms, chance));
    }

    pub(super) fn host(&self, id: HostId) -> Option<&Host> {
        self.hosts[id.0].as_ref()
    }

    /// Ends the host after `polls` more polls of its tasks, wherever they are.
    pub(super) fn crash(&mut self, id: HostId, network: &Network, polls: u64) {
        let Some(host) = self.hosts[id.0].take() else { return };
        host.runtime.block_on(async {
            for _ in 0..polls {
                tokio::task::yield_now().await;
            }
        });
        network.settle();
        drop(host);
    }

    /// Lets so much time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        // Windows are shorter when more happens.
        let window = match time.as_millis() {
            0..=60 => 1,
            61..=1000 => 4,
            _ => 20,
        };
        self.pass_in(time, Duration::from_millis(window));
    }

    /// The same, in windows of a given length.
    pub(super) fn pass_in(&mut self, time: Duration, window: Duration) {
        let end = self.now + time;
        let mut order: Vec<usize> = (0..self.hosts.len()).filter(|id| self.hosts[*id].is_some()).collect();
        while self.now < end {
            self.now = end.min(self.now + window);
            self.rng.shuffle(&mut order);
            for id in &order {
                if let Some(host) = &self.hosts[*id] {
                    host.run(self.now);
                }
            }
            self.journal.now_ms.store(self.now.as_millis() as u64, Ordering::Relaxed);
        }
    }
}
