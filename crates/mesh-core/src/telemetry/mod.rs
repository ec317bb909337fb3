//! Figures for monitoring and entries for the audit log. Nothing here performs output.

mod audit;
mod escape;
mod metrics;

pub use audit::{AuditDetails, AuditEvent};
pub use escape::escape;
pub use metrics::{CircuitLabel, Latencies, Metrics, MetricsSnapshot};
