//! Files that an operator replaces while a mesh runs: a policy, certificates and their keys, a list of
//! services.
//!
//! [`Watched`] reads a set of files on a thread of its own and delivers them whenever their contents have
//! changed. The operating system signals changes of the directories around them (inotify, `FSEvents`,
//! `ReadDirectoryChangesW`), and a poll finds those that it does not signal: network and overlay file
//! systems do not, and a system may have no watch left to give.

mod error;
mod places;
mod read;
#[cfg(test)]
mod tests;

use std::{
    future,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind},
};
use tokio::sync::watch;

pub use self::{
    error::FileError,
    read::{Contents, Read},
};
use self::{
    places::{Places, places},
    read::read_all,
};

/// Readings of a set of files in the middle of its replacement, before the last one counts. Another
/// change signals the rest.
const MAX_READINGS: u32 = 5;

/// Pauses for a directory that is never quiet, before its files are read nevertheless.
const MAX_PAUSES: u32 = 10;

/// The times at which files are read.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Whether the operating system is asked to signal changes.
    notify: bool,
    /// The interval at which the files are read without a signal.
    poll: Duration,
    /// The time for which the directories must be quiet before the files are read.
    quiet: Duration,
}

impl Pace {
    const USUAL: Self =
        Self { notify: true, poll: Duration::from_secs(5), quiet: Duration::from_millis(100) };
}

/// A set of files that is watched until this value is dropped.
///
/// The files of one set belong together: each delivery has all of them, read when none was in the middle
/// of a replacement. A writer that replaces them one after the other, more than 100 ms apart, causes a
/// delivery for each. Whether the files fit together (a certificate and its key) is for the user to
/// check, who keeps the previous contents until they do.
#[derive(Debug)]
pub struct Watched {
    states: watch::Receiver<Read>,
    signals: mpsc::Sender<Signal>,
}

#[derive(Debug)]
enum Signal {
    /// Something happened in a watched directory.
    Changed,
    /// A watched directory itself was removed or renamed: its watch is void.
    Moved,
    /// The [`Watched`] was dropped.
    Stop,
}

impl Watched {
    /// Reads the files at `paths` and watches them from then on. No file may have more than `max` bytes.
    /// A file that is missing or unreadable does not end the watch.
    ///
    /// Blocks until the files have been read.
    ///
    /// # Errors
    /// The first value is an error if a file could not be read: `INVALID_ARGUMENT`, `FILE`.
    pub fn new(paths: Vec<PathBuf>, max: usize) -> (Read, Self) {
        Self::with_pace(paths, max, Pace::USUAL)
    }

    fn with_pace(paths: Vec<PathBuf>, max: usize, pace: Pace) -> (Read, Self) {
        let (sender, signals) = mpsc::channel();
        let mut files = Files { paths, max, pace, sender: sender.clone(), signals, watch: None };
        // The watch comes first: a change during the first reading is signalled.
        files.place_watch();
        let first = files.settle().unwrap_or(Err(FileError::Thread));
        let (states, receiver) = watch::channel(first.clone());
        let watched = Self { states: receiver, signals: sender };
        let thread = thread::Builder::new().name("secure-mesh-files".to_owned());
        match thread.spawn(move || files.run(&states)) {
            Ok(_) => (first, watched),
            Err(_) => (Err(FileError::Thread), watched),
        }
    }

    /// Waits for other contents, or another fault, than were delivered last. A user that is slow gets the
    /// newest state and misses those between. A rewrite with the same contents is no change.
    ///
    /// Dropping the future loses nothing.
    pub async fn changed(&mut self) -> Read {
        if self.states.changed().await.is_err() {
            // The thread is gone, so no change can come any more.
            future::pending::<()>().await;
        }
        self.states.borrow_and_update().clone()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // The thread ends by itself. It is not waited for: a network file system may hold it up.
        let _ = self.signals.send(Signal::Stop);
    }
}

/// The state of the thread.
struct Files {
    paths: Vec<PathBuf>,
    max: usize,
    pace: Pace,
    sender: mpsc::Sender<Signal>,
    signals: mpsc::Receiver<Signal>,
    /// The watch of the operating system, if it has one.
    watch: Option<Watch>,
}

struct Watch {
    places: Places,
    _watcher: RecommendedWatcher,
}

/// The [`Watched`] was dropped.
struct Stopped;

impl Files {
    fn run(mut self, states: &watch::Sender<Read>) {
        while self.wait().is_ok() {
            self.place_watch();
            let Ok(state) = self.settle() else { return };
            states.send_if_modified(|last| {
                let other = *last != state;
                if other {
                    *last = state;
                }
                other
            });
        }
    }

    /// Waits until the files are due to be read: after a signal and the quiet that follows it, or after
    /// the time of a poll.
    fn wait(&mut self) -> Result<(), Stopped> {
        match self.signals.recv_timeout(self.pace.poll) {
            Ok(signal) => {
                self.take(&signal)?;
                self.quiet(MAX_PAUSES)
            }
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(Stopped),
        }
    }

    /// Pauses until a pause passes without a signal, `most` times at most.
    fn quiet(&mut self, most: u32) -> Result<(), Stopped> {
        for _ in 0..most {
            thread::sleep(self.pace.quiet);
            let mut quiet = true;
            while let Ok(signal) = self.signals.try_recv() {
                self.take(&signal)?;
                quiet = false;
            }
            if quiet {
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, signal: &Signal) -> Result<(), Stopped> {
        match signal {
            Signal::Changed => {}
            Signal::Moved => self.watch = None,
            Signal::Stop => return Err(Stopped),
        }
        Ok(())
    }

    /// Reads the files until they hold still. A fault counts only if it lasts: a file that is removed and
    /// written anew is missing for a moment.
    fn settle(&mut self) -> Result<Read, Stopped> {
        let mut readings = 1;
        loop {
            let (state, whole) = read_all(&self.paths, self.max);
            let lasts = whole || (state.is_err() && readings > 1);
            if lasts || readings == MAX_READINGS {
                return Ok(state);
            }
            readings += 1;
            self.quiet(1)?;
        }
    }

    /// Lets the operating system watch the directories around the files, if it does not watch exactly these
    /// already.
    fn place_watch(&mut self) {
        if !self.pace.notify {
            return;
        }
        let places = places(&self.paths);
        if self.watch.as_ref().is_some_and(|watch| watch.places == places) {
            return;
        }
        self.watch = None;
        // The crate panics where no thread can be started. Without a watch the poll finds all changes.
        let sender = self.sender.clone();
        let begun = catch_unwind(AssertUnwindSafe(|| begin(sender, &places))).ok().and_then(Result::ok);
        self.watch = begun.map(|watcher| Watch { places, _watcher: watcher });
    }
}

/// Lets the operating system watch `places`.
fn begin(sender: mpsc::Sender<Signal>, places: &Places) -> notify::Result<RecommendedWatcher> {
    let own = places.clone();
    let handler = move |event: notify::Result<notify::Event>| {
        // An error says that an event may be lost: that is a reason to look, too.
        let signal = event.map_or(Some(Signal::Changed), |event| signal(&event, &own));
        if let Some(signal) = signal {
            let _ = sender.send(signal);
        }
    };
    let mut watcher = RecommendedWatcher::new(handler, notify::Config::default())?;
    for place in places.keys() {
        watcher.watch(place, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// The signal of an event. Opening and reading are none, or each reading here would cause the next.
fn signal(event: &notify::Event, watched: &Places) -> Option<Signal> {
    let moves = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
    if moves && event.paths.iter().any(|path| watched.contains_key(path)) {
        return Some(Signal::Moved);
    }
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Signal::Changed),
        EventKind::Access(_) => None,
        _ => Some(Signal::Changed),
    }
}
