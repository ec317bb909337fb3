//! The queue of frames to JavaScript, in bounded batches.
//!
//! The I/O thread appends frames. One wake-up signals the event loop, and
//! JavaScript takes one batch per turn, so that a full load never blocks the
//! loop for longer than one batch.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    boundary::{BATCH_BYTES, BATCH_FRAMES, Event},
    frames::Frame,
};

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
                let mut batch = Batch { bytes: std::mem::take(&mut state.spare), frames: 0 };
                batch.append(frame);
                state.batches.push_back(batch);
            }
        }
    }

    /// Bytes that JavaScript has not taken yet.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
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
        frame.write(&mut self.bytes);
        self.frames += 1;
    }
}
