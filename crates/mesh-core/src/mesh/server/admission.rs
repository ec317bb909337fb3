//! The state that newcomers share: their places, the first messages that were
//! answered, and the account of each address.

#[cfg(test)]
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
#[cfg(test)]
use tokio::time::Instant;

#[cfg(test)]
use super::places::Origin;
use super::{accounts::Accounts, places::Places, replays::Replays};
use crate::config::Limits;
#[cfg(test)]
use crate::mesh::sync::lock;

/// The state that newcomers share.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(super) places: Places,
    pub(super) replays: Mutex<Replays>,
    pub(super) accounts: Mutex<Accounts>,
    /// Answers to first messages that are made at once.
    pub(super) answers: Arc<Semaphore>,
}

impl Admission {
    pub(crate) fn new(limits: &Limits, cores: usize) -> Self {
        Self {
            places: Places::new(limits),
            replays: Mutex::default(),
            accounts: Mutex::default(),
            answers: Arc::new(Semaphore::new(cores)),
        }
    }

    /// The place of a handshake that does not give way before `now`.
    #[cfg(test)]
    pub(crate) fn occupy(&self, address: IpAddr, now: Instant) -> impl Drop + use<> {
        let place = self.places.enter(Origin { address, connection: 0 });
        assert_eq!(place.prove(now), Ok(()), "there is room");
        place
    }

    /// Charges an address for all it may cost; returns how much that was.
    #[cfg(test)]
    pub(crate) fn owe(&self, address: IpAddr, now: Instant) -> usize {
        let mut accounts = lock(&self.accounts);
        std::iter::from_fn(|| accounts.charge(address, now).then_some(())).count()
    }

    /// Forgets what an address has cost.
    #[cfg(test)]
    pub(crate) fn forgive(&self) {
        *lock(&self.accounts) = Accounts::default();
    }
}
