//! A session that a peer opened, and the numbers of its requests.

use std::{collections::HashMap, ops::Deref, sync::Mutex};

use crate::{
    error::Code,
    mesh::{
        events::RequestId,
        session::{End, Session},
        sync::lock,
    },
    record::message::Encoded,
};

/// A session that a peer opened.
#[derive(Debug)]
pub(crate) struct ServerSession {
    session: Session,
    numbers: Mutex<Numbers>,
}

#[derive(Debug, Default)]
struct Numbers {
    /// The highest number of a request.
    last: u32,
    requests: HashMap<u32, RequestId>,
    /// The number of ended requests whose handlers still run.
    abandoned: usize,
    /// Whether this side accepts no more requests.
    leaving: bool,
}

/// The kind of an arriving request, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is new, and `others` are in progress.
    New { others: usize },
    /// Its number is not new.
    Repeated,
    /// It came after the goaway, by which the peer knows that it never ran.
    Late,
    /// Its time is wrong, so it counts as not arrived.
    OutOfTime,
}

impl From<Session> for ServerSession {
    fn from(session: Session) -> Self {
        Self { session, numbers: Mutex::default() }
    }
}

impl Deref for ServerSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl ServerSession {
    /// Classifies an arriving request.
    pub(super) fn arrive(&self, number: u32, out_of_time: bool) -> Arrival {
        let mut numbers = lock(&self.numbers);
        if number <= numbers.last {
            return Arrival::Repeated;
        }
        if numbers.leaving {
            return Arrival::Late;
        }
        if out_of_time {
            return Arrival::OutOfTime;
        }
        numbers.last = number;
        Arrival::New { others: numbers.requests.len() + numbers.abandoned }
    }

    /// Records the beginning of a request.
    pub(super) fn begin(&self, number: u32, id: RequestId) {
        lock(&self.numbers).requests.insert(number, id);
    }

    /// Removes an ended request.
    pub(super) fn forget(&self, number: u32) {
        lock(&self.numbers).requests.remove(&number);
    }

    /// Records an ended request whose handler still runs.
    pub(super) fn abandon(&self) {
        lock(&self.numbers).abandoned += 1;
    }

    /// Records the end of such a handler.
    pub(super) fn release(&self) {
        lock(&self.numbers).abandoned -= 1;
    }

    /// The request with this number, if it is in progress.
    pub(super) fn request(&self, number: u32) -> Option<RequestId> {
        lock(&self.numbers).requests.get(&number).copied()
    }

    /// The requests in progress, in the order of their beginning.
    pub(crate) fn requests(&self) -> Vec<RequestId> {
        let mut ids: Vec<RequestId> = lock(&self.numbers).requests.values().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// Accepts no more requests; true if none is in progress.
    pub(crate) fn leave(&self) -> bool {
        let mut numbers = lock(&self.numbers);
        if !numbers.leaving {
            numbers.leaving = true;
            self.send(Encoded::go_away(numbers.last, Code::Unavailable));
        }
        let idle = numbers.requests.is_empty();
        if idle {
            self.finish(End::Closed);
        }
        idle
    }
}
