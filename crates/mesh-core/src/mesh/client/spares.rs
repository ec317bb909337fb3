//! Spares: a second copy of a call at another instance, while the first one has not answered. The first answer counts,
//! and the other copy is cancelled.
//!
//! Only unary calls that are idempotent have one, one at a time, and within a budget of all calls. There are two
//! occasions. *Hedging* (`resilience.hedging`) makes a spare as soon as a call takes longer than most calls of its
//! method. A *rescue* happens in every mesh once half of a call's time is over: the instance may have gone silent.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{call::Call, calls::Client};
use crate::{
    balance::Quantile,
    config::Hedging,
    error::{Code, Reason},
    mesh::{
        events::{CallError, CallId, Reply},
        sync::lock,
        timers::Timer,
    },
    record::message::CancelCause,
    resilience::{ResilienceError, RetryBudget},
};

/// The ids of spares begin here. Those of the application, and of calls that ask for reports, are below.
const FIRST_SPARE: CallId = 3 << 30;
/// The most methods with an estimate of their own.
const MAX_METHODS: usize = 1_000;
/// A rescue comes after half of the time that is left, and within these bounds.
const RESCUE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// Rescues for each call in the long run, and at once.
const RESCUE_RATIO: f64 = 0.2;
const RESCUE_RESERVE: u32 = 100;
/// Hedges at once. Their share in the long run is an option.
const HEDGE_RESERVE: u32 = 10;
/// No hedge comes earlier than this, however fast the calls are.
const SHORTEST_HEDGE: Duration = Duration::from_millis(1);

/// When a call gets a spare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    Hedge,
    Rescue,
}

/// The other copy of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Twin {
    pub(super) id: CallId,
    /// Whether this copy is the spare.
    pub(super) is_spare: bool,
    pub(super) occasion: Occasion,
}

/// The estimates and budgets of one mesh.
#[derive(Debug)]
pub(super) struct Spares {
    hedging: Option<Hedging>,
    methods: HashMap<u64, Quantile>,
    hedges: RetryBudget,
    rescues: RetryBudget,
    last: CallId,
}

impl Spares {
    pub(super) fn new(hedging: Option<Hedging>) -> Result<Self, ResilienceError> {
        Ok(Self {
            hedging,
            methods: HashMap::new(),
            hedges: RetryBudget::new(hedging.unwrap_or_default().ratio, HEDGE_RESERVE)?,
            rescues: RetryBudget::new(RESCUE_RATIO, RESCUE_RESERVE)?,
            last: 0,
        })
    }

    /// How long a call may take before it gets a spare, and on which occasion.
    fn delay(&mut self, call: &Call, now: Instant) -> Option<(Duration, Occasion)> {
        if call.hedge == Some(false) {
            return None;
        }
        self.rescues.deposit();
        let rescue = call.deadline.map(|deadline| {
            let half = deadline.saturating_duration_since(now) / 2;
            (half.clamp(RESCUE.0, RESCUE.1), Occasion::Rescue)
        });
        if !call.hedge.unwrap_or(self.hedging.is_some()) {
            return rescue;
        }
        self.hedges.deposit();
        let usual = self.methods.get(&call.method).and_then(Quantile::get);
        let hedge = usual.map(|usual| (usual.max(SHORTEST_HEDGE), Occasion::Hedge));
        match (hedge, rescue) {
            (Some(hedge), Some(rescue)) if rescue.0 < hedge.0 => Some(rescue),
            (hedge, rescue) => hedge.or(rescue),
        }
    }

    fn withdraw(&mut self, occasion: Occasion) -> bool {
        match occasion {
            Occasion::Hedge => self.hedges.withdraw(),
            Occasion::Rescue => self.rescues.withdraw(),
        }
    }

    /// Takes note of how long a call took that may be hedged.
    fn observe(&mut self, method: u64, latency: Duration) {
        let share = self.hedging.unwrap_or_default().percentile;
        if let Some(quantile) = self.methods.get_mut(&method) {
            quantile.observe(latency);
        } else if self.methods.len() < MAX_METHODS {
            let mut quantile = Quantile::new(share);
            quantile.observe(latency);
            self.methods.insert(method, quantile);
        }
    }

    fn next_id(&mut self) -> CallId {
        self.last = (self.last + 1) % (1 << 30);
        FIRST_SPARE + self.last
    }
}

impl Client {
    /// Starts the wait for a spare of a call that was sent to one of several instances.
    pub(super) fn plan_spare(&self, id: CallId, call: &mut Call, instances: usize) {
        if instances < 2 || !call.may_repeat() || call.twin.is_some() || call.spare_timer.is_some() {
            return;
        }
        let Some((delay, occasion)) = lock(&self.spares).delay(call, Instant::now()) else { return };
        call.spare_timer = Some(self.shared.timers.insert(Timer::Spare(id), delay));
        call.occasion = occasion;
    }

    /// A call has waited long enough: a copy of it goes to another instance.
    pub(crate) fn send_spare(self: &Arc<Self>, id: CallId) {
        let spare = {
            let mut under_way = self.under_way();
            let Some(call) = under_way.calls.get_mut(&id) else { return };
            call.spare_timer = None;
            // A call that waits for its next try, or for a connection, is at no instance that could be slow.
            let Some(target) = call.placed.as_ref().and_then(|(session, _)| session.target().cloned()) else {
                return;
            };
            let occasion = call.occasion;
            let Some(mut copy) = call.again_at_others(target, self.shared.budget.own()) else { return };
            let spare = {
                let mut spares = lock(&self.spares);
                if !spares.withdraw(occasion) {
                    return;
                }
                spares.next_id()
            };
            call.twin = Some(Twin { id: spare, is_spare: false, occasion });
            copy.twin = Some(Twin { id, is_spare: true, occasion });
            under_way.calls.insert(spare, copy);
            spare
        };
        self.shared.stats.count_spare();
        self.place(spare);
        self.shared.events.flush();
    }

    /// The outcome of a copy as one of its call: an answer of a spare is one of its call, and a failure of a spare is
    /// nobody's. Returns the outcome that is to be reported, if there is one.
    pub(super) fn outcome_of<'a>(
        &self,
        id: CallId,
        outcome: Result<Reply<'a>, CallError>,
    ) -> Option<(CallId, Result<Reply<'a>, CallError>)> {
        let twin = self.under_way().calls.get(&id).and_then(|call| call.twin);
        let Some(twin) = twin.filter(|twin| twin.is_spare) else { return Some((id, outcome)) };
        let failure = outcome.as_ref().err().cloned();
        self.end_spare(id, failure.as_ref(), None);
        if failure.is_some() {
            return None;
        }
        self.shared.stats.count_spare_answered();
        // The first copy is late. Where the call's time was nearly over, its instance counts as one that does not answer.
        let late = CallError::local(Code::DeadlineExceeded, Reason::Deadline, "");
        self.left_instance(twin.id, (twin.occasion == Occasion::Rescue).then_some(&late));
        if let Some(call) = self.under_way().calls.get_mut(&twin.id) {
            call.abandon(CancelCause::Cancelled);
            call.placed = None;
        }
        Some((twin.id, outcome))
    }

    /// Ends a spare: with the outcome that it had, or because its call is over.
    pub(super) fn end_spare(&self, id: CallId, failure: Option<&CallError>, abandon: Option<CancelCause>) {
        let Some(spare) = self.take(id, failure) else { return };
        match abandon {
            Some(cause) => spare.abandon(cause),
            None => {
                if let Some((session, number)) = &spare.placed {
                    session.forget(*number);
                    session.finish_if_left();
                }
            }
        }
        self.room();
    }

    /// Takes note of how long a call took, for the hedges of its method.
    pub(super) fn note_latency(&self, call: &Call, latency: Duration) {
        if call.may_repeat() && call.hedge.unwrap_or(self.shared.config.resilience.hedging.is_some()) {
            lock(&self.spares).observe(call.method, latency);
        }
    }
}

impl Call {
    /// Whether running it twice does no harm.
    pub(super) fn may_repeat(&self) -> bool {
        !self.kind.is_stream() && self.is_idempotent()
    }
}
