//! The requests to the authority, and its answers.

use std::{path::PathBuf, time::Duration};

use zeroize::Zeroizing;

use crate::clock::Timestamp;

/// The options of [`Authority::init`].
#[derive(Clone, Debug)]
pub struct Establishment {
    /// The directory of the root's key; by default `root` in that of the authority.
    pub root_directory: Option<PathBuf>,
    /// The trust domain, as in `shop.example`.
    pub trust_domain: String,
    /// The SPIFFE id of a service, with the placeholder `{service}`; by default the trust domain and the service id.
    pub template: Option<String>,
    /// The lifetime of the certificates of services: 1 minute to 90 days, 24 hours by default.
    pub lifetime: Option<Duration>,
}

/// A certificate that was issued.
#[derive(Debug)]
pub struct Certified {
    /// The certificate and its issuer, in PEM.
    pub chain: String,
    /// Its private key in PEM, if it was made here.
    pub key: Option<Zeroizing<String>>,
    /// The serial number, in hexadecimal digits.
    pub serial: String,
    /// The first instant at which it has ended.
    pub expires: Timestamp,
}

/// The trust anchors and the revocation lists.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The roots in PEM; two of them during a rotation.
    pub anchors: String,
    /// The revocation lists in PEM, one of each root and issuer.
    pub lists: String,
    /// A digest of what is trusted and what is revoked. It changes with these alone.
    pub version: String,
}

/// A certificate that [`Authority::revoke`] has revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedCertificate {
    /// The service that it names.
    pub service: String,
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
}

/// A join token as the authority hands it out.
pub struct Invitation {
    /// The text, which is a secret.
    pub token: Zeroizing<String>,
    /// The first instant at which it has ended.
    pub expires: Timestamp,
}

/// The state of an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The trust domain.
    pub trust_domain: String,
    /// SHA-256 of each root in the bundle, in hexadecimal digits.
    pub roots: Vec<String>,
    /// The end of the issuer in use.
    pub issuer_expires: Timestamp,
    /// The certificates of services that are valid.
    pub issued: usize,
    /// Those of them that are revoked.
    pub revoked: usize,
    /// The tokens that have uses left.
    pub tokens: usize,
}
