//! The history of the mesh in its file. A file that cannot be used is told of in the log and among the problems, and
//! tried again each minute; calls and the page go on without it.

use std::sync::{Arc, Mutex};

use tokio::{sync::mpsc, task::spawn_blocking};

use super::{
    asking::ask,
    events::Level,
    io::Job,
    shelf::{Damage, Shelf, ShelfError},
    sync::lock,
};
use crate::{
    clock::Clock,
    error::Reason,
    telemetry::{History, Recorder},
};

/// The history and its file.
#[derive(Clone)]
pub(super) struct Archive {
    pub(super) shelf: Arc<Mutex<Shelf>>,
    pub(super) history: Arc<Mutex<History>>,
    pub(super) jobs: mpsc::WeakUnboundedSender<Job>,
    pub(super) sight: Arc<Recorder>,
    pub(super) clock: Clock,
}

impl Archive {
    /// Opens the file, if it is not open.
    pub(super) async fn open(&self) {
        let (file, history, now) = (Arc::clone(&self.shelf), Arc::clone(&self.history), self.now());
        self.note(spawn_blocking(move || lock(&file).open(&history, now)).await.unwrap_or(Ok(None)));
    }

    /// Writes what is new, at most once a minute unless `at_once`.
    pub(super) async fn write(&self, at_once: bool) {
        let (file, history, now) = (Arc::clone(&self.shelf), Arc::clone(&self.history), self.now());
        let write = move || {
            let mut file = lock(&file);
            if !file.is_due(now, at_once) {
                return None;
            }
            let opened = file.open(&history, now);
            Some(opened.and_then(|damage| file.write(&history, now).map(|()| damage)))
        };
        if let Some(outcome) = spawn_blocking(write).await.unwrap_or_default() {
            self.note(outcome);
        }
    }

    fn now(&self) -> u64 {
        self.clock.now().as_millis()
    }

    /// Tells the application what it has to know, once.
    fn note(&self, outcome: Result<Option<Damage>, ShelfError>) {
        let (fault, damage) = match outcome {
            Ok(damage) => (None, damage),
            Err(error) => (Some(format!("admin.history: {error}")), None),
        };
        if let Some(damage) = damage {
            let message = match &damage {
                Damage::Header(away) => format!(
                    "admin.history: the file is no history of this version; it is {} now, and a new one begins",
                    away.display()
                ),
                Damage::Bytes(bytes) => format!(
                    "admin.history: {bytes} bytes of the file were not written whole or were changed; they are left out"
                ),
            };
            self.log(Level::Warn, "history.damaged", message);
        }
        if !self.sight.set_history_fault(fault.clone()) {
            return;
        }
        match fault {
            Some(fault) => self.log(Level::Error, "history.failed", fault),
            None => {
                self.log(Level::Info, "history.kept", "admin.history: the history is kept again".to_owned());
            }
        }
    }

    fn log(&self, level: Level, event: &'static str, message: String) {
        drop(ask(&self.jobs, move |io| {
            let shared = &io.0.shared;
            shared.log(level, event, message, vec![("reason", Reason::File.to_string())]);
            shared.events.flush();
        }));
    }
}
