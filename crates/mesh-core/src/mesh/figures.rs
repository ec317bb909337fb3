//! The figures of a mesh at one moment.

use super::{core::Core, stats::Stats};

/// What there is now: each is taken by an owner and given back at its end. With
/// no peer and no call, all of them are zero.
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
    /// Bytes held for peers and calls.
    pub memory: usize,
}

impl Gauges {
    /// What there is now.
    pub(super) fn of(core: &Core) -> Self {
        let (connections, unproven, unproven_addresses) =
            core.listening.as_ref().map(|listening| listening.connections.count()).unwrap_or_default();
        let (handshakes, handshake_addresses) = core.server.handshakes();
        let inbound_sessions = core.server.sessions().len();
        let (seats, seated_peers) = core.server.seats();
        let (requests, abandoned) = core.server.count();
        Self {
            connections,
            unproven,
            unproven_addresses,
            handshakes,
            handshake_addresses,
            sessions: core.client.sessions().len() + inbound_sessions,
            inbound_sessions,
            seats,
            seated_peers,
            requests,
            abandoned,
            calls: core.client.count(),
            timers: core.shared.timers.len(),
            private_operations: core.shared.private_operations_running(),
            memory: core.shared.budget.figures().used,
        }
    }
}

/// The statistics of a mesh at this moment.
pub(super) fn stats(core: &Core) -> Stats {
    let (calling, answering) = (core.client.sessions(), core.server.sessions());
    let inbound_sessions = answering.len();
    Stats {
        active_sessions: calling.len() + inbound_sessions,
        inbound_sessions,
        unsent_bytes: calling.unsent() + answering.unsent(),
        calls_in_flight: core.client.count(),
        calls_queued: core.client.queued(),
        requests_in_flight: core.server.count().0,
        strangers_displaced: connections_displaced(core) + core.server.gave_way(),
        private_operations: core.identity.private_operations(),
        leaf_signatures: core.identity.leaf_signatures(),
        accepts: core.identity.accepts(),
        certificate_problem: core.identity.certificate_problem(core.shared.now()),
        key_directory_fault: core.identity.trust.fault(),
        memory: core.shared.budget.figures(),
        ..core.shared.stats.read()
    }
}

/// Connections that gave way to newcomers, since the start.
fn connections_displaced(core: &Core) -> u64 {
    core.listening.as_ref().map_or(0, |listening| listening.connections.gave_way())
}
