//! The debt of each address, for unfinished handshakes and for new services that
//! this one must remember. The answer to a first message is charged; a peer that
//! then proves itself gets a refund.

use std::{collections::HashMap, net::IpAddr};

use tokio::time::Instant;

/// The terms for unfinished handshakes. Beyond them the handshakes of other addresses
/// come first.
const UNFINISHED: Terms = Terms { most: 1024.0, forgotten: 64.0 };
/// The terms for new services, which one address makes this one remember.
const NEWCOMERS: Terms = Terms { most: 256.0, forgotten: 1.0 / 60.0 };
/// The most addresses with an account. Beyond it the address with the least debt is forgotten.
const ADDRESSES: usize = 1024;

/// The most debt of an address, and the part of it that is forgiven in a second.
#[derive(Clone, Copy, Debug)]
struct Terms {
    most: f64,
    forgotten: f64,
}

/// The debt of each address.
#[derive(Debug)]
pub(super) struct Accounts {
    terms: Terms,
    debts: HashMap<IpAddr, Debt>,
}

#[derive(Clone, Copy, Debug)]
struct Debt {
    owed: f64,
    at: Instant,
}

impl Debt {
    fn now(self, terms: Terms, now: Instant) -> f64 {
        let forgotten = now.saturating_duration_since(self.at).as_secs_f64() * terms.forgotten;
        (self.owed - forgotten).max(0.0)
    }
}

impl Accounts {
    /// The accounts of unfinished handshakes.
    pub(super) fn of_unfinished() -> Self {
        Self { terms: UNFINISHED, debts: HashMap::new() }
    }

    /// The accounts of new services.
    pub(super) fn of_newcomers() -> Self {
        Self { terms: NEWCOMERS, debts: HashMap::new() }
    }

    /// Charges `address` for one more; false if its debt is at the limit.
    pub(super) fn charge(&mut self, address: IpAddr, now: Instant) -> bool {
        let owed = self.debts.get(&address).map_or(0.0, |debt| debt.now(self.terms, now));
        if owed + 1.0 > self.terms.most {
            return false;
        }
        if self.debts.len() >= ADDRESSES && !self.debts.contains_key(&address) {
            self.forget(now);
        }
        self.debts.insert(address, Debt { owed: owed + 1.0, at: now });
        true
    }

    /// Refunds the charge for one.
    pub(super) fn refund(&mut self, address: IpAddr, now: Instant) {
        let Some(debt) = self.debts.get_mut(&address) else { return };
        let left = debt.now(self.terms, now) - 1.0;
        if left > 0.0 {
            *debt = Debt { owed: left, at: now };
        } else {
            self.debts.remove(&address);
        }
    }

    /// Makes room for another address. Removes the addresses without debt, or else
    /// the one with the least debt.
    fn forget(&mut self, now: Instant) {
        let Self { terms, debts } = self;
        debts.retain(|_, debt| debt.now(*terms, now) > 0.0);
        if debts.len() >= ADDRESSES {
            let owed = |debt: &Debt| debt.now(*terms, now);
            let least = debts.iter().min_by(|(_, a), (_, b)| owed(a).total_cmp(&owed(b)));
            if let Some(address) = least.map(|(address, _)| *address) {
                debts.remove(&address);
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
        let (mut budget, now) = (Accounts::of_unfinished(), Instant::now());
        assert_eq!(charged(&mut budget, 1, now), 1024);
        assert_eq!(charged(&mut budget, 2, now), 1024, "another's is another's");
        assert_eq!(charged(&mut budget, 1, now + Duration::from_secs(2)), 128);
        assert_eq!(charged(&mut budget, 1, now + Duration::from_hours(1)), 1024);
    }

    #[test]
    fn an_address_may_bring_so_many_new_services_and_one_more_each_minute() {
        let (mut budget, now) = (Accounts::of_newcomers(), Instant::now());
        assert_eq!(charged(&mut budget, 1, now), 256);
        assert_eq!(charged(&mut budget, 2, now), 256, "another's is another's");
        assert_eq!(charged(&mut budget, 1, now + Duration::from_secs(59)), 0);
        assert_eq!(charged(&mut budget, 1, now + Duration::from_secs(601)), 10);
    }

    #[test]
    fn what_is_finished_costs_nothing() {
        let (mut budget, now) = (Accounts::of_unfinished(), Instant::now());
        for _ in 0..10_000 {
            assert!(budget.charge(address(1), now));
            budget.refund(address(1), now);
        }
        assert!(budget.debts.is_empty());
        budget.refund(address(1), now);
        assert_eq!(charged(&mut budget, 1, now), 1024, "the debt is forgiven");
    }

    #[test]
    fn any_number_of_addresses_takes_a_bounded_room_and_who_owes_most_is_remembered() {
        let (mut budget, now) = (Accounts::of_unfinished(), Instant::now());
        charged(&mut budget, 0, now);
        for from in 1..5000 {
            assert!(budget.charge(address(from), now));
            assert!(budget.debts.len() <= ADDRESSES);
        }
        assert!(!budget.charge(address(0), now));
        assert!(budget.charge(address(9999), now + Duration::from_mins(1)));
        assert_eq!(budget.debts.len(), 1, "an address without debt is forgotten");
    }
}
