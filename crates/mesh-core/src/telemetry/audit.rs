//! Audit entries as one line of JSON each.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::escape;

/// The limit of a string in an entry, in bytes; longer strings are cut.
const MAX_TEXT: usize = 4096;
/// The limit of nesting in an entry's metadata.
const MAX_DEPTH: usize = 8;
/// The limit of values in an entry's metadata.
const MAX_VALUES: usize = 256;

/// One entry of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// Unique name.
    pub id: String,
    /// The time of the event, ISO 8601.
    pub timestamp: String,
    /// The type of the event: a word such as `key_rotation`, or one that the
    /// application chooses.
    pub event_type: String,
    /// The service that reports it.
    pub service_id: String,
    /// The peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_service_id: Option<String>,
    /// The outcome of the event.
    pub details: AuditDetails,
}

/// The outcome of an audited event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditDetails {
    /// The action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Whether the action succeeded, if its author records that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// The duration in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// The number of messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_count: Option<f64>,
    /// The cause of the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Further facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
}

impl AuditEvent {
    /// Formats the entry as one line of JSON without the line's end. Strings
    /// are escaped and cut, so that no content can break the line, forge its
    /// appearance or exceed the size limit.
    #[must_use]
    pub fn to_line(&self) -> String {
        let event = Self {
            id: tidy(&self.id),
            timestamp: tidy(&self.timestamp),
            event_type: tidy(&self.event_type),
            service_id: tidy(&self.service_id),
            target_service_id: self.target_service_id.as_deref().map(tidy),
            details: AuditDetails {
                action: self.details.action.as_deref().map(tidy),
                error: self.details.error.as_deref().map(tidy),
                metadata: self.details.metadata.as_ref().map(|value| bounded(value, 0, &mut { MAX_VALUES })),
                ..self.details
            },
        };
        // Strings and numbers always have a JSON form.
        serde_json::to_string(&event).unwrap_or_default()
    }
}

fn tidy(text: &str) -> String {
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let cut = if end < text.len() { "…" } else { "" };
    format!("{}{cut}", escape(&text[..end]))
}

fn bounded(value: &Value, depth: usize, left: &mut usize) -> Value {
    let Some(fewer) = left.checked_sub(1) else { return Value::String("…".to_owned()) };
    *left = fewer;
    match value {
        Value::String(text) => Value::String(tidy(text)),
        Value::Array(_) | Value::Object(_) if depth >= MAX_DEPTH => Value::String("…".to_owned()),
        Value::Array(items) => {
            let some = items.len().min(*left);
            items[..some].iter().map(|item| bounded(item, depth + 1, left)).collect()
        }
        Value::Object(map) => {
            let some = map.len().min(*left);
            map.iter().take(some).map(|(key, item)| (tidy(key), bounded(item, depth + 1, left))).collect()
        }
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(details: &Value) -> AuditEvent {
        serde_json::from_value(json!({
            "id": "1", "timestamp": "2027-01-15T08:00:00.000Z", "eventType": "key_rotation",
            "serviceId": "a\nb", "targetServiceId": "\u{1b}[2Jc", "details": details,
        }))
        .unwrap()
    }

    #[test]
    fn an_entry_is_one_line_with_nothing_hidden() {
        let line = event(&json!({
            "success": false,
            "error": "no\r\n{\"forged\":true}",
            "metadata": { "key\u{2028}": ["\u{202e}", 1, null] },
        }))
        .to_line();
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{2028}' || c == '\u{202e}'), "{line}");
        assert_eq!(
            serde_json::from_str::<Value>(&line).unwrap(),
            json!({
                "id": "1", "timestamp": "2027-01-15T08:00:00.000Z", "eventType": "key_rotation",
                "serviceId": r"a\nb", "targetServiceId": r"\u{1b}[2Jc",
                "details": {
                    "success": false, "error": "no\\r\\n{\"forged\":true}",
                    "metadata": { r"key\u{2028}": [r"\u{202e}", 1, null] },
                },
            })
        );
    }

    #[test]
    fn any_text_is_a_type_and_stays_one_line() {
        let mut named = event(&json!({}));
        named.event_type = "deploy\n{}".to_owned() + &"x".repeat(100_000);
        let line = named.to_line();
        assert!(!line.contains('\n') && line.len() < 8192, "{}", line.len());
        let read: Value = serde_json::from_str(&line).unwrap();
        assert!(read["eventType"].as_str().unwrap().starts_with(r"deploy\n{}x"));
        assert_eq!(read["details"], json!({}));
    }

    #[test]
    fn no_entry_is_large() {
        let mut deep = json!("x".repeat(10_000));
        for _ in 0..40 {
            deep = json!({ "in": deep });
        }
        let wide: Vec<_> = (0..10_000).map(|n| "y".repeat(n % 7)).collect();
        let line = event(&json!({
            "success": true,
            "error": "é".repeat(100_000),
            "metadata": { "deep": deep, "wide": wide },
        }))
        .to_line();
        assert!(line.len() < 16_384, "{}", line.len());
        assert!(serde_json::from_str::<Value>(&line).is_ok());
    }
}
