//! Names of secrets that were rotated out, to tell them from wrong ones.

use std::collections::VecDeque;

use super::trust::SecretId;

/// Names of retired secrets kept at most.
pub(super) const MAX_RETIRED: usize = 64;

/// Names of former secrets that count no longer.
#[derive(Clone, Debug, Default)]
pub struct Retired(VecDeque<SecretId>);

impl Retired {
    pub(super) fn add(&mut self, id: SecretId) {
        self.0.push_back(id);
        if self.0.len() > MAX_RETIRED {
            self.0.pop_front();
        }
    }

    /// All of them, the oldest first.
    #[cfg(test)]
    pub(super) fn ids(&self) -> &VecDeque<SecretId> {
        &self.0
    }

    /// Whether `id` names one of them.
    pub(super) fn contains(&self, id: SecretId) -> bool {
        self.0.contains(&id)
    }
}
