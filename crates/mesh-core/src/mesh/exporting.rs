//! The export of this mesh's spans, if it exports them itself. Its failures are lines of the log.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::io::Job;
use crate::{
    config::MeshConfig,
    otlp::{ExportError, Exporter, Process},
    telemetry::{Recorder, Tracer},
};

/// Makes the spans that a configuration asks for.
pub(super) fn tracer(config: &MeshConfig) -> Option<Tracer> {
    config.otlp.as_ref().map(|otlp| Tracer::new(otlp.sample))
}

/// Starts the export. `None` if there is nothing to export, or no thread for it.
pub(super) fn export(
    config: &MeshConfig,
    sight: &Arc<Recorder>,
    jobs: mpsc::WeakUnboundedSender<Job>,
) -> Option<Exporter> {
    let (options, tracer) = (config.otlp.clone()?, Arc::clone(sight.tracer.as_ref()?));
    let process = Process {
        service: sight.service().to_owned(),
        instance: sight.instance().to_owned(),
        version: sight.version(),
    };
    let collector = options.collector.authority();
    let troubles = move |error: &ExportError| {
        let Some(jobs) = jobs.upgrade() else { return };
        let (reason, collector) = (error.kind().to_owned(), collector.clone());
        let text = format!("spans did not reach the collector at {collector}: {error}");
        let _ = jobs.send(Box::new(move |io| {
            let fields = vec![("collector", collector.clone()), ("reason", reason)];
            io.0.shared.log_refusal("export.failed", collector, text, fields);
            io.0.shared.events.flush();
        }));
    };
    Exporter::open(options, process, tracer, Box::new(troubles))
}
