//! The memory budget: how many bytes are held for whom, and whether there is room
//! for more.
//!
//! Accounts form a tree: the process, below it this side's own calls and all peers
//! together, below those each peer, and below a peer each of its sessions. A charge
//! counts at every level up to the process, so the room of an account is the least
//! that any level has left. Peers together and own calls have three quarters each:
//! neither can lock the other out. One peer has half, so that others are served
//! whatever it does, and one session three quarters of that.
//!
//! A charge is checked before memory is taken and released when it is dropped, on
//! whichever thread. Counts are atomics: a charge takes no lock.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use crate::{
    error::{Code, Coded, Reason},
    id::ServiceId,
};

/// Peers that are known before the dead ones among them are looked for.
const FEW_PEERS: usize = 64;

/// The reason for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// There never will be: it is more than the account may hold.
    #[error("{0} bytes are more than limits.maxMemoryBytes lets one session hold")]
    Ever(usize),
    /// There is none until something else is released.
    #[error("no room for {0} bytes more at present (limits.maxMemoryBytes)")]
    Now(usize),
}

impl Coded for NoRoom {
    fn code(&self) -> Code {
        Code::ResourceExhausted
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Ever(_) => Reason::TooLarge,
            Self::Now(_) => Reason::MemoryLimit,
        }
    }
}

/// One level of the budget. Counts what is held, here and in the levels above.
#[derive(Debug)]
pub struct Account {
    limit: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
    refused: AtomicU64,
    parent: Option<Arc<Account>>,
}

impl Account {
    fn new(limit: usize, parent: Option<&Arc<Self>>) -> Arc<Self> {
        let (used, peak, refused) = Default::default();
        Arc::new(Self { limit, used, peak, refused, parent: parent.cloned() })
    }

    /// Bytes held.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// This level and those above it.
    fn levels(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |level| level.parent.as_deref())
    }

    /// The process.
    fn root(&self) -> &Self {
        self.levels().last().unwrap_or(self)
    }

    /// Whether any level holds all that it may.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.levels().any(|level| level.used() >= level.limit)
    }

    /// Charges `bytes` if each level has room for them and for `spare` more.
    ///
    /// # Errors
    /// [`NoRoom`]; nothing is charged.
    pub fn try_charge(self: &Arc<Self>, bytes: usize, spare: usize) -> Result<Charge, NoRoom> {
        self.count(self.try_take(bytes, spare))?;
        Ok(Charge { account: Some(Arc::clone(self)), bytes })
    }

    /// The same for a caller that asks again until there is room: nothing is refused.
    ///
    /// # Errors
    /// [`NoRoom`]; nothing is charged.
    pub fn charge_if_room(self: &Arc<Self>, bytes: usize) -> Result<Charge, NoRoom> {
        self.try_take(bytes, 0)?;
        Ok(Charge { account: Some(Arc::clone(self)), bytes })
    }

    /// Charges `bytes` though there may be no room for them: they are held already.
    pub fn charge(self: &Arc<Self>, bytes: usize) -> Charge {
        self.take(bytes);
        Charge { account: Some(Arc::clone(self)), bytes }
    }

    fn count(&self, outcome: Result<(), NoRoom>) -> Result<(), NoRoom> {
        if outcome.is_err() {
            self.root().refused.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    fn try_take(&self, bytes: usize, spare: usize) -> Result<(), NoRoom> {
        let wanted = bytes.saturating_add(spare);
        for (depth, level) in self.levels().enumerate() {
            let taken = level.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                (used.saturating_add(wanted) <= level.limit).then(|| used + bytes)
            });
            if let Ok(before) = taken {
                level.note_peak(before + bytes);
            } else {
                // The levels below took the bytes for a moment; at worst that refused others wrongly.
                self.levels().take(depth).for_each(|level| level.subtract(bytes));
                let never = self.levels().any(|level| wanted > level.limit);
                return Err(if never { NoRoom::Ever(bytes) } else { NoRoom::Now(bytes) });
            }
        }
        Ok(())
    }

    fn take(&self, bytes: usize) {
        for level in self.levels() {
            let before = level.used.fetch_add(bytes, Ordering::Relaxed);
            level.note_peak(before.saturating_add(bytes));
        }
    }

    fn note_peak(&self, used: usize) {
        if used > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(used, Ordering::Relaxed);
        }
    }

    fn release(&self, bytes: usize) {
        self.levels().for_each(|level| level.subtract(bytes));
    }

    fn subtract(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Bytes that are held, released when this is dropped.
#[derive(Debug, Default)]
#[must_use = "a charge that is dropped holds nothing"]
pub struct Charge {
    account: Option<Arc<Account>>,
    bytes: usize,
}

impl Charge {
    /// Bytes held.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Releases `bytes` of it, or all if it has fewer.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        if let Some(account) = &self.account {
            account.release(bytes);
        }
    }

    /// Charges `bytes` more, as [`Account::try_charge`]. A charge of no account holds
    /// nothing and grows without a limit.
    ///
    /// # Errors
    /// [`NoRoom`]; the charge stays as it is.
    pub fn try_grow(&mut self, bytes: usize, spare: usize) -> Result<(), NoRoom> {
        let Some(account) = &self.account else { return Ok(()) };
        account.count(account.try_take(bytes, spare))?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

/// Bytes that come and go one by one, such as those of a queue. The rest is
/// released when this is dropped.
#[derive(Debug)]
pub struct Tally {
    account: Arc<Account>,
    bytes: AtomicUsize,
}

impl Tally {
    /// Nothing yet, of `account`.
    #[must_use]
    pub const fn new(account: Arc<Account>) -> Self {
        Self { account, bytes: AtomicUsize::new(0) }
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The account that is charged.
    #[must_use]
    pub const fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Adds bytes that are held already, whether there is room or not.
    pub fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.account.take(bytes);
    }

    /// Nothing is held any more.
    pub fn clear(&self) {
        self.account.release(self.bytes.swap(0, Ordering::Relaxed));
    }

    /// Subtracts bytes that were added.
    pub fn subtract(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.account.release(bytes);
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The figures of a budget at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryFigures {
    /// Bytes that may be held.
    pub limit: usize,
    /// Bytes held now.
    pub used: usize,
    /// The most that were held at once.
    pub peak: usize,
    /// Charges that were refused for want of room.
    pub refused: u64,
}

/// The accounts of one mesh.
#[derive(Debug)]
pub struct Budget {
    process: Arc<Account>,
    own: Arc<Account>,
    peers: Arc<Account>,
    by_peer: Mutex<ByPeer>,
}

#[derive(Debug, Default)]
struct ByPeer {
    accounts: HashMap<ServiceId, Weak<Account>>,
    /// At this many, dead ones are removed.
    crowd: usize,
}

impl Budget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let process = Account::new(limit, None);
        let most = limit / 4 * 3;
        let (own, peers) = (Account::new(most, Some(&process)), Account::new(most, Some(&process)));
        Self { process, own, peers, by_peer: Mutex::default() }
    }

    /// The account of the calls that this side makes.
    #[must_use]
    pub const fn own(&self) -> &Arc<Account> {
        &self.own
    }

    /// Bytes that one session may hold of a budget of `limit` bytes.
    #[must_use]
    pub const fn session_limit(limit: usize) -> usize {
        limit / 8 * 3
    }

    /// A new account, for a session with `peer`.
    #[must_use]
    pub fn session(&self, peer: &ServiceId) -> Arc<Account> {
        let limit = self.process.limit;
        let mut by_peer = self.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        let ByPeer { accounts, crowd } = &mut *by_peer;
        if accounts.len() >= (*crowd).max(FEW_PEERS) {
            accounts.retain(|_, account| account.strong_count() > 0);
            *crowd = 2 * accounts.len();
        }
        let account = accounts.get(peer).and_then(Weak::upgrade).unwrap_or_else(|| {
            let account = Account::new(limit / 2, Some(&self.peers));
            accounts.insert(peer.clone(), Arc::downgrade(&account));
            account
        });
        Account::new(Self::session_limit(limit), Some(&account))
    }

    /// The figures at this moment.
    #[must_use]
    pub fn figures(&self) -> MemoryFigures {
        let Account { limit, peak, refused, .. } = &*self.process;
        MemoryFigures {
            limit: *limit,
            used: self.process.used(),
            peak: peak.load(Ordering::Relaxed),
            refused: refused.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 8000;

    fn id(name: &str) -> ServiceId {
        name.parse().unwrap()
    }

    #[test]
    fn a_peer_has_half_and_a_session_three_quarters_of_that() {
        let budget = Budget::new(LIMIT);
        let (one, two) = (budget.session(&id("a")), budget.session(&id("a")));
        let held = one.try_charge(3000, 0).unwrap();
        assert_eq!(one.try_charge(1, 0).unwrap_err(), NoRoom::Now(1), "the session is full");
        assert_eq!(two.try_charge(1001, 0).unwrap_err(), NoRoom::Now(1001), "the peer has 1000 left");
        let rest = two.try_charge(1000, 0).unwrap();
        let other = budget.session(&id("b"));
        assert_eq!(other.try_charge(2001, 0).unwrap_err(), NoRoom::Now(2001), "peers have 6000 together");
        let others = other.try_charge(2000, 0).unwrap();
        assert_eq!(budget.figures(), MemoryFigures { limit: LIMIT, used: 6000, peak: 6000, refused: 3 });
        let own = budget.own().try_charge(2000, 0).expect("own calls have a reserve");
        drop((held, rest, others, own));
        assert_eq!(budget.figures().used, 0);
        let own = budget.own().try_charge(6000, 0).unwrap();
        assert_eq!(budget.own().try_charge(1, 0).unwrap_err(), NoRoom::Now(1));
        let held = one.try_charge(2000, 0).expect("peers have a reserve");
        drop((own, held));
    }

    #[test]
    fn a_charge_that_can_never_fit_is_told_apart() {
        let budget = Budget::new(LIMIT);
        let session = budget.session(&id("a"));
        assert_eq!(session.try_charge(3001, 0).unwrap_err(), NoRoom::Ever(3001));
        assert_eq!(session.try_charge(2000, 1001).unwrap_err(), NoRoom::Ever(2000));
        assert_eq!(session.try_charge(usize::MAX, 1).unwrap_err(), NoRoom::Ever(usize::MAX));
        assert_eq!(budget.figures().used, 0, "nothing of a refused charge stays");
        let held = session.try_charge(2000, 1000).unwrap();
        assert_eq!(session.used(), 2000, "what was to be spared is not held");
        assert!(session.charge_if_room(1000).is_ok() && session.charge_if_room(1001).is_err());
        assert_eq!(budget.figures().refused, 3, "who asks again was not refused");
        drop(held);
    }

    #[test]
    fn a_charge_shrinks_and_grows_and_moves_to_another_thread() {
        let budget = Budget::new(LIMIT);
        let session = budget.session(&id("a"));
        let mut charge = session.charge(5000);
        assert!(session.is_full(), "it was held already");
        charge.shrink(4000);
        assert!(!session.is_full());
        charge.try_grow(2000, 0).unwrap();
        assert_eq!(charge.try_grow(1, 0), Err(NoRoom::Now(1)));
        assert_eq!((charge.bytes(), budget.figures().used), (3000, 3000));
        std::thread::scope(|scope| scope.spawn(move || drop(charge)).join().unwrap());
        assert_eq!(budget.figures().used, 0);
        let mut none = Charge::default();
        none.try_grow(1 << 40, 0).unwrap();
        none.shrink(7);
        assert_eq!(none.bytes(), 0);
    }

    #[test]
    fn peers_that_are_gone_leave_nothing_behind() {
        let budget = Budget::new(LIMIT);
        let kept = budget.session(&id("kept"));
        for peer in 0..10_000 {
            drop(budget.session(&id(&format!("p{peer}"))));
        }
        assert!(budget.by_peer.lock().unwrap().accounts.len() <= FEW_PEERS);
        let held = kept.charge(4000);
        assert!(budget.session(&id("kept")).is_full(), "the account of a peer that is there stays");
        drop(held);
    }

    proptest! {
        /// Charges of three sessions of two peers and of own calls, in any order and of any size.
        #[test]
        fn any_sequence_of_charges_and_drops_is_counted_and_ends_at_zero(
            steps in prop::collection::vec((0..5_usize, 0..5_usize, 0..5000_usize, 0..500_usize), 0..200),
        ) {
            let budget = Budget::new(LIMIT);
            let accounts =
                [budget.session(&id("a")), budget.session(&id("a")), budget.session(&id("b")), Arc::clone(&budget.own)];
            let tally = Tally::new(Arc::clone(&accounts[0]));
            let mut held: Vec<Charge> = Vec::new();
            for (step, which, bytes, spare) in steps {
                match step {
                    0 | 1 => held.extend(accounts[which % 4].try_charge(bytes, spare)),
                    2 if !held.is_empty() => drop(held.swap_remove(which % held.len())),
                    3 if !held.is_empty() => {
                        let charge = which % held.len();
                        if bytes % 2 == 0 { held[charge].shrink(bytes) } else { let _ = held[charge].try_grow(bytes, spare); }
                    }
                    4 if tally.bytes() >= bytes => tally.subtract(bytes),
                    4 => tally.add(bytes),
                    _ => {}
                }
                let sum: usize = held.iter().map(Charge::bytes).sum();
                prop_assert_eq!(budget.figures().used, sum + tally.bytes());
                // The tally is held whether there is room or not; the charges were checked.
                prop_assert!(accounts[2].used() <= LIMIT / 8 * 3 && accounts[3].used() <= LIMIT / 4 * 3);
                prop_assert!(budget.figures().peak >= budget.figures().used);
            }
            drop((held, tally));
            prop_assert_eq!(budget.figures().used, 0);
            prop_assert!(accounts.iter().all(|account| account.used() == 0));
        }
    }
}
