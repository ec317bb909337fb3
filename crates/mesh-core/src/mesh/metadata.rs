//! The metadata of calls and answers.

use std::collections::HashMap;

/// Whether `text` is empty or a JSON object of strings.
pub(crate) fn is_metadata(text: &[u8]) -> bool {
    text.is_empty() || serde_json::from_slice::<HashMap<String, String>>(text).is_ok()
}

/// The metadata; empty if `text` is invalid.
pub(crate) fn metadata_or_nothing(text: &[u8]) -> &[u8] {
    if is_metadata(text) { text } else { &[] }
}
