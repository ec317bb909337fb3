//! Sessions: how long they live and how many there may be.

mod store;

pub use store::{Counts, Limits, Session, SessionError, SessionStore};
