//! The facts of this mesh for the admin port. The I/O thread provides them, and the thread of the port
//! writes them.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;
use tokio::{
    sync::{Mutex as Turn, mpsc, oneshot},
    time::Instant,
};

use super::{
    archive::Archive,
    asking::{ask, picture},
    error::Error,
    figures::note_moment,
    gate::Gate,
    io::Job,
    own_calls::OwnCalls,
    report::report,
    shelf::Shelf,
    sync::lock,
};
use crate::{
    admin::{Changed, Done, Format, Later, Source},
    clock::Clock,
    crypto::rsa::PublicKey,
    error::{Coded, Reason},
    telemetry::{History, Recorder, Tail, exposition, picture::MeshPicture},
};

/// The time for which one picture serves all requests, so that other services are not asked for
/// each of them.
const FRESH: Duration = Duration::from_secs(1);

/// The latest picture.
struct Shown {
    made: Instant,
    picture: Arc<MeshPicture>,
    text: Arc<String>,
}

/// The facts about one mesh.
pub(super) struct Facts {
    jobs: mpsc::WeakUnboundedSender<Job>,
    calls: Arc<OwnCalls>,
    gate: Arc<Gate>,
    sight: Arc<Recorder>,
    shown: Arc<Turn<Option<Shown>>>,
    history: Arc<Mutex<History>>,
    archive: Option<Archive>,
}

impl Facts {
    pub(super) fn new(
        jobs: mpsc::WeakUnboundedSender<Job>,
        calls: Arc<OwnCalls>,
        gate: Arc<Gate>,
        sight: Arc<Recorder>,
    ) -> Self {
        let (shown, history) = Default::default();
        Self { jobs, calls, gate, sight, shown, history, archive: None }
    }

    /// The same, with the history of a week, which survives a restart.
    pub(super) fn keep_history(self, directory: &Path, clock: Clock) -> Self {
        let history = Arc::new(Mutex::new(History::of_a_week()));
        let archive = Archive {
            shelf: Arc::new(Mutex::new(Shelf::new(directory, self.sight.service()))),
            history: Arc::clone(&history),
            jobs: self.jobs.clone(),
            sight: Arc::clone(&self.sight),
            clock,
        };
        Self { history, archive: Some(archive), ..self }
    }

    /// A recent picture, or a new one. Concurrent requests wait for the same picture.
    fn merged(&self) -> impl Future<Output = Option<(Arc<MeshPicture>, Arc<String>)>> + Send + use<> {
        let (jobs, calls, shown) = (self.jobs.clone(), Arc::clone(&self.calls), Arc::clone(&self.shown));
        async move {
            let mut shown = shown.lock().await;
            if let Some(Shown { picture, text, .. }) =
                shown.as_ref().filter(|shown| shown.made.elapsed() < FRESH)
            {
                return Some((Arc::clone(picture), Arc::clone(text)));
            }
            let picture = Arc::new(picture(jobs, calls).await.ok()?);
            let text = Arc::new(serde_json::to_string(&*picture).ok()?);
            let merged = (Arc::clone(&picture), Arc::clone(&text));
            *shown = Some(Shown { made: Instant::now(), picture, text });
            Some(merged)
        }
    }
}

/// Replaces the key of this service. [`Error::Thread`] when the mesh is closed.
pub(super) async fn rotate_key(jobs: mpsc::WeakUnboundedSender<Job>) -> Result<PublicKey, Error> {
    let (sender, receiver) = oneshot::channel();
    if let Some(jobs) = jobs.upgrade() {
        let _ = jobs.send(Box::new(move |io| {
            let core = Arc::clone(&io.0);
            tokio::spawn(async move {
                let _ = sender.send(core.rotate_key().await);
            });
        }));
    }
    receiver.await.map_err(|_| Error::Thread)?
}

impl Source for Facts {
    fn obstacles(&self) -> Vec<String> {
        self.gate.obstacles()
    }

    fn metrics(&self, format: Format) -> Later {
        let noted = ask(&self.jobs, |io| note_moment(&io.0));
        let sight = Arc::clone(&self.sight);
        Box::pin(async move {
            // Before the start the page knows only the service's name.
            let _ = noted.await;
            Some(match format {
                Format::Prometheus => exposition::prometheus(&sight),
                Format::OpenMetrics => exposition::with_exemplars(&sight),
            })
        })
    }

    fn report(&self) -> Later {
        let asked = ask(&self.jobs, |io| report(&io.0));
        Box::pin(async move { Some(asked.await.ok()?.bound()) })
    }

    fn picture(&self) -> Later {
        let merged = self.merged();
        Box::pin(async move { Some(merged.await?.1.as_ref().clone()) })
    }

    fn history(&self, window: u32, step: u32) -> Later {
        let (history, sight) = (Arc::clone(&self.history), Arc::clone(&self.sight));
        let asked = ask(&self.jobs, |io| io.0.shared.now());
        Box::pin(async move {
            let now = asked.await.ok()?.as_millis();
            let (window, step) = (u64::from(window) * 1_000, u64::from(step) * 1_000);
            let view = {
                let mut history = lock(&history);
                history.note(sight.events());
                history.view(now, window, step)
            };
            serde_json::to_string(&view).ok()
        })
    }

    fn recall(&self) -> Done {
        let archive = self.archive.clone();
        Box::pin(async move {
            if let Some(archive) = archive {
                archive.open().await;
            }
        })
    }

    fn remember(&self) -> Done {
        let (merging, history, sight) = (self.merged(), Arc::clone(&self.history), Arc::clone(&self.sight));
        let archive = self.archive.clone();
        Box::pin(async move {
            if let Some((picture, _)) = merging.await {
                let mut history = lock(&history);
                history.note(sight.events());
                history.add(&picture);
            }
            if let Some(archive) = archive {
                archive.write(false).await;
            }
        })
    }

    fn put_away(&self) -> Done {
        let (archive, history, sight) =
            (self.archive.clone(), Arc::clone(&self.history), Arc::clone(&self.sight));
        Box::pin(async move {
            if let Some(archive) = archive {
                lock(&history).note(sight.events());
                archive.write(true).await;
            }
        })
    }

    fn trouble(&self, event: &'static str, text: String) {
        let Some(jobs) = self.jobs.upgrade() else { return };
        let _ = jobs.send(Box::new(move |io| {
            let fields = vec![("reason", Reason::File.to_string())];
            io.0.shared.log_refusal(event, "admin port".to_owned(), text, fields);
            io.0.shared.events.flush();
        }));
    }

    fn rotate_key(&self) -> Changed {
        let (rotated, sight) = (rotate_key(self.jobs.clone()), Arc::clone(&self.sight));
        Box::pin(async move {
            Some(match rotated.await {
                Ok(key) => Ok(json!({
                    "service": sight.service(),
                    "instance": sight.instance(),
                    "thumbprint": key.thumbprint().to_string(),
                })
                .to_string()),
                Err(error) => Err(json!({
                    "code": error.code().as_str(),
                    "reason": error.reason().as_str(),
                    "message": error.to_string(),
                })
                .to_string()),
            })
        })
    }

    fn tail(&self) -> Arc<Tail> {
        Arc::clone(&self.sight.tail)
    }
}
