//! Calls beyond the number that the sessions with a service accept at once. They wait for a short time, in
//! order.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    call::too_many,
    calls::{Client, UnderWay},
    queues::{Full, Queued},
};
use crate::{
    id::ServiceId,
    mesh::{
        events::{CallError, CallId},
        timers::Timer,
    },
};

impl Client {
    /// Lets a call wait for room. Fails it if `resilience.queueMs` is zero, or too many calls wait.
    pub(super) fn queue(self: &Arc<Self>, id: CallId) {
        let resilience = &self.shared.config.resilience;
        let longest = resilience.queue;
        let refused = {
            let mut under_way = self.under_way();
            let UnderWay { calls, queues, .. } = &mut *under_way;
            let Some(call) = calls.get_mut(&id) else { return };
            let (service, priority, again) = (call.service.clone(), call.priority, call.queued.is_some());
            // A spare is worth no place that a call could have.
            let spare = call.twin.is_some_and(|twin| twin.is_spare);
            let room = match resilience.bulkhead {
                _ if longest.is_zero() || spare => Err(""),
                Some(bulkhead) if !again => queues
                    .make_room(&service, priority, bulkhead.max_queue as usize, |id| calls.contains_key(id))
                    .map_err(|Full| ", and resilience.bulkhead.maxQueue calls wait already"),
                _ => Ok(None),
            };
            match room {
                Err(why) => Some((id, why, spare)),
                Ok(given_up) => {
                    if let Some(call) = calls.get_mut(&id)
                        && !again
                    {
                        let timer = self.shared.timers.insert(Timer::Queue(id), longest);
                        call.queued = Some(Queued { timer, since: Instant::now() });
                    }
                    queues.push(&service, id, priority, again, calls.len(), |id| calls.contains_key(id));
                    given_up.map(|id| (id, ", and the call gave way to one that is not sheddable", false))
                }
            }
        };
        if let Some((id, why, spare)) = refused {
            self.unqueue(id);
            if !spare {
                self.shared.stats.count_queue_full();
            }
            self.tried(id, Err(full(why)));
        }
    }

    /// A call waits no longer.
    pub(super) fn unqueue(&self, id: CallId) {
        let queued = self.under_way().calls.get_mut(&id).and_then(|call| call.queued.take());
        if let Some(queued) = queued {
            self.waited(queued);
        }
    }

    /// A wait for room is over.
    pub(super) fn waited(&self, queued: Queued) {
        self.shared.timers.remove(queued.timer);
        self.shared.stats.count_waited(queued.since.elapsed());
    }

    /// Ends a call that has waited for room in vain.
    pub(crate) fn queue_expired(&self, id: CallId) {
        {
            let mut under_way = self.under_way();
            let UnderWay { calls, queues, .. } = &mut *under_way;
            let Some(call) = calls.get_mut(&id) else { return };
            if let Some(queued) = call.queued.take() {
                self.waited(queued);
            }
            queues.remove(&call.service, call.priority, id);
        }
        self.shared.stats.count_queue_over();
        let millis = self.shared.config.resilience.queue.as_millis();
        self.tried(id, Err(full(&format!(", and none ended for it within resilience.queueMs ({millis})"))));
        self.room();
        self.shared.events.flush();
    }

    /// Signals that waiting calls may find room. They are placed as soon as the I/O thread has
    /// time.
    pub(super) fn room(&self) {
        if !self.under_way().queues.is_empty() {
            self.room.notify_one();
        }
    }

    /// Places waiting calls whenever there is room, until the mesh stops.
    pub(crate) async fn place_queued(self: Arc<Self>) {
        loop {
            tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => return,
                () = self.room.notified() => {}
            }
            let services: Vec<ServiceId> = self.under_way().queues.services();
            for service in services {
                while let Some(id) = self.pop_queued(&service) {
                    self.place(id);
                    // The call found no room, and waits at the head of the queue again.
                    let waits = self.under_way().calls.get(&id).is_some_and(|call| call.queued.is_some());
                    if waits {
                        break;
                    }
                }
            }
            self.shared.events.flush();
        }
    }

    /// The next waiting call.
    fn pop_queued(&self, service: &ServiceId) -> Option<CallId> {
        self.under_way().queues.pop(service)
    }

    /// The number of calls that wait for room.
    pub(crate) fn queued(&self) -> usize {
        self.under_way().calls.values().filter(|call| call.queued.is_some()).count()
    }
}

/// The error of a call for which no session, or the bulkhead of its service, has room.
fn full(more: &str) -> CallError {
    too_many(format!(
        "as many calls are under way at the service as its sessions or resilience.bulkhead allow{more}"
    ))
}
