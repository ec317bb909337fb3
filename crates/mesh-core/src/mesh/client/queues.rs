//! Queues of calls for which no session has room.

use std::collections::{HashMap, VecDeque};

use tokio::time::Instant;

use crate::{
    id::ServiceId,
    mesh::{events::CallId, timers::TimerKey},
    record::message::Priority,
};

/// The waiting calls, by service. `limits.maxPendingCalls` limits them together with all others.
#[derive(Debug, Default)]
pub(super) struct Queues(HashMap<ServiceId, Queue>);

/// The calls of one service that wait: in the order of their priorities, and of their age.
#[derive(Debug, Default)]
struct Queue([VecDeque<CallId>; Priority::ALL.len()]);

impl Queue {
    fn of(&mut self, priority: Priority) -> &mut VecDeque<CallId> {
        &mut self.0[priority as usize - 1]
    }

    fn len(&self) -> usize {
        self.0.iter().map(VecDeque::len).sum()
    }
}

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

    /// Lets a call wait, behind the others of its priority, or before them if it has waited before. `alive` is the
    /// number of calls in flight; ids of ended calls are dropped once they are the majority.
    pub(super) fn push(
        &mut self,
        service: &ServiceId,
        id: CallId,
        priority: Priority,
        again: bool,
        alive: usize,
        is_alive: impl Fn(&CallId) -> bool,
    ) {
        let queue = self.0.entry(service.clone()).or_default();
        if queue.len() > 2 * alive {
            queue.0.iter_mut().for_each(|class| class.retain(&is_alive));
        }
        let class = queue.of(priority);
        if again { class.push_front(id) } else { class.push_back(id) }
    }

    /// Makes room for a call of this priority where at most `most` calls of its service wait: `Ok` if there is
    /// room, with the sheddable call that gives way, if one has to.
    pub(super) fn make_room(
        &mut self,
        service: &ServiceId,
        priority: Priority,
        most: usize,
        is_alive: impl Fn(&CallId) -> bool,
    ) -> Result<Option<CallId>, Full> {
        let Some(queue) = self.0.get_mut(service) else {
            return if most == 0 { Err(Full) } else { Ok(None) };
        };
        if queue.len() < most {
            return Ok(None);
        }
        // Calls that were given up do not count.
        queue.0.iter_mut().for_each(|class| class.retain(&is_alive));
        if queue.len() < most {
            return Ok(None);
        }
        if priority == Priority::Sheddable {
            return Err(Full);
        }
        queue.of(Priority::Sheddable).pop_back().map(Some).ok_or(Full)
    }

    /// The next call of a service.
    pub(super) fn pop(&mut self, service: &ServiceId) -> Option<CallId> {
        let queue = self.0.get_mut(service)?;
        let id = queue.0.iter_mut().rev().find_map(VecDeque::pop_front);
        if queue.len() == 0 {
            self.0.remove(service);
        }
        id
    }

    /// Removes a call.
    pub(super) fn remove(&mut self, service: &ServiceId, priority: Priority, id: CallId) {
        if let Some(queue) = self.0.get_mut(service) {
            let class = queue.of(priority);
            // Waits nearly always end in the order of the queue, so the first entry is checked
            // first.
            if class.front() == Some(&id) {
                class.pop_front();
            } else {
                class.retain(|other| *other != id);
            }
            if queue.len() == 0 {
                self.0.remove(service);
            }
        }
    }
}

/// The wait of a call for room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queued {
    /// The timer of its end.
    pub(super) timer: TimerKey,
    pub(super) since: Instant,
}

/// As many calls wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> ServiceId {
        "server".parse().unwrap()
    }

    fn push(queues: &mut Queues, id: CallId, priority: Priority) {
        queues.push(&service(), id, priority, false, 100, |_| true);
    }

    #[test]
    fn calls_wait_by_priority_and_then_by_age() {
        let mut queues = Queues::default();
        for (id, priority) in Priority::ALL.into_iter().cycle().take(6).enumerate() {
            push(&mut queues, id as CallId, priority);
        }
        let order: Vec<_> = std::iter::from_fn(|| queues.pop(&service())).collect();
        assert_eq!(order, [2, 5, 1, 4, 0, 3]);
        assert!(queues.is_empty());
    }

    #[test]
    fn a_full_queue_gives_the_room_of_its_newest_sheddable_call_to_another_one() {
        let mut queues = Queues::default();
        for (id, priority) in [(1, Priority::Sheddable), (2, Priority::Normal), (3, Priority::Sheddable)] {
            push(&mut queues, id, priority);
        }
        let mut room = |priority, most| queues.make_room(&service(), priority, most, |_| true);
        assert_eq!(room(Priority::Normal, 4), Ok(None));
        assert_eq!(room(Priority::Sheddable, 3), Err(Full));
        assert_eq!(room(Priority::Normal, 3), Ok(Some(3)));
        assert_eq!(room(Priority::Critical, 2), Ok(Some(1)));
        assert_eq!(room(Priority::Critical, 1), Err(Full), "a normal call does not give way");
        assert_eq!(Queues::default().make_room(&service(), Priority::Critical, 0, |_| true), Err(Full));
    }

    #[test]
    fn calls_that_were_given_up_take_no_room() {
        let mut queues = Queues::default();
        push(&mut queues, 1, Priority::Normal);
        assert_eq!(queues.make_room(&service(), Priority::Sheddable, 1, |_| false), Ok(None));
    }
}
