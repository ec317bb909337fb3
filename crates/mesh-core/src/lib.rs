//! SecureStack Mesh without Node: identity, handshake, records, sessions,
//! discovery and transport. Layers and what may use what: `ARCHITECTURE.md`.

pub mod auth;
pub mod clock;
pub mod duration;
pub mod error;
pub mod id;
pub mod session;
