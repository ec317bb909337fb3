//! The configuration of a mesh. An invalid one cannot be built; an error
//! carries the option's path and what would be right.
//!
//! Each section is a file with a table ([`section`]); this one composes them.

#[macro_use]
mod section;

mod accept;
mod accepted;
mod admin;
mod admin_port;
mod admin_tls;
mod authorization;
mod balancing;
mod certificate;
mod collector;
mod conditions;
mod discovery;
mod dns_provider;
mod ejection;
mod error;
mod etcd_provider;
mod file_provider;
mod limits;
mod material;
mod memory;
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
mod service;
mod services;
mod sources;
#[cfg(test)]
mod tests;
mod tls;
mod tracing;
mod weakness;

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;

pub(crate) use self::secret::check_secret;
pub use self::{
    accept::{Accept, WeakerTrust},
    admin_port::{Admin, AdminTls, AdminToken},
    balancing::Balancing,
    collector::{Collector, Header, Otlp},
    dns_provider::DnsProvider,
    ejection::Ejection,
    error::ConfigError,
    etcd_provider::EtcdProvider,
    file_provider::FileProvider,
    limits::Limits,
    material::{Certificate, Material, Tls},
    observe::Observe,
    password::Password,
    patterns::{CallerPattern, MethodPattern, is_spiffe_id},
    policy::{
        Effect, MAX_PAIRS, MAX_POLICY_FILE, MAX_RULES, Mode, PolicyFileError, PolicyRules, PolicySource, Rule,
    },
    private_key::{KeySource, PrivateKey},
    read::nearest,
    resilience::{Breaker, Hedging, RateLimit, Resilience, Retry},
    secret::Secret,
    selection::Selection,
    service::Service,
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

/// A checked configuration. The tables of the sections have the defaults.
#[derive(Clone, Debug)]
pub struct MeshConfig {
    /// `serviceId`: this service's name.
    pub service_id: ServiceId,
    /// `port`: where to listen; 0 lets the system choose; absent, this mesh only calls.
    pub port: Option<u16>,
    /// `host`: the address to listen on. Without it: loopback in the embedded
    /// default, all interfaces with explicit trust.
    pub host: Option<String>,
    /// `reusePort`.
    pub reuse_port: bool,
    /// `security.rsaKeySize`.
    pub rsa_bits: u32,
    /// `security.aesKeySize`.
    pub aes_bits: u32,
    /// `security.jwtSecret`.
    pub secret: Option<Secret>,
    /// `security.privateKey`: instead of a key of the key directory.
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
    /// `security.peerKeys`: whether a peer must keep the key that it showed first.
    pub enforce_peer_keys: bool,
    /// `discovery.services`.
    pub services: Vec<Service>,
    /// `discovery.provider`: whether the application reports instances while the mesh runs.
    pub has_provider: bool,
    /// `paths.keysDir` (or 0.2.0's `security.keysDir`).
    pub keys_dir: Option<PathBuf>,
    /// `authorization`; `None` if nothing is said about it.
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
    /// `resilience`.
    pub resilience: Resilience,
    /// The network in memory this mesh is on, instead of the system's. No
    /// option and no variable sets it: [`MeshConfig::on_network`] does.
    pub network: Option<NetworkName>,
    /// Things worth telling that are no errors.
    pub warnings: Vec<String>,
}

/// Names a network in memory. Meshes on it reach each other by its ports, and
/// nobody else, nor do they reach anybody else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NetworkName(pub Arc<str>);

impl Copy for Limits {}

impl MeshConfig {
    /// Checks a configuration in the shape of JavaScript's `MeshConfig`.
    /// `env` looks up `SECURE_MESH_…` variables, which stand in for absent
    /// options. An empty variable is an unset one: that is what container files
    /// make of a value that is not there.
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
        let mut warnings = Vec::new();
        if root.port.is_none()
            && let Some(link) = env("SECURE_MESH_PORT")
        {
            warnings.push(format!(
                "SECURE_MESH_PORT is {link:?} and is ignored: Kubernetes sets it for a Service named \
                 secure-mesh. Rename that Service, set enableServiceLinks: false in the pod, or give the \
                 option port"
            ));
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
            keys_dir: keys_dir.or(security.keys_dir).or(keys_dir_variable).map(PathBuf::from),
            authorization: PolicySource::read(&options, env)?,
            admin: Admin::read(&options, env)?,
            observe: Observe::read(&options, env)?,
            otlp,
            limits: Limits::read(&limits, env)?,
            balancing: Balancing::read(&balancing, env)?,
            resilience: Resilience::read(&options, env)?,
            network: None,
            warnings,
        })
    }

    /// The same on a network in memory, with its keys in memory too: for tests.
    #[must_use]
    pub fn on_network(self, name: &str) -> Self {
        Self { network: Some(NetworkName(name.into())), ..self }
    }

    /// Whether nothing of this mesh is kept on a disk: its key is given, and no peer's is remembered.
    #[must_use]
    pub fn needs_no_directory(&self) -> bool {
        let forgets_peers = self.accept.is_none() && (!self.enforce_peer_keys || self.secret.is_none());
        // Beside a weaker trust it is kept who has proved a certificate, and a key of its own.
        let only_certificates = self.certificate.is_some() && self.accept.is_none();
        only_certificates || (self.private_key.is_some() && !self.is_embedded() && forgets_peers)
    }

    /// Whether nothing at all was said about trust, so that the user's own
    /// mesh secret in the state directory is the root of it.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.secret.is_none()
            && self.certificate.is_none()
            && self.services.iter().all(|service| service.public_key.is_none())
    }
}

/// Refuses what would be a second trust beside certificates.
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
            "the certificate of that service says what its key is",
        ),
        None => Ok(()),
    }
}
