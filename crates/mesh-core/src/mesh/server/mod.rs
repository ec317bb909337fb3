//! Requests of peers. `accept` is the way of a newcomer up to its session;
//! `receive` takes its requests, and `requests` holds them until they are answered.
//! `places` and `seats` are how many there may be.

mod accept;
mod places;
mod receive;
mod requests;
mod seats;
mod session;

pub(crate) use self::{accept::Acceptor, requests::Server};
