//! Established sessions. One task reads and one writes. Neither waits for the
//! other, so that two sides with much to send cannot block each other.
//!
//! `run` starts both. `read` hands each message to `streaming` or to the
//! session's [`Side`]; `write` empties the `outbox`. `streams` holds the items
//! of one call, and `flow` holds what the streams of a session share. This room
//! does not distinguish a client from a server; the sides do.

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
