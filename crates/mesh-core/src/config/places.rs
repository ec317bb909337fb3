//! Names and addresses of other servers, as options give them.

use std::net::{IpAddr, SocketAddr};

use super::{
    error::ConfigError,
    read::{At, is_host},
    server_url::ServerUrl,
};

impl At<'_> {
    /// A domain name, which may have `{service}` in it once.
    pub(super) fn domain(&self) -> Result<Option<String>, ConfigError> {
        let Some(domain) = self.string()? else { return Ok(None) };
        let filled = domain.replacen("{service}", "a", 1);
        let named = |label: &str| !label.is_empty() && label.len() <= 63;
        if is_host(&filled) && filled.trim_end_matches('.').split('.').all(named) {
            return Ok(Some(domain));
        }
        Err(self.wrong("a domain name, as in 'prod.svc.cluster.local' or '_grpc._tcp.{service}.example'"))
    }

    /// The URL of a server, with its port.
    pub(super) fn server(&self) -> Result<Option<ServerUrl>, ConfigError> {
        let Some(text) = self.string()? else { return Ok(None) };
        // A URL may have a password in it.
        ServerUrl::parse(&text).map(Some).ok_or_else(|| {
            self.malformed(
                "an http:// or https:// URL with a port and without a path, as in 'http://127.0.0.1:8500'",
            )
        })
    }

    /// An IP address with or without a port; `default` is the port of one without.
    pub(super) fn socket(&self, default: u16) -> Result<Option<SocketAddr>, ConfigError> {
        let Some(text) = self.string()? else { return Ok(None) };
        let address = text.parse().or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, default)));
        let expected = "an IP address with or without a port, as in '127.0.0.1:8600' or '[::1]:8600'";
        address.map(Some).map_err(|_| self.wrong(expected))
    }
}

/// A URL of a member of etcd.
pub(super) fn endpoint(text: &str) -> Option<ServerUrl> {
    ServerUrl::parse(text)
}
