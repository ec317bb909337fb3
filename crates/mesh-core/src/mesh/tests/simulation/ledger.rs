//! Every call of a world, and its invariants: exactly one outcome, the right
//! one, and on time; at most one run unless it is idempotent; a run only for
//! its own caller. A broken invariant is recorded as a violation.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::world::Journal;
use crate::mesh::{CallError, sync::lock};

/// The unique number of a call in the whole world; also its id at the caller.
pub(super) type Uid = u32;

/// The most time between a call's deadline and its end. The clocks of two hosts
/// are less than a window apart.
const SLACK_MS: u64 = 60;

/// The behaviour that a call requests of its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// The input, at once.
    Echo,
    /// The input, after a while.
    Later,
    /// Nothing.
    Never,
    /// A failure.
    Fail,
    /// A stream of items.
    Items,
    /// The number of inputs.
    Collect,
    /// Each input, as an item.
    Chat,
    /// Endless items, which only hostile peers request.
    Flood,
}

impl Method {
    pub(super) const ALL: [Self; 8] = [
        Self::Echo,
        Self::Later,
        Self::Never,
        Self::Fail,
        Self::Items,
        Self::Collect,
        Self::Chat,
        Self::Flood,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Later => "later",
            Self::Never => "never",
            Self::Fail => "fail",
            Self::Items => "items",
            Self::Collect => "collect",
            Self::Chat => "chat",
            Self::Flood => "flood",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

/// The state of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pending,
    Settled {
        /// Whether its caller learnt that it provably never ran.
        never_ran: bool,
    },
    /// Its caller has cancelled it, or is gone.
    Abandoned,
}

#[derive(Debug)]
struct Call {
    caller: &'static str,
    idempotent: bool,
    deadline_ms: u64,
    state: State,
    runs: u32,
    /// Items of the answer so far.
    items: u32,
}

/// The calls of one world.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) journal: Arc<Journal>,
    calls: Mutex<BTreeMap<Uid, Call>>,
    violations: Mutex<Vec<String>>,
}

impl Ledger {
    pub(super) fn new(journal: Arc<Journal>) -> Self {
        Self { journal, calls: Mutex::default(), violations: Mutex::default() }
    }

    /// Records a violation.
    pub(super) fn violated(&self, what: impl Into<String>) {
        let what = what.into();
        self.journal.note(format!("VIOLATION {what}"));
        lock(&self.violations).push(format!("at {} ms: {what}", self.journal.now_ms()));
    }

    pub(super) fn violations(&self) -> Vec<String> {
        lock(&self.violations).clone()
    }

    /// Records a new call.
    pub(super) fn begin(&self, uid: Uid, caller: &'static str, idempotent: bool, timeout_ms: u64) {
        let deadline_ms = self.journal.now_ms() + timeout_ms;
        let call = Call { caller, idempotent, deadline_ms, state: State::Pending, runs: 0, items: 0 };
        lock(&self.calls).insert(uid, call);
    }

    /// Records that a handler of `node` got a call of `origin` from the
    /// verified peer `peer`.
    pub(super) fn ran(&self, uid: Uid, origin: &str, peer: &str, node: &str) {
        self.journal.note(format!("{node} runs {uid} of {peer}"));
        if origin != peer {
            self.violated(format!("{node} takes {origin} for {peer} in call {uid}"));
        }
        let mut calls = lock(&self.calls);
        let Some(call) = calls.get_mut(&uid) else { return };
        call.runs += 1;
        let twice = call.runs > 1 && !call.idempotent;
        let after = call.state == State::Settled { never_ran: true } && !call.idempotent;
        let runs = call.runs;
        drop(calls);
        if twice {
            self.violated(format!("call {uid}, which is not idempotent, ran {runs} times"));
        }
        if after {
            self.violated(format!("call {uid} ran after its caller was told that it never would"));
        }
    }

    /// An item of a call's answer arrived; the next one, if `index` is right.
    pub(super) fn item(&self, uid: Uid, index: u32) {
        let mut calls = lock(&self.calls);
        let Some(call) = calls.get_mut(&uid) else { return };
        let expected = call.items;
        call.items += 1;
        drop(calls);
        if index != expected {
            self.violated(format!("item {index} of call {uid} arrived in the place of {expected}"));
        }
    }

    /// A call ended, and its answer was `right`.
    pub(super) fn settled(&self, uid: Uid, outcome: &Result<bool, CallError>) {
        let never_ran = outcome.as_ref().is_err_and(|error| error.retryable && !error.remote);
        let name = match outcome {
            Ok(_) => "OK".to_owned(),
            Err(error) => error.reason.to_string(),
        };
        self.journal.note(format!("call {uid} ends: {name}"));
        let now = self.journal.now_ms();
        let mut calls = lock(&self.calls);
        let Some(call) = calls.get_mut(&uid) else {
            drop(calls);
            return self.violated(format!("call {uid} ends and was never made"));
        };
        let (former, runs, late) = (call.state, call.runs, now > call.deadline_ms + SLACK_MS);
        call.state = State::Settled { never_ran };
        let ran_in_vain = never_ran && runs > 0 && !call.idempotent;
        drop(calls);
        if former != State::Pending {
            self.violated(format!("call {uid} ends again, as {name}: it was {former:?}"));
        }
        match outcome {
            Ok(false) => self.violated(format!("call {uid} got the answer to another")),
            Ok(true) if runs == 0 => self.violated(format!("call {uid} was answered and never ran")),
            _ => {}
        }
        if late {
            self.violated(format!("call {uid} ended late, as {name}"));
        }
        if ran_in_vain {
            self.violated(format!("call {uid} is said to have never run, and ran {runs} times"));
        }
    }

    /// Records the cancellation of a call.
    pub(super) fn cancelled(&self, uid: Uid) {
        if let Some(call) = lock(&self.calls).get_mut(&uid)
            && call.state == State::Pending
        {
            call.state = State::Abandoned;
        }
    }

    /// Records that the process of these calls is gone.
    pub(super) fn lost(&self, caller: &str) {
        for call in lock(&self.calls).values_mut() {
            if call.caller == caller && call.state == State::Pending {
                call.state = State::Abandoned;
            }
        }
    }

    /// Checks for calls that should have ended.
    pub(super) fn check(&self) {
        let now = self.journal.now_ms();
        let mut overdue = Vec::new();
        for (uid, call) in lock(&self.calls).iter_mut() {
            if call.state == State::Pending && now > call.deadline_ms + SLACK_MS {
                call.state = State::Abandoned;
                overdue.push(*uid);
            }
        }
        for uid in overdue {
            self.violated(format!("call {uid} has no outcome"));
        }
    }

    /// The calls in flight of `caller`, which can be cancelled.
    pub(super) fn pending(&self, caller: &str) -> Vec<Uid> {
        let calls = lock(&self.calls);
        let pending = calls.iter().filter(|(_, call)| call.caller == caller && call.state == State::Pending);
        pending.map(|(uid, _)| *uid).collect()
    }

    /// Whether a call succeeded.
    pub(super) fn is_answered(&self, uid: Uid) -> bool {
        let calls = lock(&self.calls);
        calls.get(&uid).is_some_and(|call| call.state == State::Settled { never_ran: false } && call.runs > 0)
    }

    pub(super) fn is_pending(&self, uid: Uid) -> bool {
        lock(&self.calls).get(&uid).is_some_and(|call| call.state == State::Pending)
    }
}
