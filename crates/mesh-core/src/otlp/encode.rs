//! Spans as a request of OTLP.

use std::time::Duration;

use prost::Message;

use super::generated::{
    AnyValue, ExportTraceServiceRequest, InstrumentationScope, KeyValue, Resource, ResourceSpans, ScopeSpans,
    Span as SpanMessage, Status, any_value::Value, span, status::StatusCode,
};
use crate::telemetry::{Span, SpanKind, SpanValue};

/// The conventions whose names the spans use.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.45.0";
const SCOPE: &str = "@lemur-bookstores/secure-stack-mesh";

/// The process whose spans are exported.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    /// The service's id.
    pub(crate) service: String,
    /// This start of it.
    pub(crate) instance: String,
    /// The version of the package.
    pub(crate) version: &'static str,
}

/// Encodes spans; `origin` is the time since the Unix epoch from which their times are counted.
pub(super) fn encode(process: &Process, spans: Vec<Span>, origin: Duration) -> Vec<u8> {
    let resource = Resource {
        attributes: vec![
            text("service.name", process.service.clone()),
            text("service.instance.id", process.instance.clone()),
        ],
    };
    let scope = InstrumentationScope { name: SCOPE.to_owned(), version: process.version.to_owned() };
    let spans = spans.into_iter().map(|span| message(span, origin)).collect();
    let scope_spans = ScopeSpans { scope: Some(scope), spans, schema_url: SCHEMA.to_owned() };
    let resource_spans = ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![scope_spans],
        schema_url: SCHEMA.to_owned(),
    };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
}

fn message(span: Span, origin: Duration) -> SpanMessage {
    let at = |time: Duration| u64::try_from((origin + time).as_nanos()).unwrap_or(u64::MAX);
    let kind = match span.kind {
        SpanKind::Server => span::SpanKind::Server,
        SpanKind::Client => span::SpanKind::Client,
    };
    SpanMessage {
        trace_id: span.context.trace.to_vec().into(),
        span_id: span.context.span.to_vec().into(),
        trace_state: String::new(),
        parent_span_id: span.parent.map(|parent| parent.to_vec()).unwrap_or_default().into(),
        flags: span.context.sampled.into(),
        name: span.name,
        kind: kind.into(),
        start_time_unix_nano: at(span.start),
        end_time_unix_nano: at(span.end),
        attributes: span.attributes.into_iter().map(|(name, value)| attribute(name, value)).collect(),
        status: span.error.map(|message| Status { message, code: StatusCode::Error.into() }),
    }
}

fn attribute(name: &str, value: SpanValue) -> KeyValue {
    let value = match value {
        SpanValue::Text(text) => Value::StringValue(text),
        SpanValue::Number(number) => Value::IntValue(number),
        SpanValue::Flag(flag) => Value::BoolValue(flag),
    };
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

fn text(name: &str, value: String) -> KeyValue {
    attribute(name, SpanValue::Text(value))
}
