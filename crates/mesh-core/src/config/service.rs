//! The entries of `discovery.services`.

use std::collections::BTreeMap;

use super::{
    error::ConfigError,
    read::{Env, Options},
    services::Instance,
};
use crate::id::ServiceId;

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
