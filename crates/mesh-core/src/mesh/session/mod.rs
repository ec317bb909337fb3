//! Established sessions. One task reads and one writes; neither waits for the
//! other, so that two sides that both send much cannot block each other.
//!
//! `run` starts both. `read` hands each message to its `streaming` or to the
//! session's [`Side`]; `write` empties the `outbox`. `streams` are the items of
//! one call, and `flow` is what the streams of a session share. Nothing here
//! knows a client from a server: their sides do.

mod breach;
mod flow;
mod guard;
mod outbox;
mod read;
mod run;
mod side;
mod stalls;
mod state;
pub(crate) mod streaming;
mod streams;
mod table;
mod tokens;
mod write;

pub(crate) use self::{
    breach::StreamError,
    guard::Open,
    run::{handshake_message, prepare, run},
    side::{Carrier, Side},
    stalls::Stalls,
    state::{End, Session, hold},
    streams::{Queued, Streams},
    table::Sessions,
};
