//! SecureStack Mesh without Node: identity, handshake, records, sessions,
//! discovery and transport. Layers and what may use what: `ARCHITECTURE.md`.

pub mod admin;
pub mod auth;
pub mod authority;
pub mod authz;
pub mod balance;
pub mod budget;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod discovery;
pub mod duration;
pub mod error;
pub mod handshake;
pub mod id;
pub mod identity;
mod json;
pub mod mesh;
mod otlp;
pub mod providers;
pub mod record;
pub mod resilience;
pub mod telemetry;
pub mod transport;
pub mod wire;
