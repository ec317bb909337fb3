//! Made from `proto/opentelemetry/trace.proto` by `cargo run -p xtask -- codegen`, checked in so that
//! nobody needs `protoc`.

#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::default_trait_access,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications
)]
mod proto {
    include!("generated/opentelemetry.rs");
}

pub(super) use proto::*;
