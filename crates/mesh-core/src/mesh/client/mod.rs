//! Calls made here. `stack` is the way of a call down to a session and back, in
//! one place; `calls` holds the calls under way, and `receive` is what the servers
//! answer. `retries` decides on further tries, `links` where a call goes, `breakers`
//! which instances are left alone, and `dial` opens a connection; `slow_dials`
//! helps the calls that wait for it.

mod ask;
mod breakers;
mod call;
mod calls;
mod dial;
mod links;
mod measure;
mod receive;
mod retries;
mod session;
mod slow_dials;
mod stack;
mod view;

pub(crate) use self::calls::Client;
