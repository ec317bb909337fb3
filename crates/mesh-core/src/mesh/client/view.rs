//! The instances of other services, as this side sees them, for reports.

#![allow(clippy::cast_precision_loss, reason = "figures for people; beyond 2^53 they are estimates")]

use std::collections::HashMap;

use super::calls::Client;
use crate::{
    crypto::rsa::PublicKey,
    discovery::{Address, Endpoint},
    id::ServiceId,
    mesh::sync::lock,
    resilience::BreakerState,
    telemetry::report::InstanceView,
};

impl Client {
    /// The instances that discovery knows.
    pub(crate) fn instances(&self) -> Vec<InstanceView> {
        let sessions = self.sessions.list();
        let mut loads: HashMap<(&ServiceId, &Address), (usize, u32)> = HashMap::new();
        let mut totals: HashMap<&ServiceId, u64> = HashMap::new();
        for session in &sessions {
            let Some(target) = session.target() else { continue };
            let (pending, carried) = session.load();
            *totals.entry(&session.info.peer).or_default() += u64::from(carried);
            let load = loads.entry((&session.info.peer, target)).or_default();
            *load = (load.0 + pending, load.1.saturating_add(carried));
        }
        let now = self.now();
        let wall = self.shared.platform.clock.now().as_millis();
        let under_way = self.under_way();
        let breakers = self.breakers.as_ref().map(lock);
        let view = |endpoint: &Endpoint<PublicKey>| {
            let (service, address) = (&endpoint.id, &endpoint.address);
            let (latency, ejected_for) = under_way.links.state(service, address, now);
            let load = loads.get(&(service, address));
            let (pending, carried) = load.copied().unwrap_or_default();
            let total = totals.get(service).copied().unwrap_or_default().max(1);
            let state = breakers.as_ref().and_then(|breakers| breakers.state(service, address));
            InstanceView {
                service: service.to_string(),
                address: address.to_string(),
                zone: endpoint.zone.clone(),
                weight: f64::from(endpoint.weight),
                source: self.source_of(service).to_owned(),
                ewma_ms: latency.map(|latency| latency.as_secs_f64() * 1e3),
                ejected_until: ejected_for.map(|time| wall + time.as_millis() as u64),
                connected: load.is_some(),
                in_flight: pending as u64,
                share: f64::from(carried) / total as f64,
                breaker: state.map_or("closed", shown).to_owned(),
                ..InstanceView::default()
            }
        };
        let entries = self.registry.list();
        entries.iter().map(|entry| view(&entry.endpoint)).collect()
    }

    /// The source of the instances of a service.
    fn source_of(&self, service: &ServiceId) -> &'static str {
        let configured = &self.shared.config.services;
        let is_configured = configured.iter().any(|one| one.id == *service && one.address.is_some());
        if is_configured { "config" } else { "provider" }
    }

    /// The retries that the budget has left; `None` without a budget.
    pub(crate) fn retry_budget(&self) -> Option<f64> {
        self.retries.as_ref().map(|retries| lock(retries).left())
    }

    /// Whether instances have breakers.
    pub(crate) fn has_breakers(&self) -> bool {
        self.breakers.is_some()
    }
}

/// The name of the state in reports.
fn shown(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half-open",
    }
}
