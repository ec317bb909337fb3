//! Names and addresses of other servers, as options give them.

use std::net::{IpAddr, SocketAddr};

use super::{
    error::ConfigError,
    read::{At, is_host},
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

    /// An IP address with or without a port; `default` is the port of one without.
    pub(super) fn socket(&self, default: u16) -> Result<Option<SocketAddr>, ConfigError> {
        let Some(text) = self.string()? else { return Ok(None) };
        let address = text.parse().or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, default)));
        let expected = "an IP address with or without a port, as in '127.0.0.1:8600' or '[::1]:8600'";
        address.map(Some).map_err(|_| self.wrong(expected))
    }
}

/// A URL of etcd, without a slash at its end.
pub(super) fn endpoint(text: &str) -> Option<String> {
    let authority = text.strip_prefix("http://")?.trim_end_matches('/');
    let (host, port) = authority.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    (!bare.is_empty() && is_host(bare)).then(|| format!("http://{host}:{port}"))
}
