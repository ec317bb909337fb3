//! Calls made here. `calls` is their way, from the application to a session and
//! back; `receive` is what the servers answer. A `call` decides whether it may be
//! tried again, `links` where it goes, and `dial` opens what it goes over;
//! `slow_dials` helps the calls that wait for it.

mod call;
mod calls;
mod dial;
mod links;
mod receive;
mod session;
mod slow_dials;

pub(crate) use self::calls::Client;
