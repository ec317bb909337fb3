//! The places of handshakes: streams whose first message is still to come, and
//! handshakes of peers that know the mesh secret, if there is one. A stream gives
//! way to a newcomer; a handshake does so when it takes longer than honest ones, or
//! when its address holds more than others.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::turns::Class;
use crate::{config::Limits, mesh::sync::lock, transport::Holdings};

/// Streams that may wait for their first message, for each handshake that may be
/// under way: they cost little.
const STREAMS: usize = 4;
/// How long a handshake keeps its place from others of its address.
const PATIENCE: Duration = Duration::from_millis(250);

/// Every place that is taken.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Mutex<Table>>);

#[derive(Debug)]
struct Table {
    streams_most: usize,
    most: usize,
    most_of_one: usize,
    last: u64,
    held: HashMap<u64, Held>,
    /// Before the first message, and after it.
    streams: Streams,
    handshakes: Holdings<IpAddr, Turn>,
    gave_way: u64,
}

/// When a place was taken, in the order of these events, and which it is.
type Turn = (u64, u64);

/// Streams before their first message, by address, and of each by connection: one
/// connection full of them is no more than another with one.
#[derive(Debug, Default)]
struct Streams {
    all: Holdings<IpAddr, Turn>,
    of: HashMap<IpAddr, Holdings<u64, Turn>>,
}

impl Streams {
    fn insert(&mut self, from: Origin, turn: Turn) {
        self.all.insert(from.address, turn);
        self.of.entry(from.address).or_default().insert(from.connection, turn);
    }

    fn remove(&mut self, from: Origin, turn: Turn) {
        self.all.remove(from.address, turn);
        if let Some(of) = self.of.get_mut(&from.address) {
            of.remove(from.connection, turn);
            if of.len() == 0 {
                self.of.remove(&from.address);
            }
        }
    }

    fn gives_way_to(&self, from: Origin) -> Option<u64> {
        let (whose, _) = self.all.gives_way_to(from.address)?;
        let (_, (_, id)) = self.of.get(&whose)?.gives_way_to(from.connection)?;
        Some(id)
    }
}

/// Where a stream comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) address: IpAddr,
    /// Its number.
    pub(super) connection: u64,
}

#[derive(Debug)]
struct Held {
    from: Origin,
    turn: u64,
    /// The time since which it is a handshake.
    since: Option<Instant>,
    gives_way: CancellationToken,
}

/// Why a stream does not become a handshake: others are under way, and it is to
/// be tried again. Names the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crowded(pub(super) &'static str);

impl Places {
    pub(super) fn new(limits: &Limits) -> Self {
        let most = limits.max_pending_handshakes as usize;
        Self(Arc::new(Mutex::new(Table {
            streams_most: most * STREAMS,
            most,
            most_of_one: limits.max_pending_handshakes_per_address as usize,
            last: 0,
            held: HashMap::new(),
            streams: Streams::default(),
            handshakes: Holdings::default(),
            gave_way: 0,
        })))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.0)
    }

    /// A place for a new stream. If there is none, another stream gives way.
    pub(super) fn enter(&self, from: Origin) -> Place {
        let mut table = self.table();
        let gone = if table.streams.all.len() >= table.streams_most {
            table.streams.gives_way_to(from).and_then(|id| table.displace(id))
        } else {
            None
        };
        let id = table.next();
        let gives_way = CancellationToken::new();
        table.held.insert(id, Held { from, turn: id, since: None, gives_way: gives_way.clone() });
        table.streams.insert(from, (id, id));
        drop(table);
        cancel(gone);
        Place { places: self.clone(), id, gives_way }
    }

    /// Places taken, and the addresses they are of, before the first message and after.
    pub(super) fn count(&self) -> (usize, usize) {
        let table = self.table();
        (table.held.len(), table.streams.all.owners() + table.handshakes.owners())
    }

    /// How many have given way, since the start.
    pub(super) fn gave_way(&self) -> u64 {
        self.table().gave_way
    }
}

/// Wakes the owner of a place that has given way, outside of the lock.
fn cancel(gone: Option<CancellationToken>) {
    if let Some(gone) = gone {
        gone.cancel();
    }
}

impl Table {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn remove(&mut self, id: u64) -> Option<Held> {
        let held = self.held.remove(&id)?;
        if held.since.is_some() {
            self.handshakes.remove(held.from.address, (held.turn, id));
        } else {
            self.streams.remove(held.from, (held.turn, id));
        }
        Some(held)
    }

    fn displace(&mut self, id: u64) -> Option<CancellationToken> {
        let held = self.remove(id)?;
        self.gave_way += 1;
        Some(held.gives_way)
    }

    /// Makes a stream a handshake, and finds room for it. Nothing of a place that
    /// has given way.
    fn prove(&mut self, id: u64, class: Class, now: Instant) -> Result<Option<CancellationToken>, Crowded> {
        let Some(address) = self.held.get(&id).map(|held| held.from.address) else { return Ok(None) };
        let gone = self.room_for(address, class, now)?.and_then(|id| self.displace(id));
        if let Some(held) = self.remove(id) {
            let turn = self.next();
            self.handshakes.insert(address, (turn, id));
            self.held.insert(id, Held { turn, since: Some(now), ..held });
        }
        Ok(gone)
    }

    /// Which handshake gives way to one of `address`, if any has to.
    fn room_for(&self, address: IpAddr, class: Class, now: Instant) -> Result<Option<u64>, Crowded> {
        let here = self.handshakes.of(address);
        let (whose, limit) = if here >= self.most_of_one {
            (address, Crowded("limits.maxPendingHandshakesPerAddress"))
        } else if self.handshakes.len() >= self.most {
            let limit = Crowded("limits.maxPendingHandshakes");
            (self.handshakes.gives_way_to(address).ok_or(limit)?.0, limit)
        } else {
            return Ok(None);
        };
        let (_, id) = self.handshakes.oldest_of(whose).ok_or(limit)?;
        // A handshake that makes progress keeps its place: otherwise many that begin at
        // once would only displace each other. An address that has less comes first.
        let since = self.held.get(&id).and_then(|held| held.since).ok_or(limit)?;
        // At an address that floods, keeping a place would keep others out: there a
        // handshake lasts for as long as it takes the flood to fill the places anew.
        let floods = class == Class::Beyond && whose == address;
        let is_slow = floods || now.duration_since(since) >= PATIENCE;
        if is_slow || self.handshakes.of(whose) > here + 1 { Ok(Some(id)) } else { Err(limit) }
    }
}

/// A place. Given back when its owner drops it, once, also if it has given way.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    id: u64,
    gives_way: CancellationToken,
}

impl Place {
    /// Tells when the place is another's.
    pub(super) fn gives_way(&self) -> CancellationToken {
        self.gives_way.clone()
    }

    /// The peer knows the mesh secret: the place is that of a handshake from now on.
    pub(super) fn prove(&self, class: Class, now: Instant) -> Result<(), Crowded> {
        let gone = self.places.table().prove(self.id, class, now)?;
        cancel(gone);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.table().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::MeshConfig;

    fn address(last: u8) -> IpAddr {
        [127, 0, 0, last].into()
    }

    fn from(last: u8) -> Origin {
        Origin { address: address(last), connection: last.into() }
    }

    /// Two handshakes of one address, four in all, and sixteen streams.
    fn places() -> Places {
        let limits = json!({ "maxPendingHandshakes": 4, "maxPendingHandshakesPerAddress": 2 });
        let config = MeshConfig::parse(&json!({ "serviceId": "a", "limits": limits }), |_| None);
        Places::new(&config.unwrap().limits)
    }

    fn gone(places: &[Place]) -> Vec<bool> {
        places.iter().map(|place| place.gives_way.is_cancelled()).collect()
    }

    #[test]
    fn a_newcomers_stream_takes_the_oldest_place_of_who_holds_most() {
        let places = places();
        let few: Vec<_> = (0..4).map(|n| places.enter(from(n))).collect();
        let many: Vec<_> = (0..12).map(|_| places.enter(from(9))).collect();
        assert_eq!(places.count(), (16, 5));
        let newcomers = [places.enter(from(7)), places.enter(from(9))];
        assert_eq!(gone(&many), (0..12).map(|n| n < 2).collect::<Vec<_>>());
        assert_eq!(gone(&few), [false; 4]);
        assert_eq!(gone(&newcomers), [false; 2]);
        assert_eq!((places.count(), places.gave_way()), ((16, 6), 2));
        drop((few, many, newcomers));
        assert_eq!(places.count(), (0, 0));
    }

    #[test]
    fn a_connection_full_of_streams_costs_its_address_no_more_than_one_with_one() {
        let (places, address) = (places(), address(1));
        let other = places.enter(Origin { address, connection: 1 });
        let many: Vec<_> = (0..100).map(|_| places.enter(Origin { address, connection: 2 })).collect();
        assert!(!other.gives_way.is_cancelled());
        assert_eq!(gone(&many).iter().filter(|gone| !**gone).count(), 15);
        let third = places.enter(Origin { address, connection: 3 });
        assert!(![&other, &third].iter().any(|place| place.gives_way.is_cancelled()));
        assert!(many[85].gives_way.is_cancelled());
    }

    #[test]
    fn strangers_take_no_place_of_a_handshake() {
        let places = places();
        let handshake = places.enter(from(1));
        handshake.prove(Class::Within, Instant::now()).unwrap();
        let _streams: Vec<_> = (0..100).map(|_| places.enter(from(1))).collect();
        assert!(!handshake.gives_way.is_cancelled());
        assert_eq!(places.count(), (17, 2));
    }

    #[test]
    fn a_handshake_that_takes_long_gives_way_and_one_that_hurries_does_not() {
        let (places, now) = (places(), Instant::now());
        let held: Vec<_> = (0..2).map(|_| places.enter(from(1))).collect();
        for place in &held {
            place.prove(Class::Within, now).unwrap();
        }
        let next = places.enter(from(1));
        let limit = "limits.maxPendingHandshakesPerAddress";
        assert_eq!(next.prove(Class::Within, now + PATIENCE / 2), Err(Crowded(limit)));
        next.prove(Class::Within, now + PATIENCE).unwrap();
        assert_eq!(gone(&held), [true, false]);
        assert_eq!(places.count(), (2, 1));
        // One that has given way is nobody's handshake any more.
        held[0].prove(Class::Within, now + PATIENCE).unwrap();
        assert_eq!(places.count(), (2, 1));
    }

    #[test]
    fn an_address_with_less_than_others_is_not_made_to_wait() {
        let (places, now) = (places(), Instant::now());
        let held: Vec<_> = [1, 1, 2, 2].map(|last| places.enter(from(last))).into();
        for place in &held {
            place.prove(Class::Within, now).unwrap();
        }
        let newcomer = places.enter(from(3));
        newcomer.prove(Class::Within, now).unwrap();
        assert_eq!(gone(&held), [true, false, false, false]);
        // Now none has more than one more than another.
        let other = places.enter(from(4));
        other.prove(Class::Within, now).unwrap();
        assert_eq!(gone(&held), [true, false, true, false]);
        assert_eq!(
            places.enter(from(5)).prove(Class::Within, now),
            Err(Crowded("limits.maxPendingHandshakes"))
        );
    }

    #[test]
    fn an_address_that_floods_takes_its_own_places_at_once_and_no_others() {
        let (places, now) = (places(), Instant::now());
        let held: Vec<_> = [1, 1, 2, 2].map(|last| places.enter(from(last))).into();
        for place in &held {
            place.prove(Class::Within, now).unwrap();
        }
        let next = places.enter(from(1));
        assert_eq!(next.prove(Class::Within, now), Err(Crowded("limits.maxPendingHandshakesPerAddress")));
        next.prove(Class::Beyond, now).unwrap();
        assert_eq!(gone(&held), [true, false, false, false]);
        // One with less takes nothing at once of an address that has one more.
        drop(next);
        let other = places.enter(from(3));
        other.prove(Class::Beyond, now).unwrap();
        let last = places.enter(from(3));
        assert_eq!(last.prove(Class::Beyond, now), Err(Crowded("limits.maxPendingHandshakes")));
        assert_eq!(gone(&held), [true, false, false, false]);
    }
}
