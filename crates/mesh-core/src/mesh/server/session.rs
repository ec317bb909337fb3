//! A session that a peer opened, with the numbers of its requests.

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
    /// The highest number of a request so far.
    last: u32,
    requests: HashMap<u32, RequestId>,
    /// Handlers that still run though nobody waits for them.
    abandoned: usize,
    /// This side takes no more requests.
    leaving: bool,
}

/// A request that arrives, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is the next one; so many others are under way.
    New { others: usize },
    /// Its number is not a new one.
    Repeated,
    /// The peer knows from the goaway that this one never ran.
    Late,
    /// Its time is wrong, and it is as if it had not arrived.
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
    /// A request arrived.
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

    /// A request begins.
    pub(super) fn begin(&self, number: u32, id: RequestId) {
        lock(&self.numbers).requests.insert(number, id);
    }

    /// A request is over.
    pub(super) fn forget(&self, number: u32) {
        lock(&self.numbers).requests.remove(&number);
    }

    /// Nobody waits for a request any more whose handler still runs.
    pub(super) fn abandon(&self) {
        lock(&self.numbers).abandoned += 1;
    }

    /// That handler is done.
    pub(super) fn release(&self) {
        lock(&self.numbers).abandoned -= 1;
    }

    /// The request with this number, if it is under way.
    pub(super) fn request(&self, number: u32) -> Option<RequestId> {
        lock(&self.numbers).requests.get(&number).copied()
    }

    /// The requests under way, in the order in which they began.
    pub(crate) fn requests(&self) -> Vec<RequestId> {
        let mut ids: Vec<RequestId> = lock(&self.numbers).requests.values().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// Takes no more requests; true if none is under way.
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
