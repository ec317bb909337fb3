//! A nested call inherits the deadline of its request, and its depth in the
//! chain of calls.
//!
//! Both only become tighter. A deadline is an instant of this process; the wire
//! carries the remaining time in whole milliseconds, rounded down. The depth
//! grows by one with each call. Therefore a circle of services that call one
//! another ends by itself.

use std::time::Duration;

use tokio::time::Instant;

use super::events::{AbortCause, CallError};
use crate::{
    config::MeshConfig,
    error::{Code, Reason},
    record::message::{Priority, is_late},
};

/// The longest time that a request may hold its place.
const MAX_TIME: Duration = Duration::from_hours(24);

/// The parts of a request that calls on its behalf take over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inherited {
    pub(crate) deadline: Option<Instant>,
    pub(crate) priority: Priority,
}

/// The time that a request may take: that of its caller, up to the limit of
/// this side. The limit exists because a caller without a deadline must not
/// hold a place for ever. A stream may hold its place as long as it lives.
pub(super) fn time_left(ms: u32, is_stream: bool) -> Option<Duration> {
    match ms {
        0 if is_stream => None,
        0 => Some(MAX_TIME),
        ms => Some(Duration::from_millis(ms.into()).min(MAX_TIME)),
    }
}

/// The error of a call of `service` without remaining time. The check avoids
/// sending a request that no service could answer in time.
pub(super) fn check_time_left(
    deadline: Option<Instant>,
    now: Instant,
    service: &str,
) -> Result<(), CallError> {
    match deadline {
        Some(deadline) if is_late(deadline.into_std(), now.into_std()) => {
            let text = format!("no time is left to call {service}; nothing was sent");
            Err(CallError::local(Code::DeadlineExceeded, Reason::Deadline, text))
        }
        _ => Ok(()),
    }
}

/// The error message of a call of `method` of `service` that exceeds the limit
/// of its chain; `None` within the limit.
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

/// The error of a nested call whose request has ended.
pub(super) fn abandoned(cause: AbortCause) -> CallError {
    if cause == AbortCause::Deadline {
        let text = "the deadline of the request passed";
        CallError::local(Code::DeadlineExceeded, Reason::Deadline, text)
    } else {
        let text = "the request on whose behalf it is made has ended";
        CallError::local(Code::Cancelled, Reason::Cancelled, text)
    }
}
