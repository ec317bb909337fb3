//! Queues of calls for which no session has room.

use std::collections::{HashMap, VecDeque};

use crate::{id::ServiceId, mesh::events::CallId};

/// The waiting calls, by service. `limits.maxPendingCalls` limits them together with all others.
#[derive(Debug, Default)]
pub(super) struct Queues(HashMap<ServiceId, VecDeque<CallId>>);

impl Queues {
    /// Whether no call waits. A cancelled call counts until it is removed.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The services with waiting calls.
    pub(super) fn services(&self) -> Vec<ServiceId> {
        self.0.keys().cloned().collect()
    }

    /// Whether calls of a service wait.
    pub(super) fn has(&self, service: &ServiceId) -> bool {
        self.0.contains_key(service)
    }

    /// Lets a call wait, behind the others, or before them if it has waited before. `alive` is the number of
    /// calls in flight; ids of ended calls are dropped once they are the majority.
    pub(super) fn push(
        &mut self,
        service: &ServiceId,
        id: CallId,
        again: bool,
        alive: usize,
        is_alive: impl Fn(&CallId) -> bool,
    ) {
        let queue = self.0.entry(service.clone()).or_default();
        if queue.len() > 2 * alive {
            queue.retain(is_alive);
        }
        if again { queue.push_front(id) } else { queue.push_back(id) }
    }

    /// The next call of a service.
    pub(super) fn pop(&mut self, service: &ServiceId) -> Option<CallId> {
        let queue = self.0.get_mut(service)?;
        let id = queue.pop_front();
        if queue.is_empty() {
            self.0.remove(service);
        }
        id
    }

    /// Removes a call.
    pub(super) fn remove(&mut self, service: &ServiceId, id: CallId) {
        if let Some(queue) = self.0.get_mut(service) {
            // Waits nearly always end in the order of the queue, so the first entry is checked
            // first.
            if queue.front() == Some(&id) {
                queue.pop_front();
            } else {
                queue.retain(|other| *other != id);
            }
            if queue.is_empty() {
                self.0.remove(service);
            }
        }
    }
}
