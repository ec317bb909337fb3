//! The configuration of a mesh. An invalid one cannot be built; an error
//! carries the option's path and what would be right.

mod error;
mod private_key;
mod read;
mod resilience;
mod secret;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;
use zeroize::Zeroizing;

use self::read::{EnvPort, Options};
pub use self::{
    error::ConfigError,
    private_key::{KeySource, PrivateKey},
    resilience::{Breaker, RateLimit, Resilience, Retry},
    secret::{MAKE_SECRET, MIN_SECRET, Secret, Weakness},
};
use crate::id::ServiceId;

/// A checked configuration. Defaults stand beside each field.
#[derive(Clone, Debug)]
pub struct MeshConfig {
    /// `serviceId`: this service's name.
    pub service_id: ServiceId,
    /// `port`: where to listen; 0 lets the system choose; absent, this mesh only calls.
    pub port: Option<u16>,
    /// `host`: the address to listen on. Without it: loopback in the embedded
    /// default, all interfaces with explicit trust.
    pub host: Option<String>,
    /// `security.rsaKeySize`: 4096.
    pub rsa_bits: u32,
    /// `security.aesKeySize`: 256.
    pub aes_bits: u32,
    /// `security.jwtSecret`.
    pub secret: Option<Secret>,
    /// `security.privateKey`: instead of a key of the key directory.
    pub private_key: Option<PrivateKey>,
    /// `security.jwtExpiration`: one hour.
    pub token_lifetime: Duration,
    /// `security.sessionTimeout`: an idle session is closed after one hour.
    pub session_timeout: Duration,
    /// `security.sessionLifetimeMs`: a session is replaced after a day, busy or not.
    pub session_lifetime: Duration,
    /// `security.peerKeys`: whether the key a peer showed first is insisted on. Enforced.
    pub enforce_peer_keys: bool,
    /// `discovery.services`.
    pub services: Vec<Service>,
    /// `paths.keysDir` (or 0.2.0's `security.keysDir`).
    pub keys_dir: Option<PathBuf>,
    /// `limits`.
    pub limits: Limits,
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

/// One entry of `discovery.services`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The service's name. Several entries of one name are several instances.
    pub id: ServiceId,
    /// Host name or address, and port. A service without them only calls, and
    /// has a key here by which it is known.
    pub address: Option<(String, u16)>,
    /// The service's RSA public key in PEM, pinned.
    pub public_key: Option<String>,
    /// Whatever the user wants to know of it.
    pub metadata: BTreeMap<String, String>,
}

/// Bounds on everything that a peer can make grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `maxMessageBytes`: largest payload either way. 4 MiB.
    pub max_message: u32,
    /// `maxConcurrentCalls`: calls in flight on one session. 1,024.
    pub max_calls: u32,
    /// `maxPendingCalls`: calls this mesh has in flight in all. 16,384.
    pub max_pending_calls: u32,
    /// `maxSessions`: sessions accepted in all. 10,000.
    pub max_sessions: u32,
    /// `maxSessionsPerPeer`: sessions accepted from one service. 64.
    pub max_sessions_per_peer: u32,
    /// `maxPendingHandshakes`: handshakes under way in all. 256.
    pub max_pending_handshakes: u32,
    /// `maxPendingHandshakesPerAddress`: handshakes under way from one address. 64.
    pub max_pending_handshakes_per_address: u32,
    /// `maxConnections`: TCP connections accepted. 12,000.
    pub max_connections: u32,
    /// `handshakeTimeoutMs`: a connection without an established session (or
    /// a health check) is closed after this time. Ten seconds.
    pub handshake_timeout: Duration,
    /// `callTimeoutMs`: time a call may take unless it says otherwise. Ten seconds.
    pub call_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: 4 << 20,
            max_calls: 1024,
            max_pending_calls: 16_384,
            max_sessions: 10_000,
            max_sessions_per_peer: 64,
            max_pending_handshakes: 256,
            max_pending_handshakes_per_address: 64,
            max_connections: 12_000,
            handshake_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(10),
        }
    }
}

impl MeshConfig {
    /// Checks a configuration in the shape of the README's `MeshConfig`.
    /// `env` looks up `SECURE_MESH_…` variables, which stand in for absent
    /// options. An empty variable is an unset one: that is what container files
    /// make of a value that is not there.
    pub fn parse(config: &Value, env: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let env = |name: &str| env(name).filter(|value| !value.trim().is_empty());
        let root = Options::root(
            config,
            &[
                "serviceId",
                "port",
                "host",
                "security",
                "discovery",
                "paths",
                "resilience",
                "monitoring",
                "rotation",
                "limits",
                "logger",
            ],
        )?;
        let security = root.object(
            "security",
            &[
                "rsaKeySize",
                "aesKeySize",
                "jwtSecret",
                "privateKey",
                "jwtExpiration",
                "sessionTimeout",
                "sessionLifetimeMs",
                "peerKeys",
                "keysDir",
            ],
        )?;
        let paths = root.object("paths", &["protoFile", "keysDir", "logsDir", "metricsDir"])?;
        let limits = root.object(
            "limits",
            &[
                "maxMessageBytes",
                "maxConcurrentCalls",
                "maxPendingCalls",
                "maxSessions",
                "maxSessionsPerPeer",
                "maxPendingHandshakes",
                "maxPendingHandshakesPerAddress",
                "maxConnections",
                "handshakeTimeoutMs",
                "callTimeoutMs",
            ],
        )?;

        let service_id = root.service_id("serviceId")?;
        let mut warnings = Vec::new();
        let port = parse_port(&root, &env, &mut warnings)?;
        if paths.string("protoFile")?.is_some() {
            warnings.push("paths.protoFile is ignored: the protocol is built in".to_owned());
        }
        let day = Duration::from_hours(24);
        Ok(Self {
            service_id,
            port,
            host: match root.host("host")? {
                Some(host) => Some(host),
                None => read::env_host(&env)?,
            },
            rsa_bits: security.one_of("rsaKeySize", &[2048, 4096])?.unwrap_or(4096),
            aes_bits: security.one_of("aesKeySize", &[128, 192, 256])?.unwrap_or(256),
            secret: parse_secret(&security, &env)?,
            private_key: PrivateKey::parse(&security, &env)?,
            token_lifetime: match security.duration("jwtExpiration", Duration::from_secs(1), day)? {
                Some(lifetime) => lifetime,
                None => read::env_duration(&env, "SECURE_MESH_JWT_EXPIRATION", day)?.unwrap_or(HOUR),
            },
            session_timeout: match security.duration("sessionTimeout", Duration::from_secs(1), 30 * day)? {
                Some(timeout) => timeout,
                None => read::env_duration(&env, "SECURE_MESH_SESSION_TIMEOUT", 30 * day)?.unwrap_or(HOUR),
            },
            session_lifetime: security
                .duration("sessionLifetimeMs", Duration::from_secs(1), 30 * day)?
                .unwrap_or(day),
            enforce_peer_keys: match security.string("peerKeys")?.as_deref() {
                None | Some("enforce") => true,
                Some("ignore") => false,
                Some(_) => return Err(security.wrong("peerKeys", "'enforce' or 'ignore'")),
            },
            services: parse_services(&root)?,
            keys_dir: paths
                .string("keysDir")?
                .or(security.string("keysDir")?)
                .or_else(|| env("SECURE_MESH_KEYS_DIR"))
                .map(PathBuf::from),
            limits: parse_limits(&limits)?,
            resilience: Resilience::parse(&root)?,
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
        self.private_key.is_some()
            && !self.is_embedded()
            && (!self.enforce_peer_keys || self.secret.is_none())
    }

    /// Whether nothing at all was said about trust, so that the user's own
    /// mesh secret in the state directory is the root of it.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.secret.is_none() && self.services.iter().all(|service| service.public_key.is_none())
    }
}

const HOUR: Duration = Duration::from_hours(1);

fn parse_port(
    root: &Options<'_>,
    env: &impl Fn(&str) -> Option<String>,
    warnings: &mut Vec<String>,
) -> Result<Option<u16>, ConfigError> {
    if let Some(port) = root.port("port", 0)? {
        return Ok(Some(port));
    }
    Ok(match read::env_port(env)? {
        EnvPort::Port(port) => Some(port),
        EnvPort::Unset => None,
        EnvPort::ServiceLink(link) => {
            warnings.push(format!(
                "SECURE_MESH_PORT is {link:?} and is ignored: Kubernetes sets it for a Service named \
                 secure-mesh. Rename that Service, set enableServiceLinks: false in the pod, or give the \
                 option port"
            ));
            None
        }
    })
}

fn parse_secret(
    security: &Options<'_>,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<Option<Secret>, ConfigError> {
    let (path, secret) = match security.secret("jwtSecret")? {
        Some(secret) => ("security.jwtSecret", secret),
        None => match env("SECURE_MESH_JWT_SECRET") {
            Some(secret) => ("SECURE_MESH_JWT_SECRET", secret),
            None => return Ok(None),
        },
    };
    let secret = Zeroizing::new(secret);
    check_secret(path, &secret)?;
    Ok(Some(Secret(secret)))
}

/// Refuses a secret that is too weak. `path` is where it was given.
pub(crate) fn check_secret(path: &str, secret: &str) -> Result<(), ConfigError> {
    if let Some(weakness) = Weakness::of(secret.as_bytes()) {
        return Err(ConfigError::WeakSecret { path: path.to_owned(), weakness });
    }
    Ok(())
}

fn parse_services(root: &Options<'_>) -> Result<Vec<Service>, ConfigError> {
    let discovery = root.object("discovery", &["services"])?;
    let known = ["id", "host", "port", "publicKey", "metadata", "lastHealthCheck", "status"];
    let mut services = Vec::new();
    for entry in discovery.objects("services", &known)? {
        let public_key = entry.string("publicKey")?;
        services.push(Service {
            id: entry.service_id("id")?,
            address: parse_address(&entry, public_key.is_some())?,
            public_key,
            metadata: entry.strings("metadata")?,
        });
    }
    Ok(services)
}

/// Host and port. A service that is `known` by its key may be without both.
fn parse_address(entry: &Options<'_>, known: bool) -> Result<Option<(String, u16)>, ConfigError> {
    let host = entry.host("host")?;
    let port = entry.port("port", 1)?;
    if host.is_none() && port.is_none() && known {
        return Ok(None);
    }
    let host = host.ok_or_else(|| entry.missing("host", "a host name or an IP address"))?;
    let port = port.ok_or_else(|| entry.missing("port", "1…65535"))?;
    Ok(Some((host, port)))
}

fn parse_limits(options: &Options<'_>) -> Result<Limits, ConfigError> {
    let default = Limits::default();
    let number = |key, min, max, default: u32| -> Result<u32, ConfigError> {
        Ok(options.integer(key, min, max)?.map_or(default, |value| value as u32))
    };
    let time = |key, default| -> Result<Duration, ConfigError> {
        let hour = HOUR.as_millis() as u64;
        Ok(options.integer(key, 1, hour)?.map_or(default, Duration::from_millis))
    };
    Ok(Limits {
        max_message: number("maxMessageBytes", 1024, 256 << 20, default.max_message)?,
        max_calls: number("maxConcurrentCalls", 1, 1 << 20, default.max_calls)?,
        max_pending_calls: number("maxPendingCalls", 1, 1 << 20, default.max_pending_calls)?,
        max_sessions: number("maxSessions", 1, 1 << 20, default.max_sessions)?,
        max_sessions_per_peer: number("maxSessionsPerPeer", 1, 1 << 20, default.max_sessions_per_peer)?,
        max_pending_handshakes: number("maxPendingHandshakes", 1, 1 << 16, default.max_pending_handshakes)?,
        max_pending_handshakes_per_address: number(
            "maxPendingHandshakesPerAddress",
            1,
            1 << 16,
            default.max_pending_handshakes_per_address,
        )?,
        max_connections: number("maxConnections", 1, 1 << 20, default.max_connections)?,
        handshake_timeout: time("handshakeTimeoutMs", default.handshake_timeout)?,
        call_timeout: time("callTimeoutMs", default.call_timeout)?,
    })
}
