//! The size of the memory budget.

use super::{limits::Limits, section::MEMORY_PER_MESSAGE};

/// The default of the memory budget, in bytes. It grows with `limits.maxMessageBytes`, so that it
/// always has room for a few messages.
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
