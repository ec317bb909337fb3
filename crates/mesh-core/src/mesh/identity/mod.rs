//! Who this service is, and what it knows of others: its key and secrets, the
//! keys of its peers, the tickets it was given.

mod carrier;
mod certificates;
mod keys;
mod material;
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
};

pub use self::signer::AuditSigner;
pub(crate) use self::{reload::Reread, trust::NotRemembered};

/// Who this service is, and what it knows of others.
pub(crate) struct Identity {
    pub(crate) trust: TrustStore,
    pub(crate) wallet: Wallet,
    /// With certificates: this service's, and the judgement of its peers'.
    pub(crate) certificates: Option<Certificates>,
    /// The trust that is accepted beside certificates.
    weaker: Option<Weaker>,
    /// TLS beneath, if it is spoken.
    tls: Option<Tls>,
    /// This service made a new key when it started: nobody remembers it.
    pub(crate) key_is_new: bool,
    shared: Arc<Shared>,
    local: Arc<Mutex<Arc<Local>>>,
    /// This service's public key, for the application.
    pub(crate) shown: Arc<Mutex<PublicKey>>,
    /// Rotations of the key, one at a time.
    rotation: Arc<tokio::sync::Mutex<()>>,
    /// RSA private operations of keys that another took the place of.
    previous_operations: AtomicU64,
}

impl Identity {
    /// Makes or loads keys and secrets. Blocks: runs on the blocking pool.
    pub(crate) fn load(shared: Arc<Shared>, pins: HashMap<ServiceId, Thumbprint>) -> Result<Self, Error> {
        let config = &shared.config;
        let store = open_store(config)?;
        let secrets = match &config.secret {
            Some(secret) => vec![MeshSecret::new(secret.as_bytes())],
            None if config.is_embedded() => vec![MeshSecret::new(store.mesh_secret()?.as_bytes())],
            None => Vec::new(),
        };
        let (certificates, delegated) = match &config.certificate {
            Some(given) => Certificates::load(&shared, given).map(|(all, made)| (Some(all), Some(made)))?,
            None => (None, None),
        };
        let tls = Tls::load(&shared)?;
        let by_secret = |own| local(config, own, secrets.clone(), None);
        let (local, weaker, key_is_new) = if let Some(Delegated { key, certificate }) = delegated {
            // The certificate says which key it is, so nobody has to remember it.
            let own = OwnKey { key, is_new: false, succession: None };
            let weaker = Weaker::load(&shared, |config| by_secret(own_key(config, &store)?))?;
            (local(config, own, Vec::new(), Some(certificate))?, weaker, false)
        } else {
            let own = own_key(config, &store)?;
            let is_new = own.is_new;
            (by_secret(own)?, None, is_new)
        };
        Ok(Self {
            // Without a secret only pins count; nothing is looked up for strangers.
            trust: TrustStore::new(
                pins,
                store,
                config.enforce_peer_keys && !secrets.is_empty(),
                weaker.is_some(),
            ),
            wallet: Wallet::default(),
            certificates,
            tls,
            weaker,
            key_is_new,
            shown: Arc::new(Mutex::new(local.key.public_key().clone())),
            local: Arc::new(Mutex::new(Arc::new(local))),
            rotation: Arc::default(),
            previous_operations: AtomicU64::new(0),
            shared,
        })
    }

    /// What this side says of itself now.
    pub(crate) fn local(&self) -> Arc<Local> {
        Arc::clone(&lock(&self.local))
    }

    /// The signer of the audit log.
    pub(crate) fn audit_signer(&self) -> AuditSigner {
        AuditSigner(Arc::clone(&self.local))
    }

    /// This side in the weaker trust that is accepted beside certificates, if one is.
    pub(crate) fn weaker(&self) -> Option<Arc<Local>> {
        self.weaker.as_ref()?.local(self.shared.now())
    }

    /// The weaker trust that is accepted now.
    pub(crate) fn accepts(&self) -> Option<Accept> {
        self.weaker.as_ref()?.accepted(self.shared.now())
    }

    /// Whether the weaker trust has ended since this was last asked.
    pub(crate) fn weaker_ends(&self, now: Timestamp) -> bool {
        self.weaker.as_ref().is_some_and(|weaker| weaker.ends(now))
    }

    /// Whether a key or a secret was rotated since `local` was current.
    pub(crate) fn has_changed_since(&self, local: &Arc<Local>) -> bool {
        !Arc::ptr_eq(local, &lock(&self.local))
    }

    /// Whether the peer of a session would be accepted now. Verifies signatures
    /// if the anchors are others than those of its handshake.
    pub(crate) fn judge(&self, info: &SessionInfo, now: Timestamp) -> Result<(), IdentityError> {
        match (&self.certificates, &info.certified) {
            (Some(certificates), Some(certified)) => {
                certificates.verifier().verify(&certified.identity, &info.peer, now).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Why a session that is in the table now is refused all the same: what its
    /// handshake began with was revoked or replaced before it was there.
    pub(crate) fn refuses(&self, local: &Local, info: &SessionInfo) -> Option<IdentityError> {
        let (certificates, certified) = (self.certificates.as_ref()?, info.certified.as_ref()?);
        let present = certificates.verifier();
        let is_present = local.certificate.as_ref().is_some_and(|own| Arc::ptr_eq(&own.verifier, &present));
        if is_present && !present.is_revoked(certified) {
            return None;
        }
        self.judge(info, self.shared.now()).err()
    }

    /// Whether another delegation is to be made now; the caller makes it.
    pub(crate) fn renewal_is_due(&self, now: Timestamp) -> bool {
        self.certificates.as_ref().is_some_and(|certificates| certificates.is_due(now))
    }

    /// The renewal that was due is over.
    pub(crate) fn renewal_is_over(&self, succeeded: bool, now: Timestamp) {
        if let Some(certificates) = &self.certificates {
            certificates.renewed(succeeded, now);
        }
    }

    /// The warnings about certificates and revocation lists that are due, with their events.
    pub(crate) fn certificate_warnings(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        self.certificates.as_ref().map(|certificates| certificates.warnings(now)).unwrap_or_default()
    }

    /// Refuses what this names from now on.
    pub(crate) fn revoke(&self, revocation: Revocation) -> Result<(), Error> {
        let certificates = self.certificates.as_ref().ok_or(Error::NoCertificate)?;
        Ok(certificates.revoke(revocation)?)
    }

    /// RSA private operations done with this service's keys.
    pub(crate) fn private_operations(&self) -> u64 {
        self.previous_operations.load(Ordering::Relaxed) + self.local().key.private_ops()
    }
}

/// The statements of a side about itself with this key.
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
