//! Calls of the mesh itself. Their answers never reach the application.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    events::{
        AbortCause, CallError, CallId, Events, LogEvent, Reply, Request, RequestId, SessionInfo, StreamId,
    },
    sync::lock,
};
use crate::{
    id::ServiceId,
    record::message::Payload,
    telemetry::{Metrics, report::MAX_REPORT},
};

/// The method that returns the report of a process.
pub(crate) const OBSERVE: &str = "securestack.observe";
/// The method that returns the methods of a service. JavaScript makes its answer.
pub(crate) const DESCRIBE: &str = "securestack.describe";
/// With which a service asks the authority for a certificate.
pub(crate) const ENROL: &str = "ca.enrol";
/// The first number of the mesh's own calls. The application's calls have lower numbers.
pub(crate) const FIRST_OWN: CallId = 1 << 31;

type Answer = Result<Vec<u8>, CallError>;

/// The calls of the mesh itself that are in flight.
#[derive(Debug, Default)]
pub(crate) struct OwnCalls {
    last: AtomicU32,
    pending: Mutex<HashMap<CallId, oneshot::Sender<Answer>>>,
}

impl OwnCalls {
    /// The number of a new call, and the receiver of its answer.
    pub(crate) fn begin(&self) -> (CallId, oneshot::Receiver<Answer>) {
        let (sender, receiver) = oneshot::channel();
        let id = FIRST_OWN | self.last.fetch_add(1, Ordering::Relaxed);
        lock(&self.pending).insert(id, sender);
        (id, receiver)
    }
}

/// The application, without the answers to the mesh's own calls.
pub(crate) struct Beside {
    pub(crate) application: Arc<dyn Events>,
    pub(crate) own: Arc<OwnCalls>,
}

impl Events for Beside {
    fn settled(&self, call: CallId, outcome: Result<Reply<'_>, CallError>) {
        if call < FIRST_OWN {
            return self.application.settled(call, outcome);
        }
        if let Some(sender) = lock(&self.own.pending).remove(&call) {
            // An answer longer than any report is recognised by its first bytes.
            let kept = |bytes: &[u8]| bytes[..bytes.len().min(MAX_REPORT + 1)].to_vec();
            // The receiver may be gone.
            let _ = sender.send(outcome.map(|reply| kept(reply.payload.bytes)));
        }
    }

    fn request(&self, request: Request<'_>) {
        self.application.request(request);
    }

    fn item(&self, stream: StreamId, payload: Payload<'_>) {
        self.application.item(stream, payload);
    }

    fn input_ended(&self, request: RequestId) {
        self.application.input_ended(request);
    }

    fn sent(&self, stream: StreamId, cost: usize) {
        self.application.sent(stream, cost);
    }

    fn aborted(&self, request: RequestId, cause: AbortCause) {
        self.application.aborted(request, cause);
    }

    fn session_opened(&self, session: &Arc<SessionInfo>) {
        self.application.session_opened(session);
    }

    fn session_closed(&self, session: &SessionInfo) {
        self.application.session_closed(session);
    }

    fn wanted(&self, service: &ServiceId) {
        self.application.wanted(service);
    }

    fn log(&self, event: LogEvent) {
        self.application.log(event);
    }

    fn flush(&self) {
        self.application.flush();
    }

    fn backlog(&self) -> usize {
        self.application.backlog()
    }

    fn delay(&self) -> Duration {
        self.application.delay()
    }

    fn metrics(&self) -> Option<Arc<Mutex<Metrics>>> {
        self.application.metrics()
    }
}
