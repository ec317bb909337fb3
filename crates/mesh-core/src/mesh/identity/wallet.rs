//! Tickets this side was given, for the next session with the same service.

use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
};

use crate::{
    handshake::{MAX_TICKET, Ticket},
    id::ServiceId,
    mesh::sync::lock,
};

/// Tickets kept for one service: one for each of its instances, or so. The
/// services are those that this side calls; no stranger can add any.
const MOST: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Wallet(Mutex<HashMap<ServiceId, VecDeque<Ticket>>>);

impl Wallet {
    /// The newest ticket, which serves once.
    pub(crate) fn take(&self, service: &ServiceId) -> Option<Ticket> {
        lock(&self.0).get_mut(service)?.pop_back()
    }

    /// Keeps a ticket, unless it is longer than any has to be: its length is the error.
    pub(crate) fn keep(&self, service: &ServiceId, ticket: Option<Ticket>) -> Result<(), usize> {
        let Some(ticket) = ticket else { return Ok(()) };
        if ticket.len() > MAX_TICKET {
            return Err(ticket.len());
        }
        let mut wallet = lock(&self.0);
        let tickets = wallet.entry(service.clone()).or_default();
        if tickets.len() == MOST {
            tickets.pop_front();
        }
        tickets.push_back(ticket);
        Ok(())
    }
}
