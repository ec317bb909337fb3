//! Calls made here. `stack` is the way of a call down to a session and back, in
//! one place; `calls` holds the calls under way, and `receive` handles what the
//! servers answer. `queues` holds the calls that no session has room for, which
//! `queueing` places. `retries` decides on further tries. `links` decides where a
//! call goes, by the `fleet` of a service with a `link` to each instance, and
//! `breakers` decides which instances are left alone. `arrivals` and `names` learn
//! which instances there are. `hedging` sends a second
//! copy of a call that takes long, when `spares` says so. `dial` opens a connection; `slow_dials` helps the
//! calls that wait for it.

mod arrivals;
mod ask;
mod breakers;
mod call;
mod calls;
mod dial;
mod elsewhere;
mod fleet;
mod hedging;
mod link;
mod links;
mod measure;
mod names;
mod queueing;
mod queues;
mod receive;
mod retries;
mod session;
mod slow_dials;
mod spares;
mod stack;
mod twin;
mod view;

pub(crate) use self::calls::Client;
