//! Choosing one instance of several.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Entry, HealthStatus};

/// Picks instances in turn and skips those that do not serve.
///
/// An instance of unknown health counts as serving: the first call reveals its state.
#[derive(Debug, Default)]
pub struct Picker {
    turn: AtomicUsize,
}

impl Picker {
    /// Creates a picker that begins with the first instance.
    #[must_use]
    pub const fn new() -> Self {
        Self { turn: AtomicUsize::new(0) }
    }

    /// Picks the next instance; `None` if no instance serves. Concurrent threads may pick the same instance.
    #[must_use]
    pub fn pick<'a, Key>(&self, instances: &'a [Entry<Key>]) -> Option<&'a Entry<Key>> {
        let usable = |entry: &&Entry<Key>| entry.health != HealthStatus::NotServing;
        // Relaxed, and a load and a store instead of one operation: an instance that two threads pick is
        // harmless.
        let turn = self.turn.load(Ordering::Relaxed);
        let place = turn.checked_rem(instances.iter().filter(usable).count())?;
        self.turn.store(turn.wrapping_add(1), Ordering::Relaxed);
        instances.iter().filter(usable).nth(place)
    }
}
