//! What a mesh takes from the machine it runs on, as a value that is passed at
//! its start: time, threads, cores, chance. A simulation passes its own, and
//! drives the same tasks with virtual time.

use std::{fmt, sync::Arc};

use tokio::sync::oneshot;

use super::links;
use crate::clock::Clock;

type Work = Box<dyn FnOnce() + Send>;

/// Work that did not come to its end: the mesh is closing.
#[derive(Debug)]
pub(super) struct Stopped;

/// The machine, as a mesh sees it.
#[derive(Clone)]
pub(super) struct Platform {
    /// The wall clock. Timers use the clock of the runtime.
    pub(super) clock: Clock,
    /// Cores that this process may use.
    pub(super) cores: usize,
    /// Runs work that blocks, away from the I/O thread.
    pub(super) pool: Arc<dyn Fn(Work) + Send + Sync>,
    /// A number from 0 to 1, good enough to spread delays.
    pub(super) chance: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl Platform {
    /// The operating system's clock and cores, and the runtime's blocking pool.
    pub(super) fn system() -> Self {
        Self {
            clock: Clock::system(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            pool: Arc::new(|work| drop(tokio::task::spawn_blocking(work))),
            chance: Arc::new(links::chance),
        }
    }

    /// Does `work`, which blocks, away from the I/O thread. Fails if the
    /// runtime ends first, or if the work panics.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (sender, receiver) = oneshot::channel();
        (self.pool)(Box::new(move || {
            // Nobody waits for a result after the end of the mesh.
            let _ = sender.send(work());
        }));
        receiver.await.map_err(|_| Stopped)
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform")
            .field("clock", &self.clock)
            .field("cores", &self.cores)
            .finish_non_exhaustive()
    }
}
