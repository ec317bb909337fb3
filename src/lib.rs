//! The addon: what Node sees. It converts, delegates and settles; every
//! decision is made in `mesh-core` or in `js/`.

mod auth;
mod convert;
mod discovery;
mod error;
mod events;
mod frames;
mod inbox;
mod mesh;
mod sessions;
