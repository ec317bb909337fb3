//! The deadlines of calls and requests, and the waits between tries: one timing
//! wheel, one task, instead of a timer each.

use std::{future::poll_fn, sync::Mutex, task::Poll, time::Duration};

use tokio_util::time::{DelayQueue, delay_queue};

use super::{
    events::{CallId, RequestId},
    sync::lock,
};

/// What is over when a timer expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    Call(CallId),
    /// The wait of a call for its next try.
    Retry(CallId),
    /// The wait of a call for room on a session.
    Queue(CallId),
    /// The wait of a call for a copy of it at another instance.
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

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        lock(&self.0).len()
    }

    /// The next deadline that has passed.
    pub(crate) async fn expired(&self) -> Timer {
        poll_fn(|cx| match lock(&self.0).poll_expired(cx) {
            Poll::Ready(Some(expired)) => Poll::Ready(expired.into_inner()),
            // An empty queue wakes this task at the next insertion.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        })
        .await
    }
}
