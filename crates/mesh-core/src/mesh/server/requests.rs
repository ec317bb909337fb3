//! Requests in progress, from the handler back to the peer. Each ends exactly
//! once, because only its removal from the table permits an answer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    admission::Admission, admit::RequestPolicy, authorization::Authorization, seats::Seats,
    session::ServerSession, shedding::Method,
};
use crate::{
    budget::Charge,
    error::{Code, Reason},
    mesh::{
        chain::Inherited,
        chain::abandoned,
        events::{AbortCause, CallError, RequestId},
        identity::Identity,
        session::{Queued, Sessions, Streams, streaming},
        shared::Shared,
        stats::Shed,
        sync::lock,
        timers::{Timer, TimerKey},
    },
    record::message::{Encoded, Failure, Payload, Priority},
    resilience::ResilienceError,
    telemetry::{Failed, Watched},
};

/// The server: the requests of peers, and everything that they need.
pub(crate) struct Server {
    pub(super) shared: Arc<Shared>,
    pub(super) identity: Arc<Identity>,
    pub(super) sessions: Sessions<ServerSession>,
    pub(super) admission: Admission,
    pub(super) seats: Arc<Mutex<Seats>>,
    pub(super) policy: RequestPolicy,
    requests: Mutex<Requests>,
}

/// Requests in progress.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) active: HashMap<RequestId, Active>,
    /// Ended requests whose handlers still run. They keep their place;
    /// otherwise a peer could start any number of handlers by cancelling each
    /// request.
    abandoned: HashMap<RequestId, Abandoned>,
    last: RequestId,
    /// How many of both have a pace.
    paced: usize,
}

/// An ended request whose handler still runs.
#[derive(Debug)]
struct Abandoned {
    session: Arc<ServerSession>,
    cause: AbortCause,
    pace: Option<Pace>,
    /// The charge for the input, which its handler still holds.
    _charge: Charge,
}

/// A request in progress.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) session: Arc<ServerSession>,
    /// The number of the request on its session.
    pub(super) number: u32,
    pub(super) streams: Streams,
    timer: Option<TimerKey>,
    /// The latest end of its nested calls.
    deadline: Option<Instant>,
    /// The charge for its input, here and in the application.
    charge: Charge,
    priority: Priority,
    /// `None` for a stream, whose time says nothing.
    pace: Option<Pace>,
    /// Whether its handler has finished, although some of its messages still wait.
    done: bool,
    /// `None` once its end is recorded.
    pub(super) watched: Option<Watched>,
}

/// The time that a request takes.
#[derive(Clone, Copy, Debug)]
struct Pace {
    method: Method,
    since: Instant,
    /// The time that it has.
    has: Option<Duration>,
}

/// A request that is to begin.
pub(super) struct Beginning {
    pub(super) streams: Streams,
    pub(super) time_left: Option<Duration>,
    pub(super) charge: Charge,
    pub(super) watched: Option<Watched>,
    /// `None` for a stream.
    pub(super) method: Option<Method>,
    pub(super) priority: Priority,
}

impl Server {
    pub(crate) fn new(
        shared: Arc<Shared>,
        identity: Arc<Identity>,
        authorization: Arc<Authorization>,
    ) -> Result<Arc<Self>, ResilienceError> {
        let (sessions, seats, requests) = Default::default();
        let admission = Admission::new(&shared.config.limits, &shared.platform);
        let policy = RequestPolicy::new(Arc::clone(&shared), authorization)?;
        Ok(Arc::new(Self { shared, identity, sessions, admission, seats, policy, requests }))
    }

    pub(crate) fn sessions(&self) -> &Sessions<ServerSession> {
        &self.sessions
    }

    /// The number of streams whose peers have yet to prove themselves, and of
    /// their addresses.
    pub(crate) fn handshakes(&self) -> (usize, usize) {
        self.admission.places.count()
    }

    /// The number of displaced streams since the start.
    pub(crate) fn gave_way(&self) -> u64 {
        self.admission.places.gave_way()
    }

    /// The state that newcomers share.
    #[cfg(test)]
    pub(crate) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// The number of taken seats, and of their peers.
    pub(crate) fn seats(&self) -> (usize, usize) {
        lock(&self.seats).count()
    }

    /// The number of requests in progress, and of ended ones whose handlers still run.
    pub(crate) fn count(&self) -> (usize, usize) {
        let requests = self.requests();
        (requests.active.len(), requests.abandoned.len())
    }

    pub(super) fn requests(&self) -> MutexGuard<'_, Requests> {
        lock(&self.requests)
    }

    /// Requests under way but streams, with those that nobody waits for.
    pub(super) fn under_way(&self) -> usize {
        self.requests().paced
    }

    /// Asks for the shares of quotas that this process has together with others, if there are any.
    pub(crate) fn follow_quota(&self) {
        if let Some(quota) = &self.policy.shared_quota {
            tokio::spawn(Arc::clone(quota).run(Arc::clone(&self.shared)));
        }
    }

    /// Whether the keeper of those answers; `None` if there are none.
    pub(crate) fn has_shared_quota(&self) -> Option<bool> {
        Some(self.policy.shared_quota.as_ref()?.is_available())
    }

    /// The most requests under way that latency allows, if there is such a limit.
    pub(crate) fn concurrency_limit(&self) -> Option<u32> {
        self.policy.shedding.limit()
    }

    /// The deadline and the priority of a request, for its nested calls. An answered request has
    /// none.
    pub(crate) fn inherited_from(&self, id: RequestId) -> Result<Inherited, CallError> {
        let requests = self.requests();
        match (requests.active.get(&id), requests.abandoned.get(&id)) {
            (Some(active), _) => Ok(Inherited { deadline: active.deadline, priority: active.priority }),
            (None, Some(gone)) => Err(abandoned(gone.cause)),
            (None, None) => Ok(Inherited::default()),
        }
    }

    /// The number of the latest request.
    #[cfg(test)]
    pub(crate) fn last(&self) -> RequestId {
        self.requests().last
    }

    /// Begins a request: gives it its number here.
    pub(super) fn begin(&self, session: &Arc<ServerSession>, number: u32, beginning: Beginning) -> RequestId {
        let Beginning { streams, time_left, charge, watched, method, priority } = beginning;
        let id = {
            let mut requests = self.requests();
            let Requests { active, abandoned, last, paced } = &mut *requests;
            loop {
                *last = last.wrapping_add(1);
                // The number 0 is skipped, because it stands for no request in calls.
                if *last != 0 && !active.contains_key(last) && !abandoned.contains_key(last) {
                    break;
                }
            }
            let timer =
                time_left.map(|time_left| self.shared.timers.insert(Timer::Request(*last), time_left));
            let since = Instant::now();
            let deadline = time_left.map(|time_left| since + time_left);
            let pace = method.map(|method| Pace { method, since, has: time_left });
            *paced += usize::from(pace.is_some());
            let session = Arc::clone(session);
            let request = Active {
                session,
                number,
                streams,
                timer,
                deadline,
                charge,
                priority,
                pace,
                done: false,
                watched,
            };
            active.insert(*last, request);
            *last
        };
        session.begin(number, id);
        id
    }

    /// Answers a request. A late answer only marks the end of the handler.
    pub(crate) fn respond(&self, id: RequestId, metadata: &[u8], payload: Payload<'_>) {
        let Some(active) = self.take(id) else {
            let late = self.release(id);
            // A handler that was told to stop says nothing about its time, unless it had too little of it.
            return self
                .note_pace(late.and_then(|(cause, pace)| pace.filter(|_| cause == AbortCause::Deadline)));
        };
        // The application has processed the input.
        drop(active.charge);
        let own = self.shared.config.limits.max_message;
        let limit = active.session.parameters.max_message.min(own) as usize;
        let len = payload.bytes.len();
        let encoded = if len > limit {
            Err((
                Reason::TooLarge,
                format!(
                    "the result is {len} bytes, more than limits.maxMessageBytes of one of the sides ({limit})"
                ),
            ))
        } else {
            Encoded::response(active.number, metadata, payload)
                .map_err(|_| (Reason::TooLarge, "the response metadata is larger than 8 KiB".to_owned()))
                .and_then(|answer| {
                    active.session.hold(answer).map_err(|_| (Reason::MemoryLimit, unread(len)))
                })
        };
        self.shared.stats.count_request(encoded.is_ok());
        self.note_pace(active.pace);
        let refused = encoded.as_ref().err();
        let failure = refused.map(|(reason, text)| Failure::new(Code::ResourceExhausted, *reason, text));
        self.ended(active.watched, failure.as_ref());
        active.session.send(encoded.unwrap_or_else(|(reason, message)| {
            Encoded::error(active.number, &Failure::new(Code::ResourceExhausted, reason, &message))
        }));
    }

    /// The handler of a request with this pace has succeeded.
    fn note_pace(&self, pace: Option<Pace>) {
        let Some(Pace { method, since, has }) = pace else { return };
        let now = Instant::now();
        let (took, at) = (now.duration_since(since), self.shared.uptime_at(now));
        self.policy.shedding.done(method, took, has, self.under_way() + 1, at);
    }

    /// The application took a request when its time was over, and did not run its handler.
    pub(crate) fn late(&self, id: RequestId) {
        self.shared.stats.count_shed(Shed::Late);
        let text = "the time of the request was over before its handler could run";
        self.fail(id, &Failure::new(Code::DeadlineExceeded, Reason::Deadline, text));
    }

    /// Fails a request, after its queued items. A late failure only marks the
    /// end of the handler.
    pub(crate) fn fail(&self, id: RequestId, failure: &Failure<'_>) {
        let (message, streams) = {
            let mut requests = self.requests();
            let Some(active) = requests.active.get_mut(&id) else {
                drop(requests);
                self.release(id);
                return;
            };
            let limit = active.session.parameters.max_message as usize;
            let message = Encoded::error_within(active.number, failure, limit);
            // The caller gets the failure in any case, without its data if there is no room for
            // that.
            let message = active.session.hold(message).unwrap_or_else(|_| {
                Encoded::error(active.number, &Failure { data: Payload::EMPTY, ..*failure })
            });
            (message, active.streams.sends())
        };
        if streams {
            return self.finish(id, message, Some(failure));
        }
        let Some(active) = self.take(id) else { return };
        self.shared.stats.count_request(false);
        self.ended(active.watched, Some(failure));
        active.session.send(message);
    }

    /// Ends the items of an answer, with `metadata`.
    pub(crate) fn end_items(&self, id: RequestId, metadata: &[u8]) {
        if let Some(end) = streaming::end_of(self, id, metadata) {
            self.finish(id, end, None);
        }
    }

    /// Handles the end of a stream's handler. The last message follows the items.
    fn finish(&self, id: RequestId, last: Encoded, failure: Option<&Failure<'_>>) {
        // This precedes the queueing, which may remove the request from the table.
        let watched = self.requests().active.get_mut(&id).and_then(|active| active.watched.take());
        if streaming::queue(self, id, last, true) == Queued::Taken {
            self.shared.stats.count_request(failure.is_none());
        } else {
            self.release(id);
        }
        self.ended(watched, failure);
    }

    /// Records the end of a request once.
    fn ended(&self, watched: Option<Watched>, failure: Option<&Failure<'_>>) {
        let Some(watched) = watched else { return };
        let failed = failure.map(|failure| Failed {
            code: failure.code,
            reason: failure.reason,
            message: failure.message,
            error_id: failure.error_id,
        });
        self.shared.sight.end(watched, failed, self.shared.elapsed());
    }

    /// Ends a request whose deadline has passed.
    pub(crate) fn expired(&self, id: RequestId) {
        let text = "the handler did not answer in time";
        let failure = Failure::new(Code::DeadlineExceeded, Reason::Deadline, text);
        self.stop(id, AbortCause::Deadline, Some(&failure));
    }

    /// Ends a request: sends `failure` to the caller, if there is one, and aborts the handler, if
    /// it still runs.
    pub(super) fn stop(&self, id: RequestId, cause: AbortCause, failure: Option<&Failure<'_>>) {
        let Some(active) = self.take(id) else { return };
        if let Some(failure) = failure {
            active.session.send(Encoded::error(active.number, failure));
        }
        if active.done {
            return;
        }
        self.shared.stats.count_request(false);
        let gave_up = Failure::new(Code::Cancelled, Reason::Cancelled, "the answer is no longer needed");
        self.ended(active.watched, Some(failure.unwrap_or(&gave_up)));
        active.session.abandon();
        let Active { session, charge, pace, .. } = active;
        {
            let mut requests = self.requests();
            requests.paced += usize::from(pace.is_some());
            requests.abandoned.insert(id, Abandoned { session, cause, pace, _charge: charge });
        }
        self.shared.events.aborted(id, cause);
        self.shared.events.flush();
    }

    /// Aborts the requests of `session`.
    pub(crate) fn abort_session(&self, session: &ServerSession, cause: AbortCause) {
        for id in session.requests() {
            self.shared.guarded(|| self.stop(id, cause, None));
        }
        self.shared.events.flush();
    }

    /// Records the end of the handler of an abandoned request. Returns why it was abandoned, and its pace.
    fn release(&self, id: RequestId) -> Option<(AbortCause, Option<Pace>)> {
        let Abandoned { session, cause, pace, .. } = {
            let mut requests = self.requests();
            let abandoned = requests.abandoned.remove(&id)?;
            requests.paced -= usize::from(abandoned.pace.is_some());
            abandoned
        };
        session.release();
        Some((cause, pace))
    }

    /// Takes a request out of the table. The caller of this function must answer it.
    pub(super) fn take(&self, id: RequestId) -> Option<Active> {
        let mut active = {
            let mut requests = self.requests();
            let active = requests.active.remove(&id)?;
            requests.paced -= usize::from(active.pace.is_some());
            active
        };
        if let Some(key) = active.timer {
            self.shared.timers.remove(key);
        }
        active.session.forget(active.number);
        active.done = active.streams.has_ended();
        active.streams.release(&active.session, active.number);
        Some(active)
    }
}

/// The message about a caller that reads more slowly than it calls.
fn unread(len: usize) -> String {
    format!(
        "the result of {len} bytes has no room beside the results that the caller has not read \
         (limits.maxMemoryBytes)"
    )
}
