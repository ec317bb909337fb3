//! Consul as the source of instances, and as the place where a service registers: its HTTP API, version 1.

use std::{convert::Infallible, fmt::Write, sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{Method, StatusCode, header::HeaderValue};
use serde_json::{Value, json};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{
    error::ProviderError,
    http::{Server, encoded},
    sink::Sink,
};
use crate::{
    config::ConsulProvider,
    discovery::{MAX_INSTANCES, check_instance},
    id::ServiceId,
};

/// How long Consul may wait for a change before it answers.
const WAIT_SECONDS: u64 = 25;
/// Consul adds up to a sixteenth to its wait; the network adds the rest.
const PATIENCE: Duration = Duration::from_secs(35);
/// The time for the answer to a short question.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Two questions are at least so far apart, however fast Consul answers.
const SHORTEST: Duration = Duration::from_millis(100);
/// The delay after the first failure in a row, which doubles up to the longest.
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// The check of a registration passes so often in its lifetime.
const RENEWALS: u32 = 3;

#[derive(Debug)]
pub(super) struct Consul {
    agent: Arc<Agent>,
}

#[derive(Debug)]
struct Agent {
    options: ConsulProvider,
    server: Server,
}

impl Consul {
    /// # Errors
    /// The token would travel unencrypted.
    pub(super) fn new(options: ConsulProvider) -> Result<Self, ProviderError> {
        if options.token.is_some() && !options.address.keeps_secrets() {
            return Err(ProviderError::Unencrypted { name: "Consul", place: options.address.to_string() });
        }
        let server = Server::new(options.address.clone(), options.ca.clone());
        Ok(Self { agent: Arc::new(Agent { options, server }) })
    }

    pub(super) fn registers(&self) -> bool {
        self.agent.options.register
    }

    /// Follows the instances of a service. Ends only with a failure before the first list.
    pub(super) async fn watch(&self, service: &ServiceId, sink: &dyn Sink) -> ProviderError {
        let mut known: Option<Vec<Value>> = None;
        let (mut index, mut delay, mut away, mut complained) = (0, FIRST_DELAY, false, false);
        loop {
            let asked = Instant::now();
            match self.agent.list(service, index, known.is_some()).await {
                Ok((instances, next, fault)) => {
                    if std::mem::take(&mut away) {
                        sink.away(false);
                        sink.trouble(format!("Consul answers again for {service}"));
                    }
                    if let Some(fault) = &fault
                        && !complained
                    {
                        sink.trouble(fault.clone());
                    }
                    complained = fault.is_some();
                    if known.as_ref() != Some(&instances) {
                        sink.update(instances.clone());
                        known = Some(instances);
                    }
                    // An index that goes back means that Consul lost its state: from the beginning then.
                    index = if next < index { 0 } else { next };
                    delay = FIRST_DELAY;
                    sleep(SHORTEST.saturating_sub(asked.elapsed())).await;
                }
                Err(error) => {
                    let Some(known) = &known else { return error };
                    if !away {
                        away = true;
                        sink.away(true);
                        sink.trouble(format!(
                            "{error}; the {} instances that are known stay in use",
                            known.len()
                        ));
                    }
                    index = 0;
                    sleep(delay).await;
                    delay = (2 * delay).min(LONGEST_DELAY);
                }
            }
        }
    }

    /// Registers this service with the agent, and keeps its check passing.
    pub(super) async fn register(
        &self,
        service: &ServiceId,
        own: &Value,
        sink: Box<dyn Sink>,
    ) -> Result<ConsulRegistration, ProviderError> {
        let host = own.get("host").and_then(Value::as_str).unwrap_or_default();
        let port = own.get("port").and_then(Value::as_u64).unwrap_or_default();
        let keeper = Keeper {
            agent: Arc::clone(&self.agent),
            id: format!("{service}-{host}-{port}"),
            service: service.to_string(),
            own: own.clone(),
            sink,
        };
        keeper.register().await?;
        let (withdraw, withdrawn) = oneshot::channel();
        Ok(ConsulRegistration { withdraw: Some(withdraw), keeper: tokio::spawn(keeper.keep(withdrawn)) })
    }
}

impl Agent {
    fn failed(&self, detail: String) -> ProviderError {
        ProviderError::Http { name: "Consul", place: self.server.place(), detail }
    }

    fn headers(&self) -> Result<Vec<(&'static str, HeaderValue)>, ProviderError> {
        let Some(token) = &self.options.token else { return Ok(Vec::new()) };
        let mut value = HeaderValue::from_str(token.reveal())
            .map_err(|_| self.failed("the token has characters that no header may have".to_owned()))?;
        value.set_sensitive(true);
        Ok(vec![("x-consul-token", value)])
    }

    /// The parameters of every question.
    fn scope(&self) -> String {
        let ConsulProvider { datacenter, namespace, .. } = &self.options;
        let part = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!("&{name}={}", encoded(value))).unwrap_or_default()
        };
        part("dc", datacenter) + &part("ns", namespace)
    }

    /// The instances, the index from which changes follow, and the first fault among them.
    async fn list(
        &self,
        service: &ServiceId,
        index: u64,
        waits: bool,
    ) -> Result<(Vec<Value>, u64, Option<String>), ProviderError> {
        let mut path =
            format!("/v1/health/service/{}?passing=true{}", encoded(service.as_str()), self.scope());
        if let Some(tag) = &self.options.tag {
            path.push_str("&tag=");
            path.push_str(&encoded(tag));
        }
        let waits = waits && index > 0;
        if waits {
            let _ = write!(path, "&index={index}&wait={WAIT_SECONDS}s");
        }
        let patience = if waits { PATIENCE } else { TIMEOUT };
        let asked = self.server.ask(Method::GET, &path, &self.headers()?, None, patience).await;
        let answer = asked.map_err(|detail| self.failed(detail))?;
        if answer.status != StatusCode::OK {
            return Err(self.failed(answer.refusal().await));
        }
        if answer.headers.get("x-consul-results-filtered-by-acls").is_some_and(|value| value == "true") {
            // The list would lack instances, or all of them, only since a right is missing.
            return Err(self.failed("the token may not read all of the instances".to_owned()));
        }
        let index = answer.headers.get("x-consul-index").and_then(|value| value.to_str().ok()?.parse().ok());
        // Consul asks its clients for an index above 0.
        let index = index.unwrap_or(1).max(1);
        let body = answer.whole().await.map_err(|detail| self.failed(detail))?;
        let entries: Vec<Value> = serde_json::from_slice(&body)
            .map_err(|error| self.failed(format!("its answer is no list of instances: {error}")))?;
        let (mut instances, mut fault) = (Vec::new(), None);
        for entry in &entries {
            if instances.len() == MAX_INSTANCES {
                fault.get_or_insert(format!(
                    "{service} has more than {MAX_INSTANCES} instances in Consul; the rest is left out"
                ));
                break;
            }
            let instance = instance(entry);
            match check_instance(&instance) {
                Ok(()) => instances.push(instance),
                Err(error) => {
                    fault.get_or_insert(format!("an instance of {service} in Consul is left out: {error}"));
                }
            }
        }
        instances.sort_unstable_by_key(Value::to_string);
        instances.dedup();
        Ok((instances, index, fault))
    }

    async fn put(&self, path: &str, body: Option<&Value>) -> Result<(), ProviderError> {
        let body = Bytes::from(body.map(Value::to_string).unwrap_or_default());
        let asked = self.server.ask(Method::PUT, path, &self.headers()?, Some(body), TIMEOUT).await;
        let answer = asked.map_err(|detail| self.failed(detail))?;
        if answer.status == StatusCode::OK { Ok(()) } else { Err(self.failed(answer.refusal().await)) }
    }
}

/// An entry of Consul as one of `discovery.services`.
fn instance(entry: &Value) -> Value {
    let text = |path: &str| entry.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
    let host = text("/Service/Address").or_else(|| text("/Node/Address"));
    let mut instance = json!({ "host": host, "port": entry.pointer("/Service/Port") });
    if let Some(weight) = entry.pointer("/Service/Weights/Passing").and_then(Value::as_u64) {
        instance["weight"] = weight.clamp(1, 65_535).into();
    }
    if let Some(zone) = text("/Service/Meta/zone") {
        instance["zone"] = zone.into();
    }
    instance
}

/// A registration with an agent. When it is dropped, its check fails and the agent removes it.
#[derive(Debug)]
pub(super) struct ConsulRegistration {
    withdraw: Option<oneshot::Sender<oneshot::Sender<Result<(), ProviderError>>>>,
    keeper: JoinHandle<()>,
}

impl Drop for ConsulRegistration {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl ConsulRegistration {
    /// Takes the registration back; `None` if nobody keeps it any more.
    pub(super) async fn withdraw(mut self) -> Option<Result<(), ProviderError>> {
        let (answer, answered) = oneshot::channel();
        self.withdraw.take()?.send(answer).ok()?;
        answered.await.ok()
    }
}

struct Keeper {
    agent: Arc<Agent>,
    id: String,
    service: String,
    own: Value,
    sink: Box<dyn Sink>,
}

impl Keeper {
    async fn register(&self) -> Result<(), ProviderError> {
        let ttl = self.agent.options.ttl;
        let mut body = json!({
            "ID": self.id,
            "Name": self.service,
            "Address": self.own.get("host"),
            "Port": self.own.get("port"),
            "Check": {
                "CheckID": self.check(),
                "TTL": format!("{}ms", ttl.as_millis()),
                "Status": "passing",
                // Consul removes nothing earlier than after a minute.
                "DeregisterCriticalServiceAfter": format!("{}s", (4 * ttl.as_secs()).max(60)),
            },
        });
        if let Some(zone) = self.own.get("zone") {
            body["Meta"] = json!({ "zone": zone });
        }
        if let Some(weight) = self.own.get("weight") {
            body["Weights"] = json!({ "Passing": weight, "Warning": 1 });
        }
        let path = format!("/v1/agent/service/register?replace-existing-checks=true{}", self.agent.scope());
        self.agent.put(&path, Some(&body)).await
    }

    fn check(&self) -> String {
        format!("service:{}", self.id)
    }

    /// Keeps the registration until told to withdraw it.
    async fn keep(self, withdrawn: oneshot::Receiver<oneshot::Sender<Result<(), ProviderError>>>) {
        // The order does not wait for an agent that hangs.
        let order = tokio::select! {
            biased;
            order = withdrawn => order,
            never = self.keep_passing() => match never {},
        };
        let scope = self.agent.scope();
        let path = format!("/v1/agent/service/deregister/{}?a={scope}", encoded(&self.id));
        let result = self.agent.put(&path, None).await;
        if let Ok(answer) = order {
            // Nobody may wait for it any more.
            let _ = answer.send(result);
        }
    }

    /// Keeps the check passing, and registers again where it is unknown.
    async fn keep_passing(&self) -> Infallible {
        let pause = self.agent.options.ttl / RENEWALS;
        let scope = self.agent.scope();
        let pass = format!("/v1/agent/check/pass/{}?note={scope}", encoded(&self.check()));
        let mut away = false;
        loop {
            sleep(pause).await;
            if self.agent.put(&pass, None).await.is_ok() {
                continue;
            }
            // The agent was started again, or is away.
            match self.register().await {
                Ok(()) if away => {
                    away = false;
                    self.sink.trouble(format!("this service is registered again with Consul as {}", self.id));
                }
                Err(error) if !away => {
                    away = true;
                    self.sink.trouble(format!(
                        "{error}; the registration of this service is renewed when it can be"
                    ));
                }
                _ => {}
            }
        }
    }
}
