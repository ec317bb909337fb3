//! One instance of a service.

use core::net::Ipv6Addr;
use std::{collections::BTreeMap, fmt, num::NonZeroU16, str::FromStr, sync::Arc};

use super::DiscoveryError;
use crate::id::ServiceId;

/// A DNS name (RFC 1123) or an IP address, without brackets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(Arc<str>);

/// The limit of a host name, in characters (RFC 1035).
const MAX_HOST: usize = 253;

impl Host {
    /// The host as it was given, an IPv6 address without its brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Host {
    type Err = DiscoveryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if address.parse::<Ipv6Addr>().is_ok() {
            return Ok(Self(address.into()));
        }
        // RFC 1123 has no underscores, but container platforms use them in names.
        let label_is_good = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.len() <= MAX_HOST && name.split('.').all(label_is_good) {
            Ok(Self(text.into()))
        } else {
            Err(DiscoveryError::Host)
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Host and port; written as in an URL, `[::1]:50051`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// DNS name or IP address.
    pub host: Host,
    /// TCP port.
    pub port: NonZeroU16,
}

impl Address {
    /// Parses a host and takes a port from 1 to 65535.
    pub fn new(host: &str, port: u16) -> Result<Self, DiscoveryError> {
        Ok(Self { host: host.parse()?, port: NonZeroU16::new(port).ok_or(DiscoveryError::Port)? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.as_str().contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// One instance of a service. `Key` is the type of its public key: a parsed key
/// for use, a string for mere storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint<Key> {
    /// The id of the service.
    pub id: ServiceId,
    /// The address on which the instance listens.
    pub address: Address,
    /// The key that pins the service, if one is known.
    pub public_key: Option<Key>,
    /// The zone it is in.
    pub zone: Option<String>,
    /// Its share of the calls beside those of the other instances, from 1.
    pub weight: u32,
    /// Facts that the application keeps about the instance.
    pub metadata: BTreeMap<String, String>,
}

/// The health of an instance, in the terms of `grpc.health.v1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HealthStatus {
    /// The instance has not been checked yet.
    #[default]
    Unknown,
    /// The instance answers.
    Serving,
    /// The instance does not answer, or reports that it cannot serve.
    NotServing,
}

impl HealthStatus {
    /// The canonical name, as in `'NOT_SERVING'`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Serving => "SERVING",
            Self::NotServing => "NOT_SERVING",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_and_addresses() {
        for (host, shown) in [
            ("localhost", "localhost:1"),
            ("orders.svc.cluster.local", "orders.svc.cluster.local:1"),
            ("example.com.", "example.com.:1"),
            ("my_container-1", "my_container-1:1"),
            ("127.0.0.1", "127.0.0.1:1"),
            ("::1", "[::1]:1"),
            ("[fe80::1]", "[fe80::1]:1"),
        ] {
            assert_eq!(Address::new(host, 1).map(|address| address.to_string()).as_deref(), Ok(shown));
        }
    }

    #[test]
    fn refuses_what_has_a_second_meaning() {
        let long = "a.".repeat(127) + "aa";
        let label = "a".repeat(64);
        for host in [
            "",
            ".",
            "..",
            "a..b",
            "-a",
            "a-",
            "a b",
            "a/b",
            "http://a",
            "a:80",
            "u@a",
            "a\n",
            "a%00",
            "b\u{fc}cher.de",
            "[localhost]",
            "[::1",
            "::1]",
            "1::2::3",
            &long,
            &label,
        ] {
            assert_eq!(Address::new(host, 1), Err(DiscoveryError::Host), "{host:?}");
        }
        assert_eq!(Address::new("localhost", 0), Err(DiscoveryError::Port));
    }
}
