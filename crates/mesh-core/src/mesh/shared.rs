//! The common parts of a mesh: its configuration, the machine under it, the
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
    events::{Events, Level, LogEvent},
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
    record::{
        json,
        message::{Encoding, Payload},
    },
    telemetry::{Metrics, Recorder},
    transport::max_frame,
};

/// Details of a log line: names and values.
pub(super) type Fields = Vec<(&'static str, String)>;

/// The values of a payload may take this many times the size of the largest message.
/// Objects take up to eight times their JSON in memory.
const HEAVIEST: usize = 16;

/// A payload whose values would take too much memory, or too long to parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooHeavy {
    #[error("JSON whose values take about {0} bytes, more than the {1} that limits.maxMessageBytes allows")]
    Values(usize, usize),
    #[error("{0}")]
    Deep(json::TooDeep),
}

/// The most memory for the values of one payload. It leaves room in the budget for the frame and
/// the JSON itself.
fn heaviest(limits: &Limits) -> usize {
    let (message, frame) = (limits.max_message as usize, max_frame(limits.max_message));
    let room = Budget::session_limit(limits.memory()).saturating_sub(2 * frame + message);
    room.min(HEAVIEST * message)
}

/// The common parts of a mesh.
pub(crate) struct Shared {
    pub(crate) config: MeshConfig,
    pub(crate) platform: Platform,
    pub(crate) events: Arc<dyn Events>,
    pub(crate) timers: Timers,
    pub(crate) stats: Counters,
    /// The memory budget.
    pub(crate) budget: Arc<Budget>,
    /// The record of this mesh.
    pub(crate) sight: Arc<Recorder>,
    /// The report of this process.
    pub(crate) reporter: Reporter,
    /// Cancelled once the mesh accepts no more requests.
    pub(crate) draining: CancellationToken,
    /// Cancelled once everything ends.
    pub(crate) stop: CancellationToken,
    /// The most memory for the values of one payload.
    heaviest: usize,
    metrics: Option<Arc<Mutex<Metrics>>>,
    started: Instant,
    refusals: Throttle,
    /// Permits for RSA private operations: one for each core.
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
        Self {
            heaviest,
            config,
            platform,
            metrics: events.metrics(),
            sight,
            reporter: Reporter::default(),
            started: Instant::now(),
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

    /// The time since the start of the mesh. It is monotonic, unlike the wall
    /// clock; for quotas and breakers.
    pub(crate) fn uptime(&self) -> Timestamp {
        self.uptime_at(Instant::now())
    }

    /// The uptime at an instant.
    pub(crate) fn uptime_at(&self, instant: Instant) -> Timestamp {
        Timestamp::default() + instant.duration_since(self.started)
    }

    /// The uptime for the record of the mesh.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether the application wants metrics.
    pub(crate) fn is_recording(&self) -> bool {
        self.metrics.is_some()
    }

    /// Updates the metrics, if the application wants them.
    pub(crate) fn record(&self, count: impl FnOnce(&mut Metrics)) {
        if let Some(metrics) = &self.metrics {
            count(&mut lock(metrics));
        }
    }

    /// The approximate memory that the values of a payload take once they are parsed.
    ///
    /// # Errors
    /// The values would take too much memory, or the JSON is nested too deeply.
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

    /// A unique number for a session.
    pub(crate) fn next_handle(&self) -> u32 {
        self.last_handle.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A burst of messages from a peer is over.
    pub(crate) fn burst_over(&self) {
        self.bursts.fetch_add(1, Ordering::Relaxed);
        self.events.flush();
    }

    /// The total number of bursts of messages from peers.
    pub(crate) fn bursts(&self) -> u64 {
        self.bursts.load(Ordering::Relaxed)
    }

    /// Runs work on the I/O thread. A panic in it is logged, and does not end
    /// the mesh.
    pub(crate) fn guarded(&self, work: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            self.log(Level::Error, "internal", "a job on the I/O thread panicked".to_owned(), Vec::new());
            self.events.flush();
        }
    }

    /// Runs a step of a handshake away from the I/O thread. A step of a
    /// resumption has no RSA private operation, so it runs at once.
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

    /// The number of RSA private operations in progress.
    pub(crate) fn private_operations_running(&self) -> usize {
        self.platform.cores - self.rsa.available_permits()
    }

    pub(crate) fn log(&self, level: Level, event: &'static str, message: String, fields: Fields) {
        let line = LogEvent { level, event, message, fields };
        note(&self.sight, &line, self.elapsed());
        self.events.log(line);
    }

    /// The same, for lines that peers can cause at will. After the first few
    /// lines of one event, subject and reason, further ones are only counted.
    pub(crate) fn log_refusal(&self, event: &'static str, subject: String, message: String, fields: Fields) {
        let reason = fields.iter().find(|(name, _)| *name == "reason");
        let reason = reason.map(|(_, reason)| reason.clone()).unwrap_or_default();
        if self.refusals.admits(Kind { event, subject, reason }, Instant::now()) {
            self.log(Level::Warn, event, message, fields);
        }
    }

    /// Logs the numbers of the lines that were withheld in complete minutes.
    pub(crate) fn log_withheld(&self) {
        self.log_counts(self.refusals.withheld(Instant::now()));
    }

    /// The same at the end of the mesh, with the incomplete minute.
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
