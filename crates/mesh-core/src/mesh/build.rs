//! Makes the parts of a mesh from its configuration.

use std::{collections::HashMap, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{
    client::Client,
    core::{Core, Listening},
    error::Error,
    events::{Events, Level},
    identity::{Identity, wanted},
    platform::Platform,
    server::{Authorization, Server},
    shared::Shared,
};
use crate::{
    config::{ConfigError, MeshConfig},
    crypto::rsa::{PublicKey, Thumbprint},
    discovery::{Address, Endpoint, Registry},
    id::ServiceId,
    providers::workload::{Followed, Pace},
    telemetry::Recorder,
    transport::{Listener, Place},
};

/// Binds the port and makes the parts. Writes no file if it cannot bind the port.
pub(super) async fn build(
    platform: Platform,
    config: MeshConfig,
    events: Arc<dyn Events>,
    sight: Arc<Recorder>,
) -> Result<(Arc<Core>, Option<Listener>), Error> {
    let closing = CancellationToken::new();
    let listener = match config.port {
        None => None,
        Some(port) => Some(bind(&config, port, closing.clone()).await?),
    };
    let listening = listener.as_ref().map(|listener| Listening {
        address: listener.address(),
        connections: listener.connections(),
        closing,
        released: listener.released(),
    });
    let shared = Arc::new(Shared::new(config, platform, events, sight));
    let followed =
        match shared.config.certificate.as_ref().and_then(|own| Some((own, own.workload.as_ref()?))) {
            Some((own, socket)) => {
                let wanted = wanted(&shared.config.service_id, own);
                Some(Followed::begin(socket, wanted, Pace::USUAL).await?)
            }
            None => None,
        };
    let loading = Arc::clone(&shared);
    let loaded = shared.platform.blocking(move || load(loading, listening, followed)).await;
    let core = loaded.map_err(|_| Error::Thread)??;
    for warning in &shared.config.warnings {
        shared.log(Level::Warn, "config", warning.clone(), Vec::new());
    }
    // A mesh without traffic would not deliver these events.
    shared.events.flush();
    Ok((Arc::new(core), listener))
}

async fn bind(config: &MeshConfig, port: u16, closing: CancellationToken) -> Result<Listener, Error> {
    let host = match &config.host {
        Some(host) => Some(host.as_str()),
        None if config.is_embedded() => Some("127.0.0.1"),
        None => None,
    };
    let limits = &config.limits;
    let (most, patience) = (limits.max_connections, limits.handshake_timeout);
    Ok(match &config.network {
        None => {
            let place = Place { host, port, shared: config.reuse_port };
            Listener::bind(place, most, patience, closing).await?
        }
        Some(network) => Listener::bind_in_memory(network, port, most, patience, closing)?,
    })
}

/// Makes or loads keys and secrets. Blocks: runs on the blocking pool.
fn load(
    shared: Arc<Shared>,
    listening: Option<Listening>,
    followed: Option<Followed>,
) -> Result<Core, Error> {
    let (registry, pins) = services(&shared.config)?;
    // The policy comes before the keys, so that a broken one leaves no files behind.
    let authorization = Authorization::load(Arc::clone(&shared))?;
    let identity = Arc::new(Identity::load(Arc::clone(&shared), pins, followed)?);
    Ok(Core {
        client: Client::new(Arc::clone(&shared), Arc::clone(&identity), registry)?,
        server: Server::new(Arc::clone(&shared), Arc::clone(&identity), Arc::clone(&authorization))?,
        shared,
        identity,
        authorization,
        listening,
    })
}

/// The services of the configuration: their addresses, and their pinned keys.
fn services(config: &MeshConfig) -> Result<(Registry<PublicKey>, HashMap<ServiceId, Thumbprint>), Error> {
    let (registry, mut pins) = (Registry::new(), HashMap::new());
    for (index, service) in config.services.iter().enumerate() {
        let path = |option: &str| format!("discovery.services[{index}]{option}");
        let public_key = match &service.public_key {
            None => None,
            Some(pem) => Some(
                PublicKey::from_pem(pem)
                    .map_err(|source| Error::PinnedKey { path: path(".publicKey"), source })?,
            ),
        };
        if let Some(key) = &public_key {
            let other = pins.insert(service.id.clone(), key.thumbprint());
            if other.is_some_and(|other| other != key.thumbprint()) {
                return Err(Error::Config(ConfigError::Value {
                    path: path(".publicKey"),
                    expected: format!("the same key as the other instances of {}", service.id),
                    got: "another one".to_owned(),
                }));
            }
        }
        // An entry without an address is only a pin, for a service that only calls.
        let Some((host, port)) = &service.address else { continue };
        let address =
            Address::new(host, *port).map_err(|source| Error::Address { path: path(""), source })?;
        registry.register(Endpoint {
            id: service.id.clone(),
            address,
            public_key,
            zone: service.zone.clone(),
            weight: service.weight,
            metadata: service.metadata.clone(),
        });
    }
    Ok((registry, pins))
}
