//! A call made on behalf of a request takes over the request's deadline and its
//! place in a chain of calls.
//!
//! Both only ever tighten. A deadline is an instant of this process; the wire
//! carries whole milliseconds, rounded down. The depth is one more with each
//! call. So a chain that comes back to where it began ends by itself.

use std::time::Duration;

use tokio::time::Instant;

use super::events::{AbortCause, CallError};
use crate::{
    config::MeshConfig,
    error::{Code, Reason},
    record::message::{Priority, is_late},
};

/// The longest a request may hold its place.
const MAX_TIME: Duration = Duration::from_hours(24);

/// What a call takes over from the request on whose behalf it is made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inherited {
    pub(crate) deadline: Option<Instant>,
    pub(crate) priority: Priority,
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

/// The error of a call of `service` for which no time is left, if none is.
/// Nothing is sent that nobody could answer in time.
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

/// The error text of a call of `method` of `service` that is one too many in
/// its chain, if it is.
pub(super) fn too_deep(
    config: &MeshConfig,
    depth: u8,
    path: &str,
    service: &str,
    method: &str,
) -> Option<String> {
    let limit = config.limits.max_call_depth;
    (u32::from(depth) > limit).then(|| {
        format!("call {depth} of a chain, and limits.maxCallDepth is {limit}: {path} > {service} {method}")
    })
}

/// The error of a call on behalf of a request that nobody waits for any more.
pub(super) fn abandoned(cause: AbortCause) -> CallError {
    if cause == AbortCause::Deadline {
        let text = "the deadline of the request passed";
        CallError::local(Code::DeadlineExceeded, Reason::Deadline, text)
    } else {
        let text = "nobody waits any more for the request on whose behalf it is made";
        CallError::local(Code::Cancelled, Reason::Cancelled, text)
    }
}
