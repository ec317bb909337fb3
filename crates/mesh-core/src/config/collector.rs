//! `tracing.otlp` as the mesh uses it.

use std::{fmt, net::IpAddr};

use zeroize::Zeroizing;

use super::{
    error::ConfigError,
    material::Material,
    read::{At, Env, Options, is_host},
    tracing::TracingOptions,
};

const MAX_HEADERS: usize = 16;
/// The longest value of a header, in bytes.
const MAX_VALUE: usize = 8 * 1024;
const LONGEST_PATH: usize = 1024;
/// The path of traces, as the OTLP specification has it.
const TRACES: &str = "/v1/traces";
/// Headers that the exporter writes.
const OWN: [&str; 6] =
    ["host", "content-length", "content-type", "transfer-encoding", "connection", "user-agent"];

/// The place of a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// Whether it is `https`.
    pub tls: bool,
    /// A host name or an address, an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path of the requests.
    pub path: String,
}

/// A header of the requests to the collector; its value is redacted in `Debug`.
#[derive(Clone)]
pub struct Header {
    /// The name, in lower case.
    pub name: String,
    /// The value.
    pub value: Zeroizing<String>,
}

/// `tracing.otlp` and its neighbours, checked.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// `tracing.otlp`.
    pub collector: Collector,
    /// `tracing.sample`.
    pub sample: f64,
    /// `tracing.headers`.
    pub headers: Vec<Header>,
    /// `tracing.ca`.
    pub ca: Option<Material>,
}

impl Otlp {
    pub(super) fn read(root: &Options<'_>, env: Env<'_>) -> Result<Option<Self>, ConfigError> {
        let options = root.object("tracing", TracingOptions::KEYS)?;
        let disabled = At { options: &options, key: "enabled", variable: None, env }.is_false();
        let TracingOptions { otlp, sample, headers, ca } = TracingOptions::read(&options, env)?;
        let Some(collector) = otlp else { return Ok(None) };
        if ca.is_some() && !collector.tls {
            return Err(options.wrong_hidden("ca", "absent with an http:// URL in tracing.otlp"));
        }
        Ok((!disabled).then_some(Self { collector, sample, headers, ca }))
    }

    /// A warning, if the headers go over a network as they are.
    pub(super) fn warning(&self) -> Option<String> {
        let Collector { tls, host, .. } = &self.collector;
        let is_near = host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        (!self.headers.is_empty() && !tls && !is_near).then(|| {
            format!("tracing.headers go to {host} unencrypted: give an https:// URL in tracing.otlp")
        })
    }
}

impl Collector {
    pub(super) fn read(at: &At<'_>) -> Result<Option<Self>, ConfigError> {
        let Some((variable, text)) = at.confidential()? else { return Ok(None) };
        Self::parse(&text).map(Some).ok_or_else(|| ConfigError::Value {
            path: variable.map_or_else(|| at.path(), str::to_owned),
            expected: "an http:// or https:// URL without a user or a query, as in 'http://127.0.0.1:4318'; \
                       credentials go into tracing.headers"
                .to_owned(),
            // A URL may hold a password.
            got: "another text".to_owned(),
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (tls, rest) = match text.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("http://")?),
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#\\\"<>^`{|}".contains(&byte);
        if path.len() > LONGEST_PATH || !path.bytes().all(is_plain) {
            return None;
        }
        let is_open = authority.ends_with(']') || !authority.contains(':');
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !is_open => (host, port.parse().ok().filter(|port| *port > 0)?),
            _ => (authority, if tls { 443 } else { 80 }),
        };
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let is_known = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && is_host(host) && !host.contains(':'),
        };
        let prefix = path.trim_end_matches('/');
        let path = if prefix.ends_with(TRACES) { prefix.to_owned() } else { format!("{prefix}{TRACES}") };
        is_known.then(|| Self { tls, host: bare.unwrap_or(host).to_owned(), port, path })
    }

    /// Host and port, as `Host` has them.
    #[must_use]
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl Header {
    pub(super) fn read(at: &At<'_>) -> Result<Option<Vec<Self>>, ConfigError> {
        let hidden = |error| match error {
            // A number may be a token as well.
            ConfigError::Value { path, expected, .. } => {
                ConfigError::Value { path, expected, got: "something else".to_owned() }
            }
            error => error,
        };
        let Some(texts) = at.texts(MAX_HEADERS).map_err(hidden)? else { return Ok(None) };
        let header = |(name, value): (String, String)| {
            let value = Zeroizing::new(value);
            let lower = name.to_ascii_lowercase();
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let is_text = |byte: u8| (b' '..=b'~').contains(&byte);
            let path = || format!("{}.{name}", at.path());
            let wrong = |expected: &str, got: &str| {
                Err(ConfigError::Value { path: path(), expected: expected.to_owned(), got: got.to_owned() })
            };
            if name.is_empty() || name.len() > 128 || !name.bytes().all(is_token) {
                return wrong("a header's name of RFC 9110", "another name");
            }
            if OWN.contains(&lower.as_str()) {
                return wrong("absent: the exporter writes this header itself", "a value");
            }
            if value.len() > MAX_VALUE || !value.bytes().all(is_text) {
                return wrong("printable ASCII of at most 8192 characters", "another value");
            }
            Ok(Self { name: lower, value })
        };
        texts.into_iter().map(header).collect::<Result<_, _>>().map(Some)
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header({}: …)", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::Collector;

    #[test]
    fn a_collector_is_a_url_of_http() {
        let at = |text: &str| {
            Collector::parse(text).map(|found| (found.tls, found.authority(), found.path.clone()))
        };
        let is = |tls, authority: &str, path: &str| Some((tls, authority.to_owned(), path.to_owned()));
        assert_eq!(at("http://127.0.0.1:4318"), is(false, "127.0.0.1:4318", "/v1/traces"));
        assert_eq!(at("https://otel.example/"), is(true, "otel.example:443", "/v1/traces"));
        assert_eq!(
            at("https://otel.example/otlp/v1/traces"),
            is(true, "otel.example:443", "/otlp/v1/traces")
        );
        assert_eq!(at("http://[::1]:4318/x"), is(false, "[::1]:4318", "/x/v1/traces"));
        for wrong in [
            "",
            "otel:4318",
            "ftp://a",
            "http://",
            "http://a:0",
            "http://a:x",
            "http://u:p@a",
            "http://a/?k=v",
            "http://a/\r\nX: y",
            "http://a b",
            "http://a/#f",
            "http://[::1",
            "http://::1",
        ] {
            assert_eq!(at(wrong), None, "{wrong:?}");
        }
    }
}
