//! The record of a mesh: its calls and requests, what it refused, and what happened to it. Every list has a
//! limit, whatever peers do.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    escape,
    flows::Flows,
    histogram::Exemplar,
    live::{CallLine, MeshEvent, Tail},
    moment::Moment,
    recorded::{Began, Begun, Direction, Failed, Refusals, Totals, Watched},
    report::{DenialView, ErrorView},
    spans::{SpanEnd, SpanKind, SpanStart, Tracer},
    trace_context::TraceContext,
};
use crate::{
    clock::Timestamp,
    crypto::secret::fill_random,
    error::{Code, Reason},
};

const MAX_ERRORS: usize = 50;
const MAX_DENIALS: usize = 200;
const MAX_REASONS: usize = 128;
const MAX_REFUSED: usize = 100;
const MAX_EVENTS: usize = 500;
/// The longest text, in characters.
const MAX_TEXT: usize = 400;
/// The interval at which the calls of flows are noted, so that there is a recent past.
const MARK: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Notes {
    errors: VecDeque<ErrorView>,
    denials: BTreeMap<[String; 3], (u64, u64)>,
    handshakes: BTreeMap<(Direction, String), u64>,
    refused: BTreeMap<String, Refusals>,
    events: VecDeque<MeshEvent>,
    moment: Moment,
    history_fault: Option<String>,
    /// The totals at the last two marks, and the time of the last one.
    marks: [Totals; 2],
    marked: Duration,
}

/// The record of one mesh.
#[derive(Debug)]
pub struct Recorder {
    service: String,
    instance: String,
    version: &'static str,
    started: Timestamp,
    /// Whether calls are recorded at all.
    records: bool,
    /// Requests by caller and method.
    pub inbound: Flows,
    /// Calls by service and method.
    pub outbound: Flows,
    /// For readers that follow.
    pub tail: Arc<Tail>,
    /// The spans, if this mesh makes them.
    pub tracer: Option<Arc<Tracer>>,
    retries: AtomicU64,
    rekeys: AtomicU64,
    quota_refusals: AtomicU64,
    notes: Mutex<Notes>,
}

impl Recorder {
    /// The record of a service that starts now. Calls are recorded only if it `records`.
    #[must_use]
    pub fn new(service: &str, version: &'static str, started: Timestamp, records: bool) -> Self {
        let (inbound, outbound, tail, retries, rekeys, quota_refusals, notes) = Default::default();
        let mut random = [0; 8];
        // The name of an instance is not a secret, so a failure here does no harm.
        let _ = fill_random(&mut random);
        let (service, instance) = (service.to_owned(), hex::encode(random));
        Self {
            service,
            instance,
            version,
            started,
            records,
            inbound,
            outbound,
            tail,
            tracer: None,
            retries,
            rekeys,
            quota_refusals,
            notes,
        }
    }

    /// The same record with spans.
    #[must_use]
    pub fn with_tracer(self, tracer: Option<Tracer>) -> Self {
        Self { tracer: tracer.map(Arc::new), ..self }
    }

    /// The service that records.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// This start of the service: 16 hexadecimal digits.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The version of the package.
    #[must_use]
    pub const fn version(&self) -> &'static str {
        self.version
    }

    /// The start.
    #[must_use]
    pub const fn started(&self) -> Timestamp {
        self.started
    }

    /// Whether calls are recorded.
    #[must_use]
    pub const fn records(&self) -> bool {
        self.records
    }

    /// A call begins, at a time since the start.
    #[must_use]
    pub fn begin(&self, call: Begun<'_>, now: Duration) -> Began {
        let Begun { direction, peer, method, kind, metadata, trust, attempt } = call;
        let (span, changed) = self.tracer.as_ref().map_or((None, None), |tracer| {
            let (kind, callee) = match direction {
                Direction::In => (SpanKind::Server, self.service.as_str()),
                Direction::Out => (SpanKind::Client, peer),
            };
            let start = SpanStart { kind, callee, peer, method, flow: call.kind, trust, attempt };
            tracer.begin(start, metadata, now)
        });
        if !self.records && span.is_none() {
            return Began { watched: None, metadata: changed };
        }
        let running = self.records.then(|| self.flows(direction).begin(peer, method, kind));
        let trace = TraceContext::of(changed.as_deref().unwrap_or(metadata));
        Began { watched: Some(Watched { running, direction, since: now, trace, span }), metadata: changed }
    }

    /// Records the end of a call, with its failure if it failed.
    pub fn end(&self, watched: Watched, failed: Option<Failed<'_>>, now: Duration) {
        let Watched { running, direction, since, trace, span } = watched;
        if let (Some(tracer), Some(span)) = (&self.tracer, span) {
            let end =
                |Failed { code, reason, message, error_id }| SpanEnd { code, reason, message, error_id };
            tracer.end(*span, failed.map(end), now);
        }
        let Some(running) = running else { return };
        let took = now.saturating_sub(since);
        let named = failed.is_none_or(|failed| {
            direction == Direction::Out || failed.reason != Reason::MethodNotFound.as_str()
        });
        let at = self.wall(now);
        let sampled = trace.filter(|context| context.sampled);
        let example = sampled.map(|context| Exemplar { trace: context.trace, took, at });
        let code = failed.map(|failed| failed.code);
        self.flows(direction).end(&running, code, took, now, named, example);
        let Some(flow) = running.flow() else { return };
        let trace = || trace.map(|context| hex::encode(context.trace));
        if let Some(Failed { code, reason, message, error_id }) = failed {
            let entry = ErrorView {
                at,
                direction: direction.as_str().to_owned(),
                peer: flow.peer().to_owned(),
                method: flow.method().to_owned(),
                code: code.as_str().to_owned(),
                reason: (!reason.is_empty()).then(|| short(reason)),
                message: short(message),
                error_id: (!error_id.is_empty()).then(|| short(error_id)),
                trace_id: trace(),
            };
            let errors = &mut self.notes().errors;
            errors.truncate(MAX_ERRORS - 1);
            errors.push_front(entry);
        }
        self.tail.call(now, || CallLine {
            at,
            direction: direction.as_str(),
            peer: flow.peer().to_owned(),
            method: flow.method().to_owned(),
            code: failed.map_or("OK", |failed| failed.code.as_str()),
            reason: failed.map(|failed| short(failed.reason)).filter(|reason| !reason.is_empty()),
            ms: (took.as_secs_f64() * 1e6).round() / 1e3,
            trace_id: trace(),
        });
    }

    /// A request was refused before it began.
    pub fn refused_request(&self, call: Begun<'_>, code: Code, now: Duration) {
        if self.records {
            self.inbound.refused(call.peer, call.method, call.kind, code, now);
        }
    }

    /// Records a request that the policy denied, or would have denied.
    pub fn denied(&self, caller: &str, method: &str, rule: &str, now: Duration) {
        let at = self.wall(now);
        let mut key = [caller, method, rule].map(short);
        let denials = &mut self.notes().denials;
        if !denials.contains_key(&key) && denials.len() >= MAX_DENIALS {
            // A caller chooses the names of methods.
            key = [super::flows::OTHER; 3].map(str::to_owned);
        }
        let entry = denials.entry(key).or_default();
        *entry = (entry.0 + 1, at);
    }

    /// Records the end of a handshake. An empty reason means success.
    pub fn handshake(&self, direction: Direction, reason: &str) {
        let handshakes = &mut self.notes().handshakes;
        let mut key = (direction, short(reason));
        if !handshakes.contains_key(&key) && handshakes.len() >= MAX_REASONS {
            super::flows::OTHER.clone_into(&mut key.1);
        }
        *handshakes.entry(key).or_default() += 1;
    }

    /// A call is tried again.
    pub fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Records the number of key changes of sessions.
    pub fn rekeyed(&self, times: u32) {
        if times > 0 {
            self.rekeys.fetch_add(times.into(), Ordering::Relaxed);
        }
    }

    /// A request was beyond the quota of its caller.
    pub fn over_quota(&self) {
        self.quota_refusals.fetch_add(1, Ordering::Relaxed);
    }

    /// Records an event.
    pub fn event(&self, kind: &str, subject: &str, text: &str, now: Duration) {
        if !self.records {
            return;
        }
        let event = MeshEvent {
            at: self.wall(now),
            kind: kind.to_owned(),
            service: self.service.clone(),
            subject: short(subject),
            text: short(text),
        };
        self.tail.event(&event);
        let events = &mut self.notes().events;
        if events.len() >= MAX_EVENTS {
            events.pop_front();
        }
        events.push_back(event);
    }

    /// Records that a peer was refused `count` times.
    pub fn refused(&self, subject: &str, reason: &str, text: &str, count: u64, now: Duration) {
        let at = self.wall(now);
        let refused = &mut self.notes().refused;
        let subject = short(subject);
        if !refused.contains_key(&subject) && refused.len() >= MAX_REFUSED {
            let oldest = refused.iter().min_by_key(|(_, refusals)| refusals.last);
            if let Some(oldest) = oldest.map(|(subject, _)| subject.clone()) {
                refused.remove(&oldest);
            }
        }
        let first = Refusals { reason: String::new(), text: String::new(), count: 0, since: at, last: at };
        let entry = refused.entry(subject).or_insert(first);
        (entry.reason, entry.text, entry.last) = (short(reason), short(text), at);
        entry.count += count;
    }

    /// The gauges of now.
    pub fn set_moment(&self, moment: Moment) {
        self.notes().moment = moment;
    }

    /// The delay of the application's event loop, in seconds.
    pub fn set_event_loop_delay(&self, seconds: f64) {
        self.notes().moment.event_loop_delay = Some(seconds);
    }

    /// Notes the totals from time to time, so that there is a recent past.
    pub fn mark(&self, now: Duration) {
        if !self.records || now.saturating_sub(self.notes().marked) < MARK {
            return;
        }
        let totals = self.totals();
        let notes = &mut *self.notes();
        notes.marked = now;
        notes.marks.swap(0, 1);
        notes.marks[1] = totals;
    }

    /// Calls and faults of the last half minute to minute, or of less after the start.
    #[must_use]
    pub fn recent(&self) -> Totals {
        let mut recent = self.totals();
        let notes = self.notes();
        for (key, (calls, faults)) in &mut recent {
            let (before, former) = notes.marks[0].get(key).copied().unwrap_or_default();
            (*calls, *faults) = (calls.saturating_sub(before), faults.saturating_sub(former));
        }
        recent
    }

    fn totals(&self) -> Totals {
        let of = |direction: Direction| {
            let flows = self.flows(direction).read();
            flows.into_iter().map(move |flow| {
                let totals = flow.faults();
                ((direction, flow.peer, flow.method), totals)
            })
        };
        of(Direction::In).chain(of(Direction::Out)).collect()
    }

    /// The latest failures, the newest first.
    #[must_use]
    pub fn errors(&self) -> Vec<ErrorView> {
        self.notes().errors.iter().cloned().collect()
    }

    /// The latest events, the oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<MeshEvent> {
        self.notes().events.iter().cloned().collect()
    }

    /// The reason for which the history is not kept; `None` if it is kept, or need not be kept.
    #[must_use]
    pub fn history_fault(&self) -> Option<String> {
        self.notes().history_fault.clone()
    }

    /// Records whether the history is kept. Returns whether that has changed.
    pub fn set_history_fault(&self, fault: Option<String>) -> bool {
        let known = &mut self.notes().history_fault;
        let is_news = *known != fault;
        *known = fault;
        is_news
    }

    /// The peers that were refused.
    #[must_use]
    pub fn refusals(&self) -> BTreeMap<String, Refusals> {
        self.notes().refused.clone()
    }

    /// The denials, the latest first.
    #[must_use]
    pub fn denials(&self) -> Vec<DenialView> {
        let view = |([caller, method, rule], (count, last)): (&[String; 3], &(u64, u64))| DenialView {
            caller: caller.clone(),
            method: method.clone(),
            rule: rule.clone(),
            count: *count,
            last_at: *last,
        };
        let mut denials: Vec<_> = self.notes().denials.iter().map(view).collect();
        denials.sort_by_key(|denial| std::cmp::Reverse(denial.last_at));
        denials
    }

    /// Handshakes by direction and reason; an empty reason is success.
    #[must_use]
    pub fn handshakes(&self) -> BTreeMap<(Direction, String), u64> {
        self.notes().handshakes.clone()
    }

    /// The gauges as they were noted last.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.notes().moment.clone()
    }

    /// Retries, rekeys and refusals of quotas.
    #[must_use]
    pub fn counts(&self) -> [u64; 3] {
        [&self.retries, &self.rekeys, &self.quota_refusals].map(|count| count.load(Ordering::Relaxed))
    }

    fn flows(&self, direction: Direction) -> &Flows {
        match direction {
            Direction::In => &self.inbound,
            Direction::Out => &self.outbound,
        }
    }

    fn wall(&self, now: Duration) -> u64 {
        (self.started + now).as_millis()
    }

    // No user code runs under this lock, and nothing waits under it.
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cuts and escapes a text that may be a peer's.
fn short(text: &str) -> String {
    let end = text.char_indices().nth(MAX_TEXT).map_or(text.len(), |(at, _)| at);
    escape(&text[..end]).into_owned()
}

#[cfg(test)]
mod tests;
