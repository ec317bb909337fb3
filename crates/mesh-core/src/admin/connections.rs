//! The connections of the admin port. There are never more than a fixed number: a newcomer takes the place of
//! the oldest, so that those who connect and say nothing keep nobody out.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: VecDeque<(u64, CancellationToken)>,
}

/// The open connections.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    most: usize,
    table: Arc<Mutex<Table>>,
}

/// The place of a connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    number: u64,
    connections: Connections,
    /// Another connection takes the place.
    pub(super) displaced: CancellationToken,
}

impl Connections {
    pub(super) fn new(most: usize) -> Self {
        Self { most, table: Arc::default() }
    }

    /// A place for a newcomer.
    pub(super) fn enter(&self) -> Seat {
        let mut table = self.table();
        if table.open.len() >= self.most
            && let Some((_, oldest)) = table.open.pop_front()
        {
            oldest.cancel();
        }
        let (number, displaced) = (table.next, CancellationToken::new());
        table.next += 1;
        table.open.push_back((number, displaced.clone()));
        Seat { number, connections: self.clone(), displaced }
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.table().open.len()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.table().open.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_takes_the_place_of_the_oldest() {
        let connections = Connections::new(2);
        let (first, second) = (connections.enter(), connections.enter());
        assert!(!first.displaced.is_cancelled());
        let third = connections.enter();
        assert!(first.displaced.is_cancelled() && !second.displaced.is_cancelled());
        drop(first);
        assert_eq!(connections.count(), 2);
        drop((second, third));
        assert_eq!(connections.count(), 0);
    }
}
