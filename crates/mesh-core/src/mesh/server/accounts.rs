//! The cost of each address in handshakes that it does not finish. The answer to a
//! first message is charged. A peer that then proves itself gets the charge back.

use std::{collections::HashMap, net::IpAddr};

use tokio::time::Instant;

/// Handshakes of one address that may be unfinished, and how many of them are
/// forgotten in a second.
const MOST: f64 = 1024.0;
const FORGOTTEN: f64 = 64.0;
/// Addresses that are told apart. Beyond, the one that owes least is forgotten.
const ADDRESSES: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Accounts(HashMap<IpAddr, Debt>);

#[derive(Clone, Copy, Debug)]
struct Debt {
    handshakes: f64,
    at: Instant,
}

impl Debt {
    fn now(self, now: Instant) -> f64 {
        let forgotten = now.saturating_duration_since(self.at).as_secs_f64() * FORGOTTEN;
        (self.handshakes - forgotten).max(0.0)
    }
}

impl Accounts {
    /// Charges `address` for one handshake; false if it owes too much.
    pub(super) fn charge(&mut self, address: IpAddr, now: Instant) -> bool {
        let owed = self.0.get(&address).map_or(0.0, |debt| debt.now(now));
        if owed + 1.0 > MOST {
            return false;
        }
        if self.0.len() >= ADDRESSES && !self.0.contains_key(&address) {
            self.forget(now);
        }
        self.0.insert(address, Debt { handshakes: owed + 1.0, at: now });
        true
    }

    /// Takes the charge for one handshake back.
    pub(super) fn refund(&mut self, address: IpAddr, now: Instant) {
        let Some(debt) = self.0.get_mut(&address) else { return };
        let left = debt.now(now) - 1.0;
        if left > 0.0 {
            *debt = Debt { handshakes: left, at: now };
        } else {
            self.0.remove(&address);
        }
    }

    /// Makes room for another address: those go that owe nothing any more, or else
    /// the one that owes least.
    fn forget(&mut self, now: Instant) {
        self.0.retain(|_, debt| debt.now(now) > 0.0);
        if self.0.len() >= ADDRESSES {
            let least = self.0.iter().min_by(|(_, a), (_, b)| a.now(now).total_cmp(&b.now(now)));
            if let Some(address) = least.map(|(address, _)| *address) {
                self.0.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn address(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from(n).into()
    }

    fn charged(budget: &mut Accounts, from: u32, now: Instant) -> usize {
        (0..10_000).take_while(|_| budget.charge(address(from), now)).count()
    }

    #[test]
    fn an_address_may_leave_so_many_handshakes_unfinished_and_so_many_more_each_second() {
        let (mut budget, now) = (Accounts::default(), Instant::now());
        assert_eq!(charged(&mut budget, 1, now), 1024);
        assert_eq!(charged(&mut budget, 2, now), 1024, "another's is another's");
        assert_eq!(charged(&mut budget, 1, now + Duration::from_secs(2)), 128);
        assert_eq!(charged(&mut budget, 1, now + Duration::from_hours(1)), 1024);
    }

    #[test]
    fn what_is_finished_costs_nothing() {
        let (mut budget, now) = (Accounts::default(), Instant::now());
        for _ in 0..10_000 {
            assert!(budget.charge(address(1), now));
            budget.refund(address(1), now);
        }
        assert!(budget.0.is_empty());
        budget.refund(address(1), now);
        assert_eq!(charged(&mut budget, 1, now), 1024, "nothing is owed to anybody");
    }

    #[test]
    fn any_number_of_addresses_takes_a_bounded_room_and_who_owes_most_is_remembered() {
        let (mut budget, now) = (Accounts::default(), Instant::now());
        charged(&mut budget, 0, now);
        for from in 1..5000 {
            assert!(budget.charge(address(from), now));
            assert!(budget.0.len() <= ADDRESSES);
        }
        assert!(!budget.charge(address(0), now));
        assert!(budget.charge(address(9999), now + Duration::from_mins(1)));
        assert_eq!(budget.0.len(), 1, "what is paid is forgotten");
    }
}
