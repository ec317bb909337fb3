//! Made from `proto/spiffe/workload.proto` by `cargo run -p xtask -- codegen`, checked in so that
//! nobody needs `protoc`.

use std::fmt;

#[allow(
    clippy::pedantic,
    clippy::default_trait_access,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications
)]
mod proto {
    include!("generated/spiffe.rs");
}

pub(super) use proto::*;

impl fmt::Debug for X509svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest has a private key.
        f.debug_struct("X509svid").field("spiffe_id", &self.spiffe_id).finish_non_exhaustive()
    }
}
