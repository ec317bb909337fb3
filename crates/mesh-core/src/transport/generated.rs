//! Generated from `proto/` by `cargo run -p xtask -- codegen`, and committed so
//! that a build does not need `protoc`.

#[allow(
    clippy::pedantic,
    clippy::default_trait_access,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications
)]
mod proto {
    include!("generated/securestack.mesh.v1.rs");
}

/// The descriptor of the service for reflection clients.
pub(super) const DESCRIPTOR: &[u8] = include_bytes!("generated/mesh.bin");

pub(crate) use proto::Frame;
pub(super) use proto::{mesh_client, mesh_server};
