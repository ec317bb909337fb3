//! The seats of peers, which limit the open sessions of each.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use crate::{config::Limits, id::ServiceId, mesh::sync::lock};

/// Seats by peer: sessions that peers have opened or are about to open.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    by_peer: HashMap<ServiceId, usize>,
    taken: usize,
}

impl Seats {
    /// The number of taken seats, and of their peers.
    pub(crate) fn count(&self) -> (usize, usize) {
        (self.taken, self.by_peer.len())
    }
}

/// A peer's seat for one session. It is taken before the end of the handshake,
/// so that concurrent handshakes cannot all use the same free seat. Its drop
/// releases it, at the end of the session or of a failed handshake.
pub(super) struct Seat {
    seats: Arc<Mutex<Seats>>,
    peer: ServiceId,
}

impl Seat {
    /// Takes a seat for `peer`, or names the reached limit.
    pub(super) fn take(
        all: &Arc<Mutex<Seats>>,
        limits: &Limits,
        peer: &ServiceId,
    ) -> Result<Self, &'static str> {
        let mut seats = lock(all);
        if seats.taken >= limits.max_sessions as usize {
            return Err("limits.maxSessions");
        }
        let of_peer = seats.by_peer.get(peer).copied().unwrap_or(0);
        if of_peer >= limits.max_sessions_per_peer as usize {
            return Err("limits.maxSessionsPerPeer");
        }
        seats.by_peer.insert(peer.clone(), of_peer + 1);
        seats.taken += 1;
        Ok(Self { seats: Arc::clone(all), peer: peer.clone() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = lock(&self.seats);
        seats.taken -= 1;
        if let Some(count) = seats.by_peer.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                seats.by_peer.remove(&self.peer);
            }
        }
    }
}
