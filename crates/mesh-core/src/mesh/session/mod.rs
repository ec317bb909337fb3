//! Established sessions. One task reads and one writes; neither waits for the
//! other, so that two sides that both send much cannot block each other.
//!
//! `run` starts both. `read` hands each message to the session's [`Side`];
//! `write` empties the `outbox`. `streams` are the items of one call, and `flow`
//! is what the streams of a session share. Nothing here knows a client from a
//! server: a side does.

mod breach;
mod flow;
mod outbox;
mod read;
mod run;
mod side;
mod state;
mod streams;
mod tokens;
mod write;

pub(crate) use self::{
    breach::StreamError,
    run::{Prepared, handshake_message, prepare, run},
    side::Side,
    state::{ClientSide, End, Role, ServerSide, Session},
    streams::{Pumped, Queued, Stall, Streams, shares},
};
