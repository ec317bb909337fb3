//! The addon: the native module that Node loads. It converts, delegates and settles; `mesh-core` or `js/`
//! makes every decision.

// JavaScript reaches the exports of `#[napi]`, not other crates through `pub` paths.
#![allow(unreachable_pub)]
// A test build registers no exports, so they seem unused.
#![cfg_attr(test, allow(dead_code))]
// Arguments from JavaScript are converted into owned values, so there is nothing to borrow from.
#![allow(clippy::needless_pass_by_value)]

mod auth;
mod authority;
mod blocking;
mod boundary;
mod commands;
mod convert;
mod crypto;
mod discovery;
mod enrolment;
mod error;
mod events;
mod figures;
mod frames;
mod inbox;
mod mesh;
mod mounted;
mod providers;
mod resilience;
mod telemetry;
mod values;
