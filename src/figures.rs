//! The statistics of a mesh as JSON.

use mesh_core::mesh::{CertificateStats, Shed, Stats};
use serde_json::{Value, json};

use crate::events::certificate;

/// All figures of a mesh, by the names that `getStats()` and `healthCheck()` read.
pub(crate) fn figures(stats: &Stats, certificates: Option<&CertificateStats>) -> Value {
    let mut value = json!({
        "activeSessions": stats.active_sessions,
        "inboundSessions": stats.inbound_sessions,
        "callsSucceeded": stats.calls_ok,
        "callsFailed": stats.calls_failed,
        "callsInFlight": stats.calls_in_flight,
        "callsQueued": stats.calls_queued,
        "callsWaited": stats.calls_waited,
        "callsWaitedMs": stats.calls_waited_time.as_secs_f64() * 1000.0,
        "callsQueueFull": stats.calls_queue_full,
        "callsQueueOver": stats.calls_queue_over,
        "callsElsewhere": stats.calls_elsewhere,
        "sparesSent": stats.spares_sent,
        "sparesAnswered": stats.spares_answered,
        "requestsSucceeded": stats.requests_ok,
        "requestsFailed": stats.requests_failed,
        "requestsDenied": stats.requests_denied,
        "denialsAudited": stats.denials_audited,
        "requestsShed": shed(stats),
        "concurrencyLimit": stats.concurrency_limit,
        "servicesStale": stats.services_stale,
        "sharedQuotaAvailable": stats.shared_quota,
        "requestsInFlight": stats.requests_in_flight,
        "handshakesSucceeded": stats.handshakes_ok,
        "handshakesFailed": stats.handshakes_failed,
        "sessionsResumed": stats.sessions_resumed,
        "streamsStalled": stats.streams_stalled,
        "unsentBytes": stats.unsent_bytes,
        "recordsDiscarded": stats.records_discarded,
        "strangersDisplaced": stats.strangers_displaced,
        "hellosReplayed": stats.hellos_replayed,
        "hellosOverBudget": stats.hellos_over_budget,
        "privateKeyOperations": stats.private_operations,
        "leafSignatures": stats.leaf_signatures,
        "keyDirectoryFault": stats.key_directory_fault,
        "memoryBytes": stats.memory.used,
        "accepts": stats.accepts.map(|accept| json!({
            "trust": accept.trust.as_str(),
            "until": accept.until.as_millis(),
        })),
        "certificateProblem": stats.certificate_problem,
    });
    if let Some(certificates) = certificates {
        value["certificate"] = certificate(&certificates.own);
        value["certificateVerifications"] = certificates.verifications.into();
    }
    value
}

/// Requests that were not handed to their handlers, by cause.
fn shed(stats: &Stats) -> Value {
    let by_cause = Shed::ALL.iter().zip(stats.shed);
    Value::Object(by_cause.map(|(cause, count)| (cause.as_str().to_owned(), count.into())).collect())
}
