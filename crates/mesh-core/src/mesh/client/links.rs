//! The links to the instances of each service.
//!
//! A connection is opened once for all calls that wait for it. After a failure
//! the calls wait together for the next attempt, if it comes soon enough for
//! them, and the delays between attempts grow.
//!
//! A slow instance delays no call: the next one is tried beside it, and the
//! first session takes all waiting calls.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    fleet::{Detour, Fleet, Now, Orphans, Passes, Placement},
    link::{Seeker, State},
    session::ClientSession,
};
use crate::{
    balance::{Dice, Group, Verdict, Visit},
    config::Balancing,
    crypto::rsa::PublicKey,
    discovery::{Address, Entry},
    id::ServiceId,
    mesh::events::{CallError, CallId},
};

/// The links of one mesh.
#[derive(Debug)]
pub(super) struct Links {
    services: HashMap<ServiceId, Fleet>,
    /// Calls of services whose instances discovery has not reported yet.
    unreported: HashMap<ServiceId, Vec<CallId>>,
    options: Balancing,
    seed: u64,
    dice: Dice,
}

impl Links {
    /// An empty table. The seed decides the instances of the first calls.
    pub(super) fn new(options: Balancing, seed: u64) -> Self {
        Self { services: HashMap::new(), unreported: HashMap::new(), options, seed, dice: Dice::seeded(seed) }
    }

    /// Whether the instances of a service have been set.
    pub(super) fn knows(&self, service: &ServiceId) -> bool {
        self.services.contains_key(service)
    }

    /// The instances of a service.
    pub(super) fn instances(&self, service: &ServiceId) -> &[Entry<PublicKey>] {
        self.services.get(service).map_or(&[], Fleet::instances)
    }

    /// The state of an instance for people: its average latency, and the time for which it stays ejected.
    pub(super) fn state(
        &self,
        service: &ServiceId,
        address: &Address,
        now: Now,
    ) -> (Option<Duration>, Option<Duration>) {
        let Some(fleet) = self.services.get(service) else { return (None, None) };
        let index = fleet.instances().iter().position(|entry| entry.endpoint.address == *address);
        index.map_or((None, None), |index| fleet.group.state(index, now.uptime))
    }

    /// Sets the instances of a service. Returns the sessions and calls of removed ones.
    pub(super) fn set(
        &mut self,
        service: &ServiceId,
        instances: Arc<Vec<Entry<PublicKey>>>,
        now: Now,
    ) -> Orphans {
        let (options, seed) = (&self.options, self.seed);
        let new = || Fleet::new(Group::new(options.clone(), seed));
        let fleet = self.services.entry(service.clone()).or_insert_with(new);
        fleet.replace(instances, options.zone.as_deref(), now.uptime)
    }

    /// Lets a call wait until the instances of a service are reported. `alive` is the number of calls in
    /// flight; ids of ended calls are dropped once they are the majority.
    pub(super) fn wait_for_report(
        &mut self,
        service: &ServiceId,
        id: CallId,
        alive: usize,
        is_alive: impl Fn(&CallId) -> bool,
    ) -> Placement {
        let first = !self.unreported.contains_key(service);
        let waiting = self.unreported.entry(service.clone()).or_default();
        if waiting.len() > 2 * alive {
            waiting.retain(is_alive);
        }
        waiting.push(id);
        Placement::Unreported { first }
    }

    /// The calls that wait until the instances of a service are reported; `None` if discovery was not asked or has
    /// reported.
    pub(super) fn unreported(&self, service: &ServiceId) -> Option<&[CallId]> {
        self.unreported.get(service).map(Vec::as_slice)
    }

    /// Records the report about a service; returns the calls that waited for it.
    pub(super) fn reported(&mut self, service: &ServiceId) -> Vec<CallId> {
        self.unreported.remove(service).unwrap_or_default()
    }

    /// The placement of a call of a service.
    pub(super) fn route(
        &mut self,
        service: &ServiceId,
        call: Seeker<'_>,
        passes: Passes<'_>,
        now: Now,
    ) -> Placement {
        match self.services.get_mut(service) {
            Some(fleet) => fleet.route(call, passes, now, &mut self.dice),
            None => Placement::Nowhere,
        }
    }

    /// The source of the list of a service went away, or answers again.
    pub(super) fn set_away(&mut self, service: &ServiceId, away: bool, now: Instant) {
        if let Some(fleet) = self.services.get_mut(service) {
            fleet.away_since = away.then(|| fleet.away_since.unwrap_or(now));
        }
    }

    /// For how long the source of the list of a service has been away.
    pub(super) fn away_for(&self, service: &ServiceId, now: Instant) -> Option<Duration> {
        let since = self.services.get(service)?.away_since?;
        Some(now.saturating_duration_since(since))
    }

    /// The services with instances, and for how long the source of each list has been away.
    pub(super) fn ages(&self, now: Instant) -> Vec<(String, Duration)> {
        let age = |fleet: &Fleet| fleet.away_since.map(|since| now.saturating_duration_since(since));
        let ages = self.services.iter().map(|(id, fleet)| (id.to_string(), age(fleet).unwrap_or_default()));
        ages.collect()
    }

    /// The number of calls that are at the instances of a service, or wait for a connection to one.
    pub(super) fn taken(&self, service: &ServiceId, is_alive: impl Fn(&CallId) -> bool) -> usize {
        let Some(fleet) = self.services.get(service) else { return 0 };
        fleet.in_flight as usize + fleet.waiting().filter(|id| is_alive(id)).count()
    }

    /// Records a call at the instance at this index.
    pub(super) fn enter(&mut self, service: &ServiceId, index: usize) -> Option<Visit> {
        let fleet = self.services.get_mut(service)?;
        let visit = fleet.group.enter(index)?;
        fleet.in_flight += 1;
        Some(visit)
    }

    /// Records that a call has left its instance. Returns the instances that this ejects.
    pub(super) fn leave(
        &mut self,
        service: &ServiceId,
        visit: Visit,
        verdict: Verdict,
        latency: Option<Duration>,
        now: Now,
    ) -> Vec<(Address, Duration)> {
        let Some(fleet) = self.services.get_mut(service) else { return Vec::new() };
        fleet.in_flight = fleet.in_flight.saturating_sub(1);
        let ejected = fleet.group.leave(visit, verdict, latency, now.uptime);
        let at = |index: usize| fleet.instances()[index].endpoint.address.clone();
        ejected.into_iter().map(|(index, time)| (at(index), time)).collect()
    }

    /// Records a new session. Returns the calls that waited for it or for another
    /// instance of the service; `None` if the instance was removed.
    pub(super) fn ready(
        &mut self,
        service: &ServiceId,
        target: &Address,
        session: &Arc<ClientSession>,
    ) -> Option<Vec<CallId>> {
        self.services.get_mut(service)?.ready(target, session)
    }

    /// A detour for the calls that wait for a slow connection.
    pub(super) fn detour_of_waiting(
        &mut self,
        service: &ServiceId,
        slow: &Address,
        passes: Passes<'_>,
        now: Now,
    ) -> Option<Detour> {
        self.services.get_mut(service)?.detour_of_waiting(slow, passes, now, &mut self.dice)
    }

    /// The calls that wait for a connection that is being opened. They continue to wait.
    pub(super) fn waiting_for(&mut self, service: &ServiceId, target: &Address) -> Vec<CallId> {
        match self.services.get_mut(service).and_then(|fleet| fleet.find(target)).map(|link| &link.state) {
            Some(State::Connecting { waiting, .. }) => waiting.iter().copied().collect(),
            _ => Vec::new(),
        }
    }

    /// Removes calls from those that wait.
    pub(super) fn give_up(&mut self, service: &ServiceId, target: &Address, calls: &[CallId]) {
        let link = self.services.get_mut(service).and_then(|fleet| fleet.find(target));
        if let Some(State::Connecting { waiting, .. }) = link.map(|link| &mut link.state) {
            waiting.retain(|id| !calls.contains(id));
        }
    }

    /// Records a failed connection; returns the calls that waited for it.
    pub(super) fn failed(
        &mut self,
        service: &ServiceId,
        target: &Address,
        error: &CallError,
        now: Instant,
        chance: f64,
    ) -> VecDeque<CallId> {
        let link = self.services.get_mut(service).and_then(|fleet| fleet.find(target));
        link.map(|link| link.failed(error, now, chance)).unwrap_or_default()
    }

    /// Permits attempts at once after failures, because this side's identity has changed.
    pub(super) fn forgive(&mut self, now: Instant) {
        for link in self.services.values_mut().flat_map(Fleet::links_mut) {
            link.forgive(now);
        }
    }

    /// Removes a session that takes no more calls.
    pub(super) fn remove(&mut self, session: &Arc<ClientSession>) {
        if let Some(fleet) = self.services.get_mut(&session.info.peer) {
            fleet.remove(session);
        }
    }
}
