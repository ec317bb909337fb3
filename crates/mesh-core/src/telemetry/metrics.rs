//! Figures about a mesh, for people (a snapshot) and for Prometheus (text).

use std::{collections::HashSet, time::Duration};

use prometheus_client::{
    encoding::text,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use super::escape;
use crate::error::Code;

/// The limit of pairs of service and method with their own counters; calls of
/// all other pairs are counted together.
const MAX_CALLS: usize = 500;
/// The same for denials, by rule, caller and method.
const MAX_DENIALS: usize = 500;
/// The longest label, in characters.
const MAX_LABEL: usize = 128;
/// The label of pairs beyond [`MAX_CALLS`].
const OTHER: &str = "other";

type Labels = [(&'static str, &'static str); 1];
type CallLabels = Vec<(&'static str, String)>;

/// The new state of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitLabel {
    /// Calls are admitted.
    Closed,
    /// Calls are rejected.
    Open,
    /// Probes are admitted.
    HalfOpen,
}

/// The figures as they are now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MetricsSnapshot {
    /// Connections attempted.
    pub connections: u64,
    /// Open connections.
    pub connections_active: u64,
    /// Connections that failed.
    pub connections_failed: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
    /// Messages that failed.
    pub failed: u64,
    /// The latencies of calls: count, sum, shortest and longest.
    pub latencies: Latencies,
    /// Requests within their quota.
    pub allowed: u64,
    /// Requests over their quota.
    pub blocked: u64,
    /// Times a circuit closed.
    pub closed: u64,
    /// Times a circuit opened.
    pub open: u64,
    /// Times a circuit became half open.
    pub half_open: u64,
}

/// The latencies of calls as sums, without individual values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// The number of latencies.
    pub count: u32,
    /// The sum of the latencies.
    pub sum: Duration,
    /// The shortest; zero if there is none.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
}

impl Latencies {
    /// The mean; zero if there is none.
    #[must_use]
    pub fn mean(&self) -> Duration {
        self.sum.checked_div(self.count).unwrap_or_default()
    }

    fn add(&mut self, latency: Duration) {
        self.min = if self.count == 0 { latency } else { self.min.min(latency) };
        self.max = self.max.max(latency);
        self.sum = self.sum.saturating_add(latency);
        self.count = self.count.saturating_add(1);
    }
}

/// Counts the events of a mesh. Its memory is bounded, whatever services and
/// methods are called.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    snapshot: MetricsSnapshot,
    calls: HashSet<(String, String)>,
    denied: HashSet<[String; 3]>,
    connections: Family<Labels, Counter>,
    active: Gauge,
    messages: Family<Labels, Counter>,
    latency: Histogram,
    quota: Family<Labels, Counter>,
    circuits: Family<Labels, Counter>,
    denials: Family<CallLabels, Counter>,
    call_codes: Family<CallLabels, Counter>,
    call_times: Family<CallLabels, Histogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All figures at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("secure_mesh"),
            snapshot: MetricsSnapshot::default(),
            calls: HashSet::new(),
            denied: HashSet::new(),
            connections: Family::default(),
            active: Gauge::default(),
            messages: Family::default(),
            latency: histogram(),
            quota: Family::default(),
            circuits: Family::default(),
            denials: Family::default(),
            call_codes: Family::default(),
            call_times: Family::new_with_constructor(histogram as fn() -> Histogram),
        };
        let registry = &mut metrics.registry;
        registry.register("connections", "Connections by outcome", metrics.connections.clone());
        registry.register("connections_active", "Open connections", metrics.active.clone());
        registry.register("messages", "Messages by outcome", metrics.messages.clone());
        registry.register_with_unit("latency", "Latency of calls", Unit::Seconds, metrics.latency.clone());
        registry.register("quota_requests", "Requests by the decision of their quota", metrics.quota.clone());
        registry.register(
            "circuit_transitions",
            "Changes of circuit breakers by new state",
            metrics.circuits.clone(),
        );
        registry.register(
            "authorization_denials",
            "Requests denied by the policy, or in audit mode let through, by rule, caller and method",
            metrics.denials.clone(),
        );
        registry.register("calls", "Calls by service, method and code", metrics.call_codes.clone());
        registry.register_with_unit(
            "call_duration",
            "Latency of calls by service and method",
            Unit::Seconds,
            metrics.call_times.clone(),
        );
        metrics
    }

    /// Counts an attempt to connect.
    pub fn connection(&mut self, success: bool) {
        self.snapshot.connections += 1;
        if success {
            self.snapshot.connections_active += 1;
        } else {
            self.snapshot.connections_failed += 1;
        }
        count(&self.connections, "outcome", if success { "success" } else { "failure" });
        self.show_active();
    }

    /// Counts the end of a connection.
    pub fn connection_closed(&mut self) {
        self.snapshot.connections_active = self.snapshot.connections_active.saturating_sub(1);
        self.show_active();
    }

    /// Counts a sent message.
    pub fn sent(&mut self) {
        self.snapshot.sent += 1;
        count(&self.messages, "outcome", "sent");
    }

    /// Counts a received message.
    pub fn received(&mut self) {
        self.snapshot.received += 1;
        count(&self.messages, "outcome", "received");
    }

    /// Counts a failed message.
    pub fn failed(&mut self) {
        self.snapshot.failed += 1;
        count(&self.messages, "outcome", "failed");
    }

    /// Records the latency of a call.
    pub fn latency(&mut self, latency: Duration) {
        self.snapshot.latencies.add(latency);
        self.latency.observe(latency.as_secs_f64());
    }

    /// Counts the decision of a quota about a request.
    pub fn quota(&mut self, allowed: bool) {
        if allowed {
            self.snapshot.allowed += 1;
        } else {
            self.snapshot.blocked += 1;
        }
        count(&self.quota, "outcome", if allowed { "allowed" } else { "blocked" });
    }

    /// A request was denied by the policy, or let through because the policy only audits.
    pub fn denial(&mut self, rule: &str, caller: &str, method: &str, enforced: bool) {
        let mut names = [rule, caller, method].map(label);
        if !self.denied.contains(&names) {
            if self.denied.len() < MAX_DENIALS {
                self.denied.insert(names.clone());
            } else {
                // A caller chooses the names of methods.
                names = [OTHER; 3].map(str::to_owned);
            }
        }
        let [rule, caller, method] = names;
        let mode = if enforced { "enforce" } else { "audit" }.to_owned();
        let labels = vec![("rule", rule), ("caller", caller), ("method", method), ("mode", mode)];
        self.denials.get_or_create(&labels).inc();
    }

    /// Counts a state change of a circuit breaker.
    pub fn circuit(&mut self, state: CircuitLabel) {
        let (figure, label) = match state {
            CircuitLabel::Closed => (&mut self.snapshot.closed, "closed"),
            CircuitLabel::Open => (&mut self.snapshot.open, "open"),
            CircuitLabel::HalfOpen => (&mut self.snapshot.half_open, "half_open"),
        };
        *figure += 1;
        count(&self.circuits, "state", label);
    }

    /// Records the end of a call; the code `None` means success.
    pub fn call(&mut self, service: &str, method: &str, code: Option<Code>, latency: Duration) {
        let pair = (label(service), label(method));
        let (service, method) = if self.calls.contains(&pair) {
            pair
        } else if self.calls.len() < MAX_CALLS {
            self.calls.insert(pair.clone());
            pair
        } else {
            (OTHER.to_owned(), OTHER.to_owned())
        };
        let mut labels = vec![("service", service), ("method", method)];
        self.call_times.get_or_create(&labels).observe(latency.as_secs_f64());
        labels.push(("code", code.map_or("OK", Code::as_str).to_owned()));
        self.call_codes.get_or_create(&labels).inc();
    }

    /// The figures as they are now.
    #[must_use]
    pub const fn snapshot(&self) -> MetricsSnapshot {
        self.snapshot
    }

    /// The figures in the text format of `OpenMetrics` 1.0, for Prometheus.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut page = String::new();
        // Writing to a `String` cannot fail.
        let _ = text::encode(&mut page, &self.registry);
        page
    }

    fn show_active(&self) {
        self.active.set(i64::try_from(self.snapshot.connections_active).unwrap_or(i64::MAX));
    }
}

/// Creates a histogram of latencies from a tenth of a millisecond to 26 seconds.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 19))
}

fn count(family: &Family<Labels, Counter>, name: &'static str, value: &'static str) {
    family.get_or_create(&[(name, value)]).inc();
}

/// Cuts and escapes a label, so that it cannot fill the page. The encoder
/// escapes quotation marks.
fn label(text: &str) -> String {
    let short: String = text.chars().take(MAX_LABEL).collect();
    escape(&short).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_what_was_recorded() {
        let mut metrics = Metrics::new();
        metrics.connection(true);
        metrics.connection(false);
        metrics.connection_closed();
        metrics.connection_closed();
        metrics.sent();
        metrics.received();
        metrics.failed();
        for ms in [20, 5, 11] {
            metrics.latency(Duration::from_millis(ms));
        }
        metrics.quota(true);
        metrics.quota(false);
        metrics.circuit(CircuitLabel::HalfOpen);
        let snapshot = metrics.snapshot();
        assert_eq!(snapshot.latencies.mean(), Duration::from_millis(12));
        assert_eq!(
            (snapshot.latencies.min, snapshot.latencies.max),
            (Duration::from_millis(5), Duration::from_millis(20))
        );
        assert_eq!(
            (snapshot.connections, snapshot.connections_failed, snapshot.connections_active),
            (2, 1, 0)
        );
        assert_eq!((snapshot.allowed, snapshot.blocked, snapshot.half_open, snapshot.open), (1, 1, 1, 0));
    }

    #[test]
    fn prometheus_can_read_the_page() {
        let mut metrics = Metrics::new();
        metrics.sent();
        metrics.call("orders", "orders.get", Some(Code::NotFound), Duration::from_millis(3));
        let page = metrics.to_text();
        assert!(page.contains("secure_mesh_messages_total{outcome=\"sent\"} 1\n"), "{page}");
        assert!(
            page.contains(
                "secure_mesh_calls_total{service=\"orders\",method=\"orders.get\",code=\"NOT_FOUND\"} 1\n"
            ),
            "{page}"
        );
        assert!(
            page.contains(
                "secure_mesh_call_duration_seconds_count{service=\"orders\",method=\"orders.get\"} 1\n"
            ),
            "{page}"
        );
        assert!(page.ends_with("# EOF\n"));
    }

    #[test]
    fn denials_are_counted_by_rule_caller_and_method_and_no_caller_fills_the_page() {
        let mut metrics = Metrics::new();
        metrics.denial("(default)", "batch", "orders.delete", true);
        metrics.denial("no guests", "guest", "x\"}\nforged", false);
        for number in 0..5_000 {
            metrics.denial("r", "c", &format!("m{number}"), true);
        }
        let page = metrics.to_text();
        let line = "secure_mesh_authorization_denials_total{rule=\"(default)\",caller=\"batch\",\
                    method=\"orders.delete\",mode=\"enforce\"} 1\n";
        assert!(page.contains(line), "{page}");
        assert!(!page.lines().any(|line| line.starts_with("forged")), "a line was forged");
        let series = page.lines().filter(|line| line.starts_with("secure_mesh_authorization_denials_total{"));
        assert_eq!(series.count(), MAX_DENIALS + 1);
        assert!(page.contains("rule=\"other\",caller=\"other\",method=\"other\",mode=\"enforce\"} 4502"));
    }

    #[test]
    fn no_name_breaks_the_page_and_no_number_of_names_fills_it() {
        let mut metrics = Metrics::new();
        let evil = format!("x\"}} 1\nforged_total{{a=\"{}", "y".repeat(10_000));
        metrics.call(&evil, "m\\", None, Duration::ZERO);
        for number in 0..5_000 {
            metrics.call("s", &format!("m{number}"), None, Duration::ZERO);
        }
        let page = metrics.to_text();
        assert!(!page.lines().any(|line| line.starts_with("forged")), "a line was forged");
        let series = page.lines().filter(|line| line.starts_with("secure_mesh_calls_total{")).count();
        assert_eq!(series, MAX_CALLS + 1);
        assert!(page.contains("service=\"other\",method=\"other\",code=\"OK\"} 4501"), "the rest is counted");
    }
}
