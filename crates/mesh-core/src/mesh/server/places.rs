//! The places of newcomers: streams without a first message, and handshakes of
//! peers that know the mesh secret, if there is one. A newcomer displaces a stream.
//! It displaces a handshake that takes longer than an honest one, or whose address
//! holds more places than others.

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

/// The streams that may wait for their first message, for each permitted
/// handshake. Such streams cost little.
const STREAMS: usize = 4;
/// The time for which a handshake keeps its place against others of its address.
const PATIENCE: Duration = Duration::from_millis(250);

/// All taken places.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Mutex<Table>>);

#[derive(Debug)]
struct Table {
    streams_most: usize,
    most: usize,
    most_of_one: usize,
    last: u64,
    held: HashMap<u64, Held>,
    /// The streams before their first message, and the handshakes after it.
    streams: Streams,
    handshakes: Holdings<IpAddr, Turn>,
    gave_way: u64,
}

/// The position of the event by which a place was taken, and the number of the place.
type Turn = (u64, u64);

/// Streams before their first message, by address, and within an address by
/// connection. A connection with many streams displaces its own first.
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

/// The origin of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) address: IpAddr,
    /// The number of its connection.
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

/// The reason why a stream cannot become a handshake now: a limit is reached.
/// The peer should try again.
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

    /// Takes a place for a new stream. Without a free one, another stream is displaced.
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

    /// The number of taken places and of their addresses, before and after the first message.
    pub(super) fn count(&self) -> (usize, usize) {
        let table = self.table();
        (table.held.len(), table.streams.all.owners() + table.handshakes.owners())
    }

    /// The number of displaced streams since the start.
    pub(super) fn gave_way(&self) -> u64 {
        self.table().gave_way
    }
}

/// Wakes the owner of a displaced place, outside of the lock.
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

    /// Turns a stream into a handshake, and finds room for it. Does nothing for a
    /// displaced place.
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

    /// The handshake that one of `address` displaces, if it needs the room.
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
        // A young handshake keeps its place; otherwise many simultaneous ones would
        // only displace each other. An address with fewer places comes first.
        let since = self.held.get(&id).and_then(|held| held.since).ok_or(limit)?;
        // The exception is an address that floods: its handshakes get no protection,
        // because they would keep out the honest ones of the same address.
        let floods = class == Class::Beyond && whose == address;
        let is_slow = floods || now.duration_since(since) >= PATIENCE;
        if is_slow || self.handshakes.of(whose) > here + 1 { Ok(Some(id)) } else { Err(limit) }
    }
}

/// A place. Its drop releases it once, also after a displacement.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    id: u64,
    gives_way: CancellationToken,
}

impl Place {
    /// Cancelled when the place is displaced.
    pub(super) fn gives_way(&self) -> CancellationToken {
        self.gives_way.clone()
    }

    /// Turns the place into that of a handshake, because the peer knows the mesh secret.
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
        // A displaced place cannot become a handshake.
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
        // Now no address has more than one place more than another.
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
        // An address with fewer places does not displace at once if the other has only one more.
        drop(next);
        let other = places.enter(from(3));
        other.prove(Class::Beyond, now).unwrap();
        let last = places.enter(from(3));
        assert_eq!(last.prove(Class::Beyond, now), Err(Crowded("limits.maxPendingHandshakes")));
        assert_eq!(gone(&held), [true, false, false, false]);
    }
}
