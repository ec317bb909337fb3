//! The entries of `discovery.services`.

use std::collections::BTreeMap;

use super::{
    error::ConfigError,
    read::{At, Env, Options, is_host},
    services::Instance,
};
use crate::id::{ID_RULE, ServiceId};

/// Entries of the variable.
const MAX_VARIABLE: usize = 1_024;

/// One entry of `discovery.services`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The service's id. Several entries with one id are several instances.
    pub id: ServiceId,
    /// Host name or address, and port. A service without them only calls, and
    /// is known by its pinned key.
    pub address: Option<(String, u16)>,
    /// The service's RSA public key in PEM, pinned.
    pub public_key: Option<String>,
    /// The zone of the instance.
    pub zone: Option<String>,
    /// The share of the calls that this instance gets, relative to the weights of the others.
    pub weight: u32,
    /// Further facts about the service, for the application.
    pub metadata: BTreeMap<String, String>,
}

impl Service {
    /// Reads all entries: those of the option, or those of the variable if the option is absent.
    pub(super) fn read_all(at: &At<'_>) -> Result<Option<Vec<Self>>, ConfigError> {
        match at.variable() {
            Some(text) if at.is_absent() => Self::of_variable(at, &text).map(Some),
            _ => at.each(Instance::KEYS, Self::read).map(Some),
        }
    }

    /// `stock=stock:50052,orders=[::1]:50051`. White space around an entry and a comma at the end are
    /// what manifests make of long lists.
    fn of_variable(at: &At<'_>, text: &str) -> Result<Vec<Self>, ConfigError> {
        let list = text.trim().trim_end_matches(',');
        let count = list.split(',').count();
        if count > MAX_VARIABLE {
            let expected = format!("at most {MAX_VARIABLE} services");
            return Err(at.wrong_variable(&expected, format!("{count} of them")));
        }
        let service = |entry: &str| Self::of_entry(at, entry.trim());
        list.split(',').map(service).collect()
    }

    fn of_entry(at: &At<'_>, entry: &str) -> Result<Self, ConfigError> {
        const FORM: &str = "services as in 'stock=stock:50052,orders=[::1]:50051'";
        let wrong = |expected: &str| at.wrong_variable(expected, entry.to_owned());
        let (id, address) = entry.split_once('=').ok_or_else(|| wrong(FORM))?;
        let id = id.trim().parse().map_err(|_| wrong(&format!("{FORM}; the name is {ID_RULE}")))?;
        let (host, port) = address.trim().rsplit_once(':').ok_or_else(|| wrong(FORM))?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(bare) if bare.parse::<std::net::Ipv6Addr>().is_ok() => bare,
            None if !host.is_empty() && !host.contains(':') && is_host(host) => host,
            _ => return Err(wrong(FORM)),
        };
        let port = port.parse().ok().filter(|port| *port > 0);
        let port = port.ok_or_else(|| wrong("services with a port of 1…65535, as in 'stock=stock:50052'"))?;
        let address = Some((host.to_owned(), port));
        Ok(Self { id, address, public_key: None, zone: None, weight: 1, metadata: BTreeMap::new() })
    }

    /// Checks an entry. A service with a pinned key may lack an address.
    pub(super) fn read(options: &Options<'_>, env: Env<'_>) -> Result<Self, ConfigError> {
        let Instance { id, host, port, public_key, zone, weight, metadata } = Instance::read(options, env)?;
        let address = match (host, port) {
            (Some(host), Some(port)) => Some((host, port)),
            (None, None) if public_key.is_some() => None,
            (None, _) => return Err(options.missing("host", "a host name or an IP address")),
            (_, None) => return Err(options.missing("port", "1…65535")),
        };
        Ok(Self { id, address, public_key, zone, weight, metadata })
    }
}
