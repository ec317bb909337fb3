//! What happened: figures for monitoring, entries for the audit log. Nothing
//! here writes anywhere.

mod audit;
mod escape;
mod metrics;

pub use audit::{AuditDetails, AuditEvent};
pub use escape::escape;
pub use metrics::{CircuitLabel, Latencies, Metrics, MetricsSnapshot};
