//! Calls that one instance has too little time or too much to do for: another one takes them.

use std::sync::Arc;

use super::{
    calls::{Client, UnderWay},
    retries::Ran,
};
use crate::{
    discovery::HealthStatus,
    error::Reason,
    mesh::{
        events::{CallError, CallId},
        sync::lock,
    },
};

/// Whether an instance refused a call since it had too much to do.
pub(super) fn is_shed(error: &CallError) -> bool {
    error.remote && error.retryable && error.reason == Reason::Shed.as_str()
}

impl Client {
    /// Places a call at another instance that the one it was at did not run for want of time or room. False if
    /// it ends instead: there is no other instance, the share of such calls is used up, or it is not safe.
    pub(super) fn goes_elsewhere(self: &Arc<Self>, id: CallId, error: &CallError) -> bool {
        if !is_shed(error) {
            return false;
        }
        let (session, number) = {
            let now = self.now();
            let mut under_way = self.under_way();
            let UnderWay { calls, links, elsewhere, .. } = &mut *under_way;
            let Some(call) = calls.get_mut(&id) else { return false };
            let Some((session, number)) = call.placed.clone() else { return false };
            let Some(target) = session.target() else { return false };
            call.is_refused_at(target);
            let instances = links.instances(&call.service);
            let usable = match &self.breakers {
                Some(breakers) => lock(breakers).usable(&call.service, instances, now.uptime),
                None => Ok(None),
            };
            let Ok(usable) = usable else { return false };
            let other = instances.iter().enumerate().any(|(index, entry)| {
                usable.as_ref().is_none_or(|usable| usable[index])
                    && entry.health != HealthStatus::NotServing
                    && !call.has_tried(&entry.endpoint.address)
            });
            if !other || !call.may_go_elsewhere() || !elsewhere.withdraw() {
                return false;
            }
            // The word of a peer that it did not run the call counts once.
            call.displace(Ran::NoByWord);
            (session, number)
        };
        session.forget(number);
        session.finish_if_left();
        self.left_instance(id, Some(error));
        self.shared.stats.count_elsewhere();
        self.place(id);
        self.room();
        true
    }
}
