//! The configuration of the sources of instances that the core contains.

use serde_json::Value;

use super::{
    consul_provider::ConsulProvider,
    dns_provider::DnsProvider,
    error::ConfigError,
    etcd_provider::EtcdProvider,
    file_provider::FileProvider,
    kubernetes_provider::KubernetesProvider,
    read::{Env, Options},
};

/// The type of DNS records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    /// Service records.
    Srv,
    /// Addresses of both families.
    A,
}

/// The configuration of a source of instances.
#[derive(Clone, Debug)]
pub enum ProviderConfig {
    /// `'file'`
    File(FileProvider),
    /// `'dns'`
    Dns(DnsProvider),
    /// `'etcd'`
    Etcd(EtcdProvider),
    /// `'consul'`
    Consul(ConsulProvider),
    /// `'kubernetes'`
    Kubernetes(KubernetesProvider),
}

impl ProviderConfig {
    /// The names, for `provider`.
    pub const NAMES: [&str; 5] = ["file", "dns", "etcd", "consul", "kubernetes"];

    /// Checks the options of a provider, which are at `path`: `discovery` or `discovery.providers[1]`. `env` looks
    /// up variables.
    pub fn parse(
        path: &str,
        options: &Value,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let env: Env<'_> = &|name| env(name).filter(|value| !value.trim().is_empty());
        let at = |keys| Options::new(path.to_owned(), options, keys);
        match options.get("provider").and_then(Value::as_str) {
            Some("file") => FileProvider::read(&at(FileProvider::KEYS)?, env).map(Self::File),
            Some("etcd") => {
                let options = at(EtcdProvider::KEYS)?;
                let etcd = EtcdProvider::read(&options, env)?;
                match (&etcd.user, &etcd.password) {
                    (Some(_), None) => Err(options.missing("password", "the password of user")),
                    (None, Some(_)) => Err(options.missing("user", "the user whose password this is")),
                    _ if etcd.endpoints.is_empty() => Err(options.wrong("endpoints", "one URL or more")),
                    _ => Ok(Self::Etcd(etcd)),
                }
            }
            Some("consul") => ConsulProvider::read(&at(ConsulProvider::KEYS)?, env).map(Self::Consul),
            Some("kubernetes") => {
                KubernetesProvider::read(&at(KubernetesProvider::KEYS)?, env).map(Self::Kubernetes)
            }
            Some("dns") => {
                let options = at(DnsProvider::KEYS)?;
                let dns = DnsProvider::read(&options, env)?;
                match (dns.records, dns.port) {
                    (Records::A, None) => {
                        Err(options.missing("port", "1…65535: address records have no port"))
                    }
                    (Records::Srv, Some(_)) => {
                        Err(options.wrong("port", "absent: SRV records have the port"))
                    }
                    _ => Ok(Self::Dns(dns)),
                }
            }
            _ => Err(ConfigError::Value {
                path: format!("{path}.provider"),
                expected: format!("one of {}", Self::NAMES.map(|name| format!("'{name}'")).join(", ")),
                got: options.get("provider").map_or_else(|| "nothing".to_owned(), super::read::describe),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(options: &Value) -> Result<ProviderConfig, String> {
        ProviderConfig::parse("discovery", options, |_| None).map_err(|error| error.to_string())
    }

    #[test]
    fn options_are_read_with_their_defaults() {
        let etcd = parse(&json!({ "provider": "etcd", "endpoints": ["http://[::1]:2379/"] }));
        let Ok(ProviderConfig::Etcd(etcd)) = etcd else { panic!("{etcd:?}") };
        assert_eq!(
            (etcd.endpoints[0].to_string().as_str(), etcd.prefix.as_str()),
            ("http://[::1]:2379", "/mesh/")
        );
        assert!(!etcd.register);
        let dns = parse(&json!({ "provider": "dns", "domain": "shop.example", "server": "127.0.0.1:8600" }));
        let Ok(ProviderConfig::Dns(dns)) = dns else { panic!("{dns:?}") };
        assert_eq!((dns.records, dns.server.unwrap().port()), (Records::Srv, 8600));
    }

    #[test]
    fn a_wrong_option_is_named_with_its_repair() {
        let wrong = [
            (
                json!({ "provider": "zookeeper" }),
                "discovery.provider must be one of 'file', 'dns', 'etcd', 'consul', 'kubernetes'",
            ),
            (json!({ "provider": "file" }), "discovery.path must be the path of a JSON file"),
            (json!({ "provider": "dns" }), "discovery.domain must be a domain name"),
            (json!({ "provider": "dns", "domain": "a b" }), "discovery.domain must be a domain name"),
            (json!({ "provider": "dns", "domain": "x", "records": "a" }), "discovery.port must be 1…65535"),
            (json!({ "provider": "dns", "domain": "x", "port": 1 }), "discovery.port must be absent"),
            (
                json!({ "provider": "dns", "domain": "x", "server": "dns.example" }),
                "discovery.server must be",
            ),
            (json!({ "provider": "etcd" }), "discovery.endpoints must be URLs"),
            (json!({ "provider": "etcd", "endpoints": [] }), "discovery.endpoints must be one URL"),
            (
                json!({ "provider": "etcd", "endpoints": ["etcd:2379"] }),
                "discovery.endpoints[0] must be an http",
            ),
            (
                json!({ "provider": "consul", "address": "http://u:secret@x:1" }),
                "discovery.address must be an http:// or https:// URL with a port and without a path, as in 'http://127.0.0.1:8500', got another text",
            ),
            (json!({ "provider": "kubernetes", "address": "x" }), "discovery.address must be an http"),
            (
                json!({ "provider": "etcd", "endpoint": "x" }),
                "discovery.endpoint is not an option; did you mean",
            ),
        ];
        for (options, expected) in wrong {
            let error = parse(&options).unwrap_err();
            assert!(error.starts_with(expected), "{error} for {expected}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let options = json!({
            "provider": "etcd", "endpoints": ["http://a:1"], "user": "root", "password": "hunter2hunter2",
        });
        let consul = parse(&json!({ "provider": "consul", "token": "hunter2hunter2" })).unwrap();
        assert!(!format!("{consul:?}").contains("hunter2"));
        let config = parse(&options).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
