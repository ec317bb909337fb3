//! Changes of instances while calls run, and calls of services that discovery has not reported yet.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{call::unreported, calls::Client, links::Links};
use crate::{
    crypto::rsa::PublicKey,
    discovery::Endpoint,
    error::{Code, Reason},
    id::ServiceId,
    mesh::events::{CallError, CallId},
};

impl Client {
    /// Sets the instances of a service. New ones get calls from now on. Removed ones get no more calls, and
    /// keep those in flight.
    pub(crate) fn set_instances(self: &Arc<Self>, service: &ServiceId, instances: Vec<Endpoint<PublicKey>>) {
        let instances = self.registry.replace(service, instances);
        let now = self.now();
        let (orphans, waiting) = {
            let mut under_way = self.under_way();
            let orphans = under_way.links.set(service, instances, now);
            (orphans, under_way.links.reported(service))
        };
        for session in orphans.sessions {
            self.leave(&session, u32::MAX);
        }
        for id in orphans.calls.into_iter().chain(waiting) {
            self.left_instance(id, None);
            self.place(id);
        }
        self.room();
        self.shared.events.flush();
    }

    /// The source of the instances of a service went away, or answers again.
    pub(crate) fn set_away(&self, service: &ServiceId, away: bool) {
        self.under_way().links.set_away(service, away, Instant::now());
    }

    /// The services that a provider reports, and for how long the source of each has been away.
    pub(crate) fn discovery_ages(&self) -> Vec<(String, Duration)> {
        if !self.shared.config.has_provider {
            return Vec::new();
        }
        self.under_way().links.ages(Instant::now())
    }

    /// The services whose lists are too old to be used.
    pub(crate) fn stale_services(&self) -> Vec<String> {
        let Some(most) = self.shared.config.max_stale else { return Vec::new() };
        let mut ages = self.discovery_ages();
        ages.retain(|(_, age)| *age > most);
        ages.into_iter().map(|(service, _)| service).collect()
    }

    /// The error of a call whose instances were last confirmed too long ago, if there is such a limit.
    pub(super) fn too_stale(&self, service: &ServiceId, links: &Links) -> Option<CallError> {
        let most = self.shared.config.max_stale?;
        let away = links.away_for(service, Instant::now()).filter(|away| *away > most)?;
        let text = format!(
            "the source of discovery has not confirmed the instances of {service} for {} ms, and \
             discovery.maxStaleMs is {}",
            away.as_millis(),
            most.as_millis()
        );
        Some(CallError::local(Code::Unavailable, Reason::DiscoveryStale, text))
    }

    /// Asks the application for the instances of a service, for the first call that needs them.
    pub(super) fn want(self: &Arc<Self>, service: &ServiceId) {
        self.shared.events.wanted(service);
        self.shared.events.flush();
        tokio::spawn(Arc::clone(self).give_up_unreported(service.clone()));
    }

    /// Ends calls without a deadline, such as streams, that have waited for a report as long as other calls
    /// may. They would wait for ever otherwise.
    async fn give_up_unreported(self: Arc<Self>, service: ServiceId) {
        let mut before: HashSet<CallId> = HashSet::new();
        loop {
            tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => return,
                () = sleep(self.shared.config.limits.call_timeout) => {}
            }
            let over: Vec<CallId> = {
                let under_way = self.under_way();
                let Some(waiting) = under_way.links.unreported(&service) else { return };
                let endless =
                    |id: &CallId| under_way.calls.get(id).is_some_and(|call| call.deadline.is_none());
                let over = waiting.iter().copied().filter(|id| before.contains(id) && endless(id)).collect();
                before = waiting.iter().copied().collect();
                over
            };
            for id in over {
                self.tried(id, Err(unreported(&service)));
            }
            self.shared.events.flush();
        }
    }
}
