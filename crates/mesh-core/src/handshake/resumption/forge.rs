//! Forged tickets, as the thief of a service's RSA key can make them; for tests of their worth.

use std::sync::Arc;

use super::{Holder, MeshSecret, Note, TICKET_LIFETIME, Ticket, Tickets};
use crate::{
    clock::Timestamp,
    crypto::{
        rsa::{KeyPair, Thumbprint},
        secret::Secret,
    },
    id::ServiceId,
};

/// A ticket of the service `server`, forged with its `stolen` key, for a
/// session that `victim` never had. The holder key is the thief's own.
pub(crate) fn forge_ticket(
    server: &ServiceId,
    stolen: &KeyPair,
    secrets: &[MeshSecret],
    victim: &ServiceId,
    victim_key: Thumbprint,
    now: Timestamp,
) -> Ticket {
    let holder = Arc::new(Holder::new(server, stolen).unwrap());
    let psk = Secret::random().unwrap();
    let note = Note {
        name: None,
        client: victim.clone(),
        client_key: victim_key,
        holder: holder.signed().clone(),
        psk: psk.clone(),
        expires: now + TICKET_LIFETIME,
    };
    let sealed = Tickets::new(server, stolen, secrets).unwrap().give(&note).unwrap();
    Ticket { sealed, psk, holder, server_key: stolen.public_key().thumbprint() }
}
