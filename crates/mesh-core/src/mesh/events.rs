//! The events that the mesh reports to the application, and the values that pass between the two.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    auth::Claims,
    error::{Code, Coded, Reason},
    handshake::Trust,
    id::{ServiceId, SessionId},
    identity::Certified,
    record::message::{CallKind, Failure, Payload, Priority},
    telemetry::{Metrics, escape},
};

/// A call of the application, which chooses its id. No two calls in flight have
/// the same id.
pub type CallId = u32;
/// A request to the application; the mesh chooses its id.
pub type RequestId = u32;

/// The stream to which an item belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamId {
    /// A call of the application.
    Call(CallId),
    /// A request to the application.
    Request(RequestId),
}

/// The place of a call in its chain.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    /// The request on whose behalf the call is made, if there is one. The call
    /// ends when the request ends. A request that has been answered no longer
    /// has an effect.
    pub parent: Option<RequestId>,
    /// Its position in the chain, from 1.
    pub depth: u8,
    /// The calls before it, for errors: printable ASCII.
    pub path: &'a str,
}

impl Chain<'_> {
    /// The first call of a chain, which no request causes.
    pub const FIRST: Chain<'static> = Chain { parent: None, depth: 1, path: "" };
}

/// A call for the mesh to make.
#[derive(Clone, Debug)]
pub struct CallSpec<'a> {
    /// The service to call.
    pub service: &'a str,
    /// Its method.
    pub method: &'a str,
    /// The sides that are streams.
    pub kind: CallKind,
    /// The input; [`Payload::EMPTY`] where it is a stream.
    pub payload: Payload<'a>,
    /// A JSON object of strings, or nothing.
    pub metadata: &'a [u8],
    /// The time that it may take. `None` stands for the configured default with
    /// a unary call, and for no limit with a stream.
    pub timeout: Option<Duration>,
    /// Whether it is safe to run twice, so that it is retried even if it may
    /// have run.
    pub idempotent: bool,
    /// Calls with the same string go to the same instance, as long as that instance can be used.
    pub sticky: Option<&'a str>,
    /// Whether a copy goes to another instance when the call takes longer than most. `None` follows
    /// `resilience.hedging`, and `Some(false)` forbids every copy. Only idempotent calls get one.
    pub hedge: Option<bool>,
    /// How much it matters when its service has too much to do; `None` is the priority of the request on whose
    /// behalf it is made, and otherwise the normal one.
    pub priority: Option<Priority>,
    /// Its place in its chain.
    pub chain: Chain<'a>,
}

/// The answer to a call.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The result.
    pub payload: Payload<'a>,
    /// A JSON object of strings, or nothing.
    pub metadata: &'a [u8],
}

/// The failure of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// The kind of failure.
    pub code: Code,
    /// The stable reason.
    pub reason: Cow<'static, str>,
    /// A message for people.
    pub message: String,
    /// Whether a retry can help and is safe.
    pub retryable: bool,
    /// The delay before a retry can help.
    pub retry_after: Option<Duration>,
    /// Whether the service answered with this failure; otherwise this side noticed it.
    pub remote: bool,
    /// The number of attempts.
    pub attempts: u8,
    /// The id of the failure in the service's log.
    pub error_id: Option<String>,
    /// Structured details, as JSON.
    pub data: Option<Vec<u8>>,
}

impl CallError {
    /// A fault in this library.
    #[must_use]
    pub fn internal(message: &str) -> Self {
        Self::local(Code::Internal, Reason::Internal, message)
    }

    /// A failure noticed on this side.
    pub(crate) fn local(code: Code, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: Cow::Borrowed(reason.as_str()),
            message: message.into(),
            retryable: code == Code::Unavailable,
            retry_after: None,
            remote: false,
            attempts: 0,
            error_id: None,
            data: None,
        }
    }

    pub(crate) fn from_coded(error: &impl Coded) -> Self {
        Self {
            retry_after: error.retry_after(),
            ..Self::local(error.code(), error.reason(), error.to_string())
        }
    }

    /// A failure that the service answered. Its strings come from a peer and may
    /// reach a terminal, so control characters are escaped. A reason that only this
    /// side can know gets the prefix `REMOTE_`, because retries, breakers and
    /// applications rely on such a reason.
    pub(crate) fn remote(failure: &Failure<'_>) -> Self {
        let forged = Reason::from_name(failure.reason).is_some_and(Reason::is_of_one_side);
        let reason = escape(failure.reason);
        Self {
            code: failure.code,
            reason: Cow::Owned(if forged { format!("REMOTE_{reason}") } else { reason.into_owned() }),
            message: escape(failure.message).into_owned(),
            retryable: failure.retryable,
            retry_after: failure.retry_after_ms.map(|ms| Duration::from_millis(ms.into())),
            remote: true,
            attempts: 0,
            error_id: (!failure.error_id.is_empty()).then(|| escape(failure.error_id).into_owned()),
            data: (!failure.data.bytes.is_empty()).then(|| failure.data.bytes.to_vec()),
        }
    }
}

/// A request for the application to answer.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Its id, for the answer.
    pub id: RequestId,
    /// The verified caller.
    pub session: &'a Arc<SessionInfo>,
    /// The requested method.
    pub method: &'a str,
    /// The sides that are streams.
    pub kind: CallKind,
    /// The input; [`Payload::EMPTY`] where it is a stream.
    pub payload: Payload<'a>,
    /// A JSON object of strings, or nothing.
    pub metadata: &'a [u8],
    /// The time left for the answer; a stream may have no limit.
    pub time_left: Option<Duration>,
    /// The number of this attempt of the caller, from 1.
    pub attempt: u8,
    /// Its position in its chain, from 1.
    pub depth: u8,
    /// The calls before it, as its caller states them.
    pub path: &'a str,
}

/// The reason why an answer is no longer needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AbortCause {
    /// The caller cancelled the call.
    Cancelled = 1,
    /// The deadline passed.
    Deadline = 2,
    /// The session with the caller was lost.
    SessionLost = 3,
    /// This mesh is closing.
    Shutdown = 4,
}

/// The peer of a session, and the facts of its handshake.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// The number of the session within this mesh.
    pub handle: u32,
    /// The session's id, the same on both sides.
    pub id: SessionId,
    /// The proved peer.
    pub peer: ServiceId,
    /// Whether the peer opened it.
    pub inbound: bool,
    /// The kind of proof behind the peer's identity.
    pub trust: Trust,
    /// The proof of the peer's certificate, if it has one.
    pub certified: Option<Arc<Certified>>,
    /// Whether the mesh secret is the embedded default.
    pub embedded: bool,
    /// The verified claims of the peer's handshake token.
    pub claims: Claims,
    /// The name of the key agreement in use.
    pub suite: &'static str,
    /// The AES key size in use, in bits.
    pub aes_bits: u16,
    /// Whether it resumed a previous session, without RSA operations.
    pub resumed: bool,
}

impl SessionInfo {
    /// The SPIFFE id that the peer's certificate proved, if it showed a certificate.
    #[must_use]
    pub fn spiffe_id(&self) -> Option<&str> {
        self.certified.as_deref().and_then(Certified::spiffe_id)
    }

    /// The documented name of the kind of proof.
    #[must_use]
    pub fn trust_name(&self) -> &'static str {
        match (self.trust, self.embedded) {
            (Trust::Secret, true) => "embedded",
            (Trust::Secret, false) => "shared-secret",
            (Trust::Pinned, _) => "pinned",
            (Trust::PinnedAndSecret, _) => "pinned+secret",
            (Trust::Certificate, _) => "certificate",
            (Trust::JoinToken, _) => "join-token",
        }
    }
}

/// The urgency of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A detail for the search for a fault.
    Debug,
    /// A normal event of interest.
    Info,
    /// A condition that needs attention.
    Warn,
    /// A failure.
    Error,
}

/// A line for the log. It never contains a secret.
#[derive(Clone, Debug)]
pub struct LogEvent {
    /// Its urgency.
    pub level: Level,
    /// A stable name, as in `handshake.refused`.
    pub event: &'static str,
    /// A message for people.
    pub message: String,
    /// Details: names and values. A value may come from a stranger, so its
    /// writer must escape it.
    pub fields: Vec<(&'static str, String)>,
}

/// The application, as the mesh sees it. The I/O thread calls these methods, so
/// none may block. Borrowed bytes are valid during the call only.
pub trait Events: Send + Sync + 'static {
    /// A call ended. Reported exactly once for each call, and never for a cancelled one.
    fn settled(&self, call: CallId, outcome: Result<Reply<'_>, CallError>);
    /// A request arrived.
    fn request(&self, request: Request<'_>);
    /// An item arrived. Its cost counts against the window until [`super::Io::consumed`].
    fn item(&self, stream: StreamId, payload: Payload<'_>);
    /// The items of a caller have ended.
    fn input_ended(&self, request: RequestId);
    /// Items of this side with this total cost were sent, so that as much can follow.
    fn sent(&self, stream: StreamId, cost: usize);
    /// The answer to a request is no longer needed.
    fn aborted(&self, request: RequestId, cause: AbortCause);
    /// A session was established.
    fn session_opened(&self, session: &Arc<SessionInfo>);
    /// A session ended; its requests have been aborted.
    fn session_closed(&self, session: &SessionInfo);
    /// Calls wait for the instances of a service, which no provider has reported: see
    /// [`super::Io::set_instances`].
    fn wanted(&self, service: &ServiceId);
    /// A line for the log.
    fn log(&self, event: LogEvent);
    /// A burst of events is over, so this is a good moment to wake the receiver.
    fn flush(&self);
    /// The bytes of reported events that the application has not processed.
    /// While they are many, the mesh reads nothing more from peers.
    fn backlog(&self) -> usize;
    /// For how long the oldest event has been waiting that the application has not taken.
    fn delay(&self) -> Duration;
    /// The counters of calls, quotas and breakers; `None` if these figures are
    /// not wanted. Called once, at the start.
    fn metrics(&self) -> Option<Arc<Mutex<Metrics>>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(reason: &str, message: &str) -> CallError {
        let failure =
            Failure { error_id: "a\u{1b}[2Jb", ..Failure::new(Code::Unavailable, Reason::Internal, message) };
        CallError::remote(&Failure { reason, ..failure })
    }

    #[test]
    fn a_peer_cannot_state_what_only_this_side_knows() {
        for reason in
            ["SESSION_LOST", "CIRCUIT_OPEN", "CONNECT_FAILED", "HANDSHAKE_REFUSED", "PEER_KEY_CHANGED"]
        {
            assert_eq!(remote(reason, "x").reason, format!("REMOTE_{reason}"));
        }
        for reason in ["OUT_OF_STOCK", "CALL_LIMIT", "DEADLINE", "JWT_EXP", "INTERNAL", "NOT_FOUND", ""] {
            assert_eq!(remote(reason, "x").reason, reason);
        }
    }

    #[test]
    fn texts_of_a_peer_cannot_move_a_terminal() {
        let error = remote("A\u{1b}[31m", "\u{1b}[2J\nroot logged in");
        assert_eq!(error.message, r"\u{1b}[2J\nroot logged in");
        assert_eq!(error.reason, r"A\u{1b}[31m");
        assert_eq!(error.error_id.as_deref(), Some(r"a\u{1b}[2Jb"));
    }
}
