//! The connections of a listener: where each comes from, and how far it has
//! come. A connection is unproven until the first of its sessions, proven while
//! it has any, and gone once its socket is. Gone is final.
//!
//! The state of all of them stands in one table behind one lock. Each guard
//! names its connection by a number that is never used again, so a guard that
//! outlives the connection changes nothing, in whatever order they are dropped.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Connections that one address may have without an established session.
const UNPROVEN_CONNECTIONS: usize = 256;

/// Every connection that is open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    last: u64,
    open: HashMap<u64, Open>,
    /// Those without a session, by address, the oldest first.
    unproven: HashMap<IpAddr, BTreeSet<u64>>,
}

#[derive(Debug)]
struct Open {
    subject: IpAddr,
    sessions: usize,
    shared: Arc<Shared>,
}

/// What the reader of a connection looks at for each read.
#[derive(Debug, Default)]
struct Shared {
    /// A copy of what the table says, changed under its lock.
    proven: AtomicBool,
    requested: AtomicBool,
}

impl Connections {
    fn table(&self) -> MutexGuard<'_, Table> {
        // A panic elsewhere does not make the table wrong: each update is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection from `subject` in, if there is room among `most`.
    pub(super) fn enter(&self, subject: IpAddr, most: usize) -> Option<Entry> {
        let mut table = self.table();
        let here = table.unproven.get(&subject).map_or(0, BTreeSet::len);
        if table.open.len() >= most || here >= UNPROVEN_CONNECTIONS {
            return None;
        }
        table.last += 1;
        let id = table.last;
        let shared = Arc::<Shared>::default();
        table.open.insert(id, Open { subject, sessions: 0, shared: Arc::clone(&shared) });
        table.insert_unproven(subject, id);
        drop(table);
        Some(Entry(Member { connections: self.clone(), id, shared }))
    }

    /// How many are open, how many of these are unproven, and from how many
    /// addresses those are.
    pub(crate) fn count(&self) -> (usize, usize, usize) {
        let table = self.table();
        let unproven = table.unproven.values().map(BTreeSet::len).sum();
        (table.open.len(), unproven, table.unproven.len())
    }
}

impl Table {
    fn insert_unproven(&mut self, subject: IpAddr, id: u64) {
        self.unproven.entry(subject).or_default().insert(id);
    }

    fn remove_unproven(&mut self, subject: IpAddr, id: u64) {
        if let Some(ids) = self.unproven.get_mut(&subject) {
            ids.remove(&id);
            if ids.is_empty() {
                self.unproven.remove(&subject);
            }
        }
    }

    /// The socket is gone. Unless this came before, and that it cannot.
    fn end(&mut self, id: u64) {
        if let Some(open) = self.open.remove(&id) {
            self.remove_unproven(open.subject, id);
        }
    }

    fn begin_session(&mut self, id: u64) {
        let Some(open) = self.open.get_mut(&id) else { return };
        open.sessions += 1;
        open.shared.proven.store(true, Ordering::Relaxed);
        let subject = open.subject;
        self.remove_unproven(subject, id);
    }

    fn end_session(&mut self, id: u64) {
        let Some(open) = self.open.get_mut(&id) else { return };
        open.sessions -= 1;
        if open.sessions == 0 {
            open.shared.proven.store(false, Ordering::Relaxed);
            // Also when those are many: it was here first.
            let subject = open.subject;
            self.insert_unproven(subject, id);
        }
    }
}

/// One connection, as those see it who deal with it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    connections: Connections,
    id: u64,
    shared: Arc<Shared>,
}

impl Member {
    /// Whether it has a session.
    pub(super) fn is_proven(&self) -> bool {
        self.shared.proven.load(Ordering::Relaxed)
    }

    /// Notes a request.
    pub(super) fn touch(&self) {
        self.shared.requested.store(true, Ordering::Relaxed);
    }

    /// Whether there was a request since this was last asked.
    pub(super) fn take_requested(&self) -> bool {
        self.shared.requested.swap(false, Ordering::Relaxed)
    }

    /// Counts a session for as long as the guard lives.
    pub(super) fn hold(&self) -> Hold {
        self.connections.table().begin_session(self.id);
        Hold(self.clone())
    }
}

/// A connection's place in the table. Its owner is the socket's: dropped with
/// it, once.
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

/// An established session on a connection.
#[derive(Debug)]
pub(crate) struct Hold(Member);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.connections.table().end_session(self.0.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1000;

    fn address(last: u8) -> IpAddr {
        [127, 0, 0, last].into()
    }

    #[test]
    fn no_order_of_endings_leaves_anything_behind() {
        // 0 is the socket, 1 and 2 are sessions, in each order of dropping them.
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let connections = Connections::default();
            let entry = connections.enter(address(1), MOST).unwrap();
            let member = entry.member().clone();
            assert_eq!(connections.count(), (1, 1, 1));
            let mut guards: [Option<Box<dyn std::any::Any>>; 3] =
                [Some(Box::new(entry)), Some(Box::new(member.hold())), Some(Box::new(member.hold()))];
            assert_eq!(connections.count(), (1, 0, 0));
            for which in order {
                guards[which] = None;
            }
            assert_eq!(connections.count(), (0, 0, 0), "{order:?}");
            // A session that is established on a connection that is gone.
            drop(member.hold());
            assert_eq!(connections.count(), (0, 0, 0), "{order:?}");
        }
    }

    #[test]
    fn a_connection_whose_sessions_are_over_is_unproven_again() {
        let connections = Connections::default();
        let entry = connections.enter(address(1), MOST).unwrap();
        let (one, other) = (entry.member().hold(), entry.member().hold());
        drop(one);
        assert!(entry.member().is_proven());
        drop(other);
        assert!(!entry.member().is_proven());
        assert_eq!(connections.count(), (1, 1, 1));
    }
}
