//! The native halves of `MetricsCollector` and of the audit adapters.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mesh_core::{
    error::Code,
    telemetry::{self, AuditEvent, CircuitLabel, Metrics},
};
use napi::{Env, Result};
use napi_derive::napi;

use crate::convert::{argument, from_count, millis};

/// The figures as they are now; times in milliseconds.
#[napi(object)]
pub struct NativeMetricsSnapshot {
    /// Connections attempted.
    pub connections: f64,
    /// Open connections.
    pub connections_active: f64,
    /// Connections that failed.
    pub connections_failed: f64,
    /// Messages sent.
    pub sent: f64,
    /// Messages received.
    pub received: f64,
    /// Messages that failed.
    pub failed: f64,
    /// The mean of all latencies.
    pub avg_latency: f64,
    /// The longest.
    pub max_latency: f64,
    /// The shortest.
    pub min_latency: f64,
    /// Requests within their quota.
    pub allowed: f64,
    /// Requests over their quota.
    pub blocked: f64,
    /// Times a circuit closed.
    pub closed: f64,
    /// Times a circuit opened.
    pub open: f64,
    /// Times a circuit became half open.
    pub half_open: f64,
}

/// Counters and histograms. A mesh that receives this object counts in it.
#[napi]
pub struct NativeMetrics {
    pub(crate) metrics: Arc<Mutex<Metrics>>,
}

impl NativeMetrics {
    fn lock(&self) -> MutexGuard<'_, Metrics> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[napi]
impl NativeMetrics {
    /// Creates counters at zero.
    #[napi(constructor, catch_unwind)]
    #[allow(clippy::new_without_default, reason = "made by JavaScript only")]
    pub fn new() -> Self {
        Self { metrics: Arc::new(Mutex::new(Metrics::new())) }
    }

    /// Counts an attempt to connect.
    #[napi(catch_unwind)]
    pub fn connection(&self, success: bool) {
        self.lock().connection(success);
    }

    /// Counts the end of a connection.
    #[napi(catch_unwind)]
    pub fn connection_closed(&self) {
        self.lock().connection_closed();
    }

    /// Counts a sent message.
    #[napi(catch_unwind)]
    pub fn sent(&self) {
        self.lock().sent();
    }

    /// Counts a received message.
    #[napi(catch_unwind)]
    pub fn received(&self) {
        self.lock().received();
    }

    /// Counts a failed message.
    #[napi(catch_unwind)]
    pub fn failed(&self) {
        self.lock().failed();
    }

    /// Records the latency of a call.
    #[napi(catch_unwind)]
    pub fn latency(&self, env: Env, ms: f64) -> Result<()> {
        self.lock().latency(fine(env, "latencyMs", ms)?);
        Ok(())
    }

    /// Counts the decision of a quota about a request.
    #[napi(catch_unwind)]
    pub fn quota(&self, allowed: bool) {
        self.lock().quota(allowed);
    }

    /// Counts a state change of a circuit breaker.
    #[napi(catch_unwind)]
    pub fn circuit(&self, env: Env, state: String) -> Result<()> {
        self.lock().circuit(match state.as_str() {
            "closed" => CircuitLabel::Closed,
            "open" => CircuitLabel::Open,
            "half_open" => CircuitLabel::HalfOpen,
            _ => return Err(argument(env, "state must be 'closed', 'open' or 'half_open'")),
        });
        Ok(())
    }

    /// Records the end of a call; a successful one has no `code`.
    #[napi(catch_unwind)]
    pub fn call(
        &self,
        env: Env,
        service: String,
        method: String,
        code: Option<String>,
        ms: f64,
    ) -> Result<()> {
        let code = code.map(|code| Code::from_name(&code).unwrap_or(Code::Unknown));
        self.lock().call(&service, &method, code, fine(env, "latencyMs", ms)?);
        Ok(())
    }

    /// The figures as they are now.
    #[napi(catch_unwind)]
    pub fn snapshot(&self) -> NativeMetricsSnapshot {
        let figures = self.lock().snapshot();
        let latencies = figures.latencies;
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        NativeMetricsSnapshot {
            connections: from_count(figures.connections),
            connections_active: from_count(figures.connections_active),
            connections_failed: from_count(figures.connections_failed),
            sent: from_count(figures.sent),
            received: from_count(figures.received),
            failed: from_count(figures.failed),
            avg_latency: ms(latencies.mean()),
            max_latency: ms(latencies.max),
            min_latency: ms(latencies.min),
            allowed: from_count(figures.allowed),
            blocked: from_count(figures.blocked),
            closed: from_count(figures.closed),
            open: from_count(figures.open),
            half_open: from_count(figures.half_open),
        }
    }

    /// The figures for Prometheus.
    #[napi(catch_unwind)]
    pub fn to_text(&self) -> String {
        self.lock().to_text()
    }
}

/// Converts milliseconds with their fraction, since a latency may be far below one.
fn fine(env: Env, name: &str, ms: f64) -> Result<Duration> {
    let whole = millis(env, name, ms)?;
    Ok(Duration::try_from_secs_f64(ms / 1000.0).unwrap_or(whole))
}

/// Formats an audit entry, given as JSON, as one line that is safe to display
/// and to store.
#[napi(catch_unwind)]
pub fn audit_line(env: Env, json: String) -> Result<String> {
    match serde_json::from_str::<AuditEvent>(&json) {
        Ok(event) => Ok(event.to_line()),
        Err(error) => Err(argument(env, format!("the audit event is invalid: {error}"))),
    }
}

/// Escapes every character of a string that could deceive the reader of a log.
#[napi(catch_unwind)]
pub fn escape_text(text: String) -> String {
    telemetry::escape(&text).into_owned()
}
