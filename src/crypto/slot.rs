//! A key ring that may still be under construction; its users wait for it.

use std::{
    error::Error,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use mesh_core::{
    crypto::{keyring::KeyRing, keystore::KeyStoreError},
    error::{Code, Coded, Reason},
};

use crate::error::Failure;

/// The place of a key ring.
#[derive(Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    settled: Condvar,
}

#[derive(Default)]
enum State {
    #[default]
    Empty,
    Pending,
    Ready(Arc<KeyRing>),
    Failed(Shared),
}

impl Slot {
    /// Announces a ring; `false` if there is one already, or one is announced.
    pub(super) fn announce(&self) -> bool {
        let mut state = self.lock();
        let free = matches!(*state, State::Empty | State::Failed(_));
        if free {
            *state = State::Pending;
        }
        free
    }

    /// Makes the announced ring. If `make` panics, the waiting threads receive an error.
    pub(super) fn fill(&self, make: impl FnOnce() -> Result<KeyRing, KeyStoreError>) {
        // The guard settles the slot even if `make` panics, so that no waiting thread hangs.
        let _told = Abandoned(self);
        self.settle(match make() {
            Ok(ring) => State::Ready(Arc::new(ring)),
            Err(err) => State::Failed(Shared(Arc::new(err))),
        });
    }

    /// Replaces the content of the slot with `ring`.
    pub(super) fn set(&self, ring: KeyRing) {
        self.settle(State::Ready(Arc::new(ring)));
    }

    /// Returns the ring, and waits for an announced one; `None` if none is announced.
    pub(super) fn wait(&self) -> Result<Option<Arc<KeyRing>>, Failure> {
        let mut state = self.lock();
        loop {
            match &*state {
                State::Empty => return Ok(None),
                State::Ready(ring) => return Ok(Some(Arc::clone(ring))),
                State::Failed(err) => return Err(err.clone().into()),
                State::Pending => {
                    state = self.settled.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn settle(&self, outcome: State) {
        *self.lock() = outcome;
        self.settled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Abandoned<'a>(&'a Slot);

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if matches!(*self.0.lock(), State::Pending) {
            self.0.settle(State::Empty);
        }
    }
}

/// A failure that every user of the slot receives.
#[derive(Clone, Debug)]
struct Shared(Arc<KeyStoreError>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Shared {}

impl Coded for Shared {
    fn code(&self) -> Code {
        self.0.code()
    }

    fn reason(&self) -> Reason {
        self.0.reason()
    }
}
