//! The ids of previous secrets whose grace is over. By them an error distinguishes such a secret
//! from a wrong one.

use std::collections::VecDeque;

use super::trust::SecretId;

/// The most ids that are kept.
pub(super) const MAX_RETIRED: usize = 64;

/// The ids of previous secrets that are no longer accepted.
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
