//! Tickets from servers, for the next sessions with the same services.

use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
};

use crate::{
    handshake::{MAX_TICKET, Ticket},
    id::ServiceId,
    mesh::sync::lock,
};

/// The most tickets for one service: about one for each instance. Only services
/// that this side calls have tickets, so no stranger can add any.
const MOST: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Wallet(Mutex<HashMap<ServiceId, VecDeque<Ticket>>>);

impl Wallet {
    /// Takes the newest ticket, which is valid once.
    pub(crate) fn take(&self, service: &ServiceId) -> Option<Ticket> {
        lock(&self.0).get_mut(service)?.pop_back()
    }

    /// Keeps a ticket. One that is too long is dropped, and its length is the error.
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
