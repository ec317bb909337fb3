//! The export of spans by OTLP/HTTP, on a thread of its own: <https://opentelemetry.io/docs/specs/otlp/>.
//!
//! Spans wait in the bounded queue of the tracer. A request takes a second's spans, or a full batch. What a collector
//! does not take for a minute is dropped and counted; a call never waits for any of it.

mod connect;
mod encode;
mod error;
mod generated;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use axum::body::Bytes;
use prost::Message;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::{connect::Connection, encode::encode, generated::ExportTraceServiceResponse};
pub(crate) use self::{encode::Process, error::ExportError};
use crate::{
    clock::wall_time,
    config::Otlp,
    telemetry::{Dropped, Span, Tracer, Wake, escape},
};

/// The longest wait of spans for others.
const EVERY: Duration = Duration::from_secs(1);
/// The time limit of a request with its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The time for which the export of a batch is tried again.
const PERSEVERANCE: Duration = Duration::from_mins(1);
/// The first and the longest pause between tries.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(16));
/// The longest wait of a closing mesh for the last spans.
const FLUSH: Duration = Duration::from_secs(2);
/// A wall clock that differs by more than this has been set.
const STEP: Duration = Duration::from_millis(5);
/// The longest text of a collector in a line of the log, in characters.
const MAX_TEXT: usize = 200;

/// Hears of failures. Called on the thread of the export.
pub(crate) type Troubles = Box<dyn Fn(&ExportError) + Send>;

/// The export of the spans of one mesh.
pub(crate) struct Exporter {
    stop: CancellationToken,
    stopped: Arc<OnceLock<Instant>>,
    ended: CancellationToken,
    _guard: DropGuard,
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exporter(..)")
    }
}

#[derive(Debug)]
struct Bell(Arc<Notify>);

impl Wake for Bell {
    fn wake(&self) {
        self.0.notify_one();
    }
}

impl Exporter {
    /// Starts the thread. `None` if the system has none left.
    pub(crate) fn open(
        options: Otlp,
        process: Process,
        tracer: Arc<Tracer>,
        troubles: Troubles,
    ) -> Option<Self> {
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let (full, stopped) = (Arc::new(Notify::new()), Arc::<OnceLock<Instant>>::default());
        tracer.wakes(Box::new(Bell(Arc::clone(&full))));
        let (origin, connection, pause) = (None, None, PAUSE.0);
        let mut work = Work {
            options,
            process,
            tracer,
            troubles,
            full,
            stop: stop.clone(),
            stopped: Arc::clone(&stopped),
            origin,
            connection,
            pause,
        };
        let over = ended.clone().drop_guard();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(work.run());
                // A name that is being looked up is not waited for.
                runtime.shutdown_background();
            }
            drop(over);
        };
        thread::Builder::new().name("secure-mesh-otlp".to_owned()).spawn(run).ok()?;
        Some(Self { stopped, ended, _guard: stop.clone().drop_guard(), stop })
    }

    /// Exports the spans that wait, if that takes no longer than two seconds, and ends.
    pub(crate) async fn close(&self) {
        let _ = self.stopped.set(Instant::now());
        self.stop.cancel();
        let _ = timeout(FLUSH + EVERY, self.ended.cancelled()).await;
    }
}

struct Work {
    options: Otlp,
    process: Process,
    tracer: Arc<Tracer>,
    troubles: Troubles,
    /// A batch is full.
    full: Arc<Notify>,
    stop: CancellationToken,
    /// The time at which the mesh began to stop.
    stopped: Arc<OnceLock<Instant>>,
    /// The wall time from which the times of spans are counted.
    origin: Option<Duration>,
    connection: Option<Connection>,
    /// The pause after the next failure.
    pause: Duration,
}

impl Work {
    async fn run(&mut self) {
        while !self.stop.is_cancelled() {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                () = self.full.notified() => {}
                () = sleep(EVERY) => {}
            }
            loop {
                let spans = self.tracer.take();
                if spans.is_empty() {
                    break;
                }
                self.deliver(spans).await;
            }
        }
    }

    /// Delivers a batch, or counts it as lost.
    async fn deliver(&mut self, spans: Vec<Span>) {
        let count = spans.len();
        let origin = self.origin();
        let body = Bytes::from(encode(&self.process, spans, origin));
        let until = Instant::now() + PERSEVERANCE;
        loop {
            let (error, retry_after) = match self.attempt(body.clone()).await {
                Ok(rejected) => {
                    self.pause = PAUSE.0;
                    self.tracer.dropped(Dropped::Rejected, rejected.min(count));
                    return self.tracer.exported(count.saturating_sub(rejected));
                }
                Err(failed) => failed,
            };
            (self.troubles)(&error);
            let pause = retry_after
                .map_or(self.pause, |seconds| Duration::from_secs(seconds).clamp(PAUSE.0, PAUSE.1));
            self.pause = (self.pause * 2).min(PAUSE.1);
            let again = error.may_pass() && Instant::now() + pause < until && !self.stop.is_cancelled();
            if again {
                tokio::select! {
                    biased;
                    // One more try, for the last spans of the mesh.
                    () = self.stop.cancelled() => {}
                    () = sleep(pause) => {}
                }
            } else {
                return self.tracer.dropped(Dropped::Failed, count);
            }
        }
    }

    /// Sends a batch once. Returns how many of its spans were rejected.
    async fn attempt(&mut self, body: Bytes) -> Result<usize, (ExportError, Option<u64>)> {
        let (stop, stopped) = (self.stop.clone(), Arc::clone(&self.stopped));
        let out_of_time = async {
            stop.cancelled().await;
            let since = stopped.get().copied().unwrap_or_else(Instant::now);
            sleep_until(since + FLUSH).await;
        };
        let answer = tokio::select! {
            biased;
            answer = timeout(PATIENCE, self.exchange(body)) => answer.unwrap_or(Err(ExportError::Patience)),
            () = out_of_time => Err(ExportError::Patience),
        };
        let answer = answer.map_err(|error| {
            self.connection = None;
            (error, None)
        })?;
        if answer.body.is_none() {
            self.connection = None;
        }
        if !answer.status.is_success() {
            return Err((ExportError::Status(answer.status), answer.retry_after));
        }
        // An answer that cannot be read is a success, as its status says.
        let body = answer.body.and_then(|body| ExportTraceServiceResponse::decode(body).ok());
        let Some(partial) = body.and_then(|body| body.partial_success) else { return Ok(0) };
        let rejected = usize::try_from(partial.rejected_spans).unwrap_or(0);
        if rejected > 0 {
            let text: String = partial.error_message.chars().take(MAX_TEXT).collect();
            (self.troubles)(&ExportError::Rejected(rejected, escape(&text).into_owned()));
        }
        Ok(rejected)
    }

    async fn exchange(&mut self, body: Bytes) -> Result<connect::Answer, ExportError> {
        if let Some(connection) = &mut self.connection
            && !connection.is_usable().await
        {
            self.connection = None;
        }
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => self.connection.insert(Connection::open(&self.options).await?),
        };
        connection.send(&self.options, body).await
    }

    /// The wall time from which the times of spans are counted. It stays the same until the clock is set, so that
    /// spans of different batches keep their distance.
    fn origin(&mut self) -> Duration {
        let elapsed = self.tracer.began().map(|began| began.elapsed()).unwrap_or_default();
        let now = wall_time().saturating_sub(elapsed);
        match self.origin {
            Some(origin) if origin.abs_diff(now) < STEP => origin,
            _ => *self.origin.insert(now),
        }
    }
}
