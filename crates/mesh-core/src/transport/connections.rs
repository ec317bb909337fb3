//! The connections of a listener, with their addresses and their progress. A
//! connection is unproven while none of its streams has a session, or a handshake
//! whose peer knows the mesh secret. Newcomers evict unproven connections and no
//! others. An evicted connection never returns.
//!
//! One table behind one lock has the state of all connections. Each guard names
//! its connection by a number that is never used again. Therefore guards may be
//! dropped in any order, and a guard that outlives its connection changes
//! nothing.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
};

use super::holdings::Holdings;

/// One in `STRANGERS` of all connections may be unproven. This limits the cost of
/// strangers; members have the other connections.
const STRANGERS: usize = 4;
/// The most unproven connections, with any limit of connections.
const MOST_STRANGERS: usize = 2048;
/// One in `SHORTAGE` of the unproven connections is evicted when the system runs out of a resource.
const SHORTAGE: usize = 8;

/// All open connections.
#[derive(Clone, Debug)]
pub(crate) struct Connections(Arc<Mutex<Table>>);

#[derive(Debug)]
struct Table {
    /// The most open connections, and the most unproven ones among them.
    most: usize,
    strangers: usize,
    last: u64,
    open: HashMap<u64, Open>,
    unproven: Holdings<IpAddr, Turn>,
    gave_way: u64,
}

/// The position of the event by which a connection became unproven, and the number of the
/// connection.
type Turn = (u64, u64);

#[derive(Debug)]
struct Open {
    subject: IpAddr,
    since: u64,
    handshakes: usize,
    sessions: usize,
    shared: Arc<Shared>,
}

/// The state of one connection that its task checks at every poll.
#[derive(Debug, Default)]
struct Shared {
    /// A copy of the table's value, changed under the table's lock.
    has_session: AtomicBool,
    requested: AtomicBool,
    gives_way: AtomicBool,
    /// The task, which is woken when the connection is evicted.
    task: Mutex<Option<Waker>>,
}

impl Shared {
    fn task(&self) -> MutexGuard<'_, Option<Waker>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_way(&self) {
        self.gives_way.store(true, Ordering::Release);
        if let Some(task) = self.task().take() {
            task.wake();
        }
    }
}

/// The progress of a stream of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Its handshake is in progress, and its peer has shown that it knows the mesh secret.
    Handshake,
    /// It has a session.
    Session,
}

impl Connections {
    /// An empty table for at most `most` connections.
    pub(super) fn new(most: usize) -> Self {
        let strangers = (most / STRANGERS).clamp(1, MOST_STRANGERS);
        Self(Arc::new(Mutex::new(Table {
            most,
            strangers,
            last: 0,
            open: HashMap::new(),
            unproven: Holdings::default(),
            gave_way: 0,
        })))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Each update is complete under the lock, so a panic elsewhere leaves the table consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a connection from `subject`. Without room it evicts an unproven
    /// connection. `None` if there is none to evict.
    pub(super) fn enter(&self, subject: IpAddr) -> Option<Entry> {
        let mut table = self.table();
        let gone = if table.is_full() { Some(table.give_way_to(subject)?) } else { None };
        let id = table.next();
        let shared = Arc::<Shared>::default();
        let open = Open { subject, since: id, handshakes: 0, sessions: 0, shared: Arc::clone(&shared) };
        table.open.insert(id, open);
        table.unproven.insert(subject, (id, id));
        drop(table);
        if let Some(gone) = gone {
            gone.give_way();
        }
        Some(Entry(Member { connections: self.clone(), id, shared }))
    }

    /// Evicts unproven connections after the system has run out of a resource.
    pub(super) fn make_room(&self) {
        let mut table = self.table();
        let many = table.unproven.len().div_ceil(SHORTAGE);
        // This address has no connections, so the eviction favours nobody.
        let nobody = IpAddr::from([0; 4]);
        let gone: Vec<_> = (0..many).map_while(|_| table.give_way_to(nobody)).collect();
        drop(table);
        for gone in gone {
            gone.give_way();
        }
    }

    /// The number of open connections, of unproven ones among them, and of the
    /// addresses of these.
    pub(crate) fn count(&self) -> (usize, usize, usize) {
        let table = self.table();
        (table.open.len(), table.unproven.len(), table.unproven.owners())
    }

    /// The number of evicted connections since the start.
    pub(crate) fn gave_way(&self) -> u64 {
        self.table().gave_way
    }
}

impl Table {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn is_full(&self) -> bool {
        self.open.len() >= self.most || self.unproven.len() >= self.strangers
    }

    /// Removes the connection that is evicted for a newcomer from `subject`.
    fn give_way_to(&mut self, subject: IpAddr) -> Option<Arc<Shared>> {
        let (_, (_, id)) = self.unproven.gives_way_to(subject)?;
        let shared = Arc::clone(&self.open.get(&id)?.shared);
        self.end(id);
        self.gave_way += 1;
        Some(shared)
    }

    /// Removes the connection, unless it was removed before.
    fn end(&mut self, id: u64) {
        if let Some(open) = self.open.remove(&id) {
            self.unproven.remove(open.subject, (open.since, id));
        }
    }

    fn begin(&mut self, id: u64, progress: Progress) {
        let Some(open) = self.open.get_mut(&id) else { return };
        *open.count(progress) += 1;
        open.shared.has_session.store(open.sessions > 0, Ordering::Relaxed);
        let (subject, since) = (open.subject, open.since);
        self.unproven.remove(subject, (since, id));
    }

    fn finish(&mut self, id: u64, progress: Progress) {
        let turn = self.next();
        let Some(open) = self.open.get_mut(&id) else { return };
        *open.count(progress) -= 1;
        open.shared.has_session.store(open.sessions > 0, Ordering::Relaxed);
        if open.handshakes + open.sessions == 0 {
            // It becomes the youngest unproven connection, even beyond their limit, because it may
            // have a last answer to write.
            open.since = turn;
            let subject = open.subject;
            self.unproven.insert(subject, (turn, id));
        }
    }
}

impl Open {
    fn count(&mut self, progress: Progress) -> &mut usize {
        match progress {
            Progress::Handshake => &mut self.handshakes,
            Progress::Session => &mut self.sessions,
        }
    }
}

/// A handle of one connection.
#[derive(Clone, Debug)]
pub(super) struct Member {
    connections: Connections,
    id: u64,
    shared: Arc<Shared>,
}

impl Member {
    /// Its unique number.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Whether it has a session.
    pub(super) fn has_session(&self) -> bool {
        self.shared.has_session.load(Ordering::Relaxed)
    }

    /// Whether it is evicted. Registers the task, which is woken at the eviction.
    pub(super) fn gives_way(&self, cx: &Context<'_>) -> bool {
        let mut task = self.shared.task();
        if !task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            *task = Some(cx.waker().clone());
        }
        drop(task);
        // The read follows the registration, so that an eviction in between is not missed.
        self.shared.gives_way.load(Ordering::Acquire)
    }

    /// Notes a request.
    pub(super) fn touch(&self) {
        self.shared.requested.store(true, Ordering::Relaxed);
    }

    /// Whether there was a request since the last call.
    pub(super) fn take_requested(&self) -> bool {
        self.shared.requested.swap(false, Ordering::Relaxed)
    }

    /// Counts a stream of this progress for as long as the guard lives.
    pub(super) fn hold(&self, progress: Progress) -> Hold {
        self.connections.table().begin(self.id, progress);
        Hold(self.clone(), progress)
    }
}

/// The entry of a connection in the table. The socket owns it, so both are
/// dropped together.
#[derive(Debug)]
pub(super) struct Entry(Member);

impl Entry {
    pub(super) fn member(&self) -> &Member {
        &self.0
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.0.connections.table().end(self.0.id);
    }
}

/// A handshake or a session on a connection. The connection cannot be evicted while the guard
/// lives.
#[derive(Debug)]
pub(crate) struct Hold(Member, Progress);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.connections.table().finish(self.0.id, self.1);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::AtomicUsize,
        task::{Wake, Waker},
    };

    use super::*;

    const MOST: usize = 16;

    fn address(last: u8) -> IpAddr {
        [127, 0, 0, last].into()
    }

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn gives_way(entry: &Entry) -> bool {
        entry.member().gives_way(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn no_order_of_endings_leaves_anything_behind() {
        // The numbers stand for the socket (0), a handshake (1) and a session (2), in each order of
        // their drops.
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let connections = Connections::new(MOST);
            let entry = connections.enter(address(1)).unwrap();
            let member = entry.member().clone();
            assert_eq!(connections.count(), (1, 1, 1));
            let (one, other) = (member.hold(Progress::Handshake), member.hold(Progress::Session));
            let mut guards: [Option<Box<dyn std::any::Any>>; 3] =
                [Some(Box::new(entry)), Some(Box::new(one)), Some(Box::new(other))];
            assert_eq!(connections.count(), (1, 0, 0));
            for which in order {
                guards[which] = None;
            }
            assert_eq!(connections.count(), (0, 0, 0), "{order:?}");
            // A session that begins on a connection that has ended.
            drop(member.hold(Progress::Session));
            assert_eq!(connections.count(), (0, 0, 0), "{order:?}");
        }
    }

    #[test]
    fn a_connection_whose_handshakes_and_sessions_are_over_is_unproven_again() {
        let connections = Connections::new(MOST);
        let entry = connections.enter(address(1)).unwrap();
        let handshake = entry.member().hold(Progress::Handshake);
        assert!(!entry.member().has_session());
        let session = entry.member().hold(Progress::Session);
        drop(handshake);
        assert!(entry.member().has_session());
        assert_eq!(connections.count(), (1, 0, 0));
        drop(session);
        assert!(!entry.member().has_session());
        assert_eq!(connections.count(), (1, 1, 1));
    }

    #[test]
    fn strangers_give_way_to_newcomers_and_members_to_nobody() {
        let connections = Connections::new(MOST);
        let member = connections.enter(address(1)).unwrap();
        let session = member.member().hold(Progress::Session);
        let strangers: Vec<_> = (0..4).map(|_| connections.enter(address(1)).unwrap()).collect();
        assert!(!strangers.iter().any(gives_way));
        let newcomer = connections.enter(address(2)).unwrap();
        let again = connections.enter(address(2)).unwrap();
        assert_eq!(strangers.iter().map(gives_way).collect::<Vec<_>>(), [true, true, false, false]);
        assert!(![&newcomer, &again, &member].into_iter().any(gives_way));
        assert_eq!((connections.count(), connections.gave_way()), ((5, 4, 2), 2));
        // The table no longer has evicted connections, so their end changes nothing.
        drop(strangers);
        assert_eq!(connections.count(), (3, 2, 1));
        // A connection whose session ends becomes the youngest of its address.
        let younger = connections.enter(address(1)).unwrap();
        drop(session);
        let another = connections.enter(address(1)).unwrap();
        assert_eq!([&younger, &member, &another].map(gives_way), [true, false, false]);
    }

    #[test]
    fn members_may_have_all_there_is() {
        let connections = Connections::new(4);
        let mut members = Vec::new();
        for _ in 0..4 {
            let entry = connections.enter(address(1)).unwrap();
            let session = entry.member().hold(Progress::Session);
            members.push((entry, session));
        }
        assert!(connections.enter(address(2)).is_none());
        let (entry, session) = members.pop().unwrap();
        drop(session);
        assert!(connections.enter(address(2)).is_some());
        assert!(gives_way(&entry));
    }

    #[test]
    fn a_shortage_of_the_system_costs_strangers_only() {
        let connections = Connections::new(64);
        let member = connections.enter(address(1)).unwrap();
        let _session = member.member().hold(Progress::Session);
        connections.make_room();
        let strangers: Vec<_> = (0..16).map(|n| connections.enter(address(n % 2)).unwrap()).collect();
        connections.make_room();
        assert_eq!(strangers.iter().filter(|entry| gives_way(entry)).count(), 2);
        assert!(!gives_way(&member));
    }

    #[test]
    fn the_task_of_what_gives_way_is_woken_once() {
        let connections = Connections::new(4);
        let entry = connections.enter(address(1)).unwrap();
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        for _ in 0..3 {
            assert!(!entry.member().gives_way(&Context::from_waker(&waker)));
        }
        let _newcomer = connections.enter(address(1)).unwrap();
        assert_eq!(task.0.load(Ordering::SeqCst), 1);
        assert!(entry.member().gives_way(&Context::from_waker(&waker)));
    }
}
