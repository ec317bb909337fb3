//! What a call takes over from the request on whose behalf it is made: its
//! deadline, and its place in the chain.
//!
//! Both only ever tighten. A deadline is an instant of this process; the wire
//! carries whole milliseconds, rounded down. The depth is one more with each
//! call. So a chain that comes back to where it began ends by itself.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    core::Core,
    events::{AbortCause, CallError, CallSpec, RequestId},
    session::lock,
};
use crate::{
    error::{Code, Reason},
    record::message::is_late,
};

impl Core {
    /// When a call is over: at the end of its own time, and no later than its
    /// request. A stream that has neither lives as long as both sides want it.
    ///
    /// # Errors
    /// When that is now, or nobody waits for the request any more.
    pub(super) fn deadline_of(
        &self,
        spec: &CallSpec<'_>,
        now: Instant,
    ) -> Result<Option<Instant>, CallError> {
        let default = (!spec.kind.is_stream()).then_some(self.config.limits.call_timeout);
        let own = spec.timeout.or(default).map(|timeout| now + timeout);
        let inherited = spec.chain.parent.map(|parent| self.request_deadline(parent)).transpose()?.flatten();
        let deadline = match (own, inherited) {
            (Some(own), Some(inherited)) => Some(own.min(inherited)),
            (own, inherited) => own.or(inherited),
        };
        check_time_left(deadline, now, spec.service)?;
        Ok(deadline)
    }

    /// Refuses a call that is one too many in its chain.
    pub(super) fn check_depth(&self, spec: &CallSpec<'_>) -> Result<(), CallError> {
        match self.too_deep(spec.chain.depth, spec.chain.path, spec.service, spec.method) {
            Some(text) => Err(CallError::local(Code::FailedPrecondition, Reason::CallDepth, text)),
            None => Ok(()),
        }
    }

    /// What is wrong with the depth of a call of `method` of `service`, if
    /// anything is.
    pub(super) fn too_deep(&self, depth: u8, path: &str, service: &str, method: &str) -> Option<String> {
        let limit = self.config.limits.max_call_depth;
        (u32::from(depth) > limit).then(|| {
            format!(
                "call {depth} of a chain, and limits.maxCallDepth is {limit}: {path} > {service} {method}"
            )
        })
    }

    fn request_deadline(&self, id: RequestId) -> Result<Option<Instant>, CallError> {
        let inbound = lock(&self.inbound);
        match (inbound.requests.get(&id), inbound.abandoned.get(&id)) {
            (Some(active), _) => Ok(active.deadline),
            (None, Some((_, cause))) => Err(abandoned_error(*cause)),
            (None, None) => Ok(None),
        }
    }
}

/// Refuses to send what nobody could answer in time.
pub(super) fn check_time_left(
    deadline: Option<Instant>,
    now: Instant,
    service: &str,
) -> Result<(), CallError> {
    match deadline {
        Some(deadline) if is_late(deadline.into_std(), now.into_std()) => {
            let text = format!("no time was left to call {service}; nothing was sent");
            Err(CallError::local(Code::DeadlineExceeded, Reason::Deadline, text))
        }
        _ => Ok(()),
    }
}

fn abandoned_error(cause: AbortCause) -> CallError {
    match cause {
        AbortCause::Deadline => {
            let text = "the deadline of the request passed";
            CallError::local(Code::DeadlineExceeded, Reason::Deadline, text)
        }
        _ => {
            let text = "nobody waits any more for the request on whose behalf it is made";
            CallError::local(Code::Cancelled, Reason::Cancelled, text)
        }
    }
}

/// How long a request may take: what its caller gives it, and a limit of this
/// side. A caller without a deadline, or with a generous one, does not get to
/// hold a place here for ever; a stream does, as long as it lives.
pub(super) fn time_left(ms: u32, is_stream: bool) -> Option<Duration> {
    match ms {
        0 if is_stream => None,
        0 => Some(MAX_TIME),
        ms => Some(Duration::from_millis(ms.into()).min(MAX_TIME)),
    }
}

/// The longest a request may hold its place.
const MAX_TIME: Duration = Duration::from_hours(24);
