//! The state that newcomers share: their places, the first messages that were
//! answered, the accounts of each address, and whose turn it is.

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
    /// Handshakes that each address has left unfinished.
    pub(super) unfinished: Mutex<Accounts>,
    /// Handshakes of TLS that each address has begun.
    pub(super) connections: Mutex<Accounts>,
    /// Services that each address has made this one remember.
    pub(super) newcomers: Mutex<Accounts>,
    /// Answers to first messages.
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

    /// The place of a handshake that does not give way before `now`.
    #[cfg(test)]
    pub(crate) fn occupy(&self, address: IpAddr, now: Instant) -> impl Drop + use<> {
        let place = self.places.enter(Origin { address, connection: 0 });
        assert_eq!(place.prove(Class::Within, now), Ok(()), "there is room");
        place
    }

    /// Charges an address for all the handshakes that it may leave unfinished; returns
    /// how many those were.
    #[cfg(test)]
    pub(crate) fn owe(&self, address: IpAddr, now: Instant) -> usize {
        let mut accounts = lock(&self.unfinished);
        std::iter::from_fn(|| accounts.charge(address, now).then_some(())).count()
    }

    /// Charges an address for all the services that it may bring; returns how many.
    #[cfg(test)]
    pub(crate) fn bring(&self, address: IpAddr, now: Instant) -> usize {
        let mut accounts = lock(&self.newcomers);
        std::iter::from_fn(|| accounts.charge(address, now).then_some(())).count()
    }

    /// Charges an address for all the handshakes of TLS that it may begin; returns how many those were.
    #[cfg(test)]
    pub(crate) fn begin_connections(&self, address: IpAddr, now: Instant) -> usize {
        let mut accounts = lock(&self.connections);
        std::iter::from_fn(|| accounts.charge(address, now).then_some(())).count()
    }

    /// Takes so many turns, for as long as the result lives.
    #[cfg(test)]
    pub(crate) async fn hold_turns(&self, count: usize) -> Box<dyn Send> {
        let mut held = Vec::new();
        for _ in 0..count {
            held.push(self.turns.take(Class::Within).await);
        }
        Box::new(held)
    }

    /// How many first messages wait for their turn: of addresses within their account,
    /// and beyond it.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> (usize, usize) {
        self.turns.waiting()
    }
}
