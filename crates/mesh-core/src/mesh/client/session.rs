//! A session that this side opened, and the numbers of its calls.

use std::{
    collections::HashMap,
    ops::Deref,
    sync::{Mutex, OnceLock},
};

use crate::{
    discovery::Address,
    mesh::{
        events::CallId,
        session::{End, Session},
        sync::lock,
    },
};

/// A session that this side opened.
#[derive(Debug)]
pub(crate) struct ClientSession {
    session: Session,
    /// The instance at the other end.
    target: OnceLock<Address>,
    numbers: Mutex<Numbers>,
}

#[derive(Debug, Default)]
struct Numbers {
    /// The number of the latest call. No number is used twice.
    last: u32,
    /// The highest number of a call to which the server has responded in any way.
    heard: u32,
    pending: HashMap<u32, CallId>,
    /// Whether the server accepts no more calls.
    leaving: bool,
}

/// The reason why a session has no number for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoNumber {
    /// The server accepts no more calls at once.
    Full,
    /// All numbers have been used.
    UsedUp,
}

impl From<Session> for ClientSession {
    fn from(session: Session) -> Self {
        Self { session, target: OnceLock::new(), numbers: Mutex::default() }
    }
}

impl Deref for ClientSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl ClientSession {
    /// Records the instance of the session.
    pub(super) fn leads_to(&self, target: Address) {
        self.target.get_or_init(|| target);
    }

    /// The instance at the other end.
    pub(crate) fn target(&self) -> Option<&Address> {
        self.target.get()
    }

    /// Gives a call its number.
    pub(super) fn take_number(&self, id: CallId) -> Result<u32, NoNumber> {
        let mut numbers = lock(&self.numbers);
        if numbers.pending.len() >= self.parameters.max_calls as usize {
            return Err(NoNumber::Full);
        }
        let number = numbers.last.checked_add(1).ok_or(NoNumber::UsedUp)?;
        numbers.last = number;
        numbers.pending.insert(number, id);
        Ok(number)
    }

    /// Whether it takes another call now.
    pub(super) fn has_room(&self) -> bool {
        lock(&self.numbers).pending.len() < self.parameters.max_calls as usize
    }

    /// The number of calls in flight, and of all calls that it has carried.
    pub(crate) fn load(&self) -> (usize, u32) {
        let numbers = lock(&self.numbers);
        (numbers.pending.len(), numbers.last)
    }

    /// Whether all numbers have been used.
    pub(super) fn is_used_up(&self) -> bool {
        lock(&self.numbers).last == u32::MAX
    }

    /// The call with this number, if it is in flight. Records that the server
    /// has responded to it.
    pub(super) fn heard_of(&self, number: u32) -> Option<CallId> {
        let mut numbers = lock(&self.numbers);
        let id = numbers.pending.get(&number).copied()?;
        // The server cannot disown this call later, because it has begun to respond.
        numbers.heard = numbers.heard.max(number);
        Some(id)
    }

    /// Whether the server has responded to a call above `last`.
    pub(super) fn has_heard_beyond(&self, last: u32) -> bool {
        last < lock(&self.numbers).heard
    }

    /// Removes an ended call.
    pub(super) fn forget(&self, number: u32) {
        lock(&self.numbers).pending.remove(&number);
    }

    /// Stops taking calls. Returns those above `last`, which never ran, in the
    /// order of their placement, and whether no call is left.
    pub(super) fn leave(&self, last: u32) -> (Vec<CallId>, bool) {
        let mut numbers = lock(&self.numbers);
        numbers.leaving = true;
        let mut above: Vec<u32> = numbers.pending.keys().copied().filter(|number| *number > last).collect();
        above.sort_unstable();
        let never_ran = above.iter().filter_map(|number| numbers.pending.remove(number)).collect();
        (never_ran, numbers.pending.is_empty())
    }

    /// Ends the session if the server is leaving it and its last call has ended.
    pub(super) fn finish_if_left(&self) {
        let numbers = lock(&self.numbers);
        if numbers.leaving && numbers.pending.is_empty() {
            self.finish(End::Closed);
        }
    }

    /// Takes the calls that are left at the end of the session, by number.
    pub(super) fn take_pending(&self) -> HashMap<u32, CallId> {
        std::mem::take(&mut lock(&self.numbers).pending)
    }

    /// Sets the state after `last` calls.
    #[cfg(test)]
    pub(crate) fn use_up(&self, last: u32) {
        lock(&self.numbers).last = last;
    }
}
