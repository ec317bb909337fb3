//! The connections of the admin port. There are never more than a fixed number: a newcomer takes the place of
//! the oldest, so that those who connect and say nothing keep nobody out.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::writing::Impatient;

/// How long a connection may take for the head of a request, idle time included.
pub(super) const HEAD: Duration = Duration::from_secs(10);
/// The longest head, and the most headers in it.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
/// How long a peer may read nothing while there is something to read.
const UNREAD: Duration = Duration::from_secs(30);
/// The pause after an error of the system.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

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

/// Answers the requests of one connection.
pub(super) async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    seat: Seat,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
    let io = TokioIo::new(Impatient::new(stream, UNREAD));
    let served = http.serve_connection(io, TowerToHyperService::new(router));
    tokio::select! {
        biased;
        () = seat.displaced.cancelled() => {}
        _ = served => {}
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
