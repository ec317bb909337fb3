//! The instances of one service with their links, and the placement of a call on one of them.
//!
//! The list of instances may change while calls run. A link belongs to an address and stays with it.

use std::{collections::HashMap, sync::Arc};

use tokio::time::Instant;

use super::{
    link::{Link, Seeker, State, Taken},
    session::ClientSession,
};
use crate::{
    balance::{Dice, Facts, Group, hash},
    clock::Timestamp,
    crypto::rsa::PublicKey,
    discovery::{Address, Entry, HealthStatus},
    mesh::events::{CallError, CallId},
};

/// The most connections to one service that are opened at once.
const MOST_AT_ONCE: usize = 8;

/// The instances of one service. The three lists have the same order.
#[derive(Debug)]
pub(super) struct Fleet {
    instances: Arc<Vec<Entry<PublicKey>>>,
    links: Vec<Link>,
    pub(super) group: Group,
    /// The source of the list is away since then.
    pub(super) away_since: Option<Instant>,
    /// Calls at any of the instances.
    pub(super) in_flight: u32,
}

/// The next step of a call.
#[derive(Debug)]
pub(super) enum Placement {
    /// It goes over an open session with the instance at this index. The address, if any, is an instance
    /// to connect to for later calls.
    Session(Arc<ClientSession>, usize, Option<Address>),
    /// It waits for a connection to an instance that is already being opened.
    Wait(Address),
    /// It waits for a connection that the caller of this function must open at this time.
    Dial(Address, Instant),
    /// No instance can be reached soon enough. This one opens the soonest.
    Down(Address, CallError),
    /// All sessions carry as many calls as the service accepts. The address, if any, is an instance
    /// to connect to.
    Full(Option<Address>),
    /// There is no instance.
    Nowhere,
    /// It waits until discovery reports the instances. The first such call must ask discovery.
    Unreported { first: bool },
}

/// A detour for calls whose connection is slow.
#[derive(Debug)]
pub(super) enum Detour {
    /// The calls are placed again.
    Place(Vec<CallId>),
    /// Connections to these instances are opened now.
    Dial(Vec<Address>),
}

/// The sessions and calls of removed instances.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    pub(super) sessions: Vec<Arc<ClientSession>>,
    pub(super) calls: Vec<CallId>,
}

/// The time by both clocks: the one of timers and the one of estimates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) uptime: Timestamp,
}

/// Whether the breaker of the instance at an index lets calls through.
pub(super) type Passes<'a> = &'a dyn Fn(usize) -> bool;

impl Fleet {
    pub(super) fn new(group: Group) -> Self {
        Self { instances: Arc::default(), links: Vec::new(), group, away_since: None, in_flight: 0 }
    }

    pub(super) fn instances(&self) -> &[Entry<PublicKey>] {
        &self.instances
    }

    /// The calls that wait for a connection, ended ones included.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &CallId> {
        self.links.iter().flat_map(Link::waiting)
    }

    fn address(&self, index: usize) -> &Address {
        &self.instances[index].endpoint.address
    }

    /// Replaces the list of instances. An instance whose address was in the previous list keeps its link.
    pub(super) fn replace(
        &mut self,
        instances: Arc<Vec<Entry<PublicKey>>>,
        zone: Option<&str>,
        now: Timestamp,
    ) -> Orphans {
        let former = std::mem::replace(&mut self.instances, instances);
        let places = former.iter().enumerate().map(|(index, entry)| (&entry.endpoint.address, index));
        let places: HashMap<&Address, usize> = places.collect();
        let mut links: Vec<Option<Link>> = std::mem::take(&mut self.links).into_iter().map(Some).collect();
        let mut members = Vec::with_capacity(self.instances.len());
        for entry in self.instances.iter() {
            let endpoint = &entry.endpoint;
            let index = places.get(&endpoint.address).copied();
            let link = index.and_then(|index| links.get_mut(index)?.take());
            self.links.push(link.unwrap_or_default());
            let facts = Facts {
                hash: hash(&endpoint.address.to_string()),
                weight: f64::from(endpoint.weight.max(1)),
                local: zone.is_some() && endpoint.zone.as_deref() == zone,
            };
            members.push((facts, index));
        }
        self.group.replace(&members, now);
        let mut orphans = Orphans::default();
        for link in links.into_iter().flatten() {
            match link.state {
                State::Ready(session) => orphans.sessions.push(session),
                state => orphans.calls.extend(state.into_waiting()),
            }
        }
        orphans.calls.sort_unstable();
        orphans
    }

    pub(super) fn find(&mut self, target: &Address) -> Option<&mut Link> {
        let index = self.instances.iter().position(|entry| entry.endpoint.address == *target)?;
        self.links.get_mut(index)
    }

    pub(super) fn links_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        self.links.iter_mut()
    }

    /// The placement of a call: on an open session, or else at the instance that can be tried next.
    pub(super) fn route(
        &mut self,
        call: Seeker<'_>,
        passes: Passes<'_>,
        now: Now,
        dice: &mut Dice,
    ) -> Placement {
        let serves = |index: usize| {
            let entry = &self.instances[index];
            entry.health != HealthStatus::NotServing
                && passes(index)
                && !call.tried.contains(&entry.endpoint.address)
        };
        let Some(chosen) = self.group.pick(serves, call.sticky, now.uptime, dice) else {
            return Placement::Nowhere;
        };
        if let Some(session) = self.links[chosen].session().filter(|session| session.has_room()) {
            return Placement::Session(Arc::clone(session), chosen, None);
        }
        // No call waits for an instance while another one is ready. The connection is opened for later
        // calls.
        let has_room = |index: usize| self.links[index].session().is_some_and(|session| session.has_room());
        let other = self.group.pick_of(serves, has_room, call.sticky, now.uptime, dice);
        let other = other.and_then(|other| Some((Arc::clone(self.links[other].session()?), other)));
        let is_ready = |index: usize| self.links[index].is_ready();
        if other.is_some() || self.group.pick_of(serves, is_ready, None, now.uptime, dice).is_some() {
            let begun = self.under_way() < MOST_AT_ONCE && self.links[chosen].begin(now.instant);
            let dial = begun.then(|| self.address(chosen).clone());
            return match other {
                Some((session, other)) => Placement::Session(session, other, dial),
                None => Placement::Full(dial),
            };
        }
        // An instance that can be tried now comes before resting ones; among those the shortest rest comes
        // first.
        let opens = |index: usize| self.links[index].opens(now.instant);
        let can_now = |index: usize| opens(index).is_none();
        let soonest = (0..self.links.len()).filter(|index| serves(*index)).min_by_key(|index| opens(*index));
        let chosen = if can_now(chosen) {
            chosen
        } else {
            let other = self.group.pick_of(serves, can_now, call.sticky, now.uptime, dice);
            other.or(soonest).unwrap_or(chosen)
        };
        // An ejected instance is better than none.
        if let Some(session) = self.links[chosen].session() {
            let session = Arc::clone(session);
            return if session.has_room() {
                Placement::Session(session, chosen, None)
            } else {
                Placement::Full(None)
            };
        }
        let target = self.address(chosen).clone();
        match self.links[chosen].take(call, now.instant) {
            Taken::Waits => Placement::Wait(target),
            Taken::Dials(at) => Placement::Dial(target, at),
            Taken::Down(error) => Placement::Down(target, error),
        }
    }

    fn under_way(&self) -> usize {
        self.links.iter().filter(|link| link.is_connecting()).count()
    }

    /// A detour for the calls that wait for a slow connection. An instance with a session takes them.
    /// Otherwise connections to untried instances are opened, more of them each time.
    pub(super) fn detour_of_waiting(
        &mut self,
        slow: &Address,
        passes: Passes<'_>,
        now: Now,
        dice: &mut Dice,
    ) -> Option<Detour> {
        self.find(slow).filter(|link| link.is_slow(now.instant))?;
        let serves = |index: usize| self.instances[index].health != HealthStatus::NotServing && passes(index);
        let is_ready = |index: usize| self.links[index].is_ready();
        if self.group.pick_of(serves, is_ready, None, now.uptime, dice).is_some() {
            return Some(Detour::Place(self.all_waiting()));
        }
        let under_way = self.under_way();
        let most = (2 * under_way + 1).min(MOST_AT_ONCE).saturating_sub(under_way);
        let mut dials = Vec::new();
        for _ in 0..most {
            let can_be_tried = |index: usize| match self.links[index].state {
                State::Idle => true,
                State::Resting { until } => until <= now.instant,
                State::Connecting { .. } | State::Ready(_) => false,
            };
            let Some(index) = self.group.pick_of(serves, can_be_tried, None, now.uptime, dice) else { break };
            if self.links[index].begin(now.instant) {
                dials.push(self.address(index).clone());
            }
        }
        (!dials.is_empty()).then_some(Detour::Dial(dials))
    }

    /// Records a new session. Returns the calls that waited for it or for another instance; `None` if the
    /// instance was removed.
    pub(super) fn ready(&mut self, target: &Address, session: &Arc<ClientSession>) -> Option<Vec<CallId>> {
        let first = self.find(target)?.ready(session);
        Some(first.into_iter().chain(self.all_waiting()).collect())
    }

    /// Removes a session that takes no more calls.
    pub(super) fn remove(&mut self, session: &Arc<ClientSession>) {
        for link in &mut self.links {
            if matches!(&link.state, State::Ready(ready) if Arc::ptr_eq(ready, session)) {
                *link = Link::default();
            }
        }
    }

    /// Takes the calls that wait for any of the connections.
    fn all_waiting(&mut self) -> Vec<CallId> {
        let mut all = Vec::new();
        for link in &mut self.links {
            if let State::Connecting { waiting, .. } = &mut link.state {
                all.extend(waiting.drain(..));
            }
        }
        // The ids restore the order in which the calls began, across all links.
        all.sort_unstable();
        all
    }
}
