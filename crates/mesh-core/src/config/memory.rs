//! The size of the memory budget.

use super::{limits::Limits, section::MEMORY_PER_MESSAGE};

/// The memory budget, unless messages may be so large that it would have no room for them.
const DEFAULT: u64 = 256 << 20;

impl Limits {
    /// The memory budget in bytes: `limits.maxMemoryBytes`, or its default.
    #[must_use]
    pub fn memory(&self) -> usize {
        let least = MEMORY_PER_MESSAGE * u64::from(self.max_message);
        let bytes = self.max_memory.unwrap_or(least.max(DEFAULT));
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}
