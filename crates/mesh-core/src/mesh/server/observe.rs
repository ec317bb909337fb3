//! The built-in method `securestack.observe`, which returns the report of this process. Its requests pass the
//! same admission as others, and never reach the application.

use std::sync::Arc;

use super::{
    admit::Arriving,
    requests::{Beginning, Server},
    session::ServerSession,
};
use crate::{
    budget::Charge,
    error::{Code, Reason},
    mesh::session::Streams,
    record::message::{Encoded, Encoding, Failure, Payload},
};

impl Server {
    /// Answers with the report of this process.
    pub(super) fn observe(
        self: &Arc<Self>,
        session: &Arc<ServerSession>,
        request: &Arriving<'_>,
        charge: Charge,
    ) {
        if request.fields.kind.is_stream() {
            let text = "securestack.observe is a unary method";
            let failure = Failure::new(Code::Unimplemented, Reason::CallKind, text);
            self.shared.stats.count_request(false);
            session.send(Encoded::error(request.number, &failure));
            return;
        }
        let streams = Streams::of_request(request.fields.kind, request.method, session.account());
        let time_left = crate::mesh::chain::time_left(request.time_left_ms, false);
        let priority = request.fields.priority;
        let beginning = Beginning { streams, time_left, charge, watched: None, method: None, priority };
        let id = self.begin(session, request.number, beginning);
        if let Some(text) = self.shared.reporter.recent() {
            return self.respond(id, b"", Payload { encoding: Encoding::Json, bytes: text.as_bytes() });
        }
        let Some(mut report) = self.shared.reporter.make() else {
            let failure =
                Failure::new(Code::FailedPrecondition, Reason::Closed, "the service is starting or closing");
            return self.fail(id, &failure);
        };
        let server = Arc::clone(self);
        tokio::spawn(async move {
            // Writing a large report takes a while.
            let Ok(text) = server.shared.platform.blocking(move || report.bound()).await else { return };
            let text = server.shared.reporter.keep(text);
            server.respond(id, b"", Payload { encoding: Encoding::Json, bytes: text.as_bytes() });
            server.shared.events.flush();
        });
    }
}
