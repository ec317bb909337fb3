//! The state that newcomers share: their places, the answered first messages,
//! the accounts of addresses, and the turns.

#[cfg(test)]
use std::net::IpAddr;
use std::sync::Mutex;

#[cfg(test)]
use tokio::time::Instant;

use super::{accounts::Accounts, places::Places, replays::Replays, turns::Turns};
#[cfg(test)]
use super::{places::Origin, turns::Class};
#[cfg(test)]
use crate::mesh::sync::lock;
use crate::{config::Limits, mesh::platform::Platform};

/// The state that newcomers share.
pub(crate) struct Admission {
    pub(super) places: Places,
    pub(super) replays: Mutex<Replays>,
    /// The unfinished handshakes of each address.
    pub(super) unfinished: Mutex<Accounts>,
    /// The TLS handshakes of each address.
    pub(super) connections: Mutex<Accounts>,
    /// The new services of each address.
    pub(super) newcomers: Mutex<Accounts>,
    /// The turns of answers to first messages.
    pub(super) turns: Turns,
}

impl Admission {
    pub(crate) fn new(limits: &Limits, platform: &Platform) -> Self {
        Self {
            places: Places::new(limits),
            replays: Mutex::default(),
            unfinished: Mutex::new(Accounts::of_unfinished()),
            connections: Mutex::new(Accounts::of_unfinished()),
            newcomers: Mutex::new(Accounts::of_newcomers()),
            turns: Turns::new(platform.cores, platform.chance.clone()),
        }
    }

    /// The place of a handshake that cannot be displaced before `now`.
    #[cfg(test)]
    pub(crate) fn occupy(&self, address: IpAddr, now: Instant) -> impl Drop + use<> {
        let place = self.places.enter(Origin { address, connection: 0 });
        assert_eq!(place.prove(Class::Within, now), Ok(()), "there is room");
        place
    }

    /// Charges an address for all the handshakes that it may leave unfinished; returns
    /// their number.
    #[cfg(test)]
    pub(crate) fn owe(&self, address: IpAddr, now: Instant) -> usize {
        let mut accounts = lock(&self.unfinished);
        std::iter::from_fn(|| accounts.charge(address, now).then_some(())).count()
    }

    /// Charges an address for all the new services that it may bring; returns their number.
    #[cfg(test)]
    pub(crate) fn bring(&self, address: IpAddr, now: Instant) -> usize {
        let mut accounts = lock(&self.newcomers);
        std::iter::from_fn(|| accounts.charge(address, now).then_some(())).count()
    }

    /// Charges an address for all the TLS handshakes that it may begin; returns their number.
    #[cfg(test)]
    pub(crate) fn begin_connections(&self, address: IpAddr, now: Instant) -> usize {
        let mut accounts = lock(&self.connections);
        std::iter::from_fn(|| accounts.charge(address, now).then_some(())).count()
    }

    /// Takes `count` turns for as long as the result lives.
    #[cfg(test)]
    pub(crate) async fn hold_turns(&self, count: usize) -> Box<dyn Send> {
        let mut held = Vec::new();
        for _ in 0..count {
            held.push(self.turns.take(Class::Within).await);
        }
        Box::new(held)
    }

    /// The number of first messages that wait for their turn: of addresses within
    /// their account, and beyond it.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> (usize, usize) {
        self.turns.waiting()
    }
}
