//! Slow connections: to an address that drops packets, or to a server that
//! accepts and stays silent.
//!
//! Calls that wait for one get another instance beside it, and wait no longer
//! than for a service that is away. The connection itself keeps the whole time
//! of a handshake, so that a slow service becomes ready for later calls.

use std::{convert::Infallible, sync::Arc};

use tokio::time::{Instant, sleep};

use super::{
    calls::Client,
    dial::timed_out,
    fleet::Detour,
    link::{PATIENCE, STAGGER},
};
use crate::{
    discovery::Address,
    id::ServiceId,
    mesh::{events::CallId, sync::lock},
};

impl Client {
    /// Helps the calls that wait for a connection while it is being opened. The
    /// future never completes; its drop ends the help.
    pub(super) async fn look_after(self: &Arc<Self>, service: &ServiceId, target: &Address) -> Infallible {
        loop {
            sleep(STAGGER).await;
            self.help_waiting(service, target);
            self.give_up_waiting(service, target);
        }
    }

    /// Tries another instance beside a slow one, or places the calls on one that is ready.
    fn help_waiting(self: &Arc<Self>, service: &ServiceId, target: &Address) {
        let now = self.now();
        let detour = {
            let mut under_way = self.under_way();
            let instances = under_way.links.instances(service);
            let usable = match &self.breakers {
                None => Ok(None),
                Some(breakers) => lock(breakers).usable(service, instances, now.uptime),
            };
            // If all breakers are open there is no other way.
            let Ok(usable) = usable else { return };
            let passes = |index: usize| usable.as_ref().is_none_or(|usable| usable[index]);
            under_way.links.detour_of_waiting(service, target, &passes, now)
        };
        match detour {
            Some(Detour::Place(calls)) => {
                for id in calls {
                    self.place(id);
                }
                self.shared.events.flush();
            }
            Some(Detour::Dial(targets)) => {
                for target in targets {
                    tokio::spawn(Arc::clone(self).connect(service.clone(), target, now.instant));
                }
            }
            None => {}
        }
    }

    /// Ends the calls that have waited for long enough.
    fn give_up_waiting(&self, service: &ServiceId, target: &Address) {
        let now = Instant::now();
        let over: Vec<CallId> = {
            let mut under_way = self.under_way();
            let waiting = under_way.links.waiting_for(service, target);
            let over: Vec<_> = waiting
                .into_iter()
                .filter(|id| under_way.calls.get(id).is_none_or(|call| call.latest <= now))
                .collect();
            under_way.links.give_up(service, target, &over);
            over
        };
        for id in over {
            self.tried(id, Err(timed_out(service, target, PATIENCE)));
        }
        self.shared.events.flush();
    }
}
