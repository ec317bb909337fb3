//! DNS names among the configured instances. A name with several addresses counts as several
//! instances.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use tokio::time::sleep;

use super::calls::Client;
use crate::{
    crypto::rsa::PublicKey,
    discovery::{Address, Endpoint, MAX_INSTANCES},
    id::ServiceId,
    providers::resolver::{resolve, resolver},
};

/// The shortest time between two resolutions of a name, even if its time to live is shorter.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest such time. Container platforms set long times to live for names whose addresses change with each
/// scaling.
const LONGEST: Duration = Duration::from_secs(30);
/// The pause after a failure. The known addresses stay.
const FAILED: Duration = Duration::from_secs(5);

impl Client {
    /// Follows the names of the configured instances until the mesh stops. Without a usable DNS configuration
    /// each name stays one instance, which the operating system resolves at each connection.
    pub(crate) fn follow_names(self: &Arc<Self>) {
        if self.shared.config.network.is_some() {
            return;
        }
        let mut services: BTreeMap<ServiceId, Vec<Arc<Endpoint<PublicKey>>>> = BTreeMap::new();
        for entry in self.registry.list() {
            services.entry(entry.endpoint.id.clone()).or_default().push(entry.endpoint);
        }
        for (service, endpoints) in services {
            if endpoints.iter().any(|endpoint| is_name(endpoint)) {
                tokio::spawn(Arc::clone(self).follow(service, endpoints));
            }
        }
    }

    async fn follow(self: Arc<Self>, service: ServiceId, configured: Vec<Arc<Endpoint<PublicKey>>>) {
        let Ok(resolver) = resolver(None) else { return };
        // The resolved addresses of each configured instance; empty while the name itself is used.
        let mut known: Vec<Vec<IpAddr>> = vec![Vec::new(); configured.len()];
        loop {
            let mut pause = LONGEST;
            let before = known.clone();
            for (endpoint, addresses) in configured.iter().zip(&mut known) {
                if !is_name(endpoint) {
                    continue;
                }
                let asked = tokio::select! {
                    () = self.shared.stop.cancelled() => return,
                    asked = resolve(&resolver, endpoint.address.host.as_str()) => asked,
                };
                match asked {
                    Ok((found, lifetime)) => {
                        *addresses = several(found);
                        pause = pause.min(lifetime.max(SHORTEST));
                    }
                    Err(_) => pause = pause.min(FAILED),
                }
            }
            if known != before {
                self.set_instances(&service, expand(&configured, &known));
            }
            tokio::select! {
                () = self.shared.stop.cancelled() => return,
                () = sleep(pause) => {}
            }
        }
    }
}

/// Whether the host is a name that DNS may give several addresses.
fn is_name(endpoint: &Endpoint<PublicKey>) -> bool {
    let host = endpoint.address.host.as_str();
    host.parse::<IpAddr>().is_err() && !host.trim_end_matches('.').eq_ignore_ascii_case("localhost")
}

/// The addresses of one family, if there are several. A name with one address stays a name: its connection tries
/// both families (RFC 8305).
fn several(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (v4, v6): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv4);
    let family = if v4.is_empty() { v6 } else { v4 };
    if family.len() > 1 { family } else { Vec::new() }
}

fn expand(configured: &[Arc<Endpoint<PublicKey>>], known: &[Vec<IpAddr>]) -> Vec<Endpoint<PublicKey>> {
    let mut instances = Vec::new();
    for (endpoint, addresses) in configured.iter().zip(known) {
        let own = addresses.is_empty().then(|| endpoint.address.clone());
        let port = endpoint.address.port.get();
        let found = addresses.iter().filter_map(|ip| Address::new(&ip.to_string(), port).ok());
        for address in own.into_iter().chain(found) {
            instances.push(Endpoint { address, ..Endpoint::clone(endpoint) });
        }
    }
    instances.truncate(MAX_INSTANCES);
    instances
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn several_addresses_of_one_family_are_instances() {
        assert_eq!(several(ips(&["10.0.0.1"])), ips(&[]));
        assert_eq!(several(ips(&["10.0.0.1", "::1"])), ips(&[]));
        assert_eq!(several(ips(&["10.0.0.1", "10.0.0.2", "::1"])), ips(&["10.0.0.1", "10.0.0.2"]));
        assert_eq!(several(ips(&["::1", "::2"])), ips(&["::1", "::2"]));
    }

    #[test]
    fn an_instance_keeps_its_facts_at_each_address() {
        let endpoint = |host: &str| {
            Arc::new(Endpoint {
                id: "orders".parse().unwrap(),
                address: Address::new(host, 7).unwrap(),
                public_key: None,
                zone: Some("a".to_owned()),
                weight: 3,
                metadata: BTreeMap::new(),
            })
        };
        let configured = [endpoint("orders.internal"), endpoint("10.0.0.9")];
        let found = expand(&configured, &[ips(&["10.0.0.1", "10.0.0.2"]), Vec::new()]);
        let shown: Vec<_> = found.iter().map(|one| (one.address.to_string(), one.weight)).collect();
        let expected = ["10.0.0.1:7", "10.0.0.2:7", "10.0.0.9:7"].map(|text| (text.to_owned(), 3));
        assert_eq!(shown, expected);
    }
}
