//! Calls beyond the number that the sessions with a service accept at once. They wait for a short time, in
//! order.

use std::sync::Arc;

use super::{
    call::too_many,
    calls::{Client, UnderWay},
};
use crate::{
    id::ServiceId,
    mesh::{
        events::{CallError, CallId},
        timers::Timer,
    },
};

impl Client {
    /// Lets a call wait for room. Fails it if `resilience.queueMs` is zero.
    pub(super) fn queue(self: &Arc<Self>, id: CallId) {
        let longest = self.shared.config.resilience.queue;
        {
            let mut under_way = self.under_way();
            let UnderWay { calls, queues, .. } = &mut *under_way;
            let Some(call) = calls.get_mut(&id) else { return };
            if !longest.is_zero() {
                let again = call.queued.is_some();
                if !again {
                    call.queued = Some(self.shared.timers.insert(Timer::Queue(id), longest));
                }
                let service = call.service.clone();
                queues.push(&service, id, again, calls.len(), |id| calls.contains_key(id));
                return;
            }
        }
        self.tried(id, Err(full("")));
    }

    /// Ends a call that has waited for room in vain.
    pub(crate) fn queue_expired(&self, id: CallId) {
        {
            let mut under_way = self.under_way();
            let UnderWay { calls, queues, .. } = &mut *under_way;
            let Some(call) = calls.get_mut(&id) else { return };
            call.queued = None;
            queues.remove(&call.service, id);
        }
        let millis = self.shared.config.resilience.queue.as_millis();
        self.tried(id, Err(full(&format!(", and none ended for it within resilience.queueMs ({millis})"))));
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

/// The error of a call for which no session has room.
fn full(more: &str) -> CallError {
    too_many(format!("every session with the service carries as many calls as it accepts at once{more}"))
}
