//! What the admin port shows of this mesh: asked of the I/O thread, written on the thread of the port.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{
    figures::note_moment,
    gate::Gate,
    io::{Io, Job},
    report::report,
};
use crate::{
    admin::{Format, Later, Source},
    telemetry::{Recorder, Tail, exposition},
};

/// The facts about one mesh.
pub(super) struct Facts {
    pub(super) jobs: mpsc::WeakUnboundedSender<Job>,
    pub(super) gate: Arc<Gate>,
    pub(super) sight: Arc<Recorder>,
}

impl Facts {
    /// Asks the I/O thread.
    fn ask<T: Send + 'static>(&self, question: impl FnOnce(&Io) -> T + Send + 'static) -> oneshot::Receiver<T> {
        let (sender, receiver) = oneshot::channel();
        if let Some(jobs) = self.jobs.upgrade() {
            let _ = jobs.send(Box::new(move |io| {
                let _ = sender.send(question(io));
            }));
        }
        receiver
    }
}

impl Source for Facts {
    fn obstacles(&self) -> Vec<String> {
        self.gate.obstacles()
    }

    fn metrics(&self, format: Format) -> Later {
        let noted = self.ask(|io| note_moment(&io.0));
        let sight = Arc::clone(&self.sight);
        Box::pin(async move {
            // Before the start the page has no more than its name.
            let _ = noted.await;
            Some(match format {
                Format::Prometheus => exposition::prometheus(&sight),
                Format::OpenMetrics => exposition::open_metrics(&sight),
            })
        })
    }

    fn report(&self) -> Later {
        let asked = self.ask(|io| report(&io.0));
        Box::pin(async move { Some(asked.await.ok()?.bound()) })
    }

    fn picture(&self) -> Later {
        Box::pin(async { None })
    }

    fn history(&self, _window: u32, _step: u32) -> Later {
        Box::pin(async { None })
    }

    fn tail(&self) -> Arc<Tail> {
        Arc::clone(&self.sight.tail)
    }
}
