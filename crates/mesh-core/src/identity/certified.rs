//! The verified identity of a peer, after every check.

use super::revocation::PathCertificate;
use crate::{clock::Timestamp, crypto::rsa::PublicKey, id::ServiceId};

/// An identity that has passed every check.
#[derive(Debug)]
pub struct Certified {
    /// The service that it names.
    pub service: ServiceId,
    /// The name that says so: a SPIFFE id, or a DNS name.
    pub name: String,
    /// The key that the handshake expects.
    pub mesh_key: PublicKey,
    /// The leaf's subject, for people.
    pub subject: String,
    /// The leaf's issuer, for people.
    pub issuer: String,
    /// The leaf's serial number, big-endian.
    pub serial: Vec<u8>,
    /// The end of the leaf.
    pub certificate_expires: Timestamp,
    /// The beginning of the certificate itself.
    pub certificate_begins: Timestamp,
    /// The end of the identity: of the delegation, a certificate of the path or the anchor.
    pub expires: Timestamp,
    /// No revocation list told of each certificate, and `crlPolicy` is `'warn'`.
    pub is_unchecked: bool,
    /// The identity as it was received, for another look at it after a change
    /// of anchors or lists.
    pub identity: Vec<u8>,
    /// The leaf, the intermediates and the anchor.
    pub(super) path: Vec<PathCertificate>,
}

impl Certified {
    /// The serial number of the leaf in hexadecimal.
    #[must_use]
    pub fn serial_hex(&self) -> String {
        hex::encode(&self.serial)
    }

    /// The SHA-256 of the leaf in hexadecimal.
    #[must_use]
    pub fn fingerprint_hex(&self) -> String {
        self.path.first().map(|leaf| hex::encode(leaf.fingerprint)).unwrap_or_default()
    }

    /// The SPIFFE id, unless a DNS name names the service.
    #[must_use]
    pub fn spiffe_id(&self) -> Option<&str> {
        self.name.starts_with("spiffe://").then_some(&self.name)
    }

    /// The trust domain of its SPIFFE id.
    #[must_use]
    pub fn trust_domain(&self) -> Option<&str> {
        self.name.strip_prefix("spiffe://")?.split('/').next()
    }
}
