//! Whether a request is answered. A page of another site must not read this port through the browser of
//! somebody who can, whether by a name that it points here (DNS rebinding) or across origins.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, uri::Authority};
use tokio::time::Instant;

use super::login::{COOKIE, Login, Verdict};
use crate::config::Admin;

/// The refusal of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) text: &'static str,
    /// Seconds until the next try makes sense.
    pub(super) retry_after: Option<u64>,
}

/// The ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) own: SocketAddr,
    pub(super) peer: SocketAddr,
    /// Whether it is TLS.
    pub(super) tls: bool,
    /// Whether the client has proved a certificate of `admin.tls.clientCa`.
    pub(super) certified: bool,
}

/// A request, as far as the guard looks at it.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
}

/// Decides about requests.
#[derive(Debug)]
pub(super) struct Guard {
    /// Names that a browser may have for this port, in lower case.
    hosts: Vec<String>,
    pub(super) login: Login,
    /// Whether requests have to show anything.
    guarded: bool,
    /// Nothing but the probes is answered.
    probes_only: bool,
}

fn refuse(status: StatusCode, text: &'static str) -> Result<(), Refusal> {
    Err(Refusal { status, text, retry_after: None })
}

impl Guard {
    /// The guard of the port of `admin`.
    pub(super) fn new(admin: &Admin) -> Self {
        let mut hosts = vec!["localhost".to_owned(), admin.host.to_ascii_lowercase()];
        hosts.extend(admin.hosts.iter().cloned());
        let guarded = admin.token.is_some() || admin.knows_clients();
        Self { hosts, login: Login::new(admin.token.clone()), guarded, probes_only: admin.probes_only }
    }

    /// Decides about a request.
    pub(super) fn judge(&self, asked: Asked<'_>, ends: Ends, now: Instant) -> Result<(), Refusal> {
        let path = asked.uri.path();
        let logs_in = path == "/login";
        let allowed = if logs_in { &[Method::POST][..] } else { &[Method::GET, Method::HEAD] };
        if !allowed.contains(asked.method) {
            return refuse(StatusCode::METHOD_NOT_ALLOWED, "this port is read only: GET and HEAD");
        }
        if matches!(path, "/livez" | "/readyz") {
            // A kubelet sends an address, and no token. The answer is a word.
            return Ok(());
        }
        if self.probes_only {
            return refuse(StatusCode::NOT_FOUND, "this port has /livez and /readyz");
        }
        // A page of another site cannot make a browser show the token. Nor a certificate, because the certificate of
        // this port does not name that site.
        let proven = self.bearer(asked.headers, ends, now)? || ends.certified;
        if !proven && !self.is_own(asked, ends) {
            return refuse(
                StatusCode::MISDIRECTED_REQUEST,
                "this is not a host of this port: use localhost, name it in admin.hosts, or show the token",
            );
        }
        same_origin(asked)?;
        // The page asks for the token itself; it holds nothing.
        let is_open = logs_in || !(path == "/metrics" || path.starts_with("/api/"));
        if is_open || proven || !self.guarded || self.has_cookie(asked.headers, now) {
            return Ok(());
        }
        refuse(
            StatusCode::UNAUTHORIZED,
            "show the token: Authorization: Bearer …, or a client certificate if there is admin.tls.clientCa",
        )
    }

    /// Whether the request shows the token.
    fn bearer(&self, headers: &HeaderMap, ends: Ends, now: Instant) -> Result<bool, Refusal> {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(false) };
        let value = value.as_bytes();
        let token = match value.split_at_checked(7) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token,
            _ => return Ok(false),
        };
        if !self.login.is_needed() {
            return Ok(false);
        }
        match self.login.judge(token, ends.peer.ip(), now) {
            Verdict::Right => Ok(true),
            Verdict::Wrong => refuse(StatusCode::UNAUTHORIZED, "this is not the token").map(|()| false),
            Verdict::Wait(wait) => Err(too_many(wait)),
        }
    }

    /// Whether the request names this port as its host. An address cannot be pointed elsewhere, a name can.
    fn is_own(&self, asked: Asked<'_>, ends: Ends) -> bool {
        let mut named = asked.headers.get_all(header::HOST).iter();
        let (Some(named), None) = (named.next(), named.next()) else { return false };
        let Some(authority) = named.to_str().ok().and_then(|named| named.parse::<Authority>().ok()) else {
            return false;
        };
        if asked.uri.authority().is_some_and(|other| *other != authority) {
            return false;
        }
        let host = authority.host().to_ascii_lowercase();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
        let is_own_address = bare.parse::<IpAddr>().is_ok_and(|address| {
            let own = ends.own.ip().to_canonical();
            address.to_canonical() == own || (address.is_loopback() && own.is_loopback())
        });
        is_own_address || self.hosts.iter().any(|known| known == bare)
    }

    fn has_cookie(&self, headers: &HeaderMap, now: Instant) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        cookies
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .any(|(name, value)| name == COOKIE && self.login.knows(value, now))
    }
}

/// Refuses requests that another site caused. A link to the page may be followed.
fn same_origin(asked: Asked<'_>) -> Result<(), Refusal> {
    let text = |name: &str| asked.headers.get(name).and_then(|value| value.to_str().ok());
    let is_page = asked.method == Method::GET && asked.uri.path() == "/";
    let is_visit = is_page && text("sec-fetch-mode") == Some("navigate");
    let site = text("sec-fetch-site");
    if !is_visit && site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return refuse(StatusCode::FORBIDDEN, "a page of another site may not read this port");
    }
    let Some(origin) = asked.headers.get(header::ORIGIN) else { return Ok(()) };
    let host = asked.headers.get(header::HOST).map(HeaderValue::as_bytes);
    let origin = origin.as_bytes();
    let named = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    if named.is_some() && named == host {
        return Ok(());
    }
    refuse(StatusCode::FORBIDDEN, "a page of another site may not read this port")
}

/// Too many tokens were wrong.
pub(super) fn too_many(wait: std::time::Duration) -> Refusal {
    Refusal {
        status: StatusCode::TOO_MANY_REQUESTS,
        text: "too many wrong tokens came from this address; wait a minute",
        retry_after: Some(wait.as_secs() + 1),
    }
}
