//! Choosing one instance of several.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Entry, HealthStatus};

/// Takes instances in turn and leaves out those that do not serve.
///
/// An instance nobody has asked about yet counts as one that serves: the first
/// call finds out.
#[derive(Debug, Default)]
pub struct Picker {
    turn: AtomicUsize,
}

impl Picker {
    /// Begins with the first instance.
    #[must_use]
    pub const fn new() -> Self {
        Self { turn: AtomicUsize::new(0) }
    }

    /// The next instance; `None` if there is none that serves. Threads that pick
    /// at the same moment may pick the same.
    #[must_use]
    pub fn pick<'a, Key>(&self, instances: &'a [Entry<Key>]) -> Option<&'a Entry<Key>> {
        let usable = |entry: &&Entry<Key>| entry.health != HealthStatus::NotServing;
        let turn = self.turn.load(Ordering::Relaxed);
        let place = turn.checked_rem(instances.iter().filter(usable).count())?;
        self.turn.store(turn.wrapping_add(1), Ordering::Relaxed);
        instances.iter().filter(usable).nth(place)
    }
}
