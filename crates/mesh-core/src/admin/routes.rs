//! The answers of the admin port.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Response, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    routing::{get, post},
};
use serde::Deserialize;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    Format, Later, Source,
    events::Streams,
    guard::{Asked, Ends, Guard, Refusal, too_many},
    login::{COOKIE, LIFETIME, Verdict},
    page,
};
use crate::telemetry::exposition;

/// The time limit for the body of a request, and for the creation of an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest body: a token in JSON.
const MAX_BODY: usize = 4 * 1024;
/// Headers of every answer. No other site may run, frame or store the content of this port.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The content type of JSON.
pub(super) const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const SCHEMA: &str = include_str!("../../../../docs/schemas/admin-api.schema.json");

/// The parts that answers are made of.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) source: Arc<dyn Source>,
    pub(super) guard: Arc<Guard>,
    pub(super) streams: Streams,
    pub(super) stop: CancellationToken,
}

type Answer = Response<Body>;

/// The routes, behind the guard.
pub(super) fn router(desk: Desk) -> Router {
    Router::new()
        .route("/livez", get(async || text(StatusCode::OK, "ok\n")))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/self", get(async |State(desk): State<Desk>| json(desk.source.report()).await))
        .route("/api/v1/mesh", get(async |State(desk): State<Desk>| json(desk.source.picture()).await))
        .route("/api/v1/history", get(history))
        .route("/api/v1/events", get(events))
        .route("/api/v1/schema", get(async || answer(StatusCode::OK, "application/schema+json", SCHEMA)))
        .route("/login", post(login))
        .fallback(file)
        .layer(from_fn_with_state(desk.clone(), check))
        .with_state(desk)
}

async fn check(State(desk): State<Desk>, request: Request, next: Next) -> Answer {
    let asked = Asked { method: request.method(), uri: request.uri(), headers: request.headers() };
    let judged = match request.extensions().get::<Ends>() {
        Some(ends) => desk.guard.judge(asked, *ends, Instant::now()),
        None => Err(Refusal { status: StatusCode::INTERNAL_SERVER_ERROR, text: "", retry_after: None }),
    };
    let mut answer = match judged {
        Ok(()) => next.run(request).await,
        Err(refusal) => refused(&refusal),
    };
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

fn refused(refusal: &Refusal) -> Answer {
    let mut answer = text(refusal.status, format!("{}\n", refusal.text));
    if refusal.status == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(seconds) = refusal.retry_after {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

pub(super) fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

fn text(status: StatusCode, body: impl Into<Body>) -> Answer {
    answer(status, TEXT, body)
}

/// A JSON document that is made elsewhere.
async fn json(made: Later) -> Answer {
    page_of(made, JSON).await
}

async fn page_of(made: Later, kind: &'static str) -> Answer {
    match timeout(PATIENCE, made).await {
        Ok(Some(body)) => answer(StatusCode::OK, kind, body),
        _ => text(StatusCode::SERVICE_UNAVAILABLE, "the mesh did not answer in time, or is not running\n"),
    }
}

async fn ready(State(desk): State<Desk>) -> Answer {
    let obstacles = desk.source.obstacles();
    if obstacles.is_empty() {
        return text(StatusCode::OK, "ok\n");
    }
    text(StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", obstacles.join("\n")))
}

async fn metrics(State(desk): State<Desk>, request: Request) -> Answer {
    let accept = request.headers().get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let wanted = accept.flat_map(|accept| accept.split(',')).any(asks_for_open_metrics);
    let (format, kind) = if wanted {
        (Format::OpenMetrics, exposition::OPEN_METRICS)
    } else {
        (Format::Prometheus, exposition::PROMETHEUS)
    };
    page_of(desk.source.metrics(format), kind).await
}

fn asks_for_open_metrics(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let is_it = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/openmetrics-text"));
    let refused = |part: &str| {
        let quality = part.strip_prefix("q=").and_then(|quality| quality.parse::<f32>().ok());
        quality.is_some_and(|quality| quality <= 0.0)
    };
    is_it && !parts.any(refused)
}

async fn history(State(desk): State<Desk>, request: Request) -> Answer {
    let query = request.uri().query().unwrap_or_default();
    let number = |name: &str| {
        let of = |pair: &str| pair.split_once('=').filter(|(key, _)| *key == name)?.1.parse().ok();
        query.split('&').find_map(of)
    };
    json(desk.source.history(number("window").unwrap_or(3_600), number("step").unwrap_or(10))).await
}

async fn events(State(desk): State<Desk>) -> Answer {
    match desk.streams.open(&desk.source.tail(), desk.stop.clone()) {
        Some(body) => answer(StatusCode::OK, "text/event-stream", body),
        None => text(StatusCode::SERVICE_UNAVAILABLE, "too many streams are open\n"),
    }
}

#[derive(Deserialize)]
struct Shown {
    token: String,
}

async fn login(State(desk): State<Desk>, request: Request) -> Answer {
    let login = &desk.guard.login;
    if !login.is_needed() {
        return text(StatusCode::NOT_FOUND, "no token is configured\n");
    }
    let is_json = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if is_json.is_none_or(|kind| kind.split(';').next() != Some(JSON)) {
        // A form of another site cannot send this type.
        return text(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json\n");
    }
    let Some(ends) = request.extensions().get::<Ends>().copied() else {
        return text(StatusCode::INTERNAL_SERVER_ERROR, "");
    };
    let Ok(Ok(body)) = timeout(PATIENCE, to_bytes(request.into_body(), MAX_BODY)).await else {
        return text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large, or did not arrive in time\n");
    };
    let Ok(Shown { token }) = serde_json::from_slice(&body) else {
        return text(StatusCode::BAD_REQUEST, "send {\"token\": \"…\"}\n");
    };
    let token = Zeroizing::new(token);
    match login.judge(token.as_bytes(), ends.peer.ip(), Instant::now()) {
        Verdict::Wait(wait) => refused(&too_many(wait)),
        Verdict::Wrong => text(StatusCode::UNAUTHORIZED, "this is not the token\n"),
        Verdict::Right => {
            let seconds = LIFETIME.as_secs();
            let cookie = login.open(Instant::now()).and_then(|value| {
                let secure = if ends.tls { "; Secure" } else { "" };
                let cookie =
                    format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}");
                HeaderValue::from_str(&cookie).ok()
            });
            let Some(cookie) = cookie else { return text(StatusCode::INTERNAL_SERVER_ERROR, "") };
            let mut answer = text(StatusCode::NO_CONTENT, "");
            answer.headers_mut().insert(header::SET_COOKIE, cookie);
            answer
        }
    }
}

async fn file(request: Request) -> Answer {
    match page::file(request.uri().path()) {
        Some((bytes, kind)) => answer(StatusCode::OK, kind, bytes),
        None => text(StatusCode::NOT_FOUND, "there is nothing here\n"),
    }
}
