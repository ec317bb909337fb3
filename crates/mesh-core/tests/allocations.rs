//! How often the way of a call asks for memory. Counts, unlike times, are the
//! same on a busy machine, so they can have bounds: a bound is what is needed
//! now and little more, to be lowered with it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail")]
#![expect(clippy::cast_precision_loss, reason = "the counts are small")]

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::BytesMut;
use mesh_core::{
    auth::{CachedVerifier, TokenIssuer, TokenType, TokenVerifier},
    clock::Timestamp,
    config::MeshConfig,
    crypto::{aead::AesKeySize, secret::Secret},
    id::{ServiceId, SessionId},
    mesh::{
        AbortCause, CallError, CallId, CallSpec, Chain, Events, LogEvent, Mesh, Reply, Request, RequestId,
        SessionInfo, StreamId,
    },
    record::{
        Opened, Opener, Sealer,
        message::{CallKind, Encoded, Encoding, Message, Messages, Payload, RequestFields},
    },
    telemetry::{Begun, Direction, FlowKind, Metrics, Recorder},
};
use serde_json::{Value, json};
use tokio::sync::Notify;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const TIMES: u32 = 1000;

/// Where tests share a process they take turns: all of its threads are counted.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Blocks of memory asked for by each of many runs, after a few to warm up.
fn blocks(mut work: impl FnMut()) -> f64 {
    (0..10).for_each(|_| work());
    let _profiler = dhat::Profiler::builder().testing().build();
    (0..TIMES).for_each(|_| work());
    dhat::HeapStats::get().total_blocks as f64 / f64::from(TIMES)
}

#[test]
fn a_call_whose_method_is_known_is_recorded_without_memory() {
    let _alone = alone();
    let recorder = Recorder::new("me", "1.0.0", NOW, true);
    let metadata = br#"{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#;
    let call = Begun {
        direction: Direction::Out,
        peer: "orders",
        method: "get",
        kind: FlowKind::Unary,
        metadata,
        trust: "",
        attempt: 1,
    };
    let time = Duration::from_millis(3);
    let record = || {
        let watched = recorder.begin(call, time).watched.unwrap();
        recorder.end(watched, None, 2 * time);
    };
    assert_at_most(0.0, blocks(record));
}

#[track_caller]
fn assert_at_most(bound: f64, found: f64) {
    // The test harness may take a block or two of its own.
    assert!(found <= bound + 0.05, "{found} blocks each, the bound is {bound}");
}

fn payload(bytes: &[u8]) -> Payload<'_> {
    Payload { encoding: Encoding::Json, bytes }
}

#[allow(clippy::disallowed_methods)]
fn instant() -> Instant {
    Instant::now()
}

fn request(text: &[u8]) -> Encoded {
    let fields = RequestFields::FIRST;
    Encoded::request("orders.get", Some(instant() + Duration::from_secs(10)), fields, payload(text)).unwrap()
}

#[test]
fn the_count_sees_what_is_there() {
    let _alone = alone();
    let found = blocks(|| drop(std::hint::black_box(Box::new(7))));
    assert!((0.99..1.05).contains(&found), "{found}");
}

#[test]
fn sealing_and_opening_a_record_take_no_memory() {
    let _alone = alone();
    let text = [7; 1024];
    let mut sealer = Sealer::new(Secret::new([7; 32]), AesKeySize::Aes256, NOW).unwrap();
    let mut opener = Opener::new(Secret::new([7; 32]), AesKeySize::Aes256, 4096, NOW).unwrap();
    let mut out = BytesMut::with_capacity(8192);
    let found = blocks(|| {
        out.clear();
        sealer.seal(&mut out, |out| out.extend_from_slice(&text)).unwrap();
        let content = opener.open(&mut &mut out[..], NOW).unwrap();
        assert!(matches!(content, Opened::Messages(text) if text.len() == 1024));
    });
    assert_at_most(0.0, found);
}

#[test]
fn a_request_is_encoded_in_two_blocks_and_read_in_none() {
    let _alone = alone();
    let text = [b'1'; 1024];
    // The body, and what shares it.
    assert_at_most(2.0, blocks(|| drop(request(&text))));

    let mut record = BytesMut::with_capacity(8192);
    request(&text).put(&mut record, "a token", instant());
    let found = blocks(|| {
        let message = Messages::new(&record).next().unwrap().unwrap();
        assert!(matches!(message, Message::Request { payload, .. } if payload.bytes.len() == 1024));
    });
    assert_at_most(0.0, found);
}

#[test]
fn a_token_seen_before_is_made_and_checked_without_memory() {
    let _alone = alone();
    let (client, server) = ("client".parse().unwrap(), "server".parse().unwrap());
    let session = SessionId::from_bytes([3; 16]);
    let (key, hour) = ([7; 32], Duration::from_hours(1));
    let mut issuer = TokenIssuer::new(&key, TokenType::Request, &client, &server, &session, "jkt", hour);
    let verifier = TokenVerifier::new(&key, TokenType::Request, &client, &server, &session, "jkt", hour);
    let mut verifier = CachedVerifier::new(verifier);
    let found = blocks(|| {
        let token = issuer.current(NOW).unwrap();
        verifier.check(token.as_bytes(), NOW).unwrap();
    });
    assert_at_most(0.0, found);
}

/// An application that asks for as little memory as it can: it answers what it
/// is asked with what it is asked, and counts its own calls.
#[derive(Default)]
struct Echo {
    mesh: Mutex<Weak<Mesh>>,
    requests: Mutex<Vec<RequestId>>,
    settled: AtomicUsize,
    all: Notify,
}

const BATCH: usize = 32;
static TEXT: [u8; 1024] = [b'1'; 1024];

impl Events for Echo {
    fn settled(&self, _: CallId, outcome: Result<Reply<'_>, CallError>) {
        assert_eq!(outcome.unwrap().payload.bytes.len(), TEXT.len());
        if (self.settled.fetch_add(1, Ordering::SeqCst) + 1).is_multiple_of(BATCH) {
            self.all.notify_one();
        }
    }

    fn request(&self, request: Request<'_>) {
        self.requests.lock().unwrap().push(request.id);
    }

    fn delay(&self) -> Duration {
        Duration::ZERO
    }

    fn flush(&self) {
        if self.requests.lock().unwrap().is_empty() {
            return;
        }
        let Some(mesh) = self.mesh.lock().unwrap().upgrade() else { return };
        let requests = std::mem::take(&mut *self.requests.lock().unwrap());
        mesh.post(move |io| requests.iter().for_each(|id| io.respond(*id, b"", payload(&TEXT))));
    }

    fn item(&self, _: StreamId, _: Payload<'_>) {}
    fn input_ended(&self, _: RequestId) {}
    fn sent(&self, _: StreamId, _: usize) {}
    fn aborted(&self, _: RequestId, _: AbortCause) {}
    fn session_opened(&self, _: &Arc<SessionInfo>) {}
    fn session_closed(&self, _: &SessionInfo) {}
    fn log(&self, _: LogEvent) {}

    fn wanted(&self, _: &ServiceId) {}

    fn metrics(&self) -> Option<Arc<Mutex<Metrics>>> {
        None
    }

    fn backlog(&self) -> usize {
        0
    }
}

async fn start(mut config: Value) -> (Arc<Mesh>, Arc<Echo>) {
    let keys = std::env::temp_dir().join(format!("mesh-core-allocations-{}", std::process::id()));
    config["security"] = json!({ "rsaKeySize": 2048, "jwtSecret": "a test's secret of more than 32 bytes" });
    config["paths"] = json!({ "keysDir": keys });
    let app = Arc::new(Echo::default());
    let events: Arc<dyn Events> = Arc::clone(&app) as _;
    let config = MeshConfig::parse(&config, |_| None).unwrap();
    let mesh = Arc::new(Mesh::start(config, events).await.unwrap());
    *app.mesh.lock().unwrap() = Arc::downgrade(&mesh);
    (mesh, app)
}

/// Calls, so many at once, until each has been answered.
async fn batch(mesh: &Mesh, app: &Echo) {
    mesh.post(|io| {
        let spec = CallSpec {
            service: "server",
            method: "orders.get",
            kind: CallKind::Unary,
            payload: payload(&TEXT),
            metadata: b"",
            timeout: None,
            idempotent: false,
            sticky: None,
            hedge: None,
            priority: None,
            chain: Chain::FIRST,
        };
        (0..BATCH as CallId).for_each(|id| io.call(id, &spec));
    });
    app.all.notified().await;
}

/// Everything of both sides: the queues, the records, HTTP/2 and the sockets.
#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "nothing else waits for it on this thread")]
async fn a_call_from_core_to_core_takes_few_blocks() {
    let _alone = alone();
    let (server, _echo) = start(json!({ "serviceId": "server", "port": 0 })).await;
    let port = server.address().unwrap().port();
    let services = json!([{ "id": "server", "host": "127.0.0.1", "port": port }]);
    let (client, app) = start(json!({ "serviceId": "client", "discovery": { "services": services } })).await;
    for _ in 0..20 {
        batch(&client, &app).await;
    }
    let profiler = dhat::Profiler::builder().testing().build();
    let batches = 50;
    for _ in 0..batches {
        batch(&client, &app).await;
    }
    let found = dhat::HeapStats::get().total_blocks as f64 / f64::from(batches) / BATCH as f64;
    drop(profiler);
    client.close(Duration::ZERO).await;
    server.close(Duration::ZERO).await;
    // How messages fall into records depends on the moment, so it is not quite a whole number.
    assert_at_most(6.0, found);
}
