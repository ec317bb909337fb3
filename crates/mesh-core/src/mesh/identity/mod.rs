//! The identity of this service: its key and secrets, its trust in the keys of
//! peers, and the tickets from servers.

mod admission;
mod carrier;
mod certificates;
mod keys;
mod material;
mod newcomers;
mod reload;
mod rotation;
mod signer;
mod tls;
mod trust;
mod wallet;
mod weaker;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use self::{
    carrier::Tls,
    certificates::{Certificates, Delegated},
    keys::{OwnKey, open_store, own_key},
    newcomers::Newcomers,
    trust::TrustStore,
    wallet::Wallet,
    weaker::Weaker,
};
use super::{error::Error, events::SessionInfo, shared::Shared, sync::lock};
use crate::{
    clock::Timestamp,
    config::{Accept, MeshConfig},
    crypto::{
        aead::AesKeySize,
        rsa::{PublicKey, Thumbprint},
    },
    handshake::{Certificate, Local, MeshSecret, Parameters, Retired, Suite, Tickets},
    id::ServiceId,
    identity::{IdentityError, Revocation},
    providers::workload::Followed,
};

pub use self::signer::AuditSigner;
pub(crate) use self::{
    material::{Source, wanted},
    reload::Reread,
    trust::NotRemembered,
};

/// The identity of this service, and its trust in others.
pub(crate) struct Identity {
    pub(crate) trust: TrustStore,
    pub(crate) wallet: Wallet,
    /// With certificates: that of this service, and the checks of those of peers.
    pub(crate) certificates: Option<Certificates>,
    /// The weaker trust that is accepted beside certificates.
    weaker: Option<Weaker>,
    /// TLS beneath the streams, if it is on.
    tls: Option<Tls>,
    /// Services that may ask the authority for their first certificate.
    newcomers: Newcomers,
    /// Whether this service made a new key at its start, which no peer remembers yet.
    pub(crate) key_is_new: bool,
    shared: Arc<Shared>,
    local: Arc<Mutex<Arc<Local>>>,
    /// This service's public key, for the application.
    pub(crate) shown: Arc<Mutex<PublicKey>>,
    /// Rotations of the key, one at a time.
    rotation: Arc<tokio::sync::Mutex<()>>,
    /// RSA private operations with previous keys.
    previous_operations: AtomicU64,
}

impl Identity {
    /// Makes or loads keys and secrets; `followed` has the certificate if it comes from the Workload API. Blocks: runs on
    /// the blocking pool.
    pub(crate) fn load(
        shared: Arc<Shared>,
        pins: HashMap<ServiceId, Thumbprint>,
        followed: Option<Followed>,
    ) -> Result<Self, Error> {
        let config = &shared.config;
        let store = open_store(config)?;
        let secrets = match &config.secret {
            Some(secret) => vec![MeshSecret::new(secret.as_bytes())],
            None if config.is_embedded() => vec![MeshSecret::new(store.mesh_secret()?.as_bytes())],
            None => Vec::new(),
        };
        let (certificates, delegated) = match &config.certificate {
            Some(given) => {
                Certificates::load(&shared, given, followed).map(|(all, made)| (Some(all), Some(made)))?
            }
            None => (None, None),
        };
        let tls = Tls::load(&shared)?;
        let by_secret = |own| local(config, own, secrets.clone(), None);
        let (local, weaker, key_is_new) = if let Some(Delegated { key, certificate }) = delegated {
            // The certificate names the key, so peers need no succession.
            let own = OwnKey { key, is_new: false, succession: None };
            let weaker = Weaker::load(&shared, |config| by_secret(own_key(config, &store)?))?;
            (local(config, own, Vec::new(), Some(certificate))?, weaker, false)
        } else {
            let own = own_key(config, &store)?;
            let is_new = own.is_new;
            (by_secret(own)?, None, is_new)
        };
        Ok(Self {
            // Without a secret only pins count, so strangers cause no reads of the directory.
            trust: TrustStore::new(
                pins,
                store,
                config.enforce_peer_keys && !secrets.is_empty(),
                weaker.is_some(),
            ),
            wallet: Wallet::default(),
            certificates,
            tls,
            newcomers: Newcomers::default(),
            weaker,
            key_is_new,
            shown: Arc::new(Mutex::new(local.key.public_key().clone())),
            local: Arc::new(Mutex::new(Arc::new(local))),
            rotation: Arc::default(),
            previous_operations: AtomicU64::new(0),
            shared,
        })
    }

    /// The current identity for handshakes.
    pub(crate) fn local(&self) -> Arc<Local> {
        Arc::clone(&lock(&self.local))
    }

    /// The signer of the audit log.
    pub(crate) fn audit_signer(&self) -> AuditSigner {
        AuditSigner(Arc::clone(&self.local))
    }

    /// This side's identity for the weaker trust, while that is accepted beside certificates.
    pub(crate) fn weaker(&self) -> Option<Arc<Local>> {
        self.weaker.as_ref()?.local(self.shared.now())
    }

    /// The weaker trust that is accepted now.
    pub(crate) fn accepts(&self) -> Option<Accept> {
        self.weaker.as_ref()?.accepted(self.shared.now())
    }

    /// Whether the weaker trust has ended since the last call.
    pub(crate) fn weaker_ends(&self, now: Timestamp) -> bool {
        self.weaker.as_ref().is_some_and(|weaker| weaker.ends(now))
    }

    /// Whether the identity has changed since `local` was current.
    pub(crate) fn has_changed_since(&self, local: &Arc<Local>) -> bool {
        !Arc::ptr_eq(local, &lock(&self.local))
    }

    /// Whether the peer of a session would be accepted now. Verifies signatures
    /// if the anchors have changed since its handshake.
    pub(crate) fn judge(&self, info: &SessionInfo, now: Timestamp) -> Result<(), IdentityError> {
        match (&self.certificates, &info.certified) {
            (Some(certificates), Some(certified)) => {
                certificates.verifier().verify(&certified.identity, &info.peer, now).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// The reason to refuse a session right after its entry in the table: the
    /// identity or the anchors of its handshake were revoked or replaced before
    /// the entry.
    pub(crate) fn refuses(&self, local: &Local, info: &SessionInfo) -> Option<IdentityError> {
        let (certificates, certified) = (self.certificates.as_ref()?, info.certified.as_ref()?);
        let present = certificates.verifier();
        let is_present = local.certificate.as_ref().is_some_and(|own| Arc::ptr_eq(&own.verifier, &present));
        if is_present && !present.is_revoked(certified) {
            return None;
        }
        self.judge(info, self.shared.now()).err()
    }

    /// Whether a new delegation is due. After `true` the caller must make it.
    pub(crate) fn renewal_is_due(&self, now: Timestamp) -> bool {
        self.certificates.as_ref().is_some_and(|certificates| certificates.is_due(now))
    }

    /// Records the end of the due renewal.
    pub(crate) fn renewal_is_over(&self, succeeded: bool, now: Timestamp) {
        if let Some(certificates) = &self.certificates {
            certificates.renewed(succeeded, now);
        }
    }

    /// The due warnings about certificates and revocation lists, with their events.
    pub(crate) fn certificate_warnings(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        self.certificates.as_ref().map(|certificates| certificates.warnings(now)).unwrap_or_default()
    }

    /// Refuses the named certificates or keys from now on.
    pub(crate) fn revoke(&self, revocation: Revocation) -> Result<(), Error> {
        let certificates = self.certificates.as_ref().ok_or(Error::NoCertificate)?;
        Ok(certificates.revoke(revocation)?)
    }

    /// The number of RSA private operations with this service's keys.
    pub(crate) fn private_operations(&self) -> u64 {
        self.previous_operations.load(Ordering::Relaxed) + self.local().key.private_ops()
    }
}

/// The identity of a side with this key.
fn local(
    config: &MeshConfig,
    OwnKey { key, succession, .. }: OwnKey,
    secrets: Vec<MeshSecret>,
    certificate: Option<Certificate>,
) -> Result<Local, Error> {
    let tickets = Tickets::new(&config.service_id, &key, &secrets)?;
    Ok(Local {
        id: config.service_id.clone(),
        key,
        secrets,
        suites: vec![Suite::Hybrid, Suite::X25519],
        aes: AesKeySize::from_bits(config.aes_bits).unwrap_or(AesKeySize::Aes256),
        token_lifetime: config.token_lifetime,
        parameters: Parameters { max_message: config.limits.max_message, max_calls: config.limits.max_calls },
        handshake_timeout: config.limits.handshake_timeout,
        tickets: Arc::new(tickets),
        holders: Arc::default(),
        retired: Retired::default(),
        succession,
        certificate,
    })
}
