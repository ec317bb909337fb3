//! Calls by peer, method and code. A call that is known costs a lookup and a few relaxed counters; reading
//! takes no part in it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    escape,
    histogram::{Buckets, Durations, Exemplar, Exemplars},
};
use crate::error::Code;

/// Triples of peer, method and kind with counters of their own; the others share one.
const MAX_FLOWS: usize = 500;
/// Histograms, each of a flow and a code.
const MAX_SERIES: u32 = 1_000;
/// The longest name, in characters.
const MAX_NAME: usize = 200;
/// The peer and the method of calls beyond the limits.
pub const OTHER: &str = "_other";

/// OK and the sixteen codes of errors, by number.
const CODES: usize = Code::ALL.len() + 1;

/// The sides of a call that are streams. The order is that of the kinds on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlowKind {
    /// One input, one result.
    #[default]
    Unary,
    /// Many inputs, one result.
    ClientStream,
    /// One input, many results.
    ServerStream,
    /// Many of both.
    Bidi,
}

impl FlowKind {
    const ALL: [Self; 4] = [Self::Unary, Self::ClientStream, Self::ServerStream, Self::Bidi];

    /// The kind with this number on the wire.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or_default()
    }

    /// The name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ClientStream => "client-stream",
            Self::ServerStream => "server-stream",
            Self::Bidi => "bidi",
        }
    }
}

/// Calls between this service and a peer, of one method.
#[derive(Debug)]
pub struct Flow {
    peer: Box<str>,
    method: Box<str>,
    kind: FlowKind,
    in_flight: AtomicU32,
    /// The time of the last end, in ms since the start; and one more, so that 0 is none.
    last: AtomicU64,
    codes: [OnceLock<Box<Durations>>; CODES],
}

/// A [`Flow`] at one moment.
#[derive(Clone, Debug)]
pub struct FlowFigures {
    /// The other service.
    pub peer: String,
    /// The method.
    pub method: String,
    /// The sides that are streams.
    pub kind: FlowKind,
    /// Calls that run.
    pub in_flight: u32,
    /// The end of the last call, counted from the start.
    pub last: Option<Duration>,
    /// Durations by code; `None` is OK.
    pub codes: Vec<(Option<Code>, Buckets)>,
    /// Traces of the same codes.
    pub exemplars: Vec<Exemplars>,
}

impl Flow {
    fn new(peer: &str, method: &str, kind: FlowKind) -> Arc<Self> {
        let name = |text: &str| escape(&text.chars().take(MAX_NAME).collect::<String>()).into();
        let (in_flight, last, codes) = Default::default();
        Arc::new(Self { peer: name(peer), method: name(method), kind, in_flight, last, codes })
    }

    /// The other service.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    fn has_ended(&self) -> bool {
        self.last.load(Ordering::Relaxed) > 0
    }

    fn read(&self) -> FlowFigures {
        let by_number = |number| u8::try_from(number).ok().and_then(Code::from_number);
        let codes: Vec<_> =
            self.codes.iter().enumerate().filter_map(|(at, hist)| Some((at, hist.get()?))).collect();
        FlowFigures {
            peer: self.peer.to_string(),
            method: self.method.to_string(),
            kind: self.kind,
            in_flight: self.in_flight.load(Ordering::Relaxed),
            last: self.last.load(Ordering::Relaxed).checked_sub(1).map(Duration::from_millis),
            codes: codes.iter().map(|(at, hist)| (by_number(*at), hist.read())).collect(),
            exemplars: codes.iter().map(|(_, hist)| hist.exemplars()).collect(),
        }
    }
}

impl FlowFigures {
    /// The durations of all codes together.
    #[must_use]
    pub fn durations(&self) -> Buckets {
        let mut all = Buckets::default();
        self.codes.iter().for_each(|(_, buckets)| all.add(buckets));
        all
    }

    /// Calls that ended, and of these the ones that a fault of the callee or of the way to it ended.
    #[must_use]
    pub fn faults(&self) -> (u64, u64) {
        let is_fault = |code: &Code| {
            matches!(
                code,
                Code::Unknown | Code::DeadlineExceeded | Code::Internal | Code::Unavailable | Code::DataLoss
            )
        };
        let of = |wanted: &dyn Fn(&Option<Code>) -> bool| {
            self.codes.iter().filter(|(code, _)| wanted(code)).map(|(_, buckets)| buckets.total()).sum()
        };
        (of(&|_| true), of(&|code| code.as_ref().is_some_and(is_fault)))
    }
}

/// A call that runs. It counts at its end; one that is dropped was cancelled.
#[derive(Debug)]
pub struct Running {
    flow: Option<Arc<Flow>>,
}

impl Running {
    /// The flow it counts for.
    #[must_use]
    pub fn flow(&self) -> Option<&Flow> {
        self.flow.as_deref()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(flow) = self.flow.take() {
            flow.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

type Kinds = [Option<Arc<Flow>>; 4];

#[derive(Debug, Default)]
struct Table {
    peers: HashMap<Box<str>, HashMap<Box<str>, Kinds>>,
    count: usize,
}

/// The flows of one direction.
#[derive(Debug)]
pub struct Flows {
    table: Mutex<Table>,
    other: Arc<Flow>,
    series: AtomicU32,
}

impl Default for Flows {
    fn default() -> Self {
        let other = Flow::new(OTHER, OTHER, FlowKind::Unary);
        Self { table: Mutex::default(), other, series: AtomicU32::new(0) }
    }
}

impl Flows {
    /// A call begins.
    #[must_use]
    pub fn begin(&self, peer: &str, method: &str, kind: FlowKind) -> Running {
        let flow = self.flow(peer, method, kind);
        flow.in_flight.fetch_add(1, Ordering::Relaxed);
        Running { flow: Some(flow) }
    }

    /// It has ended, after so long, at a time since the start. One without a `name` is a call of something
    /// that does not exist: the name is the caller's invention and gets no counters of its own.
    pub fn end(
        &self,
        running: &Running,
        code: Option<Code>,
        took: Duration,
        now: Duration,
        named: bool,
        example: Option<Exemplar>,
    ) {
        let Some(flow) = &running.flow else { return };
        let unnamed;
        let flow = if named || flow.has_ended() {
            flow
        } else {
            self.remove(flow);
            unnamed = self.flow(&flow.peer, OTHER, FlowKind::Unary);
            &unnamed
        };
        let at = code.map_or(0, |code| usize::from(code as u8));
        let room = || {
            self.series.load(Ordering::Relaxed) < MAX_SERIES
                && self.series.fetch_add(1, Ordering::Relaxed) < MAX_SERIES
        };
        let durations = match flow.codes[at].get() {
            Some(durations) => durations,
            None if Arc::ptr_eq(flow, &self.other) || room() => flow.codes[at].get_or_init(Box::default),
            None => self.other.codes[at].get_or_init(Box::default),
        };
        durations.record(took, example);
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX - 1) + 1;
        flow.last.store(now, Ordering::Relaxed);
    }

    /// A call that was refused before it began. It is counted with its method if that is known.
    pub fn refused(&self, peer: &str, method: &str, kind: FlowKind, code: Code, now: Duration) {
        let known = {
            let table = self.table();
            let kinds = table.peers.get(peer).and_then(|methods| methods.get(method));
            kinds.and_then(|kinds| kinds[kind as usize].clone())
        };
        let flow = known.unwrap_or_else(|| self.flow(peer, OTHER, FlowKind::Unary));
        flow.in_flight.fetch_add(1, Ordering::Relaxed);
        self.end(&Running { flow: Some(flow) }, Some(code), Duration::ZERO, now, true, None);
    }

    /// Every flow, the busiest first.
    #[must_use]
    pub fn read(&self) -> Vec<FlowFigures> {
        let flows: Vec<Arc<Flow>> = {
            let table = self.table();
            table.peers.values().flat_map(HashMap::values).flatten().flatten().cloned().collect()
        };
        let mut figures: Vec<_> = flows.iter().map(|flow| flow.read()).collect();
        figures.retain(|flow| !flow.codes.is_empty() || flow.in_flight > 0);
        let key = |flow: &FlowFigures| std::cmp::Reverse(flow.durations().total());
        figures.sort_by(|a, b| (key(a), &a.peer, &a.method).cmp(&(key(b), &b.peer, &b.method)));
        let other = self.other.read();
        if !other.codes.is_empty() || other.in_flight > 0 {
            figures.push(other);
        }
        figures
    }

    fn flow(&self, peer: &str, method: &str, kind: FlowKind) -> Arc<Flow> {
        let mut table = self.table();
        let found = table.peers.get(peer).and_then(|methods| methods.get(method));
        if let Some(flow) = found.and_then(|kinds| kinds[kind as usize].as_ref()) {
            return Arc::clone(flow);
        }
        if table.count >= MAX_FLOWS {
            return Arc::clone(&self.other);
        }
        let flow = Flow::new(peer, method, kind);
        table.count += 1;
        let methods = table.peers.entry(peer.into()).or_default();
        methods.entry(method.into()).or_default()[kind as usize] = Some(Arc::clone(&flow));
        flow
    }

    fn remove(&self, flow: &Arc<Flow>) {
        if Arc::ptr_eq(flow, &self.other) {
            return;
        }
        let mut table = self.table();
        let Table { peers, count } = &mut *table;
        peers.retain(|_, methods| {
            methods.retain(|_, kinds| {
                for kind in kinds.iter_mut() {
                    if kind.as_ref().is_some_and(|held| Arc::ptr_eq(held, flow)) {
                        *kind = None;
                        *count -= 1;
                    }
                }
                kinds.iter().any(Option::is_some)
            });
            !methods.is_empty()
        });
    }

    // No user code runs under this lock.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn call(flows: &Flows, peer: &str, method: &str, code: Option<Code>, named: bool) {
        let running = flows.begin(peer, method, FlowKind::Unary);
        flows.end(&running, code, MS, MS, named, None);
    }

    #[test]
    fn calls_are_counted_by_peer_method_and_code() {
        let flows = Flows::default();
        call(&flows, "orders", "get", None, true);
        call(&flows, "orders", "get", Some(Code::Internal), true);
        let running = flows.begin("orders", "watch", FlowKind::ServerStream);
        let read = flows.read();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].method.as_str(), read[0].faults(), read[0].in_flight), ("get", (2, 1), 0));
        assert_eq!(read[0].durations().nanos, 2_000_000);
        assert_eq!((read[1].kind.as_str(), read[1].in_flight, read[1].last), ("server-stream", 1, None));
        drop(running);
        assert_eq!(flows.read().len(), 1, "a call that never ended and runs no more");
    }

    #[test]
    fn invented_names_take_no_room_and_real_ones_keep_theirs() {
        let flows = Flows::default();
        call(&flows, "a", "real", None, true);
        for number in 0..10_000 {
            call(&flows, "a", &format!("invented-{number}"), Some(Code::Unimplemented), false);
            flows.refused("a", &format!("denied-{number}"), FlowKind::Unary, Code::PermissionDenied, MS);
        }
        call(&flows, "a", "real", Some(Code::Unimplemented), false);
        flows.refused("a", "real", FlowKind::Unary, Code::PermissionDenied, MS);
        let read = flows.read();
        let names: Vec<_> = read.iter().map(|flow| flow.method.as_str()).collect();
        assert_eq!(names, [OTHER, "real"]);
        assert_eq!((read[0].faults().0, read[1].faults().0), (20_000, 3));
        assert_eq!((read[0].peer.as_str(), flows.table().count), ("a", 2));
    }

    #[test]
    fn the_number_of_flows_and_histograms_is_bounded() {
        let flows = Flows::default();
        for number in 0..2_000 {
            for code in [None, Some(Code::Internal), Some(Code::NotFound)] {
                call(&flows, "a", &format!("m{number}"), code, true);
            }
        }
        let read = flows.read();
        assert!(read.len() <= MAX_FLOWS + 1, "{}", read.len());
        assert_eq!(flows.table().count, MAX_FLOWS);
        let series: usize = read[..read.len() - 1].iter().map(|flow| flow.codes.len()).sum();
        assert_eq!(series, MAX_SERIES as usize);
        assert_eq!(read.iter().map(|flow| flow.faults().0).sum::<u64>(), 6_000, "none is lost");
    }

    #[test]
    fn a_hostile_name_is_escaped_and_cut() {
        let flows = Flows::default();
        call(&flows, "a", &("x\n\u{202e}".to_owned() + &"y".repeat(1_000)), None, true);
        let name = flows.read()[0].method.clone();
        assert!(name.len() < 300 && name.starts_with(r"x\n\u{202e}yy"), "{name}");
    }
}
