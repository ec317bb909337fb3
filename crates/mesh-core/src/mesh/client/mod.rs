//! The calls of this side. `stack` is the way of a call down to a session and back. `calls` holds the calls
//! in flight, and `receive` handles the messages of servers. `queues` holds the calls without room on a
//! session, which `queueing` places. `retries` decides about further attempts. `links` places a call, by
//! the `fleet` of a service with a `link` to each instance, and `breakers` excludes failing instances.
//! `arrivals` and `names` take the lists of instances. `spares` decides about second copies of slow calls,
//! and `hedging` sends them. `dial` opens a connection; `slow_dials` helps the calls that wait for one.

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
