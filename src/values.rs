//! The values that `NativeMesh` returns.

use std::net::SocketAddr;

use mesh_core::{authz::Explanation, budget::MemoryFigures, config::Service, mesh::PolicyStatus};
use napi_derive::napi;

use crate::convert::from_count;

/// The address on which a mesh listens.
#[napi(object)]
pub struct NativeAddress {
    /// An IP address.
    pub host: String,
    /// A port.
    pub port: u32,
}

/// A service of the configuration.
#[napi(object)]
pub struct NativeService {
    /// Its service id.
    pub id: String,
    /// The host; absent for a service that only calls.
    pub host: Option<String>,
    /// The port, if there is a host.
    pub port: Option<u32>,
}

/// A public key and a signature by it.
#[napi(object)]
pub struct NativeSeal {
    /// SPKI, in base64url.
    pub key: String,
    /// RSASSA-PSS with SHA-256, in base64url.
    pub signature: String,
}

/// A decision of the authorization policy with its reason.
#[napi(object)]
pub struct NativeExplanation {
    /// Whether the caller may call the method.
    pub allowed: bool,
    /// The rule that decides; absent for the default.
    pub rule: Option<String>,
    /// A sentence about it.
    pub why: String,
}

/// The state of the authorization policy.
#[napi(object)]
pub struct NativePolicyStatus {
    /// `enforce` or `audit`.
    pub mode: String,
    /// The number of rules.
    pub rules: u32,
    /// The policy file, if there is one.
    pub file: Option<String>,
    /// The fault of the policy file, while the previous policy is in force instead.
    pub problem: Option<String>,
}

/// The memory that a mesh holds for peers and calls.
#[napi(object)]
pub struct NativeMemory {
    /// Bytes that may be held.
    pub limit_bytes: f64,
    /// Bytes held now.
    pub used_bytes: f64,
    /// The most that were held at once.
    pub peak_bytes: f64,
    /// Charges that were refused for want of room.
    pub refused: f64,
}

impl From<SocketAddr> for NativeAddress {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port().into() }
    }
}

impl From<&Service> for NativeService {
    fn from(service: &Service) -> Self {
        let (host, port) = service.address.clone().unzip();
        Self { id: service.id.to_string(), host, port: port.map(u32::from) }
    }
}

impl From<Explanation> for NativeExplanation {
    fn from(Explanation { allowed, rule, why }: Explanation) -> Self {
        Self { allowed, rule, why }
    }
}

impl From<PolicyStatus> for NativePolicyStatus {
    fn from(status: PolicyStatus) -> Self {
        Self {
            mode: status.mode.as_str().to_owned(),
            // At most 10,000.
            rules: status.rules as u32,
            file: status.file.map(|file| file.display().to_string()),
            problem: status.problem,
        }
    }
}

impl From<MemoryFigures> for NativeMemory {
    fn from(figures: MemoryFigures) -> Self {
        Self {
            limit_bytes: from_count(figures.limit as u64),
            used_bytes: from_count(figures.used as u64),
            peak_bytes: from_count(figures.peak as u64),
            refused: from_count(figures.refused),
        }
    }
}
