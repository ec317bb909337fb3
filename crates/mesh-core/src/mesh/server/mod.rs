//! Requests of peers. `accept` is the way of a newcomer up to its session;
//! `receive` takes its requests, `admit` decides whether they are answered, by the policy of `authorization` among
//! others, and
//! `requests` holds them until they are.
//! `admission` holds the `places` of newcomers, the first messages seen
//! (`replays`), the `accounts` of addresses and the `turns` of answers; `seats` are
//! those of sessions. `shared_quota` counts with other processes. `shedding` refuses what there is no time or no room for. `tls` answers the handshakes of TLS beneath.

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
