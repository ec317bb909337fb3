//! The facts of this mesh for the admin port: asked of the I/O thread, written on the thread of the port.

use std::{
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::{Mutex as Turn, mpsc},
    time::Instant,
};

use super::{
    asking::{ask, picture},
    figures::note_moment,
    gate::Gate,
    io::Job,
    own_calls::OwnCalls,
    report::report,
    shelf::Shelf,
    sync::lock,
};
use crate::{
    admin::{AdminError, Format, Later, Source},
    clock::Timestamp,
    error::Reason,
    telemetry::{History, Recorder, Tail, exposition, picture::MeshPicture},
};

/// How long a picture is shown again, however many ask: the others are asked once.
const FRESH: Duration = Duration::from_secs(1);

/// The picture that was merged last.
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
    shelf: Option<Arc<Mutex<Shelf>>>,
}

impl Facts {
    pub(super) fn new(
        jobs: mpsc::WeakUnboundedSender<Job>,
        calls: Arc<OwnCalls>,
        gate: Arc<Gate>,
        sight: Arc<Recorder>,
    ) -> Self {
        let (shown, history) = Default::default();
        Self { jobs, calls, gate, sight, shown, history, shelf: None }
    }

    /// The same with a history that a restart does not end. Blocks.
    pub(super) fn keep_history(self, directory: &Path, now: Timestamp) -> Result<Self, AdminError> {
        let kept = Shelf::open(directory, self.sight.service(), &mut lock(&self.history), now)?;
        Ok(Self { shelf: Some(Arc::new(Mutex::new(kept))), ..self })
    }

    /// The picture of a moment ago, or a new one. Those who ask at once wait for the same.
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

impl Source for Facts {
    fn obstacles(&self) -> Vec<String> {
        self.gate.obstacles()
    }

    fn metrics(&self, format: Format) -> Later {
        let noted = ask(&self.jobs, |io| note_moment(&io.0));
        let sight = Arc::clone(&self.sight);
        Box::pin(async move {
            // Before the start the page has no more than its name.
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
            let view = lock(&history).view(now, window, step, sight.events());
            serde_json::to_string(&view).ok()
        })
    }

    fn remember(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (merging, history, file) = (self.merged(), Arc::clone(&self.history), self.shelf.clone());
        Box::pin(async move {
            let Some((picture, _)) = merging.await else { return };
            lock(&history).add(&picture);
            if let Some(file) = file {
                // A disk that is full or away for a while costs the history of that while.
                let write = move || lock(&file).write(&lock(&history), picture.at);
                let _ = tokio::task::spawn_blocking(write).await;
            }
        })
    }

    fn trouble(&self, text: String) {
        let Some(jobs) = self.jobs.upgrade() else { return };
        let _ = jobs.send(Box::new(move |io| {
            let fields = vec![("reason", Reason::File.to_string())];
            io.0.shared.log_refusal("admin.tls", "admin port".to_owned(), text, fields);
            io.0.shared.events.flush();
        }));
    }

    fn tail(&self) -> Arc<Tail> {
        Arc::clone(&self.sight.tail)
    }
}
