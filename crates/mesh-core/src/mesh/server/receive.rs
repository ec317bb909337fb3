//! Messages of the peers that call this side, and the streams of their requests.
//!
//! A request, outermost first: session → open → [`admit`](super::admit) → handler.

use std::sync::Arc;

use super::{
    admit::Arriving,
    requests::{Beginning, Server},
    session::{Arrival, ServerSession},
    shedding::{Load, Method},
};
use crate::{
    auth::AuthError,
    error::{Code, Coded, Reason},
    mesh::{
        chain::time_left,
        events::{AbortCause, Request, RequestId, StreamId},
        own_calls::OBSERVE,
        session::{Carrier, End, Session, Sessions, Side, StreamError, Streams},
        shared::Shared,
    },
    record::{
        RecordError,
        message::{CancelCause, Encoded, Failure, Message},
    },
    telemetry::{Began, Begun, Direction, FlowKind},
};

impl Side for Server {
    fn sessions(&self) -> &Sessions<ServerSession> {
        &self.sessions
    }

    fn on_message(
        self: &Arc<Self>,
        session: &Arc<ServerSession>,
        message: Message<'_>,
        mut verify: impl FnMut(&[u8]) -> Result<(), AuthError>,
    ) -> Result<(), RecordError> {
        match message {
            Message::Request { call: number, token, time_left_ms, method, fields, payload } => {
                let request = Arriving { number, time_left_ms, method, fields, payload };
                self.on_request(session, &request, verify(token))
            }
            Message::Cancel { call, cause } => {
                self.on_cancel(session, call, cause);
                Ok(())
            }
            // Only a server sends this message. It was reflected, or the peer is faulty.
            _ => Err(RecordError::Format),
        }
    }

    fn ended(self: &Arc<Self>, session: &Arc<ServerSession>, _: &End, _: &[Encoded]) {
        self.abort_session(session, AbortCause::SessionLost);
    }

    fn forgotten(&self, session: &ServerSession) {
        for id in session.requests() {
            self.take(id);
        }
    }
}

impl Server {
    fn on_request(
        self: &Arc<Self>,
        session: &Arc<ServerSession>,
        request: &Arriving<'_>,
        token: Result<(), AuthError>,
    ) -> Result<(), RecordError> {
        let out_of_time = token.as_ref().err().filter(|error| error.is_about_time());
        let others = match session.arrive(request.number, out_of_time.is_some()) {
            Arrival::Repeated => return Err(RecordError::Format),
            Arrival::Late => return Ok(()),
            Arrival::OutOfTime => {
                if let Some(error) = out_of_time {
                    self.refuse_time(session, error);
                }
                return Ok(());
            }
            Arrival::New { others } => others,
        };
        let begun = Begun {
            direction: Direction::In,
            peer: session.info.peer.as_str(),
            method: request.method,
            kind: FlowKind::from_number(request.fields.kind as u8),
            metadata: request.fields.metadata,
            trust: session.info.trust_name(),
            attempt: request.fields.attempt,
        };
        let load = || Load {
            delay: self.shared.events.delay(),
            memory: self.shared.budget.figures(),
            session: (others, self.shared.config.limits.max_calls),
            sessions: self.sessions.len(),
            requests: self.under_way(),
        };
        let charge = match self.policy.admit(session, request, token, others, load) {
            Ok(charge) => charge,
            Err(refusal) => {
                self.shared.stats.count_request(false);
                self.shared.sight.refused_request(begun, refusal.code(), self.shared.elapsed());
                if !refusal.is_own() {
                    session.unwelcome()?;
                }
                session.send(Encoded::error(request.number, &refusal.failure()));
                return Ok(());
            }
        };
        if request.method == OBSERVE {
            self.observe(session, request, charge);
            return Ok(());
        }
        let kind = request.fields.kind;
        let time_left = time_left(request.time_left_ms, kind.is_stream());
        let streams = Streams::of_request(kind, request.method, session.account());
        let Began { watched, metadata } = self.shared.sight.begin(begun, self.shared.elapsed());
        let method = (!kind.is_stream()).then(|| Method::new(request.method));
        let priority = request.fields.priority;
        let beginning = Beginning { streams, time_left, charge, watched, method, priority };
        let id = self.begin(session, request.number, beginning);
        self.shared.events.request(Request {
            id,
            session: &session.info,
            method: request.method,
            kind,
            payload: request.payload,
            metadata: metadata.as_deref().unwrap_or(request.fields.metadata),
            time_left,
            attempt: request.fields.attempt,
            depth: request.fields.depth,
            path: request.fields.path,
        });
        Ok(())
    }

    /// A clock was changed while a request was in transit. The request never
    /// ran. The goaway says so, and the caller repeats it on a new session.
    fn refuse_time(&self, session: &ServerSession, error: &AuthError) {
        self.shared.stats.count_request(false);
        let peer = session.info.peer.to_string();
        let fields = vec![("peer", peer.clone()), ("reason", error.reason().to_string())];
        let text = format!("the request's token: {error}");
        self.shared.log_refusal("request.refused", peer, text, fields);
        session.leave();
    }

    /// Handles the cancellation of a request by its caller.
    fn on_cancel(&self, session: &ServerSession, number: u32, cause: CancelCause) {
        let Some(id) = session.request(number) else { return };
        let cause = match cause {
            CancelCause::Cancelled => AbortCause::Cancelled,
            CancelCause::Deadline => AbortCause::Deadline,
        };
        self.stop(id, cause, None);
    }
}

impl Carrier for Server {
    type Held = ServerSession;

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn stream(id: RequestId) -> StreamId {
        StreamId::Request(id)
    }

    fn find(&self, session: &ServerSession, number: u32) -> Option<RequestId> {
        session.request(number)
    }

    fn with<T>(&self, id: RequestId, work: impl FnOnce(&mut Streams) -> T) -> Option<T> {
        Some(work(&mut self.requests().active.get_mut(&id)?.streams))
    }

    fn with_placed<T>(
        &self,
        id: RequestId,
        work: impl FnOnce(&mut Streams, &Session, u32) -> T,
    ) -> Option<T> {
        let mut requests = self.requests();
        let active = requests.active.get_mut(&id)?;
        Some(work(&mut active.streams, &active.session, active.number))
    }

    fn each(&self, mut work: impl FnMut(RequestId, &mut Streams, &Session)) {
        for (id, active) in &mut self.requests().active {
            work(*id, &mut active.streams, &active.session);
        }
    }

    fn peer_ended(&self, id: RequestId, _: &[u8]) {
        self.shared.events.input_ended(id);
    }

    fn all_gone(&self, id: RequestId) {
        self.take(id);
    }

    fn break_stream(&self, id: RequestId, error: StreamError) {
        let (code, reason) = match error {
            StreamError::TooLarge => (Code::ResourceExhausted, Reason::TooLarge),
            StreamError::Unread | StreamError::NoRoom => (Code::ResourceExhausted, Reason::MemoryLimit),
            _ => (Code::InvalidArgument, Reason::StreamProtocol),
        };
        self.fail_own(id, code, reason, &format!("the caller sent {error}"));
    }

    fn fail_own(&self, id: RequestId, code: Code, reason: Reason, text: &str) {
        self.stop(id, AbortCause::Cancelled, Some(&Failure::new(code, reason, text)));
    }
}
