//! The places of handshakes under way.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use super::{core::Core, session::lock};

/// Handshakes under way, in all and by address.
#[derive(Debug, Default)]
pub(super) struct Pending {
    total: u32,
    by_address: HashMap<IpAddr, u32>,
}

impl Pending {
    /// Handshakes under way, in all and from `address`.
    pub(super) fn of(&self, address: IpAddr) -> (u32, u32) {
        (self.total, self.by_address.get(&address).copied().unwrap_or(0))
    }

    /// Handshakes under way, and the addresses they are from.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.total as usize, self.by_address.len())
    }
}

/// A place among the pending handshakes.
pub(super) struct Place {
    core: Arc<Core>,
    address: IpAddr,
}

impl Place {
    pub(super) fn take(core: &Arc<Core>, address: IpAddr) -> Self {
        let mut pending = lock(&core.pending);
        pending.total += 1;
        *pending.by_address.entry(address).or_default() += 1;
        Self { core: Arc::clone(core), address }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut pending = lock(&self.core.pending);
        pending.total -= 1;
        if let Some(count) = pending.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                pending.by_address.remove(&self.address);
            }
        }
    }
}
