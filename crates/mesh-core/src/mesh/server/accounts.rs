//! The cost of each address: in handshakes that it does not finish, and in services
//! that it makes this one remember. The answer to a first message is charged; a peer
//! that then proves itself gets the charge back.

use std::{collections::HashMap, net::IpAddr};

use tokio::time::Instant;

/// Handshakes of one address that may be unfinished before those of others come
/// first, and how many of them are forgotten in a second.
const UNFINISHED: Terms = Terms { most: 1024.0, forgotten: 64.0 };
/// Services that one address may make this one remember, and how many more in a second.
const NEWCOMERS: Terms = Terms { most: 256.0, forgotten: 1.0 / 60.0 };
/// Addresses that are told apart. Beyond, the one that owes least is forgotten.
const ADDRESSES: usize = 1024;

/// The debt that an address may have, and the part of it that is forgiven in a second.
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
    /// Those of handshakes that are not finished.
    pub(super) fn of_unfinished() -> Self {
        Self { terms: UNFINISHED, debts: HashMap::new() }
    }

    /// Those of services that are seen for the first time.
    pub(super) fn of_newcomers() -> Self {
        Self { terms: NEWCOMERS, debts: HashMap::new() }
    }

    /// Charges `address` for one more; false if it owes too much.
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

    /// Takes the charge for one back.
    pub(super) fn refund(&mut self, address: IpAddr, now: Instant) {
        let Some(debt) = self.debts.get_mut(&address) else { return };
        let left = debt.now(self.terms, now) - 1.0;
        if left > 0.0 {
            *debt = Debt { owed: left, at: now };
        } else {
            self.debts.remove(&address);
        }
    }

    /// Makes room for another address: those go that owe nothing any more, or else
    /// the one that owes least.
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
        assert_eq!(charged(&mut budget, 1, now), 1024, "nothing is owed to anybody");
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
        assert_eq!(budget.debts.len(), 1, "what is paid is forgotten");
    }
}
