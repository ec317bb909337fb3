//! The application of an honest node. It makes calls, answers requests, and
//! records each in the ledger. It observes the contract of the mesh: it waits
//! for items to be sent, consumes received ones, and reports the end of
//! abandoned handlers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::ledger::{Ledger, Method, Uid};
use crate::{
    error::Code,
    id::ServiceId,
    mesh::{
        AbortCause, CallError, CallId, CallSpec, Chain, Events, Io, LogEvent, Mesh, Reply, Request,
        RequestId, SessionInfo, StreamId, sync::lock,
    },
    record::{
        ITEM_COST,
        message::{CallKind, Encoding, Failure, Payload},
    },
    telemetry::Metrics,
};

/// The bytes of one stream that this application leaves unsent.
const AHEAD: usize = 64 * 1024;
const FLOOD_ITEM: usize = 16 * 1024;
/// The most bytes of streams that a mesh may hold for peers that do not read.
const MOST_HELD: u64 = 24 << 20;

/// Items on their way out.
#[derive(Debug)]
struct Source {
    uid: Uid,
    size: usize,
    next: u32,
    end: u32,
    /// Handed over and not yet sent.
    ahead: usize,
    /// The total payload that the mesh has taken.
    taken: u64,
    /// The bytes that the node had sent before.
    carried_before: u64,
}

/// A request that is being answered.
#[derive(Debug)]
struct Serving {
    uid: Uid,
    method: Method,
    inputs: u32,
}

/// A call to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) uid: Uid,
    pub(super) service: &'static str,
    pub(super) method: Method,
    pub(super) idempotent: bool,
    pub(super) timeout_ms: u64,
    /// Items of an input stream, and the size of each.
    pub(super) items: u32,
    pub(super) size: usize,
}

pub(super) struct App {
    pub(super) name: &'static str,
    service: &'static str,
    ledger: Arc<Ledger>,
    /// The bytes that have left the node.
    carried: Arc<AtomicU64>,
    mesh: Mutex<Weak<Mesh>>,
    serving: Mutex<BTreeMap<RequestId, Serving>>,
    calls: Mutex<BTreeMap<CallId, Method>>,
    sources: Mutex<BTreeMap<StreamIdKey, Source>>,
}

/// A stream, as a key with an order.
type StreamIdKey = (bool, u32);

fn key(stream: StreamId) -> StreamIdKey {
    match stream {
        StreamId::Call(id) => (false, id),
        StreamId::Request(id) => (true, id),
    }
}

fn raw(bytes: &[u8]) -> Payload<'_> {
    Payload { encoding: Encoding::Raw, bytes }
}

/// The metadata by which a handler identifies its call.
pub(super) fn metadata(uid: Uid, from: &str) -> Vec<u8> {
    json!({ "uid": uid.to_string(), "from": from }).to_string().into_bytes()
}

impl App {
    pub(super) fn new(
        name: &'static str,
        service: &'static str,
        ledger: Arc<Ledger>,
        carried: Arc<AtomicU64>,
    ) -> Self {
        Self {
            name,
            service,
            ledger,
            carried,
            mesh: Mutex::default(),
            serving: Mutex::default(),
            calls: Mutex::default(),
            sources: Mutex::default(),
        }
    }

    /// Starts the process again, with `mesh`.
    pub(super) fn attach(&self, mesh: &Arc<Mesh>) {
        *lock(&self.mesh) = Arc::downgrade(mesh);
    }

    /// Whether no requests and streams are left.
    pub(super) fn is_idle(&self) -> bool {
        lock(&self.serving).is_empty() && lock(&self.calls).is_empty() && lock(&self.sources).is_empty()
    }

    /// Forgets everything, because the process is gone.
    pub(super) fn forget(&self) {
        lock(&self.serving).clear();
        lock(&self.calls).clear();
        lock(&self.sources).clear();
    }

    /// Reports a mesh that holds too much of a stream that nobody reads: more
    /// bytes than it may hold have been taken and not sent.
    fn check_floods(&self) {
        let mut sources = lock(&self.sources);
        let floods = || sources.values().filter(|source| source.end == u32::MAX);
        let taken: u64 = floods().map(|source| source.taken).sum();
        let Some(before) = floods().map(|source| source.carried_before).min() else { return };
        let held = taken.saturating_sub(self.carried.load(Ordering::Relaxed) - before);
        if held > MOST_HELD {
            sources.retain(|_, source| source.end != u32::MAX);
            drop(sources);
            self.ledger.violated(format!("{} holds {held} bytes for a peer that does not read", self.name));
        }
    }

    fn post(&self, job: impl FnOnce(&Io) + Send + 'static) {
        let mesh = lock(&self.mesh).upgrade();
        if let Some(mesh) = mesh {
            mesh.post(job);
        }
    }

    /// Makes a call.
    pub(super) fn call(self: &Arc<Self>, order: Order) {
        let Order { uid, service, method, idempotent, timeout_ms, items, size } = order;
        let kind = match method {
            Method::Items | Method::Flood => CallKind::ServerStream,
            Method::Collect => CallKind::ClientStream,
            Method::Chat => CallKind::BidiStream,
            _ => CallKind::Unary,
        };
        lock(&self.calls).insert(uid, method);
        if kind.streams_input() {
            self.begin_source(StreamId::Call(uid), uid, items, size);
        }
        let app = Arc::clone(self);
        self.post(move |io| {
            let input = uid.to_string().into_bytes();
            let metadata = metadata(uid, app.service);
            let spec = CallSpec {
                service,
                method: method.name(),
                kind,
                payload: if kind.streams_input() { Payload::EMPTY } else { raw(&input) },
                metadata: &metadata,
                timeout: Some(Duration::from_millis(timeout_ms)),
                idempotent,
                sticky: None,
                hedge: None,
                priority: None,
                chain: Chain::FIRST,
            };
            io.call(uid, &spec);
            app.pump(io, StreamId::Call(uid));
        });
    }

    /// Cancels a call.
    pub(super) fn cancel(self: &Arc<Self>, uid: Uid) {
        let app = Arc::clone(self);
        self.post(move |io| {
            app.ledger.cancelled(uid);
            lock(&app.calls).remove(&uid);
            lock(&app.sources).remove(&(false, uid));
            io.cancel(uid);
        });
    }

    /// Sends items, up to this application's limit of unsent bytes.
    fn pump(&self, io: &Io, stream: StreamId) {
        loop {
            let item = {
                let mut sources = lock(&self.sources);
                let Some(source) = sources.get_mut(&key(stream)) else { return };
                if source.next == source.end {
                    sources.remove(&key(stream));
                    None
                } else if source.ahead >= AHEAD {
                    return;
                } else {
                    let mut item = vec![0; source.size.max(8)];
                    item[..4].copy_from_slice(&source.uid.to_be_bytes());
                    item[4..8].copy_from_slice(&source.next.to_be_bytes());
                    source.next += 1;
                    source.ahead += item.len() + ITEM_COST;
                    Some(item)
                }
            };
            let Some(item) = item else {
                if let StreamId::Request(id) = stream {
                    lock(&self.serving).remove(&id);
                }
                return io.end(stream, b"");
            };
            io.item(stream, raw(&item));
        }
    }

    fn begin_source(&self, stream: StreamId, uid: Uid, end: u32, size: usize) {
        let carried_before = self.carried.load(Ordering::Relaxed);
        let source = Source { uid, size, next: 0, end, ahead: 0, taken: 0, carried_before };
        lock(&self.sources).insert(key(stream), source);
    }

    /// Answers a request with items.
    fn stream(self: &Arc<Self>, id: RequestId, uid: Uid, end: u32, size: usize) {
        let stream = StreamId::Request(id);
        self.begin_source(stream, uid, end, size);
        let app = Arc::clone(self);
        self.post(move |io| app.pump(io, stream));
    }

    fn finish(&self, id: RequestId, answer: Vec<u8>) {
        lock(&self.serving).remove(&id);
        self.post(move |io| io.respond(id, b"", raw(&answer)));
    }
}

/// The application, as the mesh sees it.
pub(super) struct Handler(pub(super) Arc<App>);

impl Events for Handler {
    fn settled(&self, call: CallId, outcome: Result<Reply<'_>, CallError>) {
        let app = &self.0;
        let method = lock(&app.calls).remove(&call);
        lock(&app.sources).remove(&(false, call));
        let outcome = outcome.map(|reply| match method {
            Some(Method::Echo | Method::Later) => reply.payload.bytes == call.to_string().as_bytes(),
            Some(Method::Collect | Method::Items | Method::Chat) => true,
            _ => false,
        });
        app.ledger.settled(call, &outcome);
    }

    fn request(&self, request: Request<'_>) {
        let app = &self.0;
        let metadata: Value = serde_json::from_slice(request.metadata).unwrap_or_default();
        let uid: Uid = metadata["uid"].as_str().and_then(|uid| uid.parse().ok()).unwrap_or_default();
        let origin = metadata["from"].as_str().unwrap_or("nobody");
        app.ledger.ran(uid, origin, request.session.peer.as_str(), app.name);
        let id = request.id;
        let Some(method) = Method::from_name(request.method) else {
            return app.ledger.violated(format!("{} was asked for a method that nobody calls", app.name));
        };
        lock(&app.serving).insert(id, Serving { uid, method, inputs: 0 });
        let answer = request.payload.bytes.to_vec();
        match method {
            Method::Echo => app.finish(id, answer),
            Method::Later => {
                let app = Arc::clone(app);
                tokio::spawn(async move {
                    sleep(Duration::from_millis(u64::from(uid) * 37 % 400)).await;
                    app.finish(id, answer);
                });
            }
            Method::Never | Method::Collect => {}
            Method::Fail => {
                lock(&app.serving).remove(&id);
                app.post(move |io| {
                    let failure = Failure {
                        code: Code::NotFound,
                        reason: "NO",
                        message: "no",
                        retryable: false,
                        retry_after_ms: None,
                        error_id: "",
                        data: Payload::EMPTY,
                    };
                    io.fail(id, &failure);
                });
            }
            Method::Items => app.stream(id, uid, 1 + uid % 40, 1 + (uid as usize * 97) % 9000),
            Method::Chat => app.stream(id, uid, 1 + uid % 10, 100),
            Method::Flood => app.stream(id, uid, u32::MAX, FLOOD_ITEM),
        }
    }

    fn item(&self, stream: StreamId, payload: Payload<'_>) {
        let app = &self.0;
        let number = |at: usize| {
            payload.bytes.get(at..at + 4).map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()))
        };
        let (uid, index) = (number(0), number(4));
        match stream {
            StreamId::Call(call) => {
                if uid != call {
                    app.ledger.violated(format!("call {call} got an item of call {uid}"));
                }
                app.ledger.item(uid, index);
            }
            StreamId::Request(id) => {
                let mut serving = lock(&app.serving);
                if let Some(serving) = serving.get_mut(&id) {
                    if serving.uid != uid || serving.inputs != index {
                        let text = format!("input {index} of call {uid} for call {}", serving.uid);
                        app.ledger.violated(text);
                    }
                    serving.inputs += 1;
                }
            }
        }
        let cost = payload.bytes.len() + ITEM_COST;
        // Some consumers are slow.
        let pause = if uid % 5 == 0 { 20 } else { 0 };
        let app = Arc::clone(app);
        tokio::spawn(async move {
            sleep(Duration::from_millis(pause)).await;
            app.post(move |io| io.consumed(stream, cost));
        });
    }

    fn input_ended(&self, request: RequestId) {
        let method = lock(&self.0.serving).get(&request).map(|serving| serving.method);
        if method == Some(Method::Collect) {
            self.0.finish(request, Vec::new());
        }
    }

    fn sent(&self, stream: StreamId, cost: usize) {
        let app = Arc::clone(&self.0);
        if let Some(source) = lock(&app.sources).get_mut(&key(stream)) {
            source.ahead = source.ahead.saturating_sub(cost);
            let items = cost / (source.size + ITEM_COST);
            source.taken += (items * source.size) as u64;
        }
        app.check_floods();
        self.0.post(move |io| app.pump(io, stream));
    }

    fn aborted(&self, request: RequestId, cause: AbortCause) {
        let app = Arc::clone(&self.0);
        lock(&app.sources).remove(&(true, request));
        let uid = lock(&app.serving).remove(&request).map_or(0, |serving| serving.uid);
        app.ledger.journal.note(format!("{} aborts {uid}: {cause:?}", app.name));
        tokio::spawn(async move {
            // Some handlers notice the abort late.
            sleep(Duration::from_millis(u64::from(uid) % 3 * 40)).await;
            app.post(move |io| io.respond(request, b"", Payload::EMPTY));
        });
    }

    fn session_opened(&self, session: &Arc<SessionInfo>) {
        let (from, to) = if session.inbound { ("from", &session.peer) } else { ("to", &session.peer) };
        let how = if session.resumed { "resumed" } else { "full" };
        self.0.ledger.journal.note(format!("{} session {from} {to}, {how}", self.0.name));
    }

    fn session_closed(&self, session: &SessionInfo) {
        let from = if session.inbound { "from" } else { "to" };
        self.0.ledger.journal.note(format!("{} session {from} {} ended", self.0.name, session.peer));
    }

    fn log(&self, _: LogEvent) {}

    fn delay(&self) -> Duration {
        Duration::ZERO
    }

    fn wanted(&self, _: &ServiceId) {}

    fn flush(&self) {}

    fn metrics(&self) -> Option<Arc<Mutex<Metrics>>> {
        None
    }

    fn backlog(&self) -> usize {
        0
    }
}
