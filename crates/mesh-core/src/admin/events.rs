//! Calls and events as a stream of server-sent events.

use std::{
    convert::Infallible,
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::telemetry::{Batch, Live, Tail};

/// Streams at once.
const MAX_STREAMS: usize = 32;
/// The interval between the writes of a stream.
const STEP: Duration = Duration::from_millis(100);
/// Steps after which a quiet stream says that it is there.
const QUIET: u32 = 150;
/// Writes that wait for a slow reader. The tail goes on without it, and it hears how much it missed.
const AHEAD: usize = 2;

/// The streams that are open.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams(Arc<AtomicUsize>);

struct Open(Streams);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Streams {
    /// A stream of what happens from now on; `None` if there are too many.
    pub(super) fn open(&self, tail: &Arc<Tail>, stop: CancellationToken) -> Option<Body> {
        if self.0.fetch_add(1, Ordering::Relaxed) >= MAX_STREAMS {
            self.0.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let open = Open(self.clone());
        let mut reader = tail.follow();
        let (sender, receiver) = mpsc::channel::<Result<Bytes, Infallible>>(AHEAD);
        tokio::spawn(async move {
            let _open = open;
            let mut ticks = interval(STEP);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut quiet = 0;
            let mut first = true;
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = sender.closed() => return,
                    _ = ticks.tick() => {}
                }
                let text = written(&reader.read());
                let text = if !text.is_empty() {
                    text
                } else if std::mem::take(&mut first) || quiet >= QUIET {
                    ":\n\n".to_owned()
                } else {
                    quiet += 1;
                    continue;
                };
                quiet = 0;
                let sent = tokio::select! {
                    () = stop.cancelled() => return,
                    sent = sender.send(Ok(text.into())) => sent,
                };
                if sent.is_err() {
                    return;
                }
            }
        });
        Some(Body::from_stream(ReceiverStream::new(receiver)))
    }
}

/// A batch in the format of the stream.
fn written(batch: &Batch) -> String {
    let mut text = String::new();
    // Writing to a `String` cannot fail. JSON has no ends of lines.
    if batch.missed > 0 {
        let _ = write!(text, "event: gap\ndata: {{\"type\":\"gap\",\"missed\":{}}}\n\n", batch.missed);
    }
    for (number, entry) in &batch.entries {
        let kind = match **entry {
            Live::Call(_) => "call",
            Live::Event(_) => "event",
        };
        let json = serde_json::to_string(&**entry).unwrap_or_default();
        let _ = write!(text, "event: {kind}\nid: {number}\ndata: {json}\n\n");
    }
    text
}
