//! The metrics of calls, counted at the beginning and the end of each: in the record of the mesh, and for
//! an application with its own collector.

use tokio::time::Instant;

use crate::{
    discovery::Address,
    mesh::{
        events::{CallError, CallSpec},
        own_calls::OBSERVE,
        shared::Shared,
    },
    telemetry::{Began, Begun, Direction, Failed, FlowKind, Metrics, Watched},
};

/// A call whose end will be counted.
#[derive(Debug)]
pub(super) struct Measured {
    watched: Option<Watched>,
    /// For the application's collector, of a unary call: its method and its beginning.
    collected: Option<(Box<str>, Instant)>,
}

impl Measured {
    /// Begins the measurement of a call; `None` if it is not counted; and its metadata with its place in the trace, unless
    /// that stays as it is.
    pub(super) fn begin(shared: &Shared, spec: &CallSpec<'_>) -> (Option<Self>, Option<Vec<u8>>) {
        if spec.method == OBSERVE {
            // Calls of the mesh itself are not counted; a reader of the page would see only its own
            // requests.
            return (None, None);
        }
        let call = Begun {
            direction: Direction::Out,
            peer: spec.service,
            method: spec.method,
            kind: FlowKind::from_number(spec.kind as u8),
            metadata: spec.metadata,
            trust: "",
            attempt: 1,
        };
        let Began { watched, metadata } = shared.sight.begin(call, shared.elapsed());
        let collected = (!spec.kind.is_stream() && shared.is_recording()).then(|| {
            shared.record(Metrics::sent);
            (spec.method.into(), Instant::now())
        });
        ((watched.is_some() || collected.is_some()).then_some(Self { watched, collected }), metadata)
    }

    /// Records the last instance of the call, and the number of its attempts.
    pub(super) fn went_to(&mut self, target: Option<&Address>, attempts: u8) {
        if let Some(span) = self.watched.as_mut().and_then(|watched| watched.span.as_mut()) {
            span.went_to(target.map(|target| (target.host.as_str(), target.port.get())), attempts);
        }
    }

    /// Counts the end of the call; without a `failure` it succeeded.
    pub(super) fn end(self, shared: &Shared, service: &str, failure: Option<&CallError>) {
        if let Some(watched) = self.watched {
            let failed = failure.map(|error| Failed {
                code: error.code,
                reason: &error.reason,
                message: &error.message,
                error_id: error.error_id.as_deref().unwrap_or_default(),
            });
            shared.sight.end(watched, failed, shared.elapsed());
        }
        let Some((method, since)) = self.collected else { return };
        let latency = since.elapsed();
        shared.record(|metrics| {
            if failure.is_none() {
                metrics.received();
            } else {
                metrics.failed();
            }
            metrics.latency(latency);
            metrics.call(service, &method, failure.map(|error| error.code), latency);
        });
    }
}
