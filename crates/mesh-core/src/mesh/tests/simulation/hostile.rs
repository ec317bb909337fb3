//! The acts of hostile peers: strangers without knowledge, a member of the mesh
//! that breaks every rule, and the thief of a service's key.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::AsyncReadExt,
    time::{sleep, timeout},
};

use super::{
    ledger::{Ledger, Method, Uid},
    node::{SERVICES, key_of},
    peer::{Door, Peer, Tried, ask, prove},
    rng::Rng,
};
use crate::{
    handshake::forge_ticket,
    record::message::{Encoded, Encoding, Payload},
    transport::memory,
};

/// The member of the mesh that is hostile.
const MEMBER: &str = "mallory";

/// An act of hostile peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Strangers hold connections and stay silent.
    Connections,
    /// Strangers open streams and send no M1.
    Streams,
    /// An observer replays a member's M1 many times.
    Replays,
    /// A member begins handshakes and does not continue.
    HalfHandshakes,
    /// A member finishes many handshakes at one moment.
    Rush,
    /// A member makes sessions and drops them at any point.
    Drops,
    /// A member grants all possible credit and does not read.
    Greedy,
    /// A member reads, and never grants any credit.
    Withholding,
    /// A member calls, cancels and pings, and reads nothing.
    Flood,
    /// A member sends records twice, and forged ones.
    Forgeries,
    /// The thief of the service's key resumes the sessions of others.
    Thief,
    /// A member claims the id of another service, and shows its own key.
    Impostor,
}

impl Act {
    /// The acts that a story is made of.
    pub(super) const ALL: [Self; 12] = [
        Self::Connections,
        Self::Streams,
        Self::Replays,
        Self::HalfHandshakes,
        Self::Rush,
        Self::Drops,
        Self::Greedy,
        Self::Withholding,
        Self::Flood,
        Self::Forgeries,
        Self::Thief,
        Self::Impostor,
    ];

    /// Whether it holds what a newcomer needs.
    pub(super) fn holds_places(self) -> bool {
        matches!(self, Self::Connections | Self::Streams | Self::HalfHandshakes)
    }
}

/// A hostile peer with a door for each of its addresses.
pub(super) struct Attacker {
    pub(super) doors: Vec<Door>,
    pub(super) rng: Rng,
    pub(super) ledger: Arc<Ledger>,
    /// Calls of this attacker that must not run twice.
    pub(super) uid: Uid,
    /// The time for which it holds everything that it has.
    pub(super) patience: Duration,
}

impl Attacker {
    pub(super) async fn run(mut self, act: Act) {
        let patience = self.patience;
        // The drop of the future releases everything that it holds.
        let _ = timeout(patience, async {
            match act {
                Act::Connections => self.connections().await,
                Act::Streams => self.streams().await,
                Act::Replays => self.replays().await,
                Act::HalfHandshakes => self.half_handshakes().await,
                Act::Rush => self.rush().await,
                Act::Drops => self.drops().await,
                Act::Greedy => self.greedy().await,
                Act::Withholding => self.withholding().await,
                Act::Flood => self.flood().await,
                Act::Forgeries => self.forgeries().await,
                Act::Thief => self.thief().await,
                Act::Impostor => self.impostor().await,
            }
        })
        .await;
    }

    fn door(&mut self) -> Door {
        self.rng.pick(&self.doors).clone()
    }

    /// Holds as many connections as it can get, and replaces closed ones.
    async fn connections(&mut self) -> Tried<()> {
        let mut held = Vec::new();
        for round in 0.. {
            let want = if round < 80 { 4 } else { 1 };
            for _ in 0..want {
                let door = self.door();
                let from = SocketAddr::from(([127, 0, 0, 1], 9));
                let Ok(mut pipe) = memory::connect(&(door.network, door.port), from) else { continue };
                held.push(tokio::spawn(async move { pipe.read(&mut [0; 1024]).await.unwrap_or(0) }));
            }
            sleep(Duration::from_millis(5)).await;
            held.retain(|connection| !connection.is_finished());
            while held.len() > 320 {
                sleep(Duration::from_millis(50)).await;
                held.retain(|connection| !connection.is_finished());
            }
        }
        Ok(())
    }

    /// Holds as many streams as it can get.
    async fn streams(&mut self) -> Tried<()> {
        let mut held = Vec::new();
        for round in 0.. {
            let door = self.door();
            match timeout(Duration::from_secs(1), door.open()).await {
                Ok(Ok(duplex)) => held.push(duplex),
                _ => sleep(Duration::from_millis(30)).await,
            }
            if round > 40 {
                sleep(Duration::from_millis(30)).await;
            }
            if held.len() > 64 {
                held.remove(0);
            }
        }
        Ok(())
    }

    async fn replays(&mut self) -> Tried<()> {
        let door = self.door();
        let (m1, _) = door.hello("carol", key_of("carol"), None)?;
        let mut held = Vec::new();
        loop {
            let mut duplex = self.door().open().await?;
            if ask(&mut duplex, m1.clone()).await.is_ok() && self.rng.percent(50) {
                held.push(duplex);
            }
            if held.len() > 16 {
                sleep(Duration::from_millis(40)).await;
                held.remove(0);
            }
        }
    }

    async fn half_handshakes(&mut self) -> Tried<()> {
        let mut held = Vec::new();
        for _ in 0..24 {
            let door = self.door();
            let Ok(mut duplex) = door.open().await else { continue };
            let (m1, _) = door.hello(MEMBER, key_of(MEMBER), None)?;
            if ask(&mut duplex, m1).await.is_ok() {
                held.push(duplex);
            }
        }
        std::future::pending().await
    }

    /// Brings handshakes to their last step, and completes all of them at once.
    async fn rush(&mut self) -> Tried<()> {
        let mut ready = Vec::new();
        for _ in 0..self.rng.between(4, 12) {
            let door = self.door();
            let Ok(mut duplex) = door.open().await else { break };
            let (m1, state) = door.hello(MEMBER, key_of(MEMBER), None)?;
            let Ok(m2) = ask(&mut duplex, m1).await else { break };
            let Ok(state) = state.on_hello(&m2, door.clock.now()) else { break };
            let Ok((m3, state)) = state.prove(door.clock.now()) else { break };
            ready.push((door, duplex, m3, state));
        }
        let mut sessions = Vec::new();
        for (door, duplex, m3, state) in ready {
            duplex.outgoing.send(m3.into()).await;
            sessions.push(tokio::spawn(async move { Peer::finish(&door, MEMBER, duplex, state).await }));
        }
        let mut held = Vec::new();
        for session in sessions {
            held.extend(session.await.map_err(drop)?.ok());
        }
        std::future::pending().await
    }

    /// Makes sessions and drops them at any point.
    async fn drops(&mut self) -> Tried<()> {
        let door = self.door();
        let mut ticket = None;
        for _ in 0..20 {
            let point = self.rng.below(6);
            let mut duplex = door.open().await?;
            if point == 0 {
                continue;
            }
            let hello = door.hello(MEMBER, key_of(MEMBER), ticket.take())?;
            if point == 1 {
                duplex.outgoing.send(hello.0.into()).await;
                continue;
            }
            let Ok(state) = prove(&door, &mut duplex, hello).await else { continue };
            if point == 2 {
                continue;
            }
            let Ok(mut peer) = Peer::finish(&door, MEMBER, duplex, state).await else { continue };
            ticket = peer.session.ticket.take();
            if point > 4 {
                let method = *self.rng.pick(&[Method::Never, Method::Later, Method::Items, Method::Chat]);
                let request = peer.request(method, 0, MEMBER);
                peer.send(request).await;
                sleep(Duration::from_millis(self.rng.below(20))).await;
            }
        }
        Ok(())
    }

    async fn greedy(&mut self) -> Tried<()> {
        let door = self.door();
        let mut peer = Peer::join(&door, MEMBER, None).await?;
        let all = (1u32 << 31) - (16 << 20);
        for call in 1..=self.rng.between(1, 3) as u32 {
            let request = peer.request(Method::Flood, 0, MEMBER);
            peer.send(request).await;
            let windows = [Encoded::window(call, all), Encoded::window(0, all / 4)];
            for window in windows {
                let record = peer.record(&window);
                peer.send(record).await;
            }
        }
        std::future::pending().await
    }

    async fn withholding(&mut self) -> Tried<()> {
        let door = self.door();
        let mut peer = Peer::join(&door, MEMBER, None).await?;
        for _ in 0..self.rng.between(1, 20) {
            let request = peer.request(Method::Flood, 0, MEMBER);
            peer.send(request).await;
        }
        loop {
            peer.read().await?;
        }
    }

    async fn flood(&mut self) -> Tried<()> {
        let door = self.door();
        let mut peer = Peer::join(&door, MEMBER, None).await?;
        for round in 0..200u64 {
            let method = *self.rng.pick(&[Method::Echo, Method::Never, Method::Later]);
            let request = peer.request(method, 0, MEMBER);
            let cancel = Encoded::cancel(peer.calls, crate::record::message::CancelCause::Cancelled);
            let cancel = peer.record(&cancel);
            let ping = peer.record(&Encoded::ping(round.to_be_bytes()));
            for record in [request, cancel, ping] {
                peer.send(record).await;
            }
            if round % 20 == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        }
        std::future::pending().await
    }

    async fn forgeries(&mut self) -> Tried<()> {
        let door = self.door();
        let mut peer = Peer::join(&door, MEMBER, None).await?;
        self.ledger.begin(self.uid, MEMBER, false, 3_600_000);
        let request = peer.request(Method::Echo, self.uid, MEMBER);
        for _ in 0..self.rng.between(2, 4) {
            peer.send(request.clone()).await;
        }
        for _ in 0..self.rng.between(1, 7) {
            let mut forged = request.clone();
            let at = self.rng.below(forged.len() as u64) as usize;
            forged[at] ^= 1 << self.rng.below(8);
            peer.send(forged).await;
        }
        let item = Encoded::item(peer.calls, Payload { encoding: Encoding::Raw, bytes: b"no stream" });
        let item = peer.record(&item);
        peer.send(item).await;
        self.ledger.cancelled(self.uid);
        loop {
            peer.read().await?;
        }
    }

    /// Poses as carol to a service whose key it has stolen, with a ticket for a
    /// session that carol might have had. It has no key of carol.
    async fn thief(&mut self) -> Tried<()> {
        let door = self.door();
        let (service, stolen) = (door.service.parse().unwrap(), key_of(door.service));
        let (victim, shown) = ("carol", key_of("carol").public_key().thumbprint());
        let now = door.clock.now();
        let ticket = forge_ticket(&service, &stolen, &door.secrets(), &victim.parse().unwrap(), shown, now);
        let mut duplex = door.open().await?;
        let (m1, state) = door.hello(victim, key_of(victim), Some(ticket))?;
        let m2 = ask(&mut duplex, m1).await?;
        let state = state.on_hello(&m2, now).map_err(drop)?;
        if !state.is_resumed() {
            // The next step would need the key.
            return Err(());
        }
        let (m3, state) = state.prove(now).map_err(drop)?;
        duplex.outgoing.send(m3.into()).await;
        let mut peer = Peer::finish(&door, victim, duplex, state).await?;
        let request = peer.request(Method::Echo, 0, "the thief of a key");
        peer.send(request).await;
        loop {
            peer.read().await?;
        }
    }

    /// Poses as a known or an unknown service, with the key of a member. Any of its
    /// requests that runs is a violation.
    async fn impostor(&mut self) -> Tried<()> {
        loop {
            let door = self.door();
            let others: Vec<_> =
                SERVICES.into_iter().filter(|name| ![door.service, MEMBER].contains(name)).collect();
            let claimed = if self.rng.percent(70) { *self.rng.pick(&others) } else { "nobody-yet" };
            let mut duplex = door.open().await?;
            let hello = door.hello(claimed, key_of(MEMBER), None)?;
            if let Ok(state) = prove(&door, &mut duplex, hello).await
                && let Ok(mut peer) = Peer::finish(&door, claimed, duplex, state).await
            {
                let request = peer.request(Method::Echo, 0, "an impostor");
                peer.send(request).await;
                while peer.read().await.is_ok() {}
            }
            sleep(Duration::from_millis(self.rng.between(5, 200))).await;
        }
    }
}
