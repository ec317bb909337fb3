//! The URL of a server of discovery.

use std::fmt;

use super::{admin_port::is_loopback, read::is_host};

/// A server that is asked over HTTP: a scheme, a host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    /// Whether the scheme is `https`.
    pub tls: bool,
    /// The host, without the brackets of an IPv6 address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl ServerUrl {
    /// Reads `http://host:port` or `https://host:port`; a slash may follow.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (tls, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return None,
        };
        let (host, port) = rest.trim_end_matches('/').rsplit_once(':')?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
        let is_good = !host.is_empty() && is_host(host) && (bare.is_some() || !host.contains(':'));
        is_good.then(|| Self { tls, host: host.to_owned(), port })
    }

    /// Whether a token may travel there: over TLS, or within this machine.
    #[must_use]
    pub fn keeps_secrets(&self) -> bool {
        self.tls || is_loopback(&self.host)
    }

    /// `host:port`, as in a `Host` header.
    #[must_use]
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_travels_over_tls_or_within_this_machine() {
        let keeps = |text: &str| ServerUrl::parse(text).unwrap().keeps_secrets();
        assert!(
            ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://x:1"]
                .into_iter()
                .all(keeps)
        );
        assert!(!["http://10.0.0.1:1", "http://x:1"].into_iter().any(keeps));
    }

    #[test]
    fn a_url_is_a_scheme_a_host_and_a_port() {
        for (text, shown) in [
            ("http://127.0.0.1:8500", "http://127.0.0.1:8500"),
            ("https://consul.example:8501/", "https://consul.example:8501"),
            ("http://[::1]:8500", "http://[::1]:8500"),
        ] {
            assert_eq!(ServerUrl::parse(text).unwrap().to_string(), shown);
        }
        for text in ["consul:8500", "ftp://x:1", "http://x", "http://:1", "http://a b:1", "http://u:p@x:1/"] {
            assert_eq!(ServerUrl::parse(text), None, "{text}");
        }
    }
}
