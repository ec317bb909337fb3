//! The addon: what Node sees. It converts, delegates and settles; every
//! decision is made in `mesh-core` or in `js/`.

// What `#[napi]` exports is reached from JavaScript, not through `pub` paths.
#![allow(unreachable_pub)]
// Under test nothing registers what is exported, so it seems unused.
#![cfg_attr(test, allow(dead_code))]
// Arguments from JavaScript are converted into values; there is nothing to borrow from.
#![allow(clippy::needless_pass_by_value)]

mod auth;
mod boundary;
mod convert;
mod crypto;
mod discovery;
mod error;
mod events;
mod frames;
mod inbox;
mod mesh;
mod resilience;
mod telemetry;
