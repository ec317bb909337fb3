//! The harness, and the tests by subject. Meshes use real sockets unless a test is about other
//! networks.

mod arrivals;
mod authorization;
mod backpressure;
mod balancing;
mod budgets;
mod calls;
mod certificate_files;
mod certificates;
mod clocks;
mod enrolment;
mod faults;
mod given_keys;
mod goaway;
mod hostile;
mod lifecycle;
mod memory;
mod migration;
mod networks;
mod newcomers;
mod quotas;
mod raw_server;
mod reconnect;
mod refusals;
mod replays;
mod resilience;
mod resumption;
mod rotation;
mod seats;
mod shedding;
mod shortages;
mod simulation;
mod slow_dials;
mod slow_readers;
mod spares;
mod strangers;
mod streams;
mod teardown;
mod tls;
mod trust;
mod wrong_port;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{core::Core, *};
use crate::{
    error::{Code, Reason},
    record::message::{CallKind, Encoding, Failure, Payload, Priority},
    telemetry::Metrics,
};

const SECRET: &str = "a test's secret of more than 32 bytes";

type Answer = Result<Vec<u8>, CallError>;
type Handler = Box<dyn Fn(&Request<'_>) -> Option<Result<Vec<u8>, Code>> + Send + Sync>;

/// An application, which records its events and answers requests.
struct App {
    calls: Mutex<HashMap<CallId, oneshot::Sender<Answer>>>,
    mesh: Mutex<Option<Weak>>,
    handler: Handler,
    handled: AtomicUsize,
    aborted: Mutex<Vec<AbortCause>>,
    logs: Mutex<Vec<LogEvent>>,
    opened: Mutex<Vec<Arc<SessionInfo>>>,
    closed: AtomicUsize,
    wanted: Mutex<Vec<String>>,
    backlog: AtomicUsize,
    delay: Mutex<Duration>,
    stubborn: AtomicBool,
    items: Mutex<HashMap<StreamId, Vec<Vec<u8>>>>,
    sent: AtomicUsize,
    sent_of: Mutex<HashMap<StreamId, usize>>,
    /// Whether it leaves items unconsumed.
    hoarding: AtomicBool,
    /// The event at which it panics.
    fault: Mutex<&'static str>,
    /// The number of items of each stream that it consumes.
    appetite: AtomicUsize,
    metrics: Arc<Mutex<Metrics>>,
}

type Weak = std::sync::Weak<Mesh>;

impl Events for App {
    fn settled(&self, call: CallId, outcome: Result<Reply<'_>, CallError>) {
        let sender = self.calls.lock().unwrap().remove(&call).expect("each call ends once");
        let _ = sender.send(outcome.map(|reply| reply.payload.bytes.to_vec()));
    }

    fn request(&self, request: Request<'_>) {
        self.handled.fetch_add(1, Ordering::SeqCst);
        self.meets("request");
        let Some(answer) = (self.handler)(&request) else { return };
        let mesh = self.mesh.lock().unwrap().clone().and_then(|mesh| mesh.upgrade());
        let (id, mesh) = (request.id, mesh.expect("running"));
        mesh.post(move |io| match answer {
            Ok(bytes) => io.respond(id, b"", Payload { encoding: Encoding::Raw, bytes: &bytes }),
            Err(code) => {
                let data = Payload::EMPTY;
                let text = ("NO", "no");
                io.fail(
                    id,
                    &Failure {
                        code,
                        reason: text.0,
                        message: text.1,
                        retryable: code == Code::Aborted,
                        retry_after_ms: None,
                        error_id: "e",
                        data,
                    },
                );
            }
        });
    }

    fn item(&self, stream: StreamId, payload: Payload<'_>) {
        let number = {
            let mut items = self.items.lock().unwrap();
            let items = items.entry(stream).or_default();
            items.push(payload.bytes.to_vec());
            items.len()
        };
        let hungry = number <= self.appetite.load(Ordering::SeqCst);
        if hungry && !self.hoarding.load(Ordering::SeqCst) {
            let cost = payload.bytes.len() + crate::record::ITEM_COST;
            self.post(move |io| io.consumed(stream, cost));
        }
    }

    fn input_ended(&self, id: RequestId) {
        let items = self.items_of(StreamId::Request(id)).concat();
        self.post(move |io| io.respond(id, b"", Payload { encoding: Encoding::Raw, bytes: &items }));
    }

    fn sent(&self, stream: StreamId, cost: usize) {
        self.sent.fetch_add(cost, Ordering::SeqCst);
        *self.sent_of.lock().unwrap().entry(stream).or_default() += cost;
    }

    fn aborted(&self, id: RequestId, cause: AbortCause) {
        self.meets("aborted");
        self.aborted.lock().unwrap().push(cause);
        // The handler stops and reports its end, unless it is stubborn.
        let mesh = self.mesh.lock().unwrap().clone().and_then(|mesh| mesh.upgrade());
        if let Some(mesh) = mesh
            && !self.stubborn.load(Ordering::SeqCst)
        {
            mesh.post(move |io| io.respond(id, b"", Payload::EMPTY));
        }
    }

    fn session_opened(&self, session: &Arc<SessionInfo>) {
        self.opened.lock().unwrap().push(Arc::clone(session));
        self.meets("session_opened");
    }

    fn session_closed(&self, _: &SessionInfo) {
        self.closed.fetch_add(1, Ordering::SeqCst);
        self.meets("session_closed");
    }

    fn wanted(&self, service: &ServiceId) {
        self.wanted.lock().unwrap().push(service.to_string());
    }

    fn log(&self, event: LogEvent) {
        let name = event.event;
        self.logs.lock().unwrap().push(event);
        self.meets(name);
    }

    fn flush(&self) {}

    fn metrics(&self) -> Option<Arc<Mutex<Metrics>>> {
        Some(Arc::clone(&self.metrics))
    }

    fn backlog(&self) -> usize {
        self.backlog.load(Ordering::SeqCst)
    }

    fn delay(&self) -> Duration {
        *self.delay.lock().unwrap()
    }
}

impl App {
    fn post(&self, job: impl FnOnce(&Io) + Send + 'static) {
        if let Some(mesh) = self.mesh.lock().unwrap().clone().and_then(|mesh| mesh.upgrade()) {
            mesh.post(job);
        }
    }

    fn meets(&self, what: &str) {
        let fault = *self.fault.lock().unwrap();
        assert!(fault != what, "injected: {what}");
    }

    fn items_of(&self, stream: StreamId) -> Vec<Vec<u8>> {
        self.items.lock().unwrap().get(&stream).cloned().unwrap_or_default()
    }
}

/// A mesh with its application, by default with its own key directory.
struct Node {
    mesh: Arc<Mesh>,
    app: Arc<App>,
    next: AtomicU32,
}

static DIRECTORIES: AtomicU32 = AtomicU32::new(0);

fn directory() -> PathBuf {
    let number = DIRECTORIES.fetch_add(1, Ordering::SeqCst);
    // The time is part of the name, because process ids repeat and directories remain.
    let now = crate::clock::Timestamp::now().as_millis();
    std::env::temp_dir().join(format!("mesh-core-{}-{now}-{number}", std::process::id()))
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

impl Node {
    async fn try_start(id: &str, options: Value, handler: Handler) -> Result<Self, Error> {
        Self::try_start_on(Platform::system(), id, options, handler).await
    }

    async fn try_start_on(
        platform: Platform,
        id: &str,
        options: Value,
        handler: Handler,
    ) -> Result<Self, Error> {
        let mut config = json!({
            "serviceId": id,
            "host": "127.0.0.1",
            "security": { "rsaKeySize": 2048, "jwtSecret": SECRET },
            "paths": { "keysDir": directory() },
        });
        merge(&mut config, options);
        if config["security"]["jwtSecret"].is_null() {
            config["security"].as_object_mut().unwrap().remove("jwtSecret");
        }
        let app = Arc::new(App {
            calls: Mutex::default(),
            mesh: Mutex::default(),
            handler,
            handled: AtomicUsize::new(0),
            aborted: Mutex::default(),
            logs: Mutex::default(),
            opened: Mutex::default(),
            closed: AtomicUsize::new(0),
            wanted: Mutex::default(),
            backlog: AtomicUsize::new(0),
            delay: Mutex::default(),
            stubborn: AtomicBool::new(false),
            items: Mutex::default(),
            sent: AtomicUsize::new(0),
            sent_of: Mutex::default(),
            hoarding: AtomicBool::new(false),
            fault: Mutex::default(),
            appetite: AtomicUsize::new(usize::MAX),
            metrics: Arc::default(),
        });
        let events: Arc<dyn Events> = Arc::clone(&app) as _;
        let network = config.as_object_mut().unwrap().remove("network");
        let mut config = MeshConfig::parse(&config, |_| None)?;
        if let Some(Value::String(network)) = network {
            config = config.on_network(&network);
        }
        let mesh = Arc::new(Mesh::start_on(platform, config, events).await?);
        *app.mesh.lock().unwrap() = Some(Arc::downgrade(&mesh));
        Ok(Self { mesh, app, next: AtomicU32::new(1) })
    }

    async fn server(options: Value, handler: Handler) -> Self {
        let mut config = json!({ "port": 0 });
        merge(&mut config, options);
        Self::try_start("server", config, handler).await.unwrap()
    }

    async fn client_of(server: &Self, options: Value) -> Self {
        Self::client_at(server.mesh.address().unwrap().port(), options).await
    }

    async fn client_at(port: u16, options: Value) -> Self {
        let mut config =
            json!({ "discovery": { "services": [{ "id": "server", "host": "127.0.0.1", "port": port }] } });
        merge(&mut config, options);
        Self::try_start("client", config, echo()).await.unwrap()
    }

    fn begin(
        &self,
        method: &'static str,
        input: &[u8],
        timeout_ms: u64,
        idempotent: bool,
    ) -> (CallId, oneshot::Receiver<Answer>) {
        self.begin_kind(CallKind::Unary, method, input, Some(timeout_ms), idempotent)
    }

    fn begin_kind(
        &self,
        kind: CallKind,
        method: &'static str,
        input: &[u8],
        timeout_ms: Option<u64>,
        idempotent: bool,
    ) -> (CallId, oneshot::Receiver<Answer>) {
        self.begin_at("server", kind, method, input, timeout_ms, idempotent)
    }

    fn begin_at(
        &self,
        service: &'static str,
        kind: CallKind,
        method: &'static str,
        input: &[u8],
        timeout_ms: Option<u64>,
        idempotent: bool,
    ) -> (CallId, oneshot::Receiver<Answer>) {
        let id = self.next.fetch_add(1, Ordering::SeqCst);
        let (sender, receiver) = oneshot::channel();
        self.app.calls.lock().unwrap().insert(id, sender);
        let bytes = input.to_vec();
        self.mesh.post(move |io| {
            let spec = CallSpec {
                chain: Chain::FIRST,
                service,
                method,
                kind,
                payload: if kind.streams_input() {
                    Payload::EMPTY
                } else {
                    Payload { encoding: Encoding::Raw, bytes: &bytes }
                },
                metadata: b"",
                timeout: timeout_ms.map(Duration::from_millis),
                idempotent,
                sticky: None,
                hedge: None,
                priority: None,
            };
            io.call(id, &spec);
        });
        (id, receiver)
    }

    /// A call with a priority.
    fn begin_class(
        &self,
        priority: Priority,
        method: &'static str,
        timeout_ms: u64,
    ) -> oneshot::Receiver<Answer> {
        let timeout = Some(Duration::from_millis(timeout_ms));
        self.begin_with(move |spec| CallSpec { method, timeout, priority: Some(priority), ..spec })
    }

    /// A call with a `sticky` string.
    fn begin_sticky(&self, sticky: &'static str) -> oneshot::Receiver<Answer> {
        self.begin_with(move |spec| CallSpec { sticky: Some(sticky), ..spec })
    }

    /// A call of `echo`, but for the changes that are given.
    fn begin_with(
        &self,
        change: impl FnOnce(CallSpec<'static>) -> CallSpec<'static> + Send + 'static,
    ) -> oneshot::Receiver<Answer> {
        let id = self.next.fetch_add(1, Ordering::SeqCst);
        let (sender, receiver) = oneshot::channel();
        self.app.calls.lock().unwrap().insert(id, sender);
        let plain = CallSpec {
            chain: Chain::FIRST,
            service: "server",
            method: "echo",
            kind: CallKind::Unary,
            payload: Payload::EMPTY,
            metadata: b"",
            timeout: None,
            idempotent: false,
            sticky: None,
            hedge: None,
            priority: None,
        };
        self.mesh.post(move |io| io.call(id, &change(plain)));
        receiver
    }

    async fn call(&self, method: &'static str, input: &[u8]) -> Answer {
        self.begin(method, input, 5000, false).1.await.unwrap()
    }

    async fn reason(&self, method: &'static str) -> String {
        self.call(method, b"x").await.unwrap_err().reason.into_owned()
    }

    fn logged(&self, reason: Reason) -> bool {
        let logs = self.app.logs.lock().unwrap();
        logs.iter().any(|event| event.fields.contains(&("reason", reason.to_string())))
    }

    async fn stats(&self) -> Stats {
        self.mesh.stats().await.unwrap()
    }

    async fn core(&self) -> Arc<Core> {
        let (sender, receiver) = oneshot::channel();
        self.mesh.post(|io| assert!(sender.send(Arc::clone(&io.0)).is_ok()));
        receiver.await.unwrap()
    }
}

fn echo() -> Handler {
    Box::new(|request| match request.method {
        "echo" => Some(Ok(request.payload.bytes.to_vec())),
        "fail" => Some(Err(Code::NotFound)),
        _ => None, // never answers
    })
}

async fn pair() -> (Node, Node) {
    let server = Node::server(json!({}), echo()).await;
    let client = Node::client_of(&server, json!({})).await;
    (server, client)
}

async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if condition().await {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("never happened");
}
