//! The connections to the instances of each service.
//!
//! One is opened once however many calls wait for it. After a failure it is
//! not tried again at once, nor by each call on its own: the delays grow, and
//! calls wait for the next try together, if it comes soon enough for them.
//!
//! An instance that takes its time holds up nobody: the next one is tried
//! beside it, and the first session takes all the calls that wait.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::session::ClientSession;
use crate::{
    crypto::rsa::PublicKey,
    discovery::{Address, Entry, Picker},
    error::Code,
    id::ServiceId,
    mesh::events::{CallError, CallId},
    resilience::ExponentialBackoff,
};

/// Delays after the first, the second… failure: a tenth of a second, four,
/// sixteen, then five seconds.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const DELAY_FACTOR: f64 = 4.0;
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// How long after it began a call still waits for a next try. Enough for four
/// of them, and so for a service that is away for a second.
pub(super) const PATIENCE: Duration = Duration::from_millis(2500);
/// How long a connection may take before another instance is tried beside it.
pub(super) const STAGGER: Duration = Duration::from_millis(150);
/// Connections to one service that are under way at once, for calls that wait.
const MOST_AT_ONCE: usize = 8;
/// Failures are forgotten when nobody has tried for so long.
const MEMORY: Duration = Duration::from_mins(1);

/// The connections of one mesh.
#[derive(Debug, Default)]
pub(super) struct Links {
    services: HashMap<ServiceId, HashMap<Address, Link>>,
    picker: Picker,
}

/// The connection to one instance.
#[derive(Debug)]
struct Link {
    /// Tries that have failed since the last session, and how the last one did.
    failures: u32,
    error: Option<CallError>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// To be opened at this time, or being opened since.
    Connecting {
        at: Instant,
        waiting: VecDeque<CallId>,
    },
    /// It could not be opened, and is not tried before this time.
    Resting {
        until: Instant,
    },
    Ready(Arc<ClientSession>),
}

/// A call that looks for its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seeker<'a> {
    pub(super) id: CallId,
    /// The latest time at which a try is of use to it, where nobody answers.
    pub(super) latest: Instant,
    /// The same where somebody answers that it is too busy. Without one the
    /// call waits for as long as it takes.
    pub(super) deadline: Option<Instant>,
    /// Instances that were tried for it.
    pub(super) tried: &'a [Address],
}

/// Help for calls whose connection takes its time.
#[derive(Debug)]
pub(super) enum Detour {
    /// The calls go another way.
    Place(Vec<CallId>),
    /// An instance is connected to now.
    Dial(Address),
}

/// The next step of a call.
#[derive(Debug)]
pub(super) enum Placement {
    /// It goes over an open session.
    Session(Arc<ClientSession>),
    /// It waits for a connection to an instance that somebody makes.
    Wait(Address),
    /// It waits for a connection that is to be made now, at this time.
    Dial(Address, Instant),
    /// No instance can be reached soon enough, this one the soonest.
    Down(Address, CallError),
    /// There is no instance.
    Nowhere,
}

impl Link {
    /// Whether calls wait for a connection that should have been there by now.
    fn is_slow(&self, now: Instant) -> bool {
        match &self.state {
            State::Connecting { at, waiting } => *at + STAGGER <= now && !waiting.is_empty(),
            State::Resting { .. } | State::Ready(_) => false,
        }
    }

    /// When it can be used, if that is not now.
    fn opens(&self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Connecting { at, .. } => (at > now).then_some(at),
            State::Resting { until, .. } => (until > now).then_some(until),
            State::Ready(_) => None,
        }
    }
}

impl Links {
    /// The way for a call to one of `instances`: to those that can be used now
    /// in turn, or else to the one that can be tried next.
    pub(super) fn route(
        &mut self,
        service: &ServiceId,
        instances: &[Entry<PublicKey>],
        call: Seeker<'_>,
        now: Instant,
    ) -> Placement {
        match self.open_session(service, instances, call) {
            Some(session) => Placement::Session(session),
            None => self.detour(service, instances, call, now),
        }
    }

    /// The session with the instance whose turn it is. It takes no longer with
    /// many instances, as nearly every call goes this way.
    fn open_session(
        &self,
        service: &ServiceId,
        instances: &[Entry<PublicKey>],
        call: Seeker<'_>,
    ) -> Option<Arc<ClientSession>> {
        let links = self.services.get(service)?;
        let mut open = None;
        let _ = self.picker.pick_if(instances, |entry| {
            let address = &entry.endpoint.address;
            open = match links.get(address).map(|link| &link.state) {
                Some(State::Ready(session)) if !session.is_over() && !call.tried.contains(address) => {
                    Some(Arc::clone(session))
                }
                _ => None,
            };
            open.is_some()
        });
        open
    }

    /// The way when that one has no session, which looks at all of them.
    fn detour(
        &mut self,
        service: &ServiceId,
        instances: &[Entry<PublicKey>],
        call: Seeker<'_>,
        now: Instant,
    ) -> Placement {
        let links = self.services.entry(service.clone()).or_default();
        // A session that is over but not yet told so is no link any more.
        links.retain(|_, link| !matches!(&link.state, State::Ready(session) if session.is_over()));
        let opens =
            |entry: &Entry<PublicKey>| links.get(&entry.endpoint.address).and_then(|link| link.opens(now));
        let mut instances: Vec<_> =
            instances.iter().filter(|entry| !call.tried.contains(&entry.endpoint.address)).cloned().collect();
        if instances.iter().any(|entry| opens(entry).is_none()) {
            instances.retain(|entry| opens(entry).is_none());
            // Nobody waits for an instance while another one serves.
            let state = |entry: &Entry<PublicKey>| links.get(&entry.endpoint.address).map(|link| &link.state);
            if instances.iter().any(|entry| matches!(state(entry), Some(State::Ready(_)))) {
                instances.retain(|entry| !matches!(state(entry), Some(State::Connecting { .. })));
            }
        } else if let Some(soonest) = instances.iter().filter_map(opens).min() {
            instances.retain(|entry| opens(entry) == Some(soonest));
        }
        let Some(entry) = self.picker.pick(&instances) else { return Placement::Nowhere };
        let target = &entry.endpoint.address;
        if let Some(link) = links.get_mut(target) {
            return link.take(target, call, now);
        }
        let state = State::Connecting { at: now, waiting: VecDeque::from([call.id]) };
        links.insert(target.clone(), Link { failures: 0, error: None, state });
        Placement::Dial(target.clone(), now)
    }

    /// A connection was made; returns the calls that waited for it, or for
    /// another instance of the service.
    pub(super) fn ready(
        &mut self,
        service: &ServiceId,
        target: &Address,
        session: &Arc<ClientSession>,
    ) -> Vec<CallId> {
        let Some(links) = self.services.get_mut(service) else { return Vec::new() };
        let Some(link) = links.get_mut(target) else { return Vec::new() };
        (link.failures, link.error) = (0, None);
        let first = waiting(std::mem::replace(&mut link.state, State::Ready(Arc::clone(session))));
        first.into_iter().chain(all_waiting(links)).collect()
    }

    /// Help for the calls that wait for a slow connection: one of `instances` that
    /// has a session takes them, or else one that nobody has tried is connected to.
    pub(super) fn detour_of_waiting(
        &mut self,
        service: &ServiceId,
        slow: &Address,
        instances: &[Entry<PublicKey>],
        now: Instant,
    ) -> Option<Detour> {
        let links = self.services.get_mut(service)?;
        links.get(slow).filter(|link| link.is_slow(now))?;
        let serves = |link: &Link| matches!(&link.state, State::Ready(session) if !session.is_over());
        if instances.iter().filter_map(|entry| links.get(&entry.endpoint.address)).any(serves) {
            return Some(Detour::Place(all_waiting(links)));
        }
        let under_way = links.values().filter(|link| matches!(link.state, State::Connecting { .. }));
        if under_way.count() >= MOST_AT_ONCE {
            return None;
        }
        let can_be_tried = |entry: &&Entry<PublicKey>| match links.get(&entry.endpoint.address) {
            None => true,
            Some(link) => matches!(link.state, State::Resting { until } if until <= now),
        };
        let untried: Vec<_> = instances.iter().filter(can_be_tried).cloned().collect();
        let target = self.picker.pick(&untried)?.endpoint.address.clone();
        let state = State::Connecting { at: now, waiting: VecDeque::new() };
        match links.get_mut(&target) {
            Some(link) => link.state = state,
            None => {
                links.insert(target.clone(), Link { failures: 0, error: None, state });
            }
        }
        Some(Detour::Dial(target))
    }

    /// The calls that wait for a connection under way. They stay where they are.
    pub(super) fn waiting_for(&self, service: &ServiceId, target: &Address) -> Vec<CallId> {
        match self.services.get(service).and_then(|links| links.get(target)).map(|link| &link.state) {
            Some(State::Connecting { waiting, .. }) => waiting.iter().copied().collect(),
            _ => Vec::new(),
        }
    }

    /// Calls that wait no longer.
    pub(super) fn give_up(&mut self, service: &ServiceId, target: &Address, calls: &[CallId]) {
        if let Some(Link { state: State::Connecting { waiting, .. }, .. }) = self.find(service, target) {
            waiting.retain(|id| !calls.contains(id));
        }
    }

    /// A connection could not be made; returns the calls that waited for it.
    pub(super) fn failed(
        &mut self,
        service: &ServiceId,
        target: &Address,
        error: &CallError,
        now: Instant,
        chance: f64,
    ) -> VecDeque<CallId> {
        let Some(link) = self.find(service, target) else { return VecDeque::new() };
        link.failures = link.failures.saturating_add(1);
        let delay = delay(link.failures, chance).max(error.retry_after.unwrap_or_default());
        link.error = Some(error.clone());
        waiting(std::mem::replace(&mut link.state, State::Resting { until: now + delay }))
    }

    /// Failed connections may be tried again at once: this side is not what it was.
    pub(super) fn forgive(&mut self, now: Instant) {
        for link in self.services.values_mut().flat_map(HashMap::values_mut) {
            if matches!(link.state, State::Resting { .. }) {
                link.failures = 0;
                link.state = State::Resting { until: now };
            }
        }
    }

    /// A session takes no more calls.
    pub(super) fn remove(&mut self, session: &Arc<ClientSession>) {
        if let Some(links) = self.services.get_mut(&session.info.peer) {
            links
                .retain(|_, link| !matches!(&link.state, State::Ready(ready) if Arc::ptr_eq(ready, session)));
        }
    }

    fn find(&mut self, service: &ServiceId, target: &Address) -> Option<&mut Link> {
        self.services.get_mut(service)?.get_mut(target)
    }
}

impl Link {
    fn take(&mut self, target: &Address, call: Seeker<'_>, now: Instant) -> Placement {
        let down = |error: &Option<CallError>, at: Instant| {
            let error = error.clone().unwrap_or_else(|| CallError::internal("a link without an error"));
            let retry_after = error.retryable.then_some(at - now);
            Placement::Down(target.clone(), CallError { retry_after, ..error })
        };
        match &mut self.state {
            State::Ready(session) => Placement::Session(Arc::clone(session)),
            State::Connecting { at, .. } if *at > now && !waits(self.error.as_ref(), call, *at) => {
                down(&self.error, *at)
            }
            State::Connecting { waiting, .. } => {
                waiting.push_back(call.id);
                Placement::Wait(target.clone())
            }
            State::Resting { until } => {
                let at = (*until).max(now);
                // Who was refused would be refused again.
                let hopeless = self.error.as_ref().is_some_and(|error| !error.retryable);
                if at > now && (hopeless || !waits(self.error.as_ref(), call, at)) {
                    return down(&self.error, at);
                }
                if now.duration_since(*until) > MEMORY {
                    self.failures = 0;
                }
                self.state = State::Connecting { at, waiting: VecDeque::from([call.id]) };
                Placement::Dial(target.clone(), at)
            }
        }
    }
}

/// Whether a call waits until `at` for the next try. One that is told to come
/// back later waits for longer than one that nobody answers.
fn waits(error: Option<&CallError>, call: Seeker<'_>, at: Instant) -> bool {
    let busy = error.is_some_and(|error| error.code == Code::ResourceExhausted);
    let latest = if busy { call.deadline } else { Some(call.latest) };
    latest.is_none_or(|latest| at <= latest)
}

/// The calls that wait for any of the connections to a service.
fn all_waiting(links: &mut HashMap<Address, Link>) -> Vec<CallId> {
    let mut all = Vec::new();
    for link in links.values_mut() {
        if let State::Connecting { waiting, .. } = &mut link.state {
            all.extend(waiting.drain(..));
        }
    }
    // In the order in which they began, whatever table they were in.
    all.sort_unstable();
    all
}

fn waiting(state: State) -> VecDeque<CallId> {
    match state {
        State::Connecting { waiting, .. } => waiting,
        State::Resting { .. } | State::Ready(_) => VecDeque::new(),
    }
}

/// How long a connection rests after so many failures: from half of its turn's
/// delay to the whole. A delay of next to nothing would be no help to a
/// service that starts; chance keeps callers from coming back together.
fn delay(failures: u32, chance: f64) -> Duration {
    ExponentialBackoff::new(FIRST_DELAY, LONGEST_DELAY, DELAY_FACTOR)
        .map_or(LONGEST_DELAY, |backoff| backoff.delay(failures, 0.5 + chance / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_never_come_close_to_nothing() {
        let bounds = [(50, 100), (200, 400), (800, 1600), (2500, 5000), (2500, 5000)];
        for (failures, (least, most)) in (1..).zip(bounds) {
            assert_eq!(delay(failures, 0.0).as_millis(), least);
            assert_eq!(delay(failures, 1.0).as_millis(), most);
        }
        let least: Duration = (1..=3).map(|failures| delay(failures, 0.0)).sum();
        let most: Duration = (1..=3).map(|failures| delay(failures, 1.0)).sum();
        assert!(least > Duration::from_secs(1), "a service that is away for a second is waited for");
        assert!(most < PATIENCE);
    }
}
