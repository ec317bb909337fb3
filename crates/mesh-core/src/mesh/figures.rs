//! The figures of a mesh at one moment.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use super::{
    core::Core,
    stats::{Shed, Stats},
};
use crate::telemetry::{Moment, report::LimitView};

/// The interval between two entries of gauges in the record of the mesh.
const STEP: Duration = Duration::from_secs(1);

/// Gauges: counts of things held now. Each thing has an owner, whose end
/// releases it, so all gauges are zero without peers and calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Connections accepted and open.
    pub connections: usize,
    /// Of these, the ones with neither a session nor a handshake of a peer that knows the secret.
    pub unproven: usize,
    /// The addresses of these.
    pub unproven_addresses: usize,
    /// Streams whose peers have yet to prove themselves.
    pub handshakes: usize,
    /// The addresses of these.
    pub handshake_addresses: usize,
    /// Open sessions, in both directions.
    pub sessions: usize,
    /// Of these, the ones that peers opened.
    pub inbound_sessions: usize,
    /// Seats: sessions that peers have opened or are about to open.
    pub seats: usize,
    /// Peers with seats.
    pub seated_peers: usize,
    /// Requests in progress.
    pub requests: usize,
    /// Ended requests whose handlers still run.
    pub abandoned: usize,
    /// Calls in flight.
    pub calls: usize,
    /// Deadlines of calls and requests.
    pub timers: usize,
    /// RSA private operations in progress.
    pub private_operations: usize,
    /// Bytes held for peers and calls.
    pub memory: usize,
}

impl Gauges {
    /// The gauges now.
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

/// The statistics of a mesh now.
pub(super) fn stats(core: &Core) -> Stats {
    let (calling, answering) = (core.client.sessions(), core.server.sessions());
    let inbound_sessions = answering.len();
    Stats {
        active_sessions: calling.len() + inbound_sessions,
        inbound_sessions,
        unsent_bytes: calling.unsent() + answering.unsent(),
        calls_in_flight: core.client.count(),
        calls_queued: core.client.queued(),
        concurrency_limit: core.server.concurrency_limit(),
        services_stale: core.client.stale_services(),
        shared_quota: core.server.has_shared_quota(),
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

/// Connections that newcomers evicted, since the start.
fn connections_displaced(core: &Core) -> u64 {
    core.listening.as_ref().map_or(0, |listening| listening.connections.gave_way())
}

/// Records the gauges at a fixed interval until the mesh stops.
pub(super) async fn note_moments(core: Arc<Core>) {
    let shared = &core.shared;
    let mut step = interval(STEP);
    step.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            _ = step.tick() => {}
        }
        shared.guarded(|| {
            note_moment(&core);
            shared.sight.mark(shared.elapsed());
        });
    }
}

/// Records the gauges.
pub(super) fn note_moment(core: &Core) {
    let event_loop_delay = core.shared.sight.moment().event_loop_delay;
    core.shared.sight.set_moment(Moment { event_loop_delay, ..moment(core) });
}

fn moment(core: &Core) -> Moment {
    let (gauges, stats) = (Gauges::of(core), stats(core));
    let mut breakers: BTreeMap<String, [u64; 3]> = BTreeMap::new();
    if core.client.has_breakers() {
        for instance in core.client.instances() {
            let counts = breakers.entry(instance.service).or_default();
            let at = match instance.breaker.as_str() {
                "open" => 1,
                "half-open" => 2,
                _ => 0,
            };
            counts[at] += 1;
        }
    }
    Moment {
        connections: gauges.connections as u64,
        sessions_in: gauges.inbound_sessions as u64,
        sessions_out: (gauges.sessions - gauges.inbound_sessions) as u64,
        handshakes: gauges.handshakes as u64,
        calls: gauges.calls as u64,
        requests: gauges.requests as u64,
        abandoned: gauges.abandoned as u64,
        unsent_bytes: stats.unsent_bytes as u64,
        streams_stalled: stats.streams_stalled as u64,
        handshakes_completed: stats.handshakes_ok,
        handshakes_resumed: stats.sessions_resumed,
        private_operations: stats.private_operations,
        records_discarded: stats.records_discarded,
        strangers_displaced: stats.strangers_displaced,
        shed: Shed::ALL.iter().zip(stats.shed).map(|(cause, count)| (cause.as_str(), count)).collect(),
        shared_quota: stats.shared_quota,
        discovery_ages: core.client.discovery_ages(),
        calls_queued: stats.calls_queued as u64,
        calls_waited: (stats.calls_waited, stats.calls_waited_time),
        calls_queue_refused: [stats.calls_queue_full, stats.calls_queue_over],
        calls_elsewhere: stats.calls_elsewhere,
        concurrency_limit: stats.concurrency_limit,
        certificates: core.identity.certificate_ends(),
        retry_budget: core.client.retry_budget(),
        breakers: breakers.into_iter().collect(),
        limits: limits(core, &gauges),
        event_loop_delay: None,
    }
}

/// The limits, with their current use.
fn limits(core: &Core, gauges: &Gauges) -> Vec<LimitView> {
    let limits = &core.shared.config.limits;
    let all = [
        ("limits.maxPendingCalls", gauges.calls, limits.max_pending_calls),
        ("limits.maxSessions", gauges.seats, limits.max_sessions),
        ("limits.maxConnections", gauges.connections, limits.max_connections),
        ("limits.maxPendingHandshakes", gauges.handshakes, limits.max_pending_handshakes),
    ];
    let view = |(name, used, max): (&str, usize, u32)| LimitView {
        name: name.to_owned(),
        used: used as u64,
        max: max.into(),
        unit: "count".to_owned(),
    };
    let listens = core.listening.is_some();
    all.into_iter().take(if listens { all.len() } else { 1 }).map(view).collect()
}
