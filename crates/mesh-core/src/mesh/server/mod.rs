//! Requests of peers. `accept` is the way of a newcomer up to its session. `receive` takes its requests, and
//! `admit` decides about them, among others by the policy of `authorization`. `requests` holds them until they are
//! answered. `admission` holds the `places` of newcomers, the answered first messages (`replays`), the `accounts`
//! of addresses and the `turns` of answers. `seats` limits the sessions. `shared_quota` counts with other processes. `shedding` refuses what there is no time or no room for. `tls` answers the TLS handshakes beneath.

mod accept;
mod accounts;
mod admission;
mod admit;
mod authorization;
mod observe;
mod places;
mod receive;
mod replays;
mod requests;
mod seats;
mod session;
mod shared_quota;
mod shedding;
mod tls;
mod turns;

pub use self::authorization::PolicyStatus;
pub(crate) use self::{accept::Acceptor, authorization::Authorization, requests::Server, tls::Port};
