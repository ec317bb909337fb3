//! Meshes on real sockets.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::*;
use crate::{
    error::{Code, Reason},
    record::message::Encoding,
};

const SECRET: &str = "a test's secret of more than 32 bytes";

type Answer = Result<Vec<u8>, CallError>;
type Handler = Box<dyn Fn(&Request<'_>) -> Option<Result<Vec<u8>, Code>> + Send + Sync>;

/// An application: remembers what it is told, and answers requests.
struct App {
    calls: Mutex<HashMap<CallId, oneshot::Sender<Answer>>>,
    mesh: Mutex<Option<Weak>>,
    handler: Handler,
    handled: AtomicUsize,
    aborted: Mutex<Vec<AbortCause>>,
    logs: Mutex<Vec<LogEvent>>,
    opened: Mutex<Vec<Arc<SessionInfo>>>,
    closed: AtomicUsize,
}

type Weak = std::sync::Weak<Mesh>;

impl Events for App {
    fn settled(&self, call: CallId, outcome: Result<Reply<'_>, CallError>) {
        let sender = self.calls.lock().unwrap().remove(&call).expect("each call ends once");
        let _ = sender.send(outcome.map(|reply| reply.payload.bytes.to_vec()));
    }

    fn request(&self, request: Request<'_>) {
        self.handled.fetch_add(1, Ordering::SeqCst);
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
                        retry_after_ms: None,
                        error_id: "e",
                        data,
                    },
                );
            }
        });
    }

    fn aborted(&self, _: RequestId, cause: AbortCause) {
        self.aborted.lock().unwrap().push(cause);
    }

    fn session_opened(&self, session: &Arc<SessionInfo>) {
        self.opened.lock().unwrap().push(Arc::clone(session));
    }

    fn session_closed(&self, _: &SessionInfo) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }

    fn log(&self, event: LogEvent) {
        self.logs.lock().unwrap().push(event);
    }

    fn flush(&self) {}
}

/// A mesh with its application, in a directory of its own unless told otherwise.
struct Node {
    mesh: Arc<Mesh>,
    app: Arc<App>,
    next: AtomicU32,
}

static DIRECTORIES: AtomicU32 = AtomicU32::new(0);

fn directory() -> PathBuf {
    let number = DIRECTORIES.fetch_add(1, Ordering::SeqCst);
    std::env::temp_dir().join(format!("mesh-core-{}-{number}", std::process::id()))
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
        });
        let events: Arc<dyn Events> = Arc::clone(&app) as _;
        let mesh = Arc::new(Mesh::start(MeshConfig::parse(&config, |_| None)?, events).await?);
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
        let id = self.next.fetch_add(1, Ordering::SeqCst);
        let (sender, receiver) = oneshot::channel();
        self.app.calls.lock().unwrap().insert(id, sender);
        let bytes = input.to_vec();
        self.mesh.post(move |io| {
            let spec = CallSpec {
                service: "server",
                method,
                payload: Payload { encoding: Encoding::Raw, bytes: &bytes },
                metadata: b"",
                timeout: Some(Duration::from_millis(timeout_ms)),
                idempotent,
            };
            io.call(id, &spec);
        });
        (id, receiver)
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

#[tokio::test]
async fn calls_are_answered_with_the_verified_identity() {
    let (server, client) = pair().await;
    assert_eq!(client.call("echo", b"\0hello\xff").await.unwrap(), b"\0hello\xff");
    let opened = server.app.opened.lock().unwrap()[0].clone();
    assert_eq!(
        (opened.peer.as_str(), opened.trust_name(), opened.aes_bits),
        ("client", "shared-secret", 256)
    );
    let error = client.call("fail", b"").await.unwrap_err();
    assert_eq!((error.code, &*error.reason, error.remote), (Code::NotFound, "NO", true));
    assert_eq!(error.error_id.as_deref(), Some("e"));
    let stats = client.stats().await;
    assert_eq!(
        (stats.active_sessions, stats.calls_ok, stats.calls_failed, stats.calls_in_flight),
        (1, 1, 1, 0)
    );
}

#[tokio::test]
async fn a_thousand_racing_calls_share_one_handshake() {
    let (server, client) = pair().await;
    let calls: Vec<_> =
        (0..1000u32).map(|n| (n, client.begin("echo", &n.to_be_bytes(), 10_000, false).1)).collect();
    for (n, answer) in calls {
        assert_eq!(answer.await.unwrap().unwrap(), n.to_be_bytes());
    }
    let stats = server.stats().await;
    assert_eq!((stats.handshakes_ok, stats.requests_ok, stats.requests_in_flight), (1, 1000, 0));
    assert_eq!(stats.private_operations, 1);
}

#[tokio::test]
async fn large_messages_pass_up_to_the_limit_either_way() {
    let limits = json!({ "limits": { "maxMessageBytes": 1 << 20 } });
    let grow: Handler = Box::new(|request| match request.method {
        "grow" => Some(Ok(vec![7; (1 << 20) + 1])),
        _ => Some(Ok(request.payload.bytes.to_vec())),
    });
    let server = Node::server(limits.clone(), grow).await;
    let client = Node::client_of(&server, limits).await;
    let full = vec![3; 1 << 20];
    assert_eq!(client.call("echo", &full).await.unwrap(), full);
    let error = client.call("echo", &vec![3; (1 << 20) + 1]).await.unwrap_err();
    assert_eq!((&*error.reason, error.remote), ("TOO_LARGE", false), "refused before it is sent");
    let error = client.call("grow", b"").await.unwrap_err();
    assert_eq!((&*error.reason, error.remote), ("TOO_LARGE", true), "the server tells instead of sending");
    // A server that accepts less than its client sends: the client knows from the handshake.
    let small = Node::server(json!({ "limits": { "maxMessageBytes": 2048 } }), echo()).await;
    let client = Node::client_of(&small, json!({})).await;
    client.call("echo", &[0; 2048]).await.unwrap();
    assert_eq!(client.call("echo", &[0; 2049]).await.unwrap_err().reason, "TOO_LARGE");
    client.call("echo", b"still alive").await.unwrap();
}

#[tokio::test]
async fn deadlines_hold_on_both_sides() {
    let (server, client) = pair().await;
    client.call("echo", b"").await.unwrap();
    let error = client.begin("never", b"", 60, false).1.await.unwrap().unwrap_err();
    assert_eq!((error.code, &*error.reason), (Code::DeadlineExceeded, "DEADLINE"));
    eventually(async || server.stats().await.requests_in_flight == 0).await;
    assert_eq!(server.app.aborted.lock().unwrap()[0], AbortCause::Deadline);
    assert_eq!(client.call("echo", b"next").await.unwrap(), b"next");
}

#[tokio::test]
async fn a_cancelled_call_is_cancelled_there_and_never_told_here() {
    let (server, client) = pair().await;
    client.call("echo", b"").await.unwrap();
    let (id, receiver) = client.begin("never", b"", 5000, false);
    eventually(async || server.app.handled.load(Ordering::SeqCst) == 2).await;
    client.mesh.post(move |io| io.cancel(id));
    eventually(async || server.app.aborted.lock().unwrap().contains(&AbortCause::Cancelled)).await;
    drop(client.app.calls.lock().unwrap().remove(&id));
    assert!(receiver.await.is_err());
    assert_eq!(client.stats().await.calls_in_flight, 0);
}

#[tokio::test]
async fn a_wrong_secret_is_refused_without_a_private_operation() {
    let server = Node::server(json!({}), echo()).await;
    let other = json!({ "security": { "jwtSecret": "another secret of more than 32 bytes!" } });
    let client = Node::client_of(&server, other).await;
    let error = client.call("echo", b"").await.unwrap_err();
    assert_eq!((error.code, &*error.reason), (Code::Unauthenticated, "HANDSHAKE_REFUSED"));
    assert!(error.message.contains("security.jwtSecret"), "{}", error.message);
    assert!(server.logged(Reason::HelloMac));
    let stats = server.stats().await;
    assert_eq!((stats.private_operations, stats.active_sessions, stats.handshakes_failed), (0, 0, 1));
}

#[tokio::test]
async fn a_pinned_service_accepts_only_its_key() {
    let none = json!({ "security": { "jwtSecret": null } });
    let make = async |id: &str, port: Value, services: Value, keys: &PathBuf| {
        let mut options = none.clone();
        merge(&mut options, json!({ "paths": { "keysDir": keys }, "discovery": { "services": services } }));
        if !port.is_null() {
            merge(&mut options, json!({ "port": port }));
        }
        Node::try_start(id, options, echo()).await.unwrap()
    };
    // Keys come first, so that each can pin the other's.
    let (server_keys, client_keys, thief_keys) = (directory(), directory(), directory());
    let pem = async |id: &str, keys: &PathBuf| {
        make(id, Value::Null, json!([]), keys).await.mesh.public_key().to_pem()
    };
    let (server_pem, client_pem) = (pem("server", &server_keys).await, pem("client", &client_keys).await);
    pem("client", &thief_keys).await;

    let entry = |id: &str, port: u16, pem: &str| json!([{ "id": id, "host": "127.0.0.1", "port": port, "publicKey": pem }]);
    let server = make("server", json!(0), entry("client", 1, &client_pem), &server_keys).await;
    let port = server.mesh.address().unwrap().port();

    let client = make("client", Value::Null, entry("server", port, &server_pem), &client_keys).await;
    assert_eq!(client.call("echo", b"pinned").await.unwrap(), b"pinned");
    assert_eq!(client.app.opened.lock().unwrap()[0].trust_name(), "pinned");

    let thief = make("client", Value::Null, entry("server", port, &server_pem), &thief_keys).await;
    assert_eq!(thief.reason("echo").await, "HANDSHAKE_REFUSED");
    assert!(server.logged(Reason::KeyMismatch));
    let stranger = make("stranger", Value::Null, entry("server", port, &server_pem), &directory()).await;
    let told = stranger.call("echo", b"").await.unwrap_err();
    assert_eq!(
        (told.reason, told.code),
        (thief.call("echo", b"").await.unwrap_err().reason, Code::Unauthenticated)
    );
    assert!(server.logged(Reason::UnknownPeer));
    assert_eq!(server.stats().await.private_operations, 1, "for the one true client");

    let mistaken = make("client", Value::Null, entry("server", port, &client_pem), &client_keys).await;
    assert_eq!(mistaken.reason("echo").await, "KEY_MISMATCH");
}

#[tokio::test]
async fn a_peer_that_changes_its_key_is_refused_until_the_old_one_is_removed() {
    let keys = directory();
    let server = Node::server(json!({ "paths": { "keysDir": keys } }), echo()).await;
    Node::client_of(&server, json!({})).await.call("echo", b"").await.unwrap();
    let changed = Node::client_of(&server, json!({})).await; // a new directory, so a new key
    assert_eq!(changed.reason("echo").await, "HANDSHAKE_REFUSED");
    assert!(server.logged(Reason::PeerKeyChanged));
    let hint = server.app.logs.lock().unwrap().iter().find_map(|event| {
        let start = event.message.find("rm '")? + 4;
        Some(event.message[start..].split('\'').next()?.to_owned())
    });
    let path = hint.expect("the log says what to remove");
    assert!(std::path::Path::new(&path).starts_with(&keys));
    std::fs::remove_file(&path).unwrap();
    server.mesh.close(Duration::ZERO).await;
    let server = Node::server(json!({ "paths": { "keysDir": keys } }), echo()).await;
    let options = json!({ "paths": { "keysDir": directory() } });
    Node::client_of(&server, options).await.call("echo", b"").await.unwrap();
    let lenient = json!({ "security": { "peerKeys": "ignore" } });
    let server = Node::server(lenient.clone(), echo()).await;
    for _ in 0..2 {
        Node::client_of(&server, lenient.clone()).await.call("echo", b"").await.unwrap();
    }
}

#[tokio::test]
async fn a_lost_server_ends_each_call_once_and_a_new_one_is_found() {
    let (server, client) = pair().await;
    client.call("echo", b"").await.unwrap();
    let port = server.mesh.address().unwrap().port();
    let pending: Vec<_> = (0..10).map(|_| client.begin("never", b"", 5000, false).1).collect();
    eventually(async || server.app.handled.load(Ordering::SeqCst) == 11).await;
    drop(server); // as a crash: no goodbye
    for answer in pending {
        let error = answer.await.unwrap().unwrap_err();
        assert_eq!((error.code, &*error.reason), (Code::Unavailable, "SESSION_LOST"));
        assert!(!error.retryable, "it may have run");
    }
    let error = client.call("echo", b"").await.unwrap_err();
    assert_eq!((&*error.reason, error.retryable), ("CONNECT_FAILED", true));
    // The same service again, with the key it had, would be recognised; this
    // one has another, so the client is told to make up its mind.
    let reborn = Node::server(json!({ "port": port }), echo()).await;
    assert_eq!(client.reason("echo").await, "PEER_KEY_CHANGED");
    drop(reborn);
}

#[tokio::test]
async fn a_restarted_server_is_reconnected_to() {
    let keys = directory();
    let server = Node::server(json!({ "paths": { "keysDir": keys } }), echo()).await;
    let client = Node::client_of(&server, json!({})).await;
    client.call("echo", b"").await.unwrap();
    let port = server.mesh.address().unwrap().port();
    server.mesh.close(Duration::from_secs(1)).await;
    drop(server);
    eventually(async || client.stats().await.active_sessions == 0).await;
    let _server = Node::server(json!({ "paths": { "keysDir": keys }, "port": port }), echo()).await;
    assert_eq!(client.call("echo", b"again").await.unwrap(), b"again");
}

#[tokio::test]
async fn closing_answers_what_is_under_way_and_refuses_the_rest() {
    let slow: Handler = Box::new(|request| {
        thread::sleep(Duration::from_millis(30));
        Some(Ok(request.payload.bytes.to_vec()))
    });
    let server = Node::server(json!({}), slow).await;
    let client = Node::client_of(&server, json!({})).await;
    client.call("echo", b"").await.unwrap();
    let under_way = client.begin("echo", b"under way", 5000, false).1;
    eventually(async || server.app.handled.load(Ordering::SeqCst) == 2).await;
    server.mesh.close(Duration::from_secs(2)).await;
    assert_eq!(under_way.await.unwrap().unwrap(), b"under way");
    assert!(client.call("echo", b"").await.is_err());
    assert!(server.mesh.stats().await.is_none());
    server.mesh.close(Duration::from_secs(2)).await; // twice is fine
}

#[tokio::test]
async fn closing_a_client_ends_its_calls() {
    let (_server, client) = pair().await;
    client.call("echo", b"").await.unwrap();
    let pending = client.begin("never", b"", 5000, false).1;
    client.mesh.close(Duration::ZERO).await;
    assert_eq!(pending.await.unwrap().unwrap_err().reason, "CLOSED");
}

#[tokio::test]
async fn idle_sessions_are_replaced_without_a_lost_call() {
    let short = json!({ "security": { "sessionTimeout": 1000 } });
    let server = Node::server(short, echo()).await;
    let client = Node::client_of(&server, json!({})).await;
    for _ in 0..3 {
        client.call("echo", b"").await.unwrap();
        eventually(async || server.stats().await.active_sessions == 0).await;
    }
    assert_eq!(server.stats().await.handshakes_ok, 3);
}

#[tokio::test]
async fn calls_beyond_the_limits_are_refused_with_a_hint() {
    let server = Node::server(json!({ "limits": { "maxConcurrentCalls": 4 } }), echo()).await;
    let client = Node::client_of(&server, json!({})).await;
    client.call("echo", b"").await.unwrap();
    let held: Vec<_> = (0..4).map(|_| client.begin("never", b"", 5000, false)).collect();
    let error = client.call("echo", b"").await.unwrap_err();
    assert_eq!((error.code, &*error.reason, error.retryable), (Code::ResourceExhausted, "CALL_LIMIT", true));
    assert!(error.retry_after.is_some());
    let id = held[0].0;
    client.mesh.post(move |io| io.cancel(id));
    client.call("echo", b"").await.unwrap();
}

#[tokio::test]
async fn sessions_beyond_the_limits_are_refused_before_the_private_operation() {
    let server = Node::server(json!({ "limits": { "maxSessionsPerPeer": 1 } }), echo()).await;
    let keys = directory();
    let options = json!({ "paths": { "keysDir": keys } });
    let first = Node::client_of(&server, options.clone()).await;
    first.call("echo", b"").await.unwrap();
    let second = Node::client_of(&server, options).await;
    let error = second.call("echo", b"").await.unwrap_err();
    assert_eq!((error.code, &*error.reason, error.retryable), (Code::ResourceExhausted, "BUSY", true));
    assert_eq!(server.stats().await.private_operations, 1);
    first.call("echo", b"untouched").await.unwrap();
}

#[tokio::test]
async fn several_instances_share_the_calls_and_stand_in_for_each_other() {
    let keys = directory();
    let options = || json!({ "paths": { "keysDir": keys } });
    let a = Node::server(options(), echo()).await;
    let b = Node::server(options(), echo()).await;
    let at = |node: &Node| json!({ "id": "server", "host": "127.0.0.1", "port": node.mesh.address().unwrap().port() });
    let services = json!({ "discovery": { "services": [at(&a), at(&b)] } });
    let client = Node::try_start("client", services, echo()).await.unwrap();
    for _ in 0..10 {
        client.call("echo", b"").await.unwrap();
    }
    assert_eq!(a.app.handled.load(Ordering::SeqCst), 5);
    assert_eq!(b.app.handled.load(Ordering::SeqCst), 5);
    a.mesh.close(Duration::from_secs(1)).await;
    drop(a);
    for _ in 0..6 {
        client.call("echo", b"").await.unwrap();
    }
    assert_eq!(b.app.handled.load(Ordering::SeqCst), 11);
}

#[tokio::test]
async fn a_job_that_panics_does_not_take_the_mesh_down() {
    let (server, client) = pair().await;
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    client.mesh.post(|_| panic!("injected"));
    assert_eq!(client.call("echo", b"alive").await.unwrap(), b"alive");
    std::panic::set_hook(hook);
    drop(server);
}

#[tokio::test]
async fn an_occupied_port_is_told_and_nothing_is_written() {
    let server = Node::server(json!({}), echo()).await;
    let keys = directory();
    let options = json!({ "port": server.mesh.address().unwrap().port(), "paths": { "keysDir": keys } });
    let error = Node::try_start("other", options, echo()).await.err().unwrap();
    assert_eq!(crate::error::Coded::reason(&error), Reason::Listen);
    assert!(!keys.exists());
}

#[tokio::test]
async fn unknown_services_and_own_id_are_told_at_once() {
    let (_server, client) = pair().await;
    let lost = Node::client_at(1, json!({ "discovery": { "services": [] } })).await;
    assert_eq!(lost.reason("echo").await, "UNKNOWN_SERVICE");
    assert_eq!(client.reason("bad name").await, "ARGUMENT");
}
