//! The sending and the end of spares. [`spares`](super::spares) decides when there is one.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    call::Call,
    calls::Client,
    twin::{Occasion, Twin},
};
use crate::{
    error::{Code, Reason},
    mesh::{
        events::{CallError, CallId, Reply},
        sync::lock,
        timers::Timer,
    },
    record::message::CancelCause,
};

impl Client {
    /// Starts the timer for a spare of a call that was sent to one of several instances.
    pub(super) fn plan_spare(&self, id: CallId, call: &mut Call, instances: usize) {
        if instances < 2 || !call.may_repeat() || call.twin.is_some() || call.spare_timer.is_some() {
            return;
        }
        let Some((delay, occasion)) = lock(&self.spares).delay(call, Instant::now()) else { return };
        call.spare_timer = Some(self.shared.timers.insert(Timer::Spare(id), delay));
        call.occasion = occasion;
    }

    /// Sends the spare of a call to another instance when its timer has expired.
    pub(crate) fn send_spare(self: &Arc<Self>, id: CallId) {
        let spare = {
            let mut under_way = self.under_way();
            let Some(call) = under_way.calls.get_mut(&id) else { return };
            call.spare_timer = None;
            // A call that waits for its next attempt or for a connection is at no instance, so none is slow.
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

    /// Turns the outcome of a copy into that of its call. The answer of a spare is the answer of its call; the
    /// failure of a spare is dropped. Returns the outcome to report, if there is one.
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
        // The first copy is late. If the deadline was near, this counts as a failure of its
        // instance.
        let late = CallError::local(Code::DeadlineExceeded, Reason::Deadline, "");
        self.left_instance(twin.id, (twin.occasion == Occasion::Rescue).then_some(&late));
        if let Some(call) = self.under_way().calls.get_mut(&twin.id) {
            call.abandon(CancelCause::Cancelled);
            call.placed = None;
        }
        Some((twin.id, outcome))
    }

    /// Ends a spare, with its own outcome or because its call has ended.
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

    /// Records the latency of a call, for the hedges of its method.
    pub(super) fn note_latency(&self, call: &Call, latency: Duration) {
        if call.may_repeat() && call.hedge.unwrap_or(self.shared.config.resilience.hedging.is_some()) {
            lock(&self.spares).observe(call.method, latency);
        }
    }
}

impl Call {
    /// Whether it is safe to run it twice.
    pub(super) fn may_repeat(&self) -> bool {
        !self.kind.is_stream() && self.is_idempotent()
    }
}
