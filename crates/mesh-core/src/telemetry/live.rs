//! The tail of calls and events, for readers that follow it. Without a reader a call costs one look at a
//! counter; with one, calls beyond a rate are only counted, and a slow reader hears how many it missed.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// Entries kept for readers that are behind.
const MAX_ENTRIES: usize = 1_024;
/// Calls kept in each [`WINDOW`].
const MAX_CALLS: u32 = 50;
const WINDOW: Duration = Duration::from_millis(100);

/// An entry of the tail.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Live {
    /// A call that has ended.
    Call(CallLine),
    /// Something that happened.
    Event(MeshEvent),
}

/// A call or request that has ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct CallLine {
    pub at: u64,
    pub direction: &'static str,
    pub peer: String,
    pub method: String,
    pub code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// Something that happened to the mesh.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct MeshEvent {
    pub at: u64,
    pub kind: String,
    pub service: String,
    pub subject: String,
    pub text: String,
}

/// The entries that a reader gets at once.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Each with its number.
    pub entries: Vec<(u64, Arc<Live>)>,
    /// The number of entries that the reader missed.
    pub missed: u64,
    /// The number of the next entry.
    pub next: u64,
}

#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<(u64, Arc<Live>)>,
    /// The number of the next entry, kept or not.
    next: u64,
    window: Duration,
    calls: u32,
}

/// The tail.
#[derive(Debug, Default)]
pub struct Tail {
    readers: AtomicUsize,
    ring: Mutex<Ring>,
}

/// A reader of the tail, as long as this lives.
#[derive(Debug)]
pub struct Reader {
    tail: Arc<Tail>,
    next: u64,
}

impl Tail {
    /// Whether somebody reads.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.readers.load(Ordering::Relaxed) > 0
    }

    /// A call has ended, at a time since the start. `line` is asked for if there is room.
    pub fn call(&self, now: Duration, line: impl FnOnce() -> CallLine) {
        if !self.is_read() {
            return;
        }
        let mut ring = self.ring();
        if now.saturating_sub(ring.window) >= WINDOW {
            (ring.window, ring.calls) = (now, 0);
        }
        if ring.calls >= MAX_CALLS {
            ring.next += 1;
            return;
        }
        ring.calls += 1;
        ring.push(Live::Call(line()));
    }

    /// Something happened.
    pub fn event(&self, event: &MeshEvent) {
        if self.is_read() {
            self.ring().push(Live::Event(event.clone()));
        }
    }

    /// Reads from now on.
    #[must_use]
    pub fn follow(self: &Arc<Self>) -> Reader {
        self.readers.fetch_add(1, Ordering::Relaxed);
        let next = self.ring().next;
        Reader { tail: Arc::clone(self), next }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, entry: Live) {
        if self.entries.len() >= MAX_ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back((self.next, Arc::new(entry)));
        self.next += 1;
    }
}

impl Reader {
    /// The entries since the last time.
    pub fn read(&mut self) -> Batch {
        let ring = self.tail.ring();
        let entries: Vec<_> =
            ring.entries.iter().filter(|(number, _)| *number >= self.next).cloned().collect();
        let missed = ring.next - self.next - entries.len() as u64;
        self.next = ring.next;
        Batch { entries, missed, next: ring.next }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.tail.readers.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.tail.ring().entries.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> CallLine {
        CallLine {
            at: 1,
            direction: "out",
            peer: "orders".to_owned(),
            method: "get".to_owned(),
            code: "OK",
            reason: None,
            ms: 1.5,
            trace_id: None,
        }
    }

    #[test]
    fn nothing_is_kept_or_even_made_without_a_reader() {
        let tail = Arc::new(Tail::default());
        tail.call(Duration::ZERO, || panic!("made"));
        let mut reader = tail.follow();
        tail.call(Duration::ZERO, line);
        let batch = reader.read();
        assert_eq!((batch.entries.len(), batch.missed), (1, 0));
        let json = serde_json::to_string(&*batch.entries[0].1).unwrap();
        assert_eq!(
            json,
            r#"{"type":"call","at":1,"direction":"out","peer":"orders","method":"get","code":"OK","ms":1.5}"#
        );
        drop(reader);
        assert!(!tail.is_read() && tail.ring().entries.is_empty());
    }

    #[test]
    fn calls_beyond_the_rate_are_counted_and_events_are_not_lost_to_them() {
        let tail = Arc::new(Tail::default());
        let mut reader = tail.follow();
        (0..1_000).for_each(|_| tail.call(Duration::from_millis(5), line));
        tail.event(&MeshEvent::default());
        let batch = reader.read();
        assert_eq!((batch.entries.len(), batch.missed), (MAX_CALLS as usize + 1, 950));
        tail.call(Duration::from_millis(105), line);
        assert_eq!(reader.read().entries.len(), 1, "the next window");
    }

    #[test]
    fn a_reader_that_is_behind_hears_how_much_it_missed() {
        let tail = Arc::new(Tail::default());
        let (mut slow, mut quick) = (tail.follow(), tail.follow());
        for _ in 0..5 {
            (0..1_000).for_each(|_| tail.event(&MeshEvent::default()));
            assert_eq!(quick.read().entries.len(), 1_000);
        }
        let batch = slow.read();
        assert_eq!((batch.entries.len(), batch.missed, batch.next), (MAX_ENTRIES, 5_000 - 1_024, 5_000));
    }
}
