//! The gauges of a process at one moment, for pages of metrics.

use std::time::Duration;

use super::report::LimitView;
use crate::clock::Timestamp;

/// The figures of a mesh that are not counted call by call.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the exposition describes each")]
pub struct Moment {
    pub connections: u64,
    pub sessions_in: u64,
    pub sessions_out: u64,
    pub handshakes: u64,
    pub calls: u64,
    pub requests: u64,
    pub abandoned: u64,
    pub unsent_bytes: u64,
    pub streams_stalled: u64,
    pub handshakes_completed: u64,
    pub handshakes_resumed: u64,
    pub private_operations: u64,
    pub records_discarded: u64,
    pub strangers_displaced: u64,
    /// Requests that were not handed to their handlers, by cause.
    pub shed: Vec<(&'static str, u64)>,
    /// Services that a provider reports, and for how long its source has been away.
    pub discovery_ages: Vec<(String, Duration)>,
    pub calls_queued: u64,
    /// The calls that have waited for room, and the sum of their waits.
    pub calls_waited: (u64, Duration),
    /// Calls that were not made: too many waited, and their wait was over.
    pub calls_queue_refused: [u64; 2],
    pub calls_elsewhere: u64,
    /// Whether the keeper of shared quotas answers; `None` if there is none.
    pub shared_quota: Option<bool>,
    /// `None` without `resilience.concurrency`.
    pub concurrency_limit: Option<u32>,
    /// The ends of certificates, by their use.
    pub certificates: Vec<(&'static str, Timestamp)>,
    /// `None` without `resilience.retry`.
    pub retry_budget: Option<f64>,
    /// Services with breakers, and of each how many are closed, open, half open.
    pub breakers: Vec<(String, [u64; 3])>,
    pub limits: Vec<LimitView>,
    /// Seconds of delay of the application's event loop, where it is measured.
    pub event_loop_delay: Option<f64>,
}
