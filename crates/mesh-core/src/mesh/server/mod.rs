//! Requests of peers. `accept` is the way of a newcomer up to its session;
//! `receive` takes its requests, `admit` decides whether they are answered, and
//! `requests` holds them until they are.
//! `places` and `seats` are how many there may be.

mod accept;
mod admit;
mod places;
mod receive;
mod requests;
mod seats;
mod session;

pub(crate) use self::{accept::Acceptor, requests::Server};
