//! Everything of a mesh that is counted while it lasts, at one moment: what an
//! owner takes and its end gives back. With no peer and no call, all of it is zero.

use super::{core::Core, session::lock};

/// What there is now. Zero, each of them, when nobody owns anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Connections accepted and open.
    pub connections: usize,
    /// Of these, without a session, and without a handshake of a peer that knows the secret.
    pub unproven: usize,
    /// Addresses that those are from.
    pub unproven_addresses: usize,
    /// Streams whose peers have still to prove themselves.
    pub handshakes: usize,
    /// Addresses that those are from.
    pub handshake_addresses: usize,
    /// Sessions open, either way.
    pub sessions: usize,
    /// Of these, opened by peers.
    pub inbound_sessions: usize,
    /// Sessions that peers have opened, and those they are about to.
    pub seats: usize,
    /// Peers that those are of.
    pub seated_peers: usize,
    /// Requests received and under way.
    pub requests: usize,
    /// Requests nobody waits for, whose handlers still run.
    pub abandoned: usize,
    /// Calls made here and under way.
    pub calls: usize,
    /// Deadlines of calls and requests.
    pub timers: usize,
    /// RSA private operations running.
    pub private_operations: usize,
}

impl Core {
    /// What there is now.
    pub(super) fn gauges(&self) -> Gauges {
        let (connections, unproven, unproven_addresses) =
            self.connections.as_ref().map(crate::transport::Connections::count).unwrap_or_default();
        let (handshakes, handshake_addresses) = self.admission.places.count();
        let (sessions, inbound_sessions, (seats, seated_peers)) = {
            let sessions = lock(&self.sessions);
            (sessions.len(), sessions.inbound(), sessions.seats())
        };
        let (requests, abandoned) = lock(&self.inbound).count();
        Gauges {
            connections,
            unproven,
            unproven_addresses,
            handshakes,
            handshake_addresses,
            sessions,
            inbound_sessions,
            seats,
            seated_peers,
            requests,
            abandoned,
            calls: lock(&self.outbound).calls.len(),
            timers: self.timers.len(),
            private_operations: self.private_operations_running(),
        }
    }
}
