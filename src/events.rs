//! Core events, written as frames for JavaScript.

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use mesh_core::{
    id::ServiceId,
    identity::Certified,
    mesh::{
        AbortCause, CallError, CallId, Events, Level, LogEvent, Reply, Request, RequestId, SessionInfo,
        StreamId,
    },
    record::message::{Encoding, Payload},
    telemetry::Metrics,
};
use napi::{
    Status,
    bindgen_prelude::{Function, Result},
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use crate::{
    boundary::{self, Event},
    frames::{Frame, split},
    inbox::Inbox,
};

/// Wakes the event loop. The reference is weak, because `js/` decides whether the process stays alive.
type Wake = ThreadsafeFunction<(), (), (), Status, false, true, 4>;

/// The application on the other side of the boundary.
pub(crate) struct Outlet {
    pub(crate) inbox: Inbox,
    wake: OnceLock<Wake>,
    metrics: Option<Arc<Mutex<Metrics>>>,
}

impl Outlet {
    pub(crate) fn new(
        on_wake: &Function<'_, (), ()>,
        metrics: Option<Arc<Mutex<Metrics>>>,
    ) -> Result<Arc<Self>> {
        let wake = on_wake
            .build_threadsafe_function::<()>()
            .weak::<true>()
            .callee_handled::<false>()
            .max_queue_size::<4>()
            .build()?;
        Ok(Arc::new(Self { inbox: Inbox::default(), wake: OnceLock::from(wake), metrics }))
    }

    fn push_json(&self, kind: Event, id: u32, value: &Value) {
        let text = value.to_string();
        self.inbox.push(&Frame {
            kind,
            encoding: Encoding::Json,
            a: 0,
            id,
            numbers: &[],
            parts: &[text.as_bytes()],
        });
    }
}

/// A certificate as `js/` shows it.
pub(crate) fn certificate(certified: &Certified) -> Value {
    json!({
        "name": certified.name,
        "subject": certified.subject,
        "issuer": certified.issuer,
        "serial": certified.serial_hex(),
        "fingerprint": certified.fingerprint_hex(),
        "expiresAt": certified.certificate_expires.as_millis(),
    })
}

impl Events for Outlet {
    fn settled(&self, call: CallId, outcome: std::result::Result<Reply<'_>, CallError>) {
        match outcome {
            Ok(Reply { payload, metadata }) => self.inbox.push(&Frame {
                kind: Event::Result,
                encoding: payload.encoding,
                a: 0,
                id: call,
                numbers: &[metadata.len() as u32],
                parts: &[metadata, payload.bytes],
            }),
            Err(error) => {
                let text = describe(error);
                self.inbox.push(&Frame {
                    kind: Event::Error,
                    encoding: Encoding::Json,
                    a: 0,
                    id: call,
                    numbers: &[],
                    parts: &[text.as_bytes()],
                });
            }
        }
    }

    fn request(&self, request: Request<'_>) {
        // 0 means no deadline. The value has whole milliseconds, as on the wire.
        let time_left = request.time_left.map_or(0, |left| left.as_millis());
        let time_left = u32::try_from(time_left).unwrap_or(u32::MAX);
        let Request { id, session, method, kind, payload, metadata, attempt, depth, path, .. } = request;
        self.inbox.push(&Frame {
            kind: Event::Request,
            encoding: payload.encoding,
            // The cast is lossless: a method's name has at most 200 bytes.
            a: method.len() as u16 | u16::from(kind as u8) << 8,
            id,
            // Metadata has at most 8 KiB and a path 1 KiB, so each length leaves a byte.
            numbers: &[
                session.handle,
                time_left,
                metadata.len() as u32 | u32::from(attempt) << 24,
                path.len() as u32 | u32::from(depth) << 24,
            ],
            parts: &[method.as_bytes(), metadata, path.as_bytes(), payload.bytes],
        });
    }

    fn item(&self, stream: StreamId, payload: Payload<'_>) {
        let (a, id) = split(stream);
        self.inbox.push(&Frame {
            kind: Event::Item,
            encoding: payload.encoding,
            a,
            id,
            numbers: &[],
            parts: &[payload.bytes],
        });
    }

    fn input_ended(&self, request: RequestId) {
        self.inbox.push(&Frame { id: request, ..Frame::empty(Event::InputEnded) });
    }

    fn sent(&self, stream: StreamId, cost: usize) {
        let (a, id) = split(stream);
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        self.inbox.push(&Frame { a, id, numbers: &[cost], ..Frame::empty(Event::Sent) });
    }

    fn aborted(&self, request: RequestId, cause: AbortCause) {
        let cause = match cause {
            AbortCause::Cancelled => boundary::AbortCause::Cancelled,
            AbortCause::Deadline => boundary::AbortCause::Deadline,
            AbortCause::SessionLost => boundary::AbortCause::SessionLost,
            AbortCause::Shutdown => boundary::AbortCause::Shutdown,
        };
        self.inbox.push(&Frame { a: cause as u16, id: request, ..Frame::empty(Event::Abort) });
    }

    fn session_opened(&self, session: &Arc<SessionInfo>) {
        let claims = &session.claims;
        let mut value = json!({
            "serviceId": session.peer.as_str(),
            "sessionId": session.id.to_string(),
            "inbound": session.inbound,
            "trust": session.trust_name(),
            "suite": session.suite,
            "aesKeySize": session.aes_bits,
            "claims": {
                "iss": claims.iss, "sub": claims.sub, "aud": claims.aud, "sid": claims.sid,
                "iat": claims.iat, "nbf": claims.nbf, "exp": claims.exp, "jti": claims.jti,
                "cnf": { "jkt": claims.jkt },
            },
        });
        if let Some(certified) = &session.certified {
            value["certificate"] = certificate(certified);
        }
        self.push_json(Event::SessionOpened, session.handle, &value);
    }

    fn session_closed(&self, session: &SessionInfo) {
        self.inbox.push(&Frame { id: session.handle, ..Frame::empty(Event::SessionClosed) });
    }

    fn wanted(&self, service: &ServiceId) {
        self.inbox.push(&Frame { parts: &[service.as_str().as_bytes()], ..Frame::empty(Event::Wanted) });
    }

    fn log(&self, event: LogEvent) {
        let level = match event.level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        let fields: Map<String, Value> =
            event.fields.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect();
        let value =
            json!({ "level": level, "event": event.event, "message": event.message, "fields": fields });
        let text = value.to_string();
        self.inbox.push_log(&Frame {
            encoding: Encoding::Json,
            parts: &[text.as_bytes()],
            ..Frame::empty(Event::Log)
        });
    }

    fn backlog(&self) -> usize {
        self.inbox.bytes()
    }

    fn delay(&self) -> Duration {
        self.inbox.delay()
    }

    fn metrics(&self) -> Option<Arc<Mutex<Metrics>>> {
        self.metrics.clone()
    }

    fn flush(&self) {
        if self.inbox.wants_wake()
            && let Some(wake) = self.wake.get()
        {
            // The call fails only during the teardown of the environment.
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}

/// An error as JSON.
fn describe(error: CallError) -> String {
    let mut value = json!({
        "code": error.code.as_str(),
        "reason": error.reason,
        "message": error.message,
        "retryable": error.retryable,
        "remote": error.remote,
        "attempts": error.attempts,
    });
    if let Some(time) = error.retry_after {
        value["retryAfterMs"] = json!(time.as_millis() as u64);
    }
    if let Some(id) = error.error_id {
        value["errorId"] = Value::String(id);
    }
    let mut text = value.to_string();
    // The data is the peer's: what is not JSON is left out. It is not parsed here, where
    // its values would take a multiple of its memory.
    let data = error.data.and_then(|data| String::from_utf8(data).ok());
    if let Some(data) = data.filter(|data| serde_json::from_str::<IgnoredAny>(data).is_ok()) {
        text.pop();
        text.push_str(",\"data\":");
        text.push_str(&data);
        text.push('}');
    }
    text
}
