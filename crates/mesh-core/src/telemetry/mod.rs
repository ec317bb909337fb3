//! Figures for monitoring and entries for the audit log. Nothing here performs output.
//!
//! `metrics` are the figures of `MetricsCollector`. The `recorder` is the record of a mesh, made of `flows` (calls
//! by peer and method, in `histogram`s), the `live` tail, the `spans` and the `moment`; `exposition` writes it for Prometheus
//! and `report` is what a process says of itself.

mod audit;
mod escape;
mod exemplars;
pub mod exposition;
mod families;
mod flows;
mod histogram;
mod history;
mod live;
mod metrics;
mod moment;
pub mod picture;
pub mod problems;
mod recorded;
mod recorder;
pub mod report;
mod spans;
mod trace_context;
mod track;

pub use audit::{AuditDetails, AuditEvent};
pub use escape::escape;
pub use flows::{Flow, FlowFigures, FlowKind, Flows, OTHER, Running};
pub use histogram::{BOUNDS_MICROS, BUCKETS, Buckets, Exemplar, Exemplars};
pub use history::{History, HistoryView, STEP_MS, Series};
pub use live::{Batch, CallLine, Live, MeshEvent, Reader, Tail};
pub use metrics::{CircuitLabel, Latencies, Metrics, MetricsSnapshot};
pub use moment::Moment;
pub use recorded::{Began, Begun, Direction, Failed, Refusals, Totals, Watched};
pub use recorder::Recorder;
pub use spans::{
    BATCH, Dropped, HandshakeSpan, MAX_WAITING, OpenSpan, Span, SpanKind, SpanValue, Tracer, Wake,
};
pub use trace_context::TraceContext;
