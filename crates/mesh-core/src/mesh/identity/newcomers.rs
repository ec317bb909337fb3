//! The services that may ask the authority here for their first certificate.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use crate::{handshake::Local, id::ServiceId};

/// The service that a token is for, and this side of its session.
type Admitted = (ServiceId, Arc<Local>);

/// The tokens that admit a newcomer, by the names that their secrets have on the wire.
#[derive(Default)]
pub(super) struct Newcomers(pub(super) Mutex<HashMap<[u8; 8], Admitted>>);
