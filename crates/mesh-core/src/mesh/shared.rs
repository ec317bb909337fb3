//! What every part of a mesh uses: its configuration, the machine under it, the
//! application above it, the log, the counters.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    events::{Events, Level, LogEvent, SessionInfo},
    platform::{Platform, Stopped},
    reporter::Reporter,
    sight::note,
    stats::Counters,
    sync::lock,
    throttle::{Kind, Throttle},
    timers::Timers,
};
use crate::{
    budget::Budget,
    clock::Timestamp,
    config::{Limits, MeshConfig},
    discovery::Address,
    record::{
        json,
        message::{Encoding, Payload},
    },
    telemetry::{HandshakeSpan, Metrics, Recorder, SpanKind},
    transport::max_frame,
};

/// Details of a log line: names and values.
pub(super) type Fields = Vec<(&'static str, String)>;

/// The values of a payload may take so many times the memory of the largest message:
/// records in JSON take up to eight times their text.
const HEAVIEST: usize = 16;

/// A payload whose values take too much memory, or too long to parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooHeavy {
    #[error("values that take about {0} bytes, more than the {1} that limits.maxMessageBytes allows")]
    Values(usize, usize),
    #[error("{0}")]
    Deep(json::TooDeep),
}

/// The most memory for the values of one payload, which has to fit beside its frame and its text.
fn heaviest(limits: &Limits) -> usize {
    let (message, frame) = (limits.max_message as usize, max_frame(limits.max_message));
    let room = Budget::session_limit(limits.memory()).saturating_sub(2 * frame + message);
    room.min(HEAVIEST * message)
}

/// What every part of a mesh uses.
pub(crate) struct Shared {
    pub(crate) config: MeshConfig,
    pub(crate) platform: Platform,
    pub(crate) events: Arc<dyn Events>,
    pub(crate) timers: Timers,
    pub(crate) stats: Counters,
    /// The memory that is held for peers and calls.
    pub(crate) budget: Arc<Budget>,
    /// The record of this mesh.
    pub(crate) sight: Arc<Recorder>,
    /// The report of this process.
    pub(crate) reporter: Reporter,
    /// No more requests are taken.
    pub(crate) draining: CancellationToken,
    /// Everything ends.
    pub(crate) stop: CancellationToken,
    /// The most memory for the values of one payload.
    heaviest: usize,
    metrics: Option<Arc<Mutex<Metrics>>>,
    started: Instant,
    refusals: Throttle,
    /// As many RSA private operations at once as there are cores.
    rsa: Arc<Semaphore>,
    bursts: AtomicU64,
    last_handle: AtomicU32,
}

impl Shared {
    pub(crate) fn new(
        config: MeshConfig,
        platform: Platform,
        events: Arc<dyn Events>,
        draining: CancellationToken,
        sight: Arc<Recorder>,
    ) -> Self {
        let cores = platform.cores;
        let budget = Arc::new(Budget::new(config.limits.memory()));
        let heaviest = heaviest(&config.limits);
        let started = Instant::now();
        if let Some(tracer) = &sight.tracer {
            tracer.counts_from(started.into_std());
        }
        Self {
            heaviest,
            config,
            platform,
            metrics: events.metrics(),
            sight,
            reporter: Reporter::default(),
            started,
            events,
            timers: Timers::default(),
            stats: Counters::default(),
            budget,
            draining,
            stop: CancellationToken::new(),
            refusals: Throttle::default(),
            rsa: Arc::new(Semaphore::new(cores)),
            bursts: AtomicU64::new(0),
            last_handle: AtomicU32::new(0),
        }
    }

    /// The time by the wall clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.platform.clock.now()
    }

    /// The time since the start of the mesh, which nobody can set back: for
    /// quotas and breakers.
    pub(crate) fn uptime(&self) -> Timestamp {
        self.uptime_at(Instant::now())
    }

    /// The same at an instant.
    pub(crate) fn uptime_at(&self, instant: Instant) -> Timestamp {
        Timestamp::default() + instant.duration_since(self.started)
    }

    /// The same for the record of the mesh.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether the application wants figures.
    pub(crate) fn is_recording(&self) -> bool {
        self.metrics.is_some()
    }

    /// Counts something, if the application wants figures.
    pub(crate) fn record(&self, count: impl FnOnce(&mut Metrics)) {
        if let Some(metrics) = &self.metrics {
            count(&mut lock(metrics));
        }
    }

    /// How much memory the values in a payload take, about, once they are parsed.
    ///
    /// # Errors
    /// It is JSON that is nested too deeply, or of more values than messages may have.
    pub(crate) fn weigh(&self, payload: Payload<'_>) -> Result<usize, TooHeavy> {
        match payload.encoding {
            Encoding::Json => match json::weigh(payload.bytes) {
                Ok(weight) if weight <= self.heaviest => Ok(weight),
                Ok(weight) => Err(TooHeavy::Values(weight, self.heaviest)),
                Err(error) => Err(TooHeavy::Deep(error)),
            },
            Encoding::Raw | Encoding::Empty => Ok(payload.bytes.len()),
        }
    }

    /// A handshake that began at this time has made a session.
    pub(crate) fn shook_hands(&self, began: Duration, info: &SessionInfo, target: Option<&Address>) {
        let Some(tracer) = &self.sight.tracer else { return };
        tracer.handshake(HandshakeSpan {
            kind: if info.inbound { SpanKind::Server } else { SpanKind::Client },
            peer: info.peer.as_str(),
            address: target.map(|target| (target.host.as_str(), target.port.get())),
            times: (began, self.elapsed()),
            outcome: Ok((info.trust_name(), info.resumed)),
        });
    }

    /// A number for a session that nobody else has.
    pub(crate) fn next_handle(&self) -> u32 {
        self.last_handle.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A burst of messages from a peer is over.
    pub(crate) fn burst_over(&self) {
        self.bursts.fetch_add(1, Ordering::Relaxed);
        self.events.flush();
    }

    /// How many bursts of messages have come from peers.
    pub(crate) fn bursts(&self) -> u64 {
        self.bursts.load(Ordering::Relaxed)
    }

    /// Does a piece of work of the I/O thread: a fault in it must not take the
    /// mesh down with it.
    pub(crate) fn guarded(&self, work: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            self.log(Level::Error, "internal", "a job on the I/O thread panicked".to_owned(), Vec::new());
            self.events.flush();
        }
    }

    /// Does a step of a handshake: off the I/O thread, unless it is that of a
    /// resumption, which holds no RSA private operation.
    pub(crate) async fn private_operation<T: Send + 'static>(
        &self,
        resumed: bool,
        operation: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        if resumed {
            return Ok(operation());
        }
        let permit = Arc::clone(&self.rsa).acquire_owned().await.map_err(|_| Stopped)?;
        let result = self.platform.blocking(move || {
            let result = operation();
            drop(permit);
            result
        });
        result.await
    }

    /// How many of those run now.
    pub(crate) fn private_operations_running(&self) -> usize {
        self.platform.cores - self.rsa.available_permits()
    }

    pub(crate) fn log(&self, level: Level, event: &'static str, message: String, fields: Fields) {
        let line = LogEvent { level, event, message, fields };
        note(&self.sight, &line, self.elapsed());
        self.events.log(line);
    }

    /// The same for what others can cause as often as they like. Lines of one
    /// event about one subject for one reason are counted after the first few.
    pub(crate) fn log_refusal(&self, event: &'static str, subject: String, message: String, fields: Fields) {
        let reason = fields.iter().find(|(name, _)| *name == "reason");
        let reason = reason.map(|(_, reason)| reason.clone()).unwrap_or_default();
        if self.refusals.admits(Kind { event, subject, reason }, Instant::now()) {
            self.log(Level::Warn, event, message, fields);
        }
    }

    /// Logs how many lines were withheld in the minutes that are over.
    pub(crate) fn log_withheld(&self) {
        self.log_counts(self.refusals.withheld(Instant::now()));
    }

    /// The same at the end of the mesh, with the minute that is not over.
    pub(crate) fn log_withheld_at_the_end(&self) {
        self.log_counts(self.refusals.withheld_at_the_end(Instant::now()));
    }

    fn log_counts(&self, withheld: Vec<(Kind, u32)>) {
        if withheld.is_empty() {
            return;
        }
        for (Kind { event, subject, reason }, count) in withheld {
            let message = format!("{count} more of the same within a minute");
            let fields = vec![("subject", subject), ("reason", reason), ("count", count.to_string())];
            self.log(Level::Warn, event, message, fields);
        }
        self.events.flush();
    }
}
