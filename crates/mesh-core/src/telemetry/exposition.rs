//! The record of a mesh as a page for Prometheus, in `OpenMetrics` or in the older text format.

#![allow(clippy::cast_precision_loss, reason = "figures for people; beyond 2^53 they are estimates")]

use std::{
    fmt::{Error, Write},
    sync::Arc,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, NoLabelSet, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use super::{
    exemplars,
    flows::FlowFigures,
    histogram::{BOUNDS_MICROS, BUCKETS, Buckets},
    recorded::Direction,
    recorder::Recorder,
};
use crate::error::Code;

/// The most services with a row of discovery.
const MAX_SERVICES: usize = 500;

/// The content type of [`open_metrics`].
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The content type of [`prometheus`].
pub const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

const CLIENT: &str = "rpc_client_call_duration";
const SERVER: &str = "rpc_server_call_duration";

/// The page in the `OpenMetrics` 1.0 text format.
#[must_use]
pub fn open_metrics(recorder: &Arc<Recorder>) -> String {
    encode(Page::of(recorder))
}

/// The same with the trace of a call in each bucket of the durations, where one is recorded.
#[must_use]
pub fn with_exemplars(recorder: &Arc<Recorder>) -> String {
    let page = Page::of(recorder);
    let (out, inbound) = (Arc::clone(&page.outbound), Arc::clone(&page.inbound));
    let names = [CLIENT, SERVER].map(|name| format!("{name}_seconds"));
    exemplars::add(&encode(page), [(&names[0], &out), (&names[1], &inbound)])
}

/// The page in the Prometheus text format 0.0.4.
#[must_use]
pub fn prometheus(recorder: &Arc<Recorder>) -> String {
    older(&open_metrics(recorder))
}

fn encode(page: Page) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(page));
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = text::encode(&mut text, &registry);
    text
}

/// Rewrites a page for readers of the older format. That format has no units and no end marker, and the
/// name of a counter includes its suffix.
fn older(page: &str) -> String {
    let mut out = String::with_capacity(page.len());
    let mut pending: Option<(&str, &str)> = None;
    for line in page.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), help) => pending = Some((name, help.unwrap_or_default())),
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    kind => ("", kind),
                };
                if let Some((_, help)) = pending.take().filter(|(of, _)| *of == name) {
                    let _ = writeln!(out, "# HELP {name}{suffix} {help}");
                }
                let _ = writeln!(out, "# TYPE {name}{suffix} {kind}");
            }
            (Some("#"), ..) => {}
            _ => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

/// The calls are read once, so that exemplars are those of the same moment.
#[derive(Debug)]
struct Page {
    recorder: Arc<Recorder>,
    outbound: Arc<Vec<FlowFigures>>,
    inbound: Arc<Vec<FlowFigures>>,
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let (recorder, encoder) = (&*self.recorder, &mut encoder);
        durations(encoder, recorder, Direction::Out, &self.outbound)?;
        durations(encoder, recorder, Direction::In, &self.inbound)?;
        if recorder.records() {
            self.rest(encoder)?;
        }
        spans(encoder, recorder)?;
        let build = [("version", recorder.version()), ("service", recorder.service())];
        let help = "The version of the package, and the service";
        family(encoder, "securestack_build", help, None, MetricType::Info, [(build.to_vec(), Value::Info)])
    }
}

impl Page {
    fn of(recorder: &Arc<Recorder>) -> Self {
        let (outbound, inbound) = (recorder.outbound.read(), recorder.inbound.read());
        Self { recorder: Arc::clone(recorder), outbound: Arc::new(outbound), inbound: Arc::new(inbound) }
    }

    /// The figures that exist only if the mesh records calls.
    fn rest(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let recorder = &*self.recorder;
        in_flight(encoder, recorder)?;
        handshakes(encoder, recorder)?;
        gauges(encoder, recorder)?;
        counters(encoder, recorder)?;
        denials(encoder, recorder)?;
        too_much(encoder, recorder)?;
        breakers(encoder, recorder)?;
        limits(encoder, recorder)
    }
}

enum Value {
    Count(u64),
    /// A counter of seconds.
    Seconds(f64),
    Gauge(f64),
    Info,
}

fn family<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    kind: MetricType,
    rows: impl IntoIterator<Item = (Labels<'a>, Value)>,
) -> Result<(), Error> {
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let mut metric = encoder.encode_descriptor(name, help, unit, kind)?;
    for (labels, value) in rows {
        match value {
            Value::Info => metric.encode_info(&labels)?,
            Value::Count(count) if labels.is_empty() => {
                metric.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
            Value::Seconds(sum) => metric.encode_counter::<NoLabelSet, _, u64>(&sum, None)?,
            Value::Gauge(value) if labels.is_empty() => metric.encode_gauge(&value)?,
            Value::Count(count) => ConstCounter::new(count).encode(metric.encode_family(&labels)?)?,
            Value::Gauge(value) => ConstGauge::new(value).encode(metric.encode_family(&labels)?)?,
        }
    }
    Ok(())
}

fn durations(
    encoder: &mut DescriptorEncoder<'_>,
    recorder: &Recorder,
    direction: Direction,
    flows: &[FlowFigures],
) -> Result<(), Error> {
    if flows.iter().all(|flow| flow.codes.is_empty()) {
        return Ok(());
    }
    let (name, help) = match direction {
        Direction::Out => (CLIENT, "Duration of calls made here"),
        Direction::In => (SERVER, "Duration of requests answered here"),
    };
    let mut metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
    for flow in flows {
        // The convention's full name of a method: its service, then its own.
        let callee = if direction == Direction::Out { &flow.peer } else { recorder.service() };
        let method = format!("{callee}/{}", flow.method);
        for (code, buckets) in &flow.codes {
            let code = code.map_or("OK", Code::as_str);
            let labels: Labels<'_> = vec![
                ("rpc_system_name", "securestack"),
                ("rpc_method", &method),
                ("rpc_response_status_code", code),
                ("securestack_peer_service", &flow.peer),
            ];
            histogram(metric.encode_family(&labels)?, buckets)?;
        }
    }
    Ok(())
}

fn histogram(
    mut metric: prometheus_client::encoding::MetricEncoder<'_>,
    buckets: &Buckets,
) -> Result<(), Error> {
    let bound = |at: usize| BOUNDS_MICROS.get(at).map_or(f64::INFINITY, |micros| *micros as f64 / 1e6);
    let rows: [(f64, u64); BUCKETS] = std::array::from_fn(|at| (bound(at), buckets.counts[at]));
    metric.encode_histogram::<NoLabelSet>(buckets.nanos as f64 / 1e9, buckets.total(), &rows, None)
}

fn in_flight(encoder: &mut DescriptorEncoder<'_>, recorder: &Recorder) -> Result<(), Error> {
    let moment = recorder.moment();
    let rows = [
        (vec![("direction", "out")], Value::Gauge(moment.calls as f64)),
        (vec![("direction", "in")], Value::Gauge(moment.requests as f64)),
    ];
    let help = "Calls made (out) and requests answered (in) that run now";
    family(encoder, "securestack_calls_in_flight", help, None, MetricType::Gauge, rows)
}

fn handshakes(encoder: &mut DescriptorEncoder<'_>, recorder: &Recorder) -> Result<(), Error> {
    let handshakes = recorder.handshakes();
    let rows = handshakes.iter().map(|((direction, reason), count)| {
        let outcome = if reason.is_empty() { "completed" } else { "failed" };
        let labels =
            vec![("direction", direction.as_str()), ("outcome", outcome), ("reason", reason.as_str())];
        (labels, Value::Count(*count))
    });
    let help = "Handshakes by outcome and reason";
    family(encoder, "securestack_handshakes", help, None, MetricType::Counter, rows)
}

fn gauges(encoder: &mut DescriptorEncoder<'_>, recorder: &Recorder) -> Result<(), Error> {
    let moment = recorder.moment();
    let sessions = [
        (vec![("direction", "in")], Value::Gauge(moment.sessions_in as f64)),
        (vec![("direction", "out")], Value::Gauge(moment.sessions_out as f64)),
    ];
    family(encoder, "securestack_sessions", "Open sessions", None, MetricType::Gauge, sessions)?;
    let certificates = moment
        .certificates
        .iter()
        .map(|(use_of, end)| (vec![("certificate", *use_of)], Value::Gauge(end.as_millis() as f64 / 1000.0)));
    let (name, help) = (
        "securestack_certificate_expiry_timestamp",
        "End of a certificate of this service, since the Unix epoch",
    );
    family(encoder, name, help, Some(&Unit::Seconds), MetricType::Gauge, certificates)?;
    let started = recorder.started().as_millis() as f64 / 1000.0;
    let rows: [(&str, &str, Option<Unit>, Option<f64>); 8] = [
        ("securestack_connections", "Connections accepted and open", None, Some(moment.connections as f64)),
        (
            "securestack_handshakes_pending",
            "Handshakes of peers that have not proved themselves yet",
            None,
            Some(moment.handshakes as f64),
        ),
        (
            "securestack_requests_abandoned",
            "Requests nobody waits for, whose handlers still run",
            None,
            Some(moment.abandoned as f64),
        ),
        (
            "securestack_unsent",
            "Bytes of messages that wait for the connections of their sessions",
            Some(Unit::Bytes),
            Some(moment.unsent_bytes as f64),
        ),
        (
            "securestack_streams_stalled",
            "Streams whose reader has not read for ten seconds or more",
            None,
            Some(moment.streams_stalled as f64),
        ),
        ("securestack_retry_budget", "Retries that the budget has left", None, moment.retry_budget),
        (
            "securestack_event_loop_delay",
            "Delay of the application's event loop",
            Some(Unit::Seconds),
            moment.event_loop_delay,
        ),
        (
            "securestack_start_timestamp",
            "Start of this mesh, since the Unix epoch",
            Some(Unit::Seconds),
            Some(started),
        ),
    ];
    for (name, help, unit, value) in rows {
        let rows = value.map(|value| (Vec::new(), Value::Gauge(value)));
        family(encoder, name, help, unit.as_ref(), MetricType::Gauge, rows)?;
    }
    Ok(())
}

fn counters(encoder: &mut DescriptorEncoder<'_>, recorder: &Recorder) -> Result<(), Error> {
    let (moment, [retries, rekeys, quota]) = (recorder.moment(), recorder.counts());
    for (name, help, count) in [
        ("securestack_sessions_resumed", "Handshakes that resumed a session", moment.handshakes_resumed),
        (
            "securestack_rsa_operations",
            "RSA private operations with this service's key",
            moment.private_operations,
        ),
        ("securestack_rekeys", "Changes of the keys of sessions", rekeys),
        ("securestack_retries", "Calls tried again", retries),
        ("securestack_quota_refusals", "Requests beyond the quota of their caller", quota),
        (
            "securestack_records_discarded",
            "Records that were forged, replayed or malformed",
            moment.records_discarded,
        ),
        (
            "securestack_strangers_displaced",
            "Connections and streams of strangers that gave way to newcomers",
            moment.strangers_displaced,
        ),
    ] {
        let row = [(Vec::new(), Value::Count(count))];
        family(encoder, name, help, None, MetricType::Counter, row)?;
    }
    Ok(())
}

fn spans(encoder: &mut DescriptorEncoder<'_>, recorder: &Recorder) -> Result<(), Error> {
    let Some(tracer) = &recorder.tracer else { return Ok(()) };
    let (exported, dropped) = tracer.counts();
    let help = "Spans that the collector took";
    let row = [(Vec::new(), Value::Count(exported))];
    family(encoder, "securestack_spans_exported", help, None, MetricType::Counter, row)?;
    let rows = dropped.iter().map(|(why, count)| (vec![("reason", why.as_str())], Value::Count(*count)));
    let help = "Spans that were lost, by reason";
    family(encoder, "securestack_spans_dropped", help, None, MetricType::Counter, rows)
}

/// What is done where there is too much to do.
fn too_much(encoder: &mut DescriptorEncoder<'_>, recorder: &Recorder) -> Result<(), Error> {
    let moment = recorder.moment();
    let shed = moment.shed.iter().map(|(cause, count)| (vec![("cause", *cause)], Value::Count(*count)));
    let help = "Requests that did not run, since there was too little time or too much to do";
    family(encoder, "securestack_requests_shed", help, None, MetricType::Counter, shed)?;
    let [full, over] = moment.calls_queue_refused;
    let refused = [("full", full), ("timeout", over)];
    let refused = refused.map(|(cause, count)| (vec![("cause", cause)], Value::Count(count)));
    let help = "Calls that were not made, since too many waited for room or they waited too long";
    family(encoder, "securestack_calls_queue_refused", help, None, MetricType::Counter, refused)?;
    let elsewhere = [(Vec::new(), Value::Count(moment.calls_elsewhere))];
    let help = "Calls that went to another instance, since one had too much to do";
    family(encoder, "securestack_calls_elsewhere", help, None, MetricType::Counter, elsewhere)?;
    let queued = [(Vec::new(), Value::Gauge(moment.calls_queued as f64))];
    let help = "Calls that wait for room";
    family(encoder, "securestack_calls_queued", help, None, MetricType::Gauge, queued)?;
    let (waited, time) = moment.calls_waited;
    let help = "Calls that have waited for room";
    family(
        encoder,
        "securestack_calls_waited",
        help,
        None,
        MetricType::Counter,
        [(Vec::new(), Value::Count(waited))],
    )?;
    let row = [(Vec::new(), Value::Seconds(time.as_secs_f64()))];
    let help = "Time for which calls have waited for room, in sum";
    family(encoder, "securestack_calls_wait", help, Some(&Unit::Seconds), MetricType::Counter, row)?;
    let up = moment.shared_quota.map(|up| (Vec::new(), Value::Gauge(f64::from(u8::from(up)))));
    let help = "Whether Redis answers, which keeps the quotas of several processes";
    family(encoder, "securestack_shared_quota_up", help, None, MetricType::Gauge, up)?;
    let ages = moment.discovery_ages.iter().take(MAX_SERVICES).map(|(service, age)| {
        (vec![("securestack_peer_service", service.as_str())], Value::Gauge(age.as_secs_f64()))
    });
    let help = "Time since the source of instances of a service went away; 0 while it answers";
    family(encoder, "securestack_discovery_stale", help, Some(&Unit::Seconds), MetricType::Gauge, ages)?;
    let limit = moment.concurrency_limit.map(|limit| (Vec::new(), Value::Gauge(limit.into())));
    let help = "Requests under way that the adaptive limit allows";
    family(encoder, "securestack_concurrency_limit", help, None, MetricType::Gauge, limit)
}

fn denials(encoder: &mut DescriptorEncoder<'_>, recorder: &Recorder) -> Result<(), Error> {
    let denials = recorder.denials();
    let rows = denials.iter().map(|denial| {
        let labels = vec![
            ("rule", denial.rule.as_str()),
            ("securestack_peer_service", denial.caller.as_str()),
            ("rpc_method", denial.method.as_str()),
        ];
        (labels, Value::Count(denial.count))
    });
    let help = "Requests denied by the policy, or in audit mode let through";
    family(encoder, "securestack_authorization_denials", help, None, MetricType::Counter, rows)
}

fn breakers(encoder: &mut DescriptorEncoder<'_>, recorder: &Recorder) -> Result<(), Error> {
    let moment = recorder.moment();
    let states = ["closed", "open", "half_open"];
    let rows = moment.breakers.iter().flat_map(|(service, counts)| {
        states.into_iter().zip(counts).map(move |(state, count)| {
            let labels = vec![("securestack_peer_service", service.as_str()), ("state", state)];
            (labels, Value::Gauge(*count as f64))
        })
    });
    let help = "Circuit breakers of instances by state";
    family(encoder, "securestack_breakers", help, None, MetricType::Gauge, rows)
}

fn limits(encoder: &mut DescriptorEncoder<'_>, recorder: &Recorder) -> Result<(), Error> {
    let moment = recorder.moment();
    for (name, help, of) in
        [("securestack_limit_used", "Use of a limit", false), ("securestack_limit_max", "A limit", true)]
    {
        let rows = moment.limits.iter().map(|limit| {
            let value = if of { limit.max } else { limit.used };
            (vec![("limit", limit.name.as_str())], Value::Gauge(value as f64))
        });
        family(encoder, name, help, None, MetricType::Gauge, rows)?;
    }
    Ok(())
}

/// Labels are checked here once: what the encoder takes is what is written.
const _: fn() = || {
    fn takes<T: EncodeLabelSet>() {}
    takes::<Labels<'_>>();
};

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        clock::Timestamp,
        telemetry::{
            flows::FlowKind,
            moment::Moment,
            recorded::{Begun, Failed},
        },
    };

    fn recorder() -> Arc<Recorder> {
        let recorder = Recorder::new("me", "1.0.0", Timestamp::from_secs(100), true);
        for (method, code) in [("get", None), ("get", Some(Code::Internal)), ("x\"\\\n}", None)] {
            let call = Begun {
                direction: Direction::Out,
                peer: "orders",
                method,
                kind: FlowKind::Unary,
                metadata: b"",
                trust: "",
                attempt: 1,
            };
            let watched = recorder.begin(call, Duration::ZERO).watched.unwrap();
            let failed = code.map(|code| Failed { code, reason: "X", message: "", error_id: "" });
            recorder.end(watched, failed, Duration::from_millis(3));
        }
        recorder.denied("evil", "orders.delete", "(default)", Duration::ZERO);
        recorder.handshake(Direction::In, "HELLO_MAC");
        recorder.handshake(Direction::In, "");
        let breakers = vec![("orders".to_owned(), [1, 2, 0])];
        recorder.set_moment(Moment { sessions_in: 2, breakers, ..Moment::default() });
        Arc::new(recorder)
    }

    #[test]
    fn the_page_has_the_conventions_names_and_nothing_of_it_can_be_forged() {
        let page = open_metrics(&recorder());
        for line in [
            "# TYPE rpc_client_call_duration_seconds histogram",
            "# UNIT rpc_client_call_duration_seconds seconds",
            "securestack_sessions{direction=\"in\"} 2.0",
            "securestack_breakers{securestack_peer_service=\"orders\",state=\"open\"} 2.0",
            "securestack_handshakes_total{direction=\"in\",outcome=\"failed\",reason=\"HELLO_MAC\"} 1",
            "securestack_build_info{version=\"1.0.0\",service=\"me\"} 1",
            "securestack_rekeys_total 0",
        ] {
            assert!(page.lines().any(|other| other == line), "{line}\n{page}");
        }
        assert!(page.ends_with("# EOF\n"));
        let bucket = "rpc_client_call_duration_seconds_bucket{le=\"0.005\",rpc_system_name=\"securestack\",\
                      rpc_method=\"orders/get\",rpc_response_status_code=\"OK\",securestack_peer_service=\"orders\"} 1";
        assert!(page.contains(bucket), "{page}");
        assert!(page.contains(r#"rpc_method="orders/x\"\\\\n}""#), "{page}");
    }

    #[test]
    fn the_older_format_has_its_names_of_counters_and_no_end() {
        let page = prometheus(&recorder());
        assert!(
            page.contains("# TYPE securestack_rekeys_total counter\nsecurestack_rekeys_total 0\n"),
            "{page}"
        );
        assert!(page.contains("# TYPE securestack_build_info gauge\n"));
        assert!(!page.contains("# EOF") && !page.contains("# UNIT"));
    }

    #[test]
    fn a_recorded_trace_is_an_example_in_its_own_bucket_and_only_where_it_is_asked_for() {
        let recorder = Arc::new(Recorder::new("me", "1.0.0", Timestamp::from_secs(100), true));
        let call = |peer, trace: &str, took| {
            let metadata = format!("{{\"traceparent\":\"00-{trace}-b7ad6b7169203331-01\"}}");
            let (direction, kind) = (Direction::In, FlowKind::Unary);
            let call = Begun {
                direction,
                peer,
                method: "get",
                kind,
                metadata: metadata.as_bytes(),
                trust: "",
                attempt: 1,
            };
            let watched = recorder.begin(call, Duration::ZERO).watched.unwrap();
            recorder.end(watched, None, took);
        };
        let (slow, quick) = ("0af7651916cd43dd8448eb211c80319c", "1af7651916cd43dd8448eb211c80319c");
        call("a", &slow.replace('0', "2"), Duration::from_millis(3_200));
        call("b", quick, Duration::from_micros(200));
        call("a", slow, Duration::from_secs(3));
        let page = with_exemplars(&recorder);
        let examples: Vec<_> = page.lines().filter(|line| line.contains(" # ")).collect();
        let is = |line: &str, bucket: &str, peer: &str, end: &str| {
            line.contains(&format!("le=\"{bucket}\"")) && line.contains(peer) && line.ends_with(end)
        };
        assert_eq!(examples.len(), 2, "{page}");
        let slow = format!(" # {{trace_id=\"{slow}\"}} 3 103.000");
        assert!(is(examples[0], "5.0", "=\"a\"", &slow), "{}", examples[0]);
        let quick = format!(" # {{trace_id=\"{quick}\"}} 0.0002 100.000");
        assert!(is(examples[1], "0.00025", "=\"b\"", &quick), "{}", examples[1]);
        assert!(page.ends_with("# EOF\n"));
        assert!(!open_metrics(&recorder).contains(" # {") && !prometheus(&recorder).contains(" # {"));
    }

    #[test]
    fn a_page_of_nothing_is_a_page() {
        let recorder = Arc::new(Recorder::new("me", "1.0.0", Timestamp::default(), false));
        let page = prometheus(&recorder);
        assert!(!page.contains("rpc_") && page.contains("securestack_build_info"));
    }
}
