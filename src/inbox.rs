//! The queue of frames to JavaScript, in bounded batches.
//!
//! The I/O thread appends frames. One wake-up signals the event loop, and
//! JavaScript takes one batch per turn, so that a full load never blocks the
//! loop for longer than one batch.
//!
//! A request may wait here until its time is over. Then JavaScript gets its number only, and no handler runs.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use napi::tokio::time::Instant;

use crate::{
    boundary::{BATCH_BYTES, BATCH_FRAMES, Event, HEADER},
    frames::Frame,
};

/// The places of its kind and of the time left in the frame of a request.
const KIND: usize = 4;
const TIME_LEFT: usize = HEADER + 4;
/// Log lines are dropped while this many batches wait, because strangers can
/// cause them.
const LOG_BATCHES: usize = 256;

/// The queue between the I/O thread and the event loop.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Batch>,
    /// Bytes in all batches.
    bytes: usize,
    /// A batch that was taken; its memory is reused.
    spare: Vec<u8>,
    /// Whether JavaScript has been woken and has not yet reached the end of the
    /// queue.
    awake: bool,
}

#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    frames: usize,
    /// Its first frame was appended then. Requests state the time that they have from then on.
    since: Option<Instant>,
    /// The first request of it is over then.
    first_over: Option<Instant>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a frame.
    pub(crate) fn push(&self, frame: &Frame<'_>) {
        let mut state = self.lock();
        state.bytes += frame.len();
        let full =
            |batch: &Batch| batch.frames >= BATCH_FRAMES || batch.bytes.len() + frame.len() > BATCH_BYTES;
        match state.batches.back_mut() {
            Some(batch) if !full(batch) => batch.append(frame),
            _ => {
                let bytes = std::mem::take(&mut state.spare);
                let mut batch = Batch { bytes, ..Batch::default() };
                batch.append(frame);
                state.batches.push_back(batch);
            }
        }
    }

    /// Bytes that JavaScript has not taken yet.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// For how long the oldest batch has been waiting.
    pub(crate) fn delay(&self) -> Duration {
        let since = self.lock().batches.front().and_then(|batch| batch.since);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Appends a log line, unless too many batches wait.
    pub(crate) fn push_log(&self, frame: &Frame<'_>) {
        if self.lock().batches.len() < LOG_BATCHES {
            self.push(frame);
        }
    }

    /// Whether JavaScript must be woken; true only once until it has taken all
    /// batches.
    pub(crate) fn wants_wake(&self) -> bool {
        let mut state = self.lock();
        let wants = !state.awake && !state.batches.is_empty();
        state.awake |= wants;
        wants
    }

    /// Copies the next batch to the beginning of `target` and returns its
    /// length; 0 if there is none. The batch ends with a `More` frame if a next
    /// one waits. A batch that is longer than `target` stays in the queue.
    pub(crate) fn take(&self, target: &mut [u8]) -> usize {
        let mut state = self.lock();
        let waiting = state.batches.len();
        let Some(batch) = state.batches.front_mut() else {
            state.awake = false;
            return 0;
        };
        let more = Frame::empty(Event::More);
        let content = batch.bytes.len();
        let length = content + if waiting > 1 { more.len() } else { 0 };
        // The batch stays in the queue until `target` is known to hold it.
        let Some(target) = target.get_mut(..length) else { return length };
        batch.mark_late();
        if waiting > 1 {
            more.write(&mut batch.bytes);
        }
        target.copy_from_slice(&batch.bytes);
        state.bytes -= content;
        // After the last batch the next frame must wake JavaScript again.
        state.awake = waiting > 1;
        let mut spare = state.batches.pop_front().map(|batch| batch.bytes).unwrap_or_default();
        if spare.capacity() <= 2 * BATCH_BYTES {
            spare.clear();
            state.spare = spare;
        }
        length
    }
}

impl Batch {
    fn append(&mut self, frame: &Frame<'_>) {
        let start = self.bytes.len();
        frame.write(&mut self.bytes);
        self.frames += 1;
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        if frame.kind == Event::Request
            && let Some(field) =
                self.bytes.get_mut(start + TIME_LEFT..).and_then(<[u8]>::first_chunk_mut::<4>)
        {
            let left = u32::from_le_bytes(*field);
            if left > 0 {
                let over = now + Duration::from_millis(left.into());
                self.first_over = Some(self.first_over.map_or(over, |first| first.min(over)));
                *field = millis(over.duration_since(since)).to_le_bytes();
            }
        }
    }

    /// States in each request how much time it has left, and makes a notice of each that has none.
    fn mark_late(&mut self) {
        let (Some(since), Some(first_over)) = (self.since, self.first_over) else { return };
        let now = Instant::now();
        let waited = millis(now.duration_since(since));
        if waited == 0 && first_over > now {
            return;
        }
        let mut start = 0;
        while let Some(length) = self.bytes.get(start..).and_then(<[u8]>::first_chunk::<4>) {
            let end = start + 4 + u32::from_le_bytes(*length) as usize;
            let Some(frame) = self.bytes.get_mut(start..end) else { return };
            start = end;
            if frame.get(KIND) != Some(&(Event::Request as u8)) {
                continue;
            }
            let Some(field) = frame.get_mut(TIME_LEFT..).and_then(<[u8]>::first_chunk_mut::<4>) else {
                return;
            };
            let has = u32::from_le_bytes(*field);
            if has == 0 {
                continue;
            }
            let left = has.saturating_sub(waited);
            *field = left.to_le_bytes();
            if left == 0 {
                frame[KIND] = Event::Late as u8;
            }
        }
    }
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
