//! The spans of a mesh: the choice of the calls with a span, the content of a span, and the queue for the
//! export. The record of the mesh makes the spans; the exporter takes them.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{escape, flows::FlowKind, trace_context::TraceContext};
use crate::{
    crypto::secret::fill_random,
    error::{Code, Reason},
};

/// The most spans that wait, as in the specification of OpenTelemetry.
pub const MAX_WAITING: usize = 2_048;
/// The number of spans in a full batch, which is exported in one request.
pub const BATCH: usize = 512;
/// The longest text of an attribute, in characters.
const MAX_TEXT: usize = 256;
/// The name of a method that does not exist.
const OTHER: &str = "_OTHER";

/// The names of attributes, those of the RPC conventions first.
const SYSTEM: &str = "rpc.system.name";
const METHOD: &str = "rpc.method";
const METHOD_ORIGINAL: &str = "rpc.method_original";
const STATUS_CODE: &str = "rpc.status_code";
const ERROR_TYPE: &str = "error.type";
const ADDRESS: &str = "server.address";
const PORT: &str = "server.port";
const PEER: &str = "securestack.peer.service";
const TRUST: &str = "securestack.peer.trust";
const KIND: &str = "securestack.call.kind";
const ATTEMPT: &str = "securestack.attempt";
const ATTEMPTS: &str = "securestack.attempts";
const REASON: &str = "securestack.reason";
const ERROR_ID: &str = "securestack.error_id";
const RESUMED: &str = "securestack.session.resumed";

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum SpanValue {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
}

/// The side of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// A request that is answered here.
    Server,
    /// A call that is made here.
    Client,
}

/// A span that is over. Its times are counted from the start of the mesh.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its trace and its own id.
    pub context: TraceContext,
    /// The id of the span above it.
    pub parent: Option<[u8; 8]>,
    /// The name.
    pub name: String,
    /// The side.
    pub kind: SpanKind,
    /// The start.
    pub start: Duration,
    /// The end.
    pub end: Duration,
    /// The attributes.
    pub attributes: Vec<(&'static str, SpanValue)>,
    /// The text of a failure that counts as an error.
    pub error: Option<String>,
}

/// The end of a call, as its span shows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpanEnd<'a> {
    pub(super) code: Code,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
    pub(super) error_id: &'a str,
}

/// A call or request as it begins, for its span.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpanStart<'a> {
    pub(super) kind: SpanKind,
    /// The service that is called.
    pub(super) callee: &'a str,
    pub(super) peer: &'a str,
    pub(super) method: &'a str,
    pub(super) flow: FlowKind,
    pub(super) trust: &'static str,
    pub(super) attempt: u8,
}

/// A handshake that is over.
#[derive(Clone, Copy, Debug)]
pub struct HandshakeSpan<'a> {
    /// The side.
    pub kind: SpanKind,
    /// The other service.
    pub peer: &'a str,
    /// The address that was dialled.
    pub address: Option<(&'a str, u16)>,
    /// The start and the end, since the start of the mesh.
    pub times: (Duration, Duration),
    /// The outcome: the trust and whether it resumed a session, or the reason and the text of a failure.
    pub outcome: Result<(&'static str, bool), (&'a str, &'a str)>,
}

/// A span that is open.
#[derive(Debug)]
pub struct OpenSpan(Span);

impl OpenSpan {
    fn begin(
        start: SpanStart<'_>,
        context: TraceContext,
        parent: Option<[u8; 8]>,
        now: Duration,
    ) -> Box<Self> {
        let name = text(&format!("{}/{}", start.callee, start.method));
        let attributes = vec![
            (SYSTEM, word("securestack")),
            (METHOD, SpanValue::Text(name.clone())),
            (PEER, word(start.peer)),
        ];
        let (kind, error) = (start.kind, None);
        let span = Span { context, parent, name, kind, start: now, end: now, attributes, error };
        let mut open = Box::new(Self(span));
        if !start.trust.is_empty() {
            open.put(TRUST, word(start.trust));
        }
        if start.attempt > 1 {
            open.put(ATTEMPT, SpanValue::Number(start.attempt.into()));
        }
        if start.flow != FlowKind::Unary {
            open.put(KIND, word(start.flow.as_str()));
        }
        open
    }

    /// Records the last instance of the call, and the number of its attempts.
    pub fn went_to(&mut self, address: Option<(&str, u16)>, attempts: u8) {
        if let Some((host, port)) = address {
            self.put(ADDRESS, word(host));
            self.put(PORT, SpanValue::Number(port.into()));
        }
        if attempts > 1 {
            self.put(ATTEMPTS, SpanValue::Number(attempts.into()));
        }
    }

    fn end(mut self, failed: Option<SpanEnd<'_>>, now: Duration) -> Span {
        self.0.end = now.max(self.0.start);
        let Some(SpanEnd { code, reason, message, error_id }) = failed else {
            self.put(STATUS_CODE, word("OK"));
            return self.0;
        };
        self.put(STATUS_CODE, word(code.as_str()));
        let is_server = self.0.kind == SpanKind::Server;
        if is_server && reason == Reason::MethodNotFound.as_str() {
            // The caller chose this name.
            let original = std::mem::replace(&mut self.0.name, "securestack".to_owned());
            if let Some((_, method)) = self.0.attributes.iter_mut().find(|(name, _)| *name == METHOD) {
                *method = word(OTHER);
            }
            self.put(METHOD_ORIGINAL, SpanValue::Text(original));
        }
        if !is_server || is_fault(code) {
            self.put(ERROR_TYPE, word(code.as_str()));
            self.0.error = Some(text(message));
        }
        for (name, value) in [(REASON, reason), (ERROR_ID, error_id)] {
            if !value.is_empty() {
                self.put(name, word(value));
            }
        }
        self.0
    }

    fn put(&mut self, name: &'static str, value: SpanValue) {
        self.0.attributes.push((name, value));
    }
}

/// The codes for which the service is at fault. The others end the span of a request without an error, as the
/// conventions for gRPC require.
const fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

fn word(value: &str) -> SpanValue {
    SpanValue::Text(text(value))
}

/// Cuts and escapes a text that a peer may have chosen.
fn text(value: &str) -> String {
    let end = value.char_indices().nth(MAX_TEXT).map_or(value.len(), |(at, _)| at);
    escape(&value[..end]).into_owned()
}

/// Makes the spans of one mesh, and keeps those that wait for their export.
#[derive(Debug)]
pub struct Tracer {
    /// A new trace is recorded if 56 bits of its id are below this.
    threshold: u64,
    ids: Mutex<Ids>,
    waiting: Mutex<VecDeque<Span>>,
    /// Tells the exporter that a batch is full.
    wake: OnceLock<Box<dyn Wake>>,
    began: OnceLock<Instant>,
    exported: AtomicU64,
    /// Spans that were lost: to a full queue, to failed exports, and by rejection of the collector.
    dropped: [AtomicU64; 3],
}

/// The exporter, as the spans see it.
pub trait Wake: Send + Sync + std::fmt::Debug {
    /// A batch is full.
    fn wake(&self);
}

/// The reason for which spans were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// The queue was full.
    QueueFull,
    /// The collector did not take them.
    Failed,
    /// The collector rejected them.
    Rejected,
}

impl Dropped {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::QueueFull, Self::Failed, Self::Rejected];

    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Failed => "export_failed",
            Self::Rejected => "rejected",
        }
    }
}

impl Tracer {
    /// Records this share of new traces, from 0 to 1.
    #[must_use]
    pub fn new(sample: f64) -> Self {
        #[allow(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "a share of 2^56")]
        let threshold = (sample.clamp(0.0, 1.0) * (1_u64 << 56) as f64) as u64;
        let (ids, waiting, wake, began, exported, dropped) = Default::default();
        Self { threshold, ids, waiting, wake, began, exported, dropped }
    }

    /// Sets the instant from which the times of spans are counted.
    pub fn counts_from(&self, start: Instant) {
        let _ = self.began.set(start);
    }

    /// The instant from which the times of spans are counted.
    #[must_use]
    pub fn began(&self) -> Option<Instant> {
        self.began.get().copied()
    }

    /// Sets the exporter that a full batch wakes.
    pub fn wakes(&self, exporter: Box<dyn Wake>) {
        let _ = self.wake.set(exporter);
    }

    /// Begins the span of a call. Returns the span, if the call is recorded, and the metadata with the place
    /// of the call in the trace, if the metadata changes.
    pub(super) fn begin(
        &self,
        start: SpanStart<'_>,
        metadata: &[u8],
        now: Duration,
    ) -> (Option<Box<OpenSpan>>, Option<Vec<u8>>) {
        let above = TraceContext::of(metadata);
        if above.is_some_and(|above| !above.sampled) {
            return (None, None);
        }
        let context = self.below(above);
        let changed = context.put_into(metadata);
        let span =
            context.sampled.then(|| OpenSpan::begin(start, context, above.map(|above| above.span), now));
        (span, changed)
    }

    /// A call has ended.
    pub(super) fn end(&self, span: OpenSpan, failed: Option<SpanEnd<'_>>, now: Duration) {
        self.keep(span.end(failed, now));
    }

    /// A handshake has ended. It is the root of a trace of its own, since several calls may wait for it.
    pub fn handshake(&self, shake: HandshakeSpan<'_>) {
        let context = self.below(None);
        if !context.sampled {
            return;
        }
        let (start, end) = shake.times;
        let attributes = vec![(PEER, word(shake.peer))];
        let (name, kind) = ("securestack.handshake".to_owned(), shake.kind);
        let span = Span { context, parent: None, name, kind, start, end, attributes, error: None };
        let mut open = OpenSpan(span);
        open.went_to(shake.address, 1);
        match shake.outcome {
            Ok((trust, resumed)) => {
                open.put(TRUST, word(trust));
                open.put(RESUMED, SpanValue::Flag(resumed));
            }
            Err((reason, message)) => {
                open.put(ERROR_TYPE, word(reason));
                open.put(REASON, word(reason));
                open.0.error = Some(text(message));
            }
        }
        self.keep(open.0);
    }

    /// The place of a new span: below another one, or at the top of a new trace.
    fn below(&self, above: Option<TraceContext>) -> TraceContext {
        let mut ids = lock(&self.ids);
        if let Some(above) = above {
            return TraceContext { span: ids.take(), ..above };
        }
        let trace: [u8; 16] = ids.take();
        let mut number = [0; 8];
        number[1..].copy_from_slice(&trace[9..]);
        let sampled = u64::from_be_bytes(number) < self.threshold;
        TraceContext { trace, span: ids.take(), sampled }
    }

    fn keep(&self, span: Span) {
        let waiting = {
            let mut waiting = lock(&self.waiting);
            if waiting.len() >= MAX_WAITING {
                drop(waiting);
                return self.dropped(Dropped::QueueFull, 1);
            }
            waiting.push_back(span);
            waiting.len()
        };
        if waiting == BATCH
            && let Some(exporter) = self.wake.get()
        {
            exporter.wake();
        }
    }

    /// Takes the oldest spans that wait, a batch at most.
    #[must_use]
    pub fn take(&self) -> Vec<Span> {
        let mut waiting = lock(&self.waiting);
        let count = waiting.len().min(BATCH);
        waiting.drain(..count).collect()
    }

    /// Counts spans that the collector has accepted.
    pub fn exported(&self, count: usize) {
        self.exported.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Counts spans that are lost.
    pub fn dropped(&self, why: Dropped, count: usize) {
        self.dropped[why as usize].fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Spans exported, and those dropped by reason.
    #[must_use]
    pub fn counts(&self) -> (u64, [(Dropped, u64); 3]) {
        let dropped = Dropped::ALL.map(|why| (why, self.dropped[why as usize].load(Ordering::Relaxed)));
        (self.exported.load(Ordering::Relaxed), dropped)
    }
}

/// Ids from random bytes, which are generated in advance.
#[derive(Debug, Default)]
struct Ids {
    stock: Vec<u8>,
}

impl Ids {
    const STOCK: usize = 3_072;

    fn take<const N: usize>(&mut self) -> [u8; N] {
        loop {
            if let Some(id) = self.stock.last_chunk::<N>().copied() {
                self.stock.truncate(self.stock.len() - N);
                // All zeros mean no id.
                if id != [0; N] {
                    return id;
                }
            } else {
                self.stock.resize(Self::STOCK, 1);
                // Without random bytes the ids are not unique, but the call continues.
                let _ = fill_random(&mut self.stock);
            }
        }
    }
}

// No user code runs under these locks, and nothing waits under them.
fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
