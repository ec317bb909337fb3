//! The conditions of rules, against the metadata of a request.

use std::{cell::OnceCell, collections::HashMap};

use crate::config::{Effect, Rule};

/// The metadata of a request, read when the first rule asks for it.
pub(super) struct Metadata<'a> {
    text: &'a [u8],
    read: OnceCell<Option<HashMap<String, String>>>,
}

impl<'a> Metadata<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, read: OnceCell::new() }
    }

    /// Whether the conditions of `rule` hold.
    pub(super) fn meets(&self, rule: &Rule) -> bool {
        if rule.metadata.is_empty() {
            return true;
        }
        match self.read.get_or_init(|| read(self.text)) {
            Some(found) => rule.metadata.iter().all(|(name, value)| found.get(name) == Some(value)),
            // It is unknown whether they hold. The safe decision is the one that does not permit the request.
            None => rule.effect == Effect::Deny,
        }
    }
}

/// Reads metadata as JavaScript does: of two members with the same name, the last one counts.
fn read(text: &[u8]) -> Option<HashMap<String, String>> {
    if text.is_empty() { Some(HashMap::new()) } else { serde_json::from_slice(text).ok() }
}
