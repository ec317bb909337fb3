//! The families of metrics on the page of a mesh, and their rows.

#![allow(clippy::cast_precision_loss, reason = "figures for people; beyond 2^53 they are estimates")]

use std::{fmt::Error, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, NoLabelSet},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

use super::{
    flows::FlowFigures,
    histogram::{BOUNDS_MICROS, BUCKETS, Buckets},
    recorded::Direction,
    recorder::Recorder,
};
use crate::error::Code;

/// The most services with a row of discovery.
const MAX_SERVICES: usize = 500;

/// The names of the families of durations.
pub(super) const CLIENT: &str = "rpc_client_call_duration";
pub(super) const SERVER: &str = "rpc_server_call_duration";

/// The calls are read once, so that exemplars are those of the same moment.
#[derive(Debug)]
pub(super) struct Page {
    recorder: Arc<Recorder>,
    pub(super) outbound: Arc<Vec<FlowFigures>>,
    pub(super) inbound: Arc<Vec<FlowFigures>>,
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
    pub(super) fn of(recorder: &Arc<Recorder>) -> Self {
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
