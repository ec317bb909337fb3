//! The network between the hosts, and its faults.
//!
//! Each caller reaches each instance over a link: a port of its own on the
//! network in memory, behind which a task carries bytes to the instance's port,
//! from the caller's address. Bytes of one connection stay in order, those of
//! different connections overtake each other.

use std::{
    future::poll_fn,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    sync::{Notify, mpsc},
    time::{Instant, sleep, sleep_until},
};

use super::{
    rng::Rng,
    world::{Host, Journal},
};
use crate::{
    config::NetworkName,
    mesh::sync::lock,
    transport::memory::{Port, connect, sever},
};

/// The treatment of bytes by a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Carry,
    /// Bytes wait, as for a host that pauses for a moment.
    Hold,
    /// Bytes vanish, and so do the ends of connections: neither side learns that the other is gone.
    Swallow,
    /// New connections are closed at once.
    Refuse,
}

#[derive(Clone, Copy, Debug)]
struct Weather {
    fate: Fate,
    /// A counter; an increment resets the existing connections.
    resets: u32,
    /// For a slow reader: the bytes at once, and the pause after them.
    pace: Option<(usize, Duration)>,
}

/// The way from one caller to one instance.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) port: u16,
    from: IpAddr,
    to: u16,
    delay_ms: (u64, u64),
    weather: Mutex<Weather>,
    /// The weather has changed. (Not a `watch`, which wakes in no fixed order.)
    changed: Notify,
    /// Chunks still to be corrupted, from the caller and to it.
    corrupt: [AtomicU32; 2],
    /// The bytes that have left the instance.
    carried: Arc<AtomicU64>,
}

const CHUNK: usize = 16 * 1024;
/// Chunks of one direction that are on the way at once.
const ON_THE_WAY: usize = 8;
/// A frame that is shorter may be all headers, whose length depends on the date.
const CORRUPTIBLE: usize = 160;

impl Link {
    fn weather(&self) -> Weather {
        *lock(&self.weather)
    }

    fn change(&self, change: impl FnOnce(&mut Weather)) {
        change(&mut lock(&self.weather));
        self.changed.notify_waiters();
    }

    /// Completes once the weather satisfies `good`.
    async fn until(&self, good: impl Fn(Weather) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if good(self.weather()) {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn set(&self, fate: Fate) {
        self.change(|weather| weather.fate = fate);
    }

    pub(super) fn slow(&self, pace: Option<(usize, Duration)>) {
        self.change(|weather| weather.pace = pace);
    }

    /// Breaks the connections made so far.
    pub(super) fn reset(&self, network: &NetworkName) {
        self.change(|weather| weather.resets += 1);
        sever(network, self.port);
    }

    /// Flips a bit in the next chunk of one direction.
    pub(super) fn corrupt(&self, upwards: bool) {
        self.corrupt[usize::from(upwards)].fetch_add(1, Ordering::Relaxed);
    }

    /// Ends the faults. Swallowed bytes stay lost.
    pub(super) fn heal(&self) {
        self.set(Fate::Carry);
        self.slow(None);
        for count in &self.corrupt {
            count.store(0, Ordering::Relaxed);
        }
    }
}

/// The links of one world.
pub(super) struct Network {
    pub(super) name: NetworkName,
    pub(super) links: Vec<Arc<Link>>,
    rng: Rng,
}

impl Network {
    pub(super) fn new(name: &str, rng: Rng) -> Self {
        Self { name: NetworkName(name.into()), links: Vec::new(), rng }
    }

    /// Wakes the tasks that carry bytes, one link after the other. A dropped
    /// runtime drops its tasks in a random order; this fixes the order in which
    /// the network notices.
    pub(super) fn settle(&self) {
        for link in &self.links {
            link.changed.notify_waiters();
        }
    }

    /// A link from the address `10.0.net.host` to the port `to`.
    pub(super) fn link(
        &mut self,
        on: &Host,
        journal: &Arc<Journal>,
        name: &str,
        from: [u8; 2],
        to: u16,
        carried: &Arc<AtomicU64>,
    ) -> Arc<Link> {
        let port = 2000 + self.links.len() as u16;
        let least = self.rng.below(4);
        let delay_ms = (least, least + self.rng.below(6));
        let weather = Weather { fate: Fate::Carry, resets: 0, pace: None };
        let link = Arc::new(Link {
            name: name.to_owned(),
            port,
            from: Ipv4Addr::new(10, 0, from[0], from[1]).into(),
            to,
            delay_ms,
            weather: Mutex::new(weather),
            changed: Notify::new(),
            corrupt: Default::default(),
            carried: Arc::clone(carried),
        });
        let bound = Port::bind(&self.name, port).unwrap();
        let rng = self.rng.fork(port.into());
        on.spawn(accept(self.name.clone(), bound, Arc::clone(&link), rng, Arc::clone(journal)));
        self.links.push(Arc::clone(&link));
        link
    }
}

async fn accept(network: NetworkName, mut port: Port, link: Arc<Link>, rng: Rng, journal: Arc<Journal>) {
    let mut number = 0;
    while let Ok((caller, _)) = poll_fn(|cx| port.poll_accept(cx)).await {
        number += 1;
        if link.weather().fate == Fate::Refuse {
            continue;
        }
        let from = SocketAddr::new(link.from, 1024 + number);
        let Ok(instance) = connect(&(network.clone(), link.to), from) else { continue };
        let (link, journal) = (Arc::clone(&link), Arc::clone(&journal));
        let (ups, downs) = (rng.fork(u64::from(number) * 2), rng.fork(u64::from(number) * 2 + 1));
        tokio::spawn(async move {
            journal.note(format!("{} connection {number}", link.name));
            let (from_caller, to_caller) = split(caller);
            let (from_instance, to_instance) = split(instance);
            let up = pin!(carry(&link, true, from_caller, to_instance, ups));
            let down = pin!(carry(&link, false, from_instance, to_caller, downs));
            let resets = link.weather().resets;
            let reset = pin!(link.until(|weather| weather.resets != resets));
            let how = tokio::select! {
                biased;
                () = reset => "reset",
                ended = async { tokio::try_join!(biased; up, down) } => if ended.is_ok() { "ended" } else { "broken" },
            };
            journal.note(format!("{} connection {number} {how}", link.name));
        });
    }
}

/// Carries the bytes of one direction to their end.
async fn carry(
    link: &Link,
    upwards: bool,
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    rng: Rng,
) -> Result<(), ()> {
    let (sender, receiver) = mpsc::channel(ON_THE_WAY);
    tokio::try_join!(biased; take(link, upwards, from, sender, rng), deliver(link, receiver, to))?;
    Ok(())
}

async fn take(
    link: &Link,
    upwards: bool,
    mut from: impl AsyncRead + Unpin,
    queue: mpsc::Sender<(Instant, Bytes)>,
    mut rng: Rng,
) -> Result<(), ()> {
    let mut buffer = vec![0; CHUNK];
    let mut due = Instant::now();
    loop {
        let pace = link.weather().pace;
        let most = pace.map_or(CHUNK, |(bytes, _)| bytes);
        let length = from.read(&mut buffer[..most]).await.map_err(drop)?;
        let chunk = &mut buffer[..length];
        if !upwards {
            link.carried.fetch_add(length as u64, Ordering::Relaxed);
        }
        corrupt(link, upwards, chunk, &mut rng);
        let delay = Duration::from_millis(rng.between(link.delay_ms.0, link.delay_ms.1));
        due = due.max(Instant::now() + delay);
        if queue.send((due, Bytes::copy_from_slice(chunk))).await.is_err() || length == 0 {
            return Ok(());
        }
        if let Some((_, pause)) = pace {
            sleep(pause).await;
        }
    }
}

fn corrupt(link: &Link, upwards: bool, chunk: &mut [u8], rng: &mut Rng) {
    if chunk.len() < CORRUPTIBLE && !(upwards && chunk.len() > 8) {
        return;
    }
    let left = &link.corrupt[usize::from(upwards)];
    if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        // The offset counts from the end, because a chunk may begin with headers.
        let offset = rng.below(chunk.len().min(2048) as u64) as usize;
        let at = chunk.len() - 1 - offset;
        chunk[at] ^= 1 << rng.below(8);
    }
}

async fn deliver(
    link: &Link,
    mut queue: mpsc::Receiver<(Instant, Bytes)>,
    mut to: impl AsyncWrite + Unpin,
) -> Result<(), ()> {
    let mut lost = false;
    while let Some((due, bytes)) = queue.recv().await {
        sleep_until(due).await;
        link.until(|weather| weather.fate != Fate::Hold).await;
        // After lost bytes a stream carries nothing more.
        lost |= link.weather().fate == Fate::Swallow;
        if lost {
            continue;
        }
        if bytes.is_empty() {
            return to.shutdown().await.map_err(drop);
        }
        to.write_all(&bytes).await.map_err(drop)?;
    }
    if lost {
        // The end is swallowed too.
        std::future::pending::<()>().await;
    }
    Ok(())
}
