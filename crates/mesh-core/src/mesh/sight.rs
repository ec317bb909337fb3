//! Turns lines of the log into entries of the mesh's record: events and refused peers.

use std::time::Duration;

use super::events::LogEvent;
use crate::{error::Reason, telemetry::Recorder};

/// The kind of event of a log line, if it is one.
fn kind(event: &str) -> Option<&'static str> {
    Some(match event {
        "session.opened" | "session.closed" => "session",
        "handshake.refused" | "request.refused" | "request.denied" | "quota.refused" => "refused",
        "circuit.changed" => "breaker",
        "instance.ejected" => "ejection",
        "connect.failed" => "instance",
        "key.rotated" | "secret.rotated" | "secret.retired" => "rotation",
        "certificate.loaded" | "certificate.expiring" | "certificate.renewal.failed" => "identity",
        "policy.changed" | "policy.broken" => "policy",
        "stall" => "stall",
        _ => return None,
    })
}

/// Records a line of the log.
pub(crate) fn note(recorder: &Recorder, line: &LogEvent, now: Duration) {
    let Some(kind) = kind(line.event) else { return };
    let field =
        |name: &str| line.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str());
    let peer =
        field("peer").or_else(|| field("service")).or_else(|| field("address")).or_else(|| field("subject"));
    let subject = peer.unwrap_or(recorder.service());
    if matches!(line.event, "session.opened" | "session.closed") {
        let text = match line.event {
            "session.opened" => format!("a session with {subject} was established"),
            _ => format!("the session with {subject} ended: {}", line.message),
        };
        return recorder.event(kind, subject, &text, now);
    }
    if line.event == "handshake.refused" {
        // The port is removed because it differs each time. A line may stand for many refusals.
        let subject = subject.rsplit_once(':').map_or(subject, |(host, _)| host);
        let count = field("count").and_then(|count| count.parse().ok()).unwrap_or(1);
        recorder.refused(subject, field("reason").unwrap_or_default(), &line.message, count, now);
    }
    if line.event == "connect.failed"
        && let (Some(target), Some(reason)) = (field("target"), field("reason"))
        && is_of_identity(reason)
    {
        // Something at the address of a service is not that service.
        recorder.refused(target, reason, &line.message, 1, now);
    }
    recorder.event(kind, subject, &line.message, now);
}

/// Whether a connection failed because of who the peer is.
fn is_of_identity(reason: &str) -> bool {
    matches!(
        Reason::from_name(reason),
        Some(
            Reason::PeerKeyChanged
                | Reason::PeerKeyInUse
                | Reason::CertExpired
                | Reason::CertUntrusted
                | Reason::CertInvalid
                | Reason::CertName
                | Reason::CertDelegation
                | Reason::Revoked
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, mesh::events::Level};

    #[test]
    fn refusals_are_counted_by_address_and_events_name_their_subject() {
        let recorder = Recorder::new("me", "1", Timestamp::from_secs(1), true);
        let line = |event, fields: &[(&'static str, &str)]| LogEvent {
            level: Level::Warn,
            event,
            message: "it".to_owned(),
            fields: fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        };
        let now = Duration::from_secs(1);
        note(
            &recorder,
            &line("handshake.refused", &[("address", "10.0.0.1:999"), ("reason", "HELLO_MAC")]),
            now,
        );
        let more = [("subject", "10.0.0.1"), ("reason", "HELLO_MAC"), ("count", "7")];
        note(&recorder, &line("handshake.refused", &more), now);
        note(&recorder, &line("circuit.changed", &[("service", "orders"), ("state", "open")]), now);
        note(&recorder, &line("ticket.ignored", &[]), now);
        let refused = recorder.refusals();
        assert_eq!((refused["10.0.0.1"].count, refused["10.0.0.1"].reason.as_str()), (8, "HELLO_MAC"));
        let events: Vec<_> = recorder.events().into_iter().map(|event| (event.kind, event.subject)).collect();
        assert_eq!(events[2], ("breaker".to_owned(), "orders".to_owned()));
        assert_eq!(events.len(), 3);
    }
}
