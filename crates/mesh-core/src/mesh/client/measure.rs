//! The figures of calls, for an application that wants them: counted here, where
//! a call begins and ends.

use tokio::time::Instant;

use crate::{
    error::Code,
    mesh::{events::CallSpec, shared::Shared},
    telemetry::Metrics,
};

/// A unary call whose end is counted.
#[derive(Debug)]
pub(super) struct Measured {
    method: Box<str>,
    since: Instant,
}

impl Measured {
    /// A call begins. `None` if nobody wants its figures.
    pub(super) fn begin(shared: &Shared, spec: &CallSpec<'_>) -> Option<Self> {
        if spec.kind.is_stream() || !shared.is_recording() {
            return None;
        }
        shared.record(Metrics::sent);
        Some(Self { method: spec.method.into(), since: Instant::now() })
    }

    /// It is over; `None` is success.
    pub(super) fn end(&self, shared: &Shared, service: &str, failure: Option<Code>) {
        let latency = self.since.elapsed();
        shared.record(|metrics| {
            if failure.is_none() {
                metrics.received();
            } else {
                metrics.failed();
            }
            metrics.latency(latency);
            metrics.call(service, &self.method, failure, latency);
        });
    }
}
