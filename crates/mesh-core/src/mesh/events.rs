//! What the mesh tells the application, and the values that cross between them.

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

/// A call made here; the application chooses the number and never has two
/// calls of one number under way.
pub type CallId = u32;
/// A request received here; the mesh chooses the number.
pub type RequestId = u32;

/// What an item belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamId {
    /// A call made here.
    Call(CallId),
    /// A request received here.
    Request(RequestId),
}

/// Where a call stands among those made on behalf of one another.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    /// The request on whose behalf it is made, if there is one. The call is over
    /// when the request is. Nothing is known of one that has been answered.
    pub parent: Option<RequestId>,
    /// Which call of its chain it is, from 1.
    pub depth: u8,
    /// The calls that led to it, for errors: printable ASCII.
    pub path: &'a str,
}

impl Chain<'_> {
    /// The first call of a chain: no request led to it.
    pub const FIRST: Chain<'static> = Chain { parent: None, depth: 1, path: "" };
}

/// A call to be made.
#[derive(Clone, Debug)]
pub struct CallSpec<'a> {
    /// The service to call.
    pub service: &'a str,
    /// Its method.
    pub method: &'a str,
    /// Which sides are streams.
    pub kind: CallKind,
    /// The input; [`Payload::EMPTY`] where it is a stream.
    pub payload: Payload<'a>,
    /// A JSON object of strings, or nothing.
    pub metadata: &'a [u8],
    /// How long it may take; `None` is the configured default for a unary
    /// call, and no limit for a stream.
    pub timeout: Option<Duration>,
    /// Whether running it twice does no harm, so that it is tried again even
    /// where it may have run.
    pub idempotent: bool,
    /// Calls with the same string go to the same instance, as long as that can be used.
    pub sticky: Option<&'a str>,
    /// Whether a second copy goes to another instance when the call takes longer than most; `None` follows
    /// `resilience.hedging`, and `Some(false)` means no second copy on any occasion. Only idempotent calls get one.
    pub hedge: Option<bool>,
    /// How much it matters when its service has too much to do; `None` is the priority of the request on whose
    /// behalf it is made, and otherwise the normal one.
    pub priority: Option<Priority>,
    /// The calls that led to it.
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

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// The kind of failure.
    pub code: Code,
    /// The stable detail.
    pub reason: Cow<'static, str>,
    /// For people.
    pub message: String,
    /// Whether calling again can help and does no harm.
    pub retryable: bool,
    /// When trying again can make sense.
    pub retry_after: Option<Duration>,
    /// Whether the service answered this, rather than this side noticing it.
    pub remote: bool,
    /// Attempts made.
    pub attempts: u8,
    /// Finds the failure in the service's log.
    pub error_id: Option<String>,
    /// Structured details, JSON text.
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

    /// A failure that the service answered. Its texts come from elsewhere and may be
    /// written to a terminal, so characters that would move it are escaped. A reason
    /// that only this side can know gets the prefix `REMOTE_`: retries, breakers and
    /// applications rely on it.
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

/// A request to be answered.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Its number, for the answer.
    pub id: RequestId,
    /// The verified caller.
    pub session: &'a Arc<SessionInfo>,
    /// The method asked for.
    pub method: &'a str,
    /// Which sides are streams.
    pub kind: CallKind,
    /// The input; [`Payload::EMPTY`] where it is a stream.
    pub payload: Payload<'a>,
    /// A JSON object of strings, or nothing.
    pub metadata: &'a [u8],
    /// Time left to answer; a stream may have no limit.
    pub time_left: Option<Duration>,
    /// Which attempt of the caller this is, from 1.
    pub attempt: u8,
    /// Which call of its chain this is, from 1.
    pub depth: u8,
    /// The calls that led to this one, as its caller states them.
    pub path: &'a str,
}

/// Why nobody waits for an answer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AbortCause {
    /// The caller gave up.
    Cancelled = 1,
    /// The deadline passed.
    Deadline = 2,
    /// The caller is gone.
    SessionLost = 3,
    /// This mesh is closing.
    Shutdown = 4,
}

/// Who is at the other end of a session.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// This mesh's own number for the session.
    pub handle: u32,
    /// The session's id, the same on both sides.
    pub id: SessionId,
    /// The proved peer.
    pub peer: ServiceId,
    /// Whether the peer opened it.
    pub inbound: bool,
    /// What the peer's identity rests on.
    pub trust: Trust,
    /// The proof of the peer's certificate, if it has one.
    pub certified: Option<Arc<Certified>>,
    /// Whether the mesh secret is the embedded default.
    pub embedded: bool,
    /// The verified claims of the peer's handshake token.
    pub claims: Claims,
    /// Key agreement in use, by name.
    pub suite: &'static str,
    /// AES key size in use, in bits.
    pub aes_bits: u16,
    /// Whether it resumed a former session, without RSA.
    pub resumed: bool,
}

impl SessionInfo {
    /// The SPIFFE id that the peer's certificate proved, if it showed a certificate.
    #[must_use]
    pub fn spiffe_id(&self) -> Option<&str> {
        self.certified.as_deref().and_then(Certified::spiffe_id)
    }

    /// What the identity rests on, by the documented name.
    #[must_use]
    pub fn trust_name(&self) -> &'static str {
        match (self.trust, self.embedded) {
            (Trust::Secret, true) => "embedded",
            (Trust::Secret, false) => "shared-secret",
            (Trust::Pinned, _) => "pinned",
            (Trust::PinnedAndSecret, _) => "pinned+secret",
            (Trust::Certificate, _) => "certificate",
        }
    }
}

/// How urgent a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Of interest when looking for something.
    Debug,
    /// Worth knowing.
    Info,
    /// Somebody should look.
    Warn,
    /// Something failed.
    Error,
}

/// Something for the log. Never holds a secret.
#[derive(Clone, Debug)]
pub struct LogEvent {
    /// How urgent.
    pub level: Level,
    /// A stable name, as in `handshake.refused`.
    pub event: &'static str,
    /// For people.
    pub message: String,
    /// Details: names and values. Values may come from a stranger; whoever
    /// writes them out escapes them.
    pub fields: Vec<(&'static str, String)>,
}

/// The application, as the mesh sees it. Called on the mesh's I/O thread: no
/// method may block. Borrowed bytes are valid during the call only.
pub trait Events: Send + Sync + 'static {
    /// A call ended. Exactly once for each call made, unless it was cancelled.
    fn settled(&self, call: CallId, outcome: Result<Reply<'_>, CallError>);
    /// A request arrived.
    fn request(&self, request: Request<'_>);
    /// An item arrived. Its cost is held until [`super::Io::consumed`].
    fn item(&self, stream: StreamId, payload: Payload<'_>);
    /// A caller has no more inputs.
    fn input_ended(&self, request: RequestId);
    /// Items of this side that cost so much have gone, so that as much can follow.
    fn sent(&self, stream: StreamId, cost: usize);
    /// Nobody waits for the answer to a request any more.
    fn aborted(&self, request: RequestId, cause: AbortCause);
    /// A session was established.
    fn session_opened(&self, session: &Arc<SessionInfo>);
    /// A session ended; its requests have been aborted.
    fn session_closed(&self, session: &SessionInfo);
    /// Calls wait for the instances of a service, which nobody has reported: see [`super::Io::set_instances`].
    fn wanted(&self, service: &ServiceId);
    /// Something for the log.
    fn log(&self, event: LogEvent);
    /// A burst of events is over; now is a good time to wake somebody.
    fn flush(&self);
    /// Bytes of events that have been told and not yet been dealt with. While
    /// they are many, nothing more is read from peers.
    fn backlog(&self) -> usize;
    /// For how long the oldest event has been waiting that the application has not taken.
    fn delay(&self) -> Duration;
    /// Where the mesh counts its calls, quotas and breakers; `None` if nobody
    /// wants these figures. Asked for at the start.
    fn metrics(&self) -> Option<Arc<Mutex<Metrics>>> {
        None
    }
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
