//! The services that a mesh uses of its machine: time, threads, cores,
//! randomness. They are a value that the start takes, so a simulation can pass
//! its own and drive the same tasks with virtual time.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use tokio::sync::oneshot;

use crate::clock::Clock;

type Work = Box<dyn FnOnce() + Send>;

/// Work that did not complete, because the mesh is closing.
#[derive(Debug)]
pub(crate) struct Stopped;

/// The machine, as a mesh sees it.
#[derive(Clone)]
pub(crate) struct Platform {
    /// The wall clock. Timers use the clock of the runtime.
    pub(crate) clock: Clock,
    /// The number of cores that this process may use.
    pub(crate) cores: usize,
    /// Runs work that blocks, away from the I/O thread.
    pub(crate) pool: Arc<dyn Fn(Work) + Send + Sync>,
    /// A random number from 0 to 1, good enough to spread delays and unfit for secrets.
    pub(crate) chance: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl Platform {
    /// The operating system's clock and cores, and the runtime's blocking pool.
    pub(crate) fn system() -> Self {
        Self {
            clock: Clock::system(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            pool: Arc::new(|work| drop(tokio::task::spawn_blocking(work))),
            chance: Arc::new(chance),
        }
    }

    /// Runs `work`, which blocks, away from the I/O thread. Fails if the
    /// runtime ends first, or if the work panics.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (sender, receiver) = oneshot::channel();
        (self.pool)(Box::new(move || {
            // After the end of the mesh the receiver is gone.
            let _ = sender.send(work());
        }));
        receiver.await.map_err(|_| Stopped)
    }
}

/// A random number from 0 to 1, good enough to spread delays and unfit for secrets.
fn chance() -> f64 {
    // Each hasher state has random keys, so the hash of a constant is random too.
    f64::from(RandomState::new().hash_one(0) as u32) / f64::from(u32::MAX)
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform")
            .field("clock", &self.clock)
            .field("cores", &self.cores)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::chance;

    #[test]
    fn chance_is_a_fraction_and_not_always_the_same() {
        assert!((0..100).all(|_| (0.0..=1.0).contains(&chance())));
        assert_ne!(chance().to_bits(), chance().to_bits());
    }
}
