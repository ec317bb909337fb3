//! The configuration of a mesh. An invalid configuration cannot be built. An
//! error names the path of the option and the values that it takes.
//!
//! Each section is a file with a table ([`section`]); this file combines them.

#[macro_use]
mod section;

mod accept;
mod accepted;
mod admin;
mod admin_port;
mod admin_tls;
mod authorization;
mod balancing;
mod bulkhead;
mod caller_place;
mod certificate;
mod collector;
mod concurrency;
mod conditions;
mod consul_provider;
mod discovery;
mod dns_provider;
mod ejection;
mod enrolment;
mod error;
mod etcd_provider;
mod file_provider;
mod kubernetes_provider;
mod limits;
mod material;
mod memory;
mod nearest;
mod observe;
mod password;
mod paths;
mod patterns;
mod places;
mod policy;
mod private_key;
mod read;
mod resilience;
mod root;
mod rules;
mod secret;
mod security;
mod selection;
mod server_url;
mod service;
mod services;
mod shared_quota;
mod sources;
#[cfg(test)]
mod tests;
mod tls;
mod tracing;
mod weakness;
mod workload;

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;

pub(crate) use self::secret::check_secret;
pub use self::{
    accept::{Accept, WeakerTrust},
    admin_port::{Admin, AdminTls, AdminToken},
    balancing::Balancing,
    bulkhead::Bulkhead,
    caller_place::CallerPlace,
    collector::{Collector, Header, Otlp},
    concurrency::Concurrency,
    consul_provider::ConsulProvider,
    dns_provider::DnsProvider,
    ejection::Ejection,
    enrolment::EnrolmentOptions as Enrolment,
    error::ConfigError,
    etcd_provider::EtcdProvider,
    file_provider::FileProvider,
    kubernetes_provider::KubernetesProvider,
    limits::Limits,
    material::{Certificate, Material, Tls},
    nearest::nearest,
    observe::Observe,
    password::Password,
    patterns::{CallerPattern, MethodPattern, is_spiffe_id},
    policy::{
        Effect, MAX_PAIRS, MAX_POLICY_FILE, MAX_RULES, Mode, PolicyFileError, PolicyRules, PolicySource, Rule,
    },
    private_key::{KeySource, PrivateKey},
    resilience::{Breaker, Hedging, RateLimit, Resilience, Retry},
    secret::{JoinSecret, Secret},
    selection::Selection,
    server_url::ServerUrl,
    service::Service,
    shared_quota::{OnUnavailable, RedisUrl, SharedQuota},
    sources::{ProviderConfig, Records},
    weakness::{MAKE_SECRET, MIN_SECRET, Weakness},
};
use self::{
    discovery::Discovery,
    paths::Paths,
    read::{Env, Options},
    root::Root,
    security::Security,
};
use crate::id::ServiceId;

/// A checked configuration. The defaults are in the tables of the sections.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // They are options, each independent of the others.
pub struct MeshConfig {
    /// `serviceId`: the name of this service.
    pub service_id: ServiceId,
    /// `port`: the port to listen on; 0 lets the system choose. Without it this mesh only calls.
    pub port: Option<u16>,
    /// `host`: the address to listen on. Default: loopback with embedded trust,
    /// all interfaces with explicit trust.
    pub host: Option<String>,
    /// `reusePort`.
    pub reuse_port: bool,
    /// `security.rsaKeySize`.
    pub rsa_bits: u32,
    /// `security.aesKeySize`.
    pub aes_bits: u32,
    /// `security.jwtSecret`.
    pub secret: Option<Secret>,
    /// `security.privateKey`: replaces the mesh key of the key directory.
    pub private_key: Option<PrivateKey>,
    /// `security.certificate`.
    pub certificate: Option<Certificate>,
    /// `security.accept`.
    pub accept: Option<Accept>,
    /// `security.tls`.
    pub tls: Tls,
    /// `security.jwtExpiration`.
    pub token_lifetime: Duration,
    /// `security.sessionTimeout`.
    pub session_timeout: Duration,
    /// `security.sessionLifetimeMs`.
    pub session_lifetime: Duration,
    /// `security.peerKeys`: whether a peer must keep its remembered key.
    pub enforce_peer_keys: bool,
    /// `discovery.services`.
    pub services: Vec<Service>,
    /// `discovery.provider`: whether the application reports instances while the mesh runs.
    pub has_provider: bool,
    /// `paths.keysDir` (or 0.2.0's `security.keysDir`).
    pub keys_dir: Option<PathBuf>,
    /// `authorization`; `None` if the section is absent.
    pub authorization: Option<PolicySource>,
    /// `admin`; `None` without an admin port.
    pub admin: Option<Admin>,
    /// `observe`.
    pub observe: Observe,
    /// `tracing`; `None` if the mesh exports no spans itself.
    pub otlp: Option<Otlp>,
    /// `limits`.
    pub limits: Limits,
    /// `balancing`.
    pub balancing: Balancing,
    /// `discovery.maxStaleMs`: for how long a list is used whose source is away.
    pub max_stale: Option<Duration>,
    /// `resilience`.
    pub resilience: Resilience,
    /// This mesh only asks for its first certificate: [`MeshConfig::joining`].
    pub joins: bool,
    /// The network in memory that this mesh uses instead of the system's. No
    /// option and no variable sets it, only [`MeshConfig::on_network`].
    pub network: Option<NetworkName>,
    /// Warnings for the log: faults that do not prevent the start.
    pub warnings: Vec<String>,
}

/// The name of a network in memory. Meshes on one such network reach each other
/// by its ports. They reach nothing outside of it, and nothing outside reaches
/// them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NetworkName(pub Arc<str>);

impl Copy for Limits {}

impl MeshConfig {
    /// Checks a configuration in the shape of JavaScript's `MeshConfig`. `env`
    /// looks up `SECURE_MESH_…` variables, which replace absent options. An
    /// empty variable counts as unset, because container files turn a missing
    /// value into an empty one.
    pub fn parse(config: &Value, env: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let env: Env<'_> = &|name| env(name).filter(|value| !value.trim().is_empty());
        let options = Options::root(config, Root::KEYS)?;
        let security = options.object("security", Security::KEYS)?;
        let paths = options.object("paths", Paths::KEYS)?;
        let limits = options.object("limits", Limits::KEYS)?;
        let discovery = options.object("discovery", Discovery::KEYS)?;
        let balancing = options.object("balancing", Balancing::KEYS)?;

        let root = Root::read(&options, env)?;
        let paths = Paths::read(&paths, env)?;
        let certificate = Certificate::read(&security, env)?;
        let discovery = Discovery::read(&discovery, env)?;
        let tls = Tls::read(&security, certificate.as_ref(), env)?;
        let accept = Accept::read(&security, certificate.is_some(), env)?;
        let security = Security::read(&security, env)?;
        let admin = Admin::read(&options, env)?;
        let mut warnings = Vec::new();
        for (is_absent, variable, service, option) in [
            (root.port.is_none(), "SECURE_MESH_PORT", "secure-mesh", "port"),
            (admin.is_none(), "SECURE_MESH_ADMIN_PORT", "secure-mesh-admin", "admin.port"),
        ] {
            if is_absent && let Some(link) = env(variable) {
                warnings.push(format!(
                    "{variable} is {link:?} and is ignored: Kubernetes sets it for a Service named {service}. \
                     Rename that Service, set enableServiceLinks: false in the pod, or give the option {option}"
                ));
            }
        }
        if paths.proto_file.is_some() {
            warnings.push("paths.protoFile is ignored: the protocol is built in".to_owned());
        }
        let otlp = Otlp::read(&options, env)?;
        warnings.extend(otlp.as_ref().and_then(Otlp::warning));
        let (keys_dir, keys_dir_variable) = paths.keys_dir;
        match accept {
            Some(accept) => accept.check(&security, &discovery.services)?,
            None if certificate.is_some() => only_trust(&security, &discovery.services)?,
            None => {}
        }
        Ok(Self {
            service_id: root.service_id,
            port: root.port,
            host: root.host,
            reuse_port: root.reuse_port,
            rsa_bits: security.rsa_bits,
            aes_bits: security.aes_bits,
            secret: security.secret,
            private_key: security.private_key,
            certificate,
            accept,
            tls,
            token_lifetime: security.token_lifetime,
            session_timeout: security.session_timeout,
            session_lifetime: security.session_lifetime,
            enforce_peer_keys: security.enforce_peer_keys,
            services: discovery.services,
            has_provider: discovery.has_provider,
            max_stale: discovery.max_stale,
            keys_dir: keys_dir.or(security.keys_dir).or(keys_dir_variable).map(PathBuf::from),
            authorization: PolicySource::read(&options, env)?,
            admin,
            observe: Observe::read(&options, env)?,
            otlp,
            limits: Limits::read(&limits, env)?,
            balancing: Balancing::read(&balancing, env)?,
            resilience: Resilience::read(&options, env)?,
            joins: false,
            network: None,
            warnings,
        })
    }

    /// The same configuration on a network in memory, with its keys in memory too; for tests.
    #[must_use]
    pub fn on_network(self, name: &str) -> Self {
        Self { network: Some(NetworkName(name.into())), ..self }
    }

    /// Adds a port that has `/livez` and `/readyz` only.
    ///
    /// # Errors
    /// The host is none, or there is an admin port, which has the probes already.
    pub fn add_probes(&mut self, host: &str, port: u16) -> Result<(), ConfigError> {
        if let Some(admin) = &self.admin {
            return Err(ConfigError::Value {
                path: "probes".to_owned(),
                expected: format!(
                    "absent beside the option admin (or SECURE_MESH_ADMIN_PORT): port {} has /livez and /readyz",
                    admin.port
                ),
                got: format!("port {port}"),
            });
        }
        self.admin = Some(Admin::probes(host, port)?);
        Ok(())
    }

    /// The same service before it has a certificate: a mesh that knows only `secret`, of its join token, and
    /// that the authority with the same secret answers.
    #[must_use]
    pub fn joining(self, secret: Secret) -> Self {
        let tls = if matches!(self.tls, Tls::Off) { Tls::Off } else { Tls::Unproven };
        Self {
            port: None,
            rsa_bits: 2048,
            secret: Some(secret),
            private_key: None,
            certificate: None,
            accept: None,
            tls,
            enforce_peer_keys: false,
            authorization: None,
            admin: None,
            joins: true,
            ..self
        }
    }

    /// Whether this mesh keeps nothing on a disk: its own key is given, and it remembers no keys of
    /// peers.
    #[must_use]
    pub fn needs_no_directory(&self) -> bool {
        let forgets_peers = self.accept.is_none() && (!self.enforce_peer_keys || self.secret.is_none());
        // Beside a weaker trust the mesh stores its own key, and the services that have proved a
        // certificate.
        let only_certificates = self.certificate.is_some() && self.accept.is_none();
        self.joins
            || only_certificates
            || (self.private_key.is_some() && !self.is_embedded() && forgets_peers)
    }

    /// Whether no option about trust is set. The root of trust is then the
    /// embedded secret in the user's state directory.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.secret.is_none()
            && self.certificate.is_none()
            && self.services.iter().all(|service| service.public_key.is_none())
    }
}

/// Rejects options that would be a second trust beside certificates.
fn only_trust(security: &Security, services: &[Service]) -> Result<(), ConfigError> {
    let beside = |path: String, why: &str| {
        Err(ConfigError::Value {
            path,
            expected: format!("absent beside security.certificate: {why}"),
            got: "a value".to_owned(),
        })
    };
    if security.secret.is_some() {
        let path = "security.jwtSecret (or SECURE_MESH_JWT_SECRET)".to_owned();
        return beside(path, "with certificates there is no secret");
    }
    if let Some(key) = &security.private_key {
        return beside(key.option.to_owned(), "the certificate names a new key each day");
    }
    match services.iter().position(|service| service.public_key.is_some()) {
        Some(index) => beside(
            format!("discovery.services[{index}].publicKey"),
            "the certificate of that service determines its key",
        ),
        None => Ok(()),
    }
}
