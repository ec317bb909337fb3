//! The record of a mesh as a page for Prometheus, in `OpenMetrics` or in the older text format.

use std::{fmt::Write, sync::Arc};

use prometheus_client::{encoding::text, registry::Registry};

use super::{
    exemplars,
    families::{CLIENT, Page, SERVER},
    recorder::Recorder,
};

/// The content type of [`open_metrics`].
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The content type of [`prometheus`].
pub const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        clock::Timestamp,
        error::Code,
        telemetry::{
            flows::FlowKind,
            moment::Moment,
            recorded::{Begun, Direction, Failed},
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
