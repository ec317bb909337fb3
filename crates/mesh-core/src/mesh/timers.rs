//! The deadlines of calls and requests, and the delays between attempts. One
//! timing wheel in one task replaces a timer for each.

use std::{future::poll_fn, sync::Mutex, task::Poll, time::Duration};

use tokio_util::time::{DelayQueue, delay_queue};

use super::{
    events::{CallId, RequestId},
    sync::lock,
};

/// The wait that ends when a timer expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    Call(CallId),
    /// The delay of a call before its next attempt.
    Retry(CallId),
    /// The wait of a call for room on a session.
    Queue(CallId),
    /// The delay of a call before its copy goes to another instance.
    Spare(CallId),
    Request(RequestId),
}

pub(crate) type TimerKey = delay_queue::Key;

#[derive(Debug, Default)]
pub(crate) struct Timers(Mutex<DelayQueue<Timer>>);

impl Timers {
    pub(crate) fn insert(&self, timer: Timer, after: Duration) -> TimerKey {
        lock(&self.0).insert(timer, after)
    }

    pub(crate) fn remove(&self, key: TimerKey) {
        lock(&self.0).try_remove(&key);
    }

    /// The number of timers.
    pub(crate) fn len(&self) -> usize {
        lock(&self.0).len()
    }

    /// Returns the next timer that expires.
    pub(crate) async fn expired(&self) -> Timer {
        poll_fn(|cx| match lock(&self.0).poll_expired(cx) {
            Poll::Ready(Some(expired)) => Poll::Ready(expired.into_inner()),
            // The queue is empty. The next insertion wakes this task.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        })
        .await
    }
}
