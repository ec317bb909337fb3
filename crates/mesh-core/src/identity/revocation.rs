//! The revocations of this service itself, beside the lists of the authority.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{certificate::Facts, error::MaterialError};
use crate::crypto::rsa::Thumbprint;

/// Most revocations of each kind that are remembered.
const MOST: usize = 65_536;

/// One thing that no peer may prove itself with any longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// Every certificate with this SPIFFE id or DNS name.
    Name(String),
    /// The certificate with this serial number, of this issuer or of any.
    Serial {
        /// Big-endian, without leading zeros.
        serial: Vec<u8>,
        /// The issuer as the statistics show it.
        issuer: Option<String>,
    },
    /// The certificate with this SHA-256, wherever it is in a path.
    Certificate([u8; 32]),
    /// Every delegation that names this mesh key.
    MeshKey(Thumbprint),
}

impl Revocation {
    /// Parses a serial number in hexadecimal, as `openssl x509 -serial` prints
    /// it; colons between the digits are allowed.
    pub fn serial(text: &str, issuer: Option<String>) -> Result<Self, MaterialError> {
        let digits = text.trim().trim_start_matches("serial=").replace(':', "");
        let digits = if digits.len().is_multiple_of(2) { digits } else { format!("0{digits}") };
        let bytes = hex::decode(&digits).ok().filter(|bytes| (1..=64).contains(&bytes.len()));
        let bytes = bytes.ok_or_else(|| {
            MaterialError::new(
                "serial",
                "must be a serial number in hexadecimal, as openssl x509 -serial prints it",
            )
        })?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Ok(Self::Serial { serial: bytes[zeros..].to_vec(), issuer })
    }

    /// Parses the SHA-256 of a certificate in hexadecimal, with or without
    /// colons, or the thumbprint of a mesh key in base64url.
    pub fn thumbprint(text: &str) -> Result<Self, MaterialError> {
        let text = text.trim();
        if let Some(thumbprint) = Thumbprint::parse(text) {
            return Ok(Self::MeshKey(thumbprint));
        }
        let hash = hex::decode(text.replace(':', "")).ok().and_then(|bytes| bytes.try_into().ok());
        hash.map(Self::Certificate).ok_or_else(|| {
            MaterialError::new(
                "thumbprint",
                "must be the SHA-256 of a certificate in hexadecimal, as openssl x509 -fingerprint -sha256 prints it, \
                 or the thumbprint of a mesh key",
            )
        })
    }
}

#[derive(Debug, Default)]
struct Revoked {
    names: HashSet<String>,
    serials: HashMap<Vec<u8>, HashSet<Option<String>>>,
    certificates: HashSet<[u8; 32]>,
    mesh_keys: HashSet<Thumbprint>,
}

/// Everything that was revoked here since the start.
#[derive(Debug, Default)]
pub struct Revocations(Mutex<Revoked>);

impl Revocations {
    /// Adds a revocation. It cannot be taken back.
    pub fn add(&self, revocation: Revocation) -> Result<(), MaterialError> {
        let full = || {
            MaterialError::new(
                "revoke()",
                format!(
                    "holds {MOST} revocations of this kind, which is the limit; put them into a revocation list"
                ),
            )
        };
        let mut revoked = self.lock();
        let has_room = match &revocation {
            Revocation::Name(_) => revoked.names.len() < MOST,
            Revocation::Serial { .. } => revoked.serials.values().map(HashSet::len).sum::<usize>() < MOST,
            Revocation::Certificate(_) => revoked.certificates.len() < MOST,
            Revocation::MeshKey(_) => revoked.mesh_keys.len() < MOST,
        };
        if !has_room {
            return Err(full());
        }
        match revocation {
            Revocation::Name(name) => {
                revoked.names.insert(name);
            }
            Revocation::Serial { serial, issuer } => {
                revoked.serials.entry(serial).or_default().insert(issuer);
            }
            Revocation::Certificate(hash) => {
                revoked.certificates.insert(hash);
            }
            Revocation::MeshKey(key) => {
                revoked.mesh_keys.insert(key);
            }
        }
        Ok(())
    }

    /// Whether the name, the mesh key or a certificate of the path is revoked. A
    /// false negative is an attack, a false positive a refused peer.
    pub(super) fn hit<'f>(
        &self,
        name: &str,
        mesh_key: Thumbprint,
        path: impl Iterator<Item = &'f PathCertificate>,
    ) -> bool {
        let by_key = self.lock().mesh_keys.contains(&mesh_key);
        by_key || self.names_chain(name, path)
    }

    /// The same for a chain without a mesh key.
    pub(super) fn names_chain<'f>(
        &self,
        name: &str,
        mut path: impl Iterator<Item = &'f PathCertificate>,
    ) -> bool {
        let revoked = self.lock();
        revoked.names.contains(name)
            || path.any(|certificate| {
                let issuers = revoked.serials.get(&certificate.serial);
                let by_serial = issuers.is_some_and(|issuers| {
                    issuers.contains(&None)
                        || issuers.iter().flatten().any(|issuer| *issuer == certificate.issuer)
                });
                by_serial || revoked.certificates.contains(&certificate.fingerprint)
            })
    }

    fn lock(&self) -> MutexGuard<'_, Revoked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A certificate of a verified path, as revocations name it.
#[derive(Clone, Debug)]
pub(super) struct PathCertificate {
    pub(super) serial: Vec<u8>,
    pub(super) issuer: String,
    pub(super) fingerprint: [u8; 32],
}

impl From<&Facts> for PathCertificate {
    fn from(facts: &Facts) -> Self {
        Self {
            serial: facts.serial.clone(),
            issuer: facts.shown_issuer.clone(),
            fingerprint: facts.fingerprint,
        }
    }
}
