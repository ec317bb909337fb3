//! Made from `proto/` by `cargo run -p xtask -- codegen`, checked in so that
//! nobody needs `protoc`.

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

/// Describes the service to reflection clients.
pub(super) const DESCRIPTOR: &[u8] = include_bytes!("generated/mesh.bin");

pub(crate) use proto::Frame;
pub(super) use proto::{mesh_client, mesh_server};
