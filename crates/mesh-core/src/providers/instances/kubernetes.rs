//! Kubernetes as the source of instances: the `EndpointSlices` of a service (`discovery.k8s.io/v1`), listed and watched.

use std::{collections::BTreeMap, time::Duration};

use hyper::{Method, StatusCode, header::HeaderValue};
use serde_json::{Value, json};
use tokio::time::sleep;
use zeroize::Zeroizing;

use super::{
    error::ProviderError,
    http::{Answer, Server, encoded},
    sink::Sink,
};
use crate::{
    config::{KubernetesProvider, ServerUrl},
    discovery::{MAX_INSTANCES, check_instance},
    id::ServiceId,
};

/// The directory of the service account.
const NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// The time for the beginning of an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The API server ends a watch after so many seconds, and the next one goes on from there. A server that is gone
/// without a word is noticed after the patience.
const WATCH_SECONDS: u64 = 60;
const PATIENCE: Duration = Duration::from_secs(WATCH_SECONDS + 15);
/// Slices of one page of a list, pages of one list, and slices at most: a service of 1,000 instances has some ten
/// slices.
const PAGE: usize = 100;
const MAX_PAGES: usize = 100;
const MAX_SLICES: usize = 1_000;
/// The most bytes of a token.
const MAX_TOKEN: usize = 64 * 1024;
/// The delay after the first failure in a row, which doubles up to the longest.
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// The instances of one slice.
#[derive(Debug)]
struct Slice {
    instances: Vec<Value>,
    /// The addresses are of IPv6.
    ipv6: bool,
}

/// The slices by their names.
type Slices = BTreeMap<String, Slice>;

#[derive(Debug)]
pub(super) struct Kubernetes {
    options: KubernetesProvider,
    server: Server,
}

/// Why a watch has ended.
enum End {
    /// The list is to be read again: its version is gone.
    Gone,
    /// The time of the watch is over; it goes on from this version.
    Over(String),
    Failed(ProviderError),
}

impl Kubernetes {
    /// # Errors
    /// Nothing says where the API server is, or the token would travel unencrypted.
    pub(super) fn new(
        options: KubernetesProvider,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ProviderError> {
        let address = options.address.clone().or_else(|| {
            let (host, port) = (env("KUBERNETES_SERVICE_HOST")?, env("KUBERNETES_SERVICE_PORT")?);
            let host = if host.contains(':') { format!("[{host}]") } else { host };
            ServerUrl::parse(&format!("https://{host}:{port}"))
        });
        let address = address.ok_or_else(|| ProviderError::Http {
            name: "Kubernetes",
            place: "KUBERNETES_SERVICE_HOST".to_owned(),
            detail: "this process is in no pod; give discovery.address".to_owned(),
        })?;
        if !address.keeps_secrets() {
            return Err(ProviderError::Unencrypted { name: "Kubernetes", place: address.to_string() });
        }
        let server = Server::new(address, Some(options.ca.clone()));
        Ok(Self { options, server })
    }

    /// Follows the instances of a service. Ends only with a failure before the first list.
    pub(super) async fn watch(&self, service: &ServiceId, sink: &dyn Sink) -> ProviderError {
        let mut state = State::new(service, sink);
        let mut version: Option<String> = None;
        loop {
            let followed = match &version {
                Some(version) => self.follow(&mut state, version).await,
                None => match self.list(&mut state).await {
                    Ok(read) => {
                        state.report();
                        End::Over(read)
                    }
                    Err(error) => End::Failed(error),
                },
            };
            match followed {
                End::Over(next) => {
                    // A server that ends each watch at once is not asked without a pause.
                    if version.as_ref() == Some(&next) {
                        sleep(FIRST_DELAY).await;
                    }
                    version = Some(next);
                }
                End::Gone => {
                    version = None;
                    sleep(FIRST_DELAY).await;
                }
                End::Failed(error) => {
                    version = None;
                    let Some(known) = &state.told else { return error };
                    if !state.away {
                        state.away = true;
                        sink.away(true);
                        sink.trouble(format!(
                            "{error}; the {} instances that are known stay in use",
                            known.len()
                        ));
                    }
                    sleep(state.delay).await;
                    state.delay = (2 * state.delay).min(LONGEST_DELAY);
                }
            }
        }
    }

    /// Reads all slices. Returns the version from which changes follow.
    async fn list(&self, state: &mut State<'_>) -> Result<String, ProviderError> {
        let mut slices = Slices::new();
        let mut next = String::new();
        for _ in 0..MAX_PAGES {
            let more = if next.is_empty() { String::new() } else { format!("&continue={}", encoded(&next)) };
            let answer = self.ask(state.service, &format!("&limit={PAGE}{more}")).await?;
            let body = answer.whole().await.map_err(|detail| self.failed(detail))?;
            let page: Value = serde_json::from_slice(&body)
                .map_err(|error| self.failed(format!("its answer is no list: {error}")))?;
            let items = page.get("items").and_then(Value::as_array);
            for slice in items.ok_or_else(|| self.failed("its answer has no items".to_owned()))? {
                state.put(&mut slices, slice, self.options.port.as_deref());
            }
            let meta = |name: &str| page.pointer(&format!("/metadata/{name}")).and_then(Value::as_str);
            meta("continue").unwrap_or_default().clone_into(&mut next);
            if next.is_empty() || slices.len() >= MAX_SLICES {
                let version = meta("resourceVersion").filter(|version| !version.is_empty());
                let version = version.ok_or_else(|| self.failed("its list has no version".to_owned()))?;
                state.slices = slices;
                return Ok(version.to_owned());
            }
        }
        Err(self.failed(format!("its list has more than {MAX_PAGES} pages")))
    }

    /// Follows changes from a version on.
    async fn follow(&self, state: &mut State<'_>, from: &str) -> End {
        let mut version = from.to_owned();
        let query = format!(
            "&watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={}",
            encoded(from)
        );
        let mut changes = match self.ask(state.service, &query).await {
            Ok(answer) => answer,
            // A version that is too old is refused with this status, or by an event.
            Err(ProviderError::Http { detail, .. }) if detail.starts_with("status 410") => return End::Gone,
            Err(error) => return End::Failed(error),
        };
        // A list alone does not show that changes may be followed.
        state.answered();
        loop {
            let line = match changes.line(PATIENCE).await {
                Ok(Some(line)) => line,
                Ok(None) => return End::Over(version),
                Err(detail) => return End::Failed(self.failed(detail)),
            };
            let event: Value = match serde_json::from_slice(&line) {
                Ok(event) => event,
                Err(error) => return End::Failed(self.failed(format!("a change cannot be read: {error}"))),
            };
            let Some(object) = event.get("object") else {
                return End::Failed(self.failed("a change without an object".to_owned()));
            };
            match event.get("type").and_then(Value::as_str) {
                Some("ADDED" | "MODIFIED") => {
                    let mut slices = std::mem::take(&mut state.slices);
                    state.put(&mut slices, object, self.options.port.as_deref());
                    state.slices = slices;
                }
                Some("DELETED") => {
                    if let Some(name) = name_of(object) {
                        state.slices.remove(name);
                    }
                }
                // It says only which version this is.
                Some("BOOKMARK") => {}
                Some("ERROR") if object.get("code").and_then(Value::as_u64) == Some(410) => return End::Gone,
                _ => return End::Failed(self.failed("a change of a kind that is not known".to_owned())),
            }
            if let Some(next) = object.pointer("/metadata/resourceVersion").and_then(Value::as_str) {
                next.clone_into(&mut version);
            }
            state.report();
        }
    }

    async fn ask(&self, service: &ServiceId, query: &str) -> Result<Answer, ProviderError> {
        let namespace = match &self.options.namespace {
            Some(namespace) => namespace.clone(),
            None => self.read(NAMESPACE.into(), 256).await?.trim().to_owned(),
        };
        let selector = encoded(&format!("kubernetes.io/service-name={service}"));
        let path = format!(
            "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices?labelSelector={selector}{query}",
            encoded(&namespace)
        );
        // The token is renewed in its file.
        let token = self.read(self.options.token_file.clone(), MAX_TOKEN).await?;
        let bearer = Zeroizing::new(format!("Bearer {}", token.trim()));
        let mut value = HeaderValue::from_str(&bearer)
            .map_err(|_| self.failed("the token has characters that no header may have".to_owned()))?;
        value.set_sensitive(true);
        let asked = self.server.ask(Method::GET, &path, &[("authorization", value)], None, TIMEOUT).await;
        let answer = asked.map_err(|detail| self.failed(detail))?;
        if answer.status == StatusCode::OK {
            return Ok(answer);
        }
        Err(self.failed(answer.refusal().await))
    }

    async fn read(&self, path: std::path::PathBuf, most: usize) -> Result<Zeroizing<String>, ProviderError> {
        let shown = path.display().to_string();
        let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
        let text = read
            .map_err(|error| self.failed(error.to_string()))?
            .map_err(|error| self.failed(format!("{shown}: {error}")))?;
        if text.len() > most {
            return Err(self.failed(format!("{shown} is larger than {most} bytes")));
        }
        Ok(Zeroizing::new(text))
    }

    fn failed(&self, detail: String) -> ProviderError {
        ProviderError::Http { name: "Kubernetes", place: self.server.place(), detail }
    }
}

struct State<'a> {
    service: &'a ServiceId,
    sink: &'a dyn Sink,
    slices: Slices,
    told: Option<Vec<Value>>,
    complained: bool,
    /// The API server does not answer.
    away: bool,
    /// The delay after the next failure.
    delay: Duration,
}

impl<'a> State<'a> {
    fn new(service: &'a ServiceId, sink: &'a dyn Sink) -> Self {
        let (slices, told, complained, away, delay) = (Slices::new(), None, false, false, FIRST_DELAY);
        Self { service, sink, slices, told, complained, away, delay }
    }

    /// The API server answers.
    fn answered(&mut self) {
        self.delay = FIRST_DELAY;
        if std::mem::take(&mut self.away) {
            self.sink.away(false);
            self.sink.trouble(format!("Kubernetes answers again for {}", self.service));
        }
    }

    /// Takes one slice.
    fn put(&mut self, slices: &mut Slices, slice: &Value, port: Option<&str>) {
        let Some(name) = name_of(slice) else { return self.complain("a slice without a name is left out") };
        if slices.len() >= MAX_SLICES && !slices.contains_key(name) {
            return self.complain("it has more slices than are read");
        }
        let mut instances = Vec::new();
        for instance in endpoints(slice, port) {
            match check_instance(&instance) {
                Ok(()) if instances.len() < MAX_INSTANCES => instances.push(instance),
                Ok(()) => self.complain("it has more endpoints than are used"),
                Err(error) => self.complain(&format!("an endpoint is left out: {error}")),
            }
        }
        let ipv6 = slice.get("addressType").and_then(Value::as_str) == Some("IPv6");
        slices.insert(name.to_owned(), Slice { instances, ipv6 });
    }

    fn complain(&mut self, text: &str) {
        if !std::mem::replace(&mut self.complained, true) {
            self.sink.trouble(format!("{} in Kubernetes: {text}", self.service));
        }
    }

    fn report(&mut self) {
        let mut all = merged(&self.slices);
        if all.len() > MAX_INSTANCES {
            all.truncate(MAX_INSTANCES);
            self.complain("it has more endpoints than are used");
        }
        if self.told.as_ref() != Some(&all) {
            self.sink.update(all.clone());
            self.told = Some(all);
        }
    }
}

/// The instances of all slices.
fn merged(slices: &Slices) -> Vec<Value> {
    // A service of both families has each pod in a slice of each, and a pod is one instance.
    let dual = slices.values().any(|slice| !slice.ipv6 && !slice.instances.is_empty());
    let used = slices.values().filter(|slice| !dual || !slice.ipv6);
    let mut all: Vec<Value> = used.flat_map(|slice| &slice.instances).cloned().collect();
    // An endpoint may be in two slices while Kubernetes moves it.
    all.sort_by_cached_key(Value::to_string);
    all.dedup();
    all
}

fn name_of(object: &Value) -> Option<&str> {
    object.pointer("/metadata/name").and_then(Value::as_str).filter(|name| (1..=253).contains(&name.len()))
}

/// The endpoints of a slice that are ready, as entries of `discovery.services`.
fn endpoints(slice: &Value, port: Option<&str>) -> Vec<Value> {
    let ports = slice.get("ports").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let named =
        |entry: &&Value| port.is_none_or(|port| entry.get("name").and_then(Value::as_str) == Some(port));
    let tcp = |entry: &&Value| entry.get("protocol").and_then(Value::as_str).is_none_or(|word| word == "TCP");
    let Some(port) = ports.iter().filter(tcp).find(named).and_then(|entry| entry.get("port")) else {
        return Vec::new();
    };
    let all = slice.get("endpoints").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is = |endpoint: &Value, condition: &str, otherwise: bool| {
        endpoint.pointer(&format!("/conditions/{condition}")).and_then(Value::as_bool).unwrap_or(otherwise)
    };
    // Without a word about it an endpoint counts as ready. One that terminates takes no new calls.
    let ready =
        all.iter().filter(|endpoint| is(endpoint, "ready", true) && !is(endpoint, "terminating", false));
    let instance = |endpoint: &Value| {
        // All addresses of an endpoint are the same process: the first one does.
        let host = endpoint.pointer("/addresses/0")?;
        let mut instance = json!({ "host": host, "port": port });
        if let Some(zone) = endpoint.get("zone").and_then(Value::as_str) {
            instance["zone"] = zone.into();
        }
        Some(instance)
    };
    ready.filter_map(instance).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_endpoints_are_instances_with_the_port_of_the_name() {
        let slice = json!({
            "metadata": { "name": "orders-1" },
            "ports": [{ "name": "web", "port": 80 }, { "name": "mesh", "port": 50051, "protocol": "TCP" }],
            "endpoints": [
                { "addresses": ["10.0.0.1"], "conditions": { "ready": true }, "zone": "a" },
                { "addresses": ["10.0.0.2"], "conditions": { "ready": false } },
                { "addresses": ["10.0.0.3"], "conditions": { "ready": true, "terminating": true } },
                { "addresses": ["10.0.0.4", "10.0.0.5"] },
                { "addresses": [] },
            ],
        });
        let expected = [
            json!({ "host": "10.0.0.1", "port": 50051, "zone": "a" }),
            json!({ "host": "10.0.0.4", "port": 50051 }),
        ];
        assert_eq!(endpoints(&slice, Some("mesh")), expected);
        assert_eq!(endpoints(&slice, None)[1], json!({ "host": "10.0.0.4", "port": 80 }));
        assert!(endpoints(&slice, Some("other")).is_empty());
        assert!(endpoints(&json!({ "ports": 7, "endpoints": "x" }), None).is_empty());
    }

    #[test]
    fn a_pod_in_slices_of_both_families_is_one_instance() {
        let slice = |host: &str, ipv6| Slice { instances: vec![json!({ "host": host, "port": 1 })], ipv6 };
        let both =
            [("a", slice("10.0.0.1", false)), ("b", slice("fd00::1", true)), ("c", slice("10.0.0.1", false))];
        let mut slices: Slices = both.into_iter().map(|(name, slice)| (name.to_owned(), slice)).collect();
        assert_eq!(merged(&slices), [json!({ "host": "10.0.0.1", "port": 1 })]);
        slices.retain(|_, slice| slice.ipv6);
        assert_eq!(merged(&slices), [json!({ "host": "fd00::1", "port": 1 })], "there is no other");
    }
}
