//! DNS as the source of instances: address records, and service records (RFC 2782).

use std::{collections::HashMap, net::IpAddr, time::Duration};

use hickory_resolver::{
    TokioResolver,
    net::NetError,
    proto::rr::{RData, RecordType},
};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{error::ProviderError, sink::Sink};
use crate::{
    config::{DnsProvider, Records},
    discovery::MAX_INSTANCES,
    id::ServiceId,
    providers::resolver::{resolve, resolver, shortest},
};

/// A record is asked for again no earlier than this, whatever its time to live says, and no later than that.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_hours(1);
/// The longest pause between questions that fail.
const MOST_PATIENT: Duration = Duration::from_secs(15);
/// The time to live of the answer that there are no records.
const ABSENT: Duration = Duration::from_secs(5);
/// A name that had records counts as gone once it has had none for so long: servers lose zones for a moment.
const GONE_AFTER: Duration = Duration::from_secs(30);
/// Targets of service records that are resolved at the same time.
const AT_ONCE: usize = 16;

/// An answer, with the time for which it holds.
struct Answer {
    instances: Vec<Value>,
    /// Records beyond the most that are used.
    left_out: usize,
    lifetime: Duration,
}

#[derive(Debug)]
pub(super) struct Dns {
    options: DnsProvider,
    resolver: TokioResolver,
}

impl Dns {
    pub(super) fn new(options: DnsProvider) -> Result<Self, ProviderError> {
        let resolver = resolver(options.server).map_err(|error| ProviderError::Dns {
            name: options.domain.clone(),
            detail: error.to_string(),
        })?;
        Ok(Self { options, resolver })
    }

    pub(super) async fn watch(&self, service: &ServiceId, sink: &dyn Sink) -> ProviderError {
        let name = name(&self.options.domain, service);
        let mut known: Option<Vec<Value>> = None;
        let mut absent_since = None;
        let mut complained = false;
        let mut failures = 0;
        loop {
            let pause = match self.ask(&name).await {
                Ok(answer) => {
                    if failures > 0 {
                        sink.away(false);
                    }
                    (absent_since, failures) = (None, 0);
                    if answer.left_out > 0 && !complained {
                        let (more, most) = (answer.left_out, MAX_INSTANCES);
                        sink.trouble(format!("{name} has {more} records too many; {most} are used"));
                    }
                    complained = answer.left_out > 0;
                    if known.as_ref() != Some(&answer.instances) {
                        sink.update(answer.instances.clone());
                        known = Some(answer.instances);
                    }
                    answer.lifetime.clamp(SHORTEST, LONGEST)
                }
                Err(error) if error.is_no_records_found() => {
                    if failures > 0 {
                        sink.away(false);
                    }
                    failures = 0;
                    let since = *absent_since.get_or_insert_with(Instant::now);
                    let gone = since.elapsed() >= GONE_AFTER;
                    if known.as_ref().is_none_or(|known| gone && !known.is_empty()) {
                        sink.update(Vec::new());
                        known = Some(Vec::new());
                    }
                    ABSENT
                }
                Err(error) => {
                    let error = ProviderError::Dns { name: name.clone(), detail: error.to_string() };
                    let Some(known) = &known else { return error };
                    if failures == 0 {
                        let count = known.len();
                        sink.away(true);
                        sink.trouble(format!("{error}; the {count} instances that are known stay in use"));
                    }
                    failures += 1;
                    (SHORTEST * failures).min(MOST_PATIENT)
                }
            };
            sleep(pause).await;
        }
    }

    async fn ask(&self, name: &str) -> Result<Answer, NetError> {
        match (self.options.records, self.options.port) {
            (Records::A, Some(port)) => self.addresses(name, port).await,
            _ => self.services(name).await,
        }
    }

    async fn addresses(&self, name: &str, port: u16) -> Result<Answer, NetError> {
        let (addresses, lifetime) = resolve(&self.resolver, name).await?;
        let left_out = addresses.len().saturating_sub(MAX_INSTANCES);
        let instances =
            addresses.iter().take(MAX_INSTANCES).map(|host| json!({ "host": host, "port": port }));
        Ok(Answer { instances: instances.collect(), left_out, lifetime })
    }

    /// The targets of the service records with the lowest priority number.
    async fn services(&self, name: &str) -> Result<Answer, NetError> {
        let answer = self.resolver.lookup(name, RecordType::SRV).await?;
        let mut lifetime = shortest(answer.answers());
        let records = answer.answers().iter().filter_map(|record| match &record.data {
            RData::SRV(record) => Some(record),
            _ => None,
        });
        // The root as the target says that there is no such service.
        let records: Vec<_> = records.filter(|record| !record.target.is_root()).collect();
        let first = records.iter().map(|record| record.priority).min();
        let mut records: Vec<_> =
            records.into_iter().filter(|record| Some(record.priority) == first).collect();
        records.sort_unstable_by_key(|record| (record.target.to_string(), record.port));
        let mut left_out = records.len().saturating_sub(MAX_INSTANCES);
        records.truncate(MAX_INSTANCES);
        let targets: Vec<String> = records.iter().map(|record| record.target.to_string()).collect();
        let resolved = self.all(&targets).await?;
        let mut instances = Vec::with_capacity(records.len());
        for (record, target) in records.iter().zip(&targets) {
            let Some((addresses, until)) = resolved.get(target) else { continue };
            lifetime = lifetime.min(*until);
            for host in addresses {
                instances.push(json!({ "host": host, "port": record.port, "weight": record.weight.max(1) }));
            }
        }
        left_out += instances.len().saturating_sub(MAX_INSTANCES);
        instances.truncate(MAX_INSTANCES);
        Ok(Answer { instances, left_out, lifetime })
    }

    /// The addresses of each target. A target without addresses is left out; a failure of a server is one of the
    /// whole answer, which would otherwise lack instances that exist.
    async fn all(&self, targets: &[String]) -> Result<HashMap<String, (Vec<IpAddr>, Duration)>, NetError> {
        let mut waiting: Vec<String> = targets.to_vec();
        waiting.sort_unstable();
        waiting.dedup();
        let mut resolved = HashMap::with_capacity(waiting.len());
        let mut running = JoinSet::new();
        loop {
            while running.len() < AT_ONCE
                && let Some(target) = waiting.pop()
            {
                let dns = self.resolver.clone();
                running.spawn(async move {
                    let answer = resolve(&dns, &target).await;
                    (target, answer)
                });
            }
            match running.join_next().await {
                None => return Ok(resolved),
                Some(Ok((target, Ok(answer)))) => {
                    resolved.insert(target, answer);
                }
                Some(Ok((_, Err(error)))) if error.is_no_records_found() => {}
                Some(Ok((_, Err(error)))) => return Err(error),
                Some(Err(_)) => return Err(NetError::Message("the resolver was stopped")),
            }
        }
    }
}

/// The name to ask for, which is complete: no search domain is added.
fn name(domain: &str, service: &ServiceId) -> String {
    let domain = domain.trim_end_matches('.');
    if domain.contains("{service}") {
        format!("{}.", domain.replacen("{service}", service.as_str(), 1))
    } else {
        format!("{service}.{domain}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_complete_and_has_the_service_in_its_place() {
        let service: ServiceId = "orders".parse().unwrap();
        assert_eq!(name("shop.example", &service), "orders.shop.example.");
        assert_eq!(name("_grpc._tcp.{service}.prod.", &service), "_grpc._tcp.orders.prod.");
    }
}
