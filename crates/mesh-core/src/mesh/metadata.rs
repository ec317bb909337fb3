//! The metadata of calls and answers.

use std::collections::HashMap;

/// Whether this is nothing, or a JSON object of strings.
pub(crate) fn is_metadata(text: &[u8]) -> bool {
    text.is_empty() || serde_json::from_slice::<HashMap<String, String>>(text).is_ok()
}

/// The metadata, or nothing in the place of what is none.
pub(crate) fn metadata_or_nothing(text: &[u8]) -> &[u8] {
    if is_metadata(text) { text } else { &[] }
}
