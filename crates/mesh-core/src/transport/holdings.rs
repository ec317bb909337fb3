//! The holdings of each owner in a pool that strangers share. A full pool evicts the
//! oldest holding of the owner with the most holdings. An address with many holdings
//! therefore displaces its own and keeps no other address out.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    hash::Hash,
};

/// The holdings of each owner: an address or a connection. The least key is the oldest.
#[derive(Debug)]
pub(crate) struct Holdings<O, K> {
    by_owner: HashMap<O, BTreeSet<K>>,
    /// The owners by the number of their holdings. The last one has the most; among several of
    /// these, it has the oldest holding.
    order: BTreeSet<(usize, Reverse<K>, O)>,
    len: usize,
}

impl<O, K> Default for Holdings<O, K> {
    fn default() -> Self {
        Self { by_owner: HashMap::new(), order: BTreeSet::new(), len: 0 }
    }
}

impl<O: Copy + Ord + Hash, K: Copy + Ord> Holdings<O, K> {
    /// The number of all holdings.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The number of owners with holdings.
    pub(crate) fn owners(&self) -> usize {
        self.by_owner.len()
    }

    /// The number of holdings of one owner.
    pub(crate) fn of(&self, owner: O) -> usize {
        self.by_owner.get(&owner).map_or(0, BTreeSet::len)
    }

    pub(crate) fn insert(&mut self, owner: O, key: K) {
        self.change(owner, |held| held.insert(key));
    }

    /// Removes a holding; returns whether it existed.
    pub(crate) fn remove(&mut self, owner: O, key: K) -> bool {
        self.change(owner, |held| held.remove(&key))
    }

    /// The oldest holding of one owner.
    pub(crate) fn oldest_of(&self, owner: O) -> Option<K> {
        self.by_owner.get(&owner)?.first().copied()
    }

    /// The holding to evict for a newcomer of `owner`, with its owner. It is the
    /// oldest of `owner` itself if no other owner has more.
    pub(crate) fn gives_way_to(&self, owner: O) -> Option<(O, K)> {
        let (most, _, other) = *self.order.last()?;
        let whose = if self.of(owner) == most { owner } else { other };
        Some((whose, self.oldest_of(whose)?))
    }

    fn change<T>(&mut self, owner: O, change: impl FnOnce(&mut BTreeSet<K>) -> T) -> T {
        let held = self.by_owner.entry(owner).or_default();
        let rank = |held: &BTreeSet<K>| Some((held.len(), Reverse(*held.first()?), owner));
        let (before, rank_before) = (held.len(), rank(held));
        let result = change(held);
        let (after, rank_after) = (held.len(), rank(held));
        if let Some(rank) = rank_before {
            self.order.remove(&rank);
        }
        if let Some(rank) = rank_after {
            self.order.insert(rank);
        } else {
            self.by_owner.remove(&owner);
        }
        self.len = self.len - before + after;
        result
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    fn address(last: u8) -> IpAddr {
        [127, 0, 0, last].into()
    }

    #[test]
    fn the_oldest_of_whoever_holds_the_most_gives_way() {
        let mut holdings = Holdings::default();
        assert_eq!(holdings.gives_way_to(address(1)), None);
        for (from, key) in [(1, 1), (2, 2), (2, 3), (2, 4), (3, 5), (3, 6), (3, 7)] {
            holdings.insert(address(from), key);
        }
        assert_eq!(
            holdings.gives_way_to(address(9)),
            Some((address(2), 2)),
            "of those with three, the oldest"
        );
        assert_eq!(holdings.gives_way_to(address(1)), Some((address(2), 2)));
        assert_eq!(
            holdings.gives_way_to(address(3)),
            Some((address(3), 5)),
            "the owner with the most holdings loses one"
        );
        holdings.remove(address(2), 2);
        assert_eq!(holdings.gives_way_to(address(9)), Some((address(3), 5)));
        for key in [5, 6] {
            holdings.remove(address(3), key);
        }
        holdings.remove(address(2), 3);
        assert_eq!(holdings.gives_way_to(address(9)), Some((address(1), 1)), "one each: the oldest of all");
    }

    proptest! {
        #[test]
        fn the_books_are_right_after_any_history(
            history in prop::collection::vec((any::<bool>(), 0..6u8, 0..40u32), 0..300),
        ) {
            let mut holdings = Holdings::default();
            let mut all: BTreeSet<(u32, IpAddr)> = BTreeSet::new();
            for (enters, from, key) in history {
                if enters {
                    holdings.insert(address(from), key);
                    all.insert((key, address(from)));
                } else {
                    let there = all.remove(&(key, address(from)));
                    prop_assert_eq!(holdings.remove(address(from), key), there);
                }
                let of = |from: IpAddr| all.iter().filter(|(_, whose)| *whose == from).count();
                prop_assert_eq!(holdings.len(), all.len());
                prop_assert_eq!(holdings.owners(), (0..6).filter(|from| of(address(*from)) > 0).count());
                let most = (0..6).map(|from| of(address(from))).max().unwrap_or(0);
                match holdings.gives_way_to(address(9)) {
                    None => prop_assert!(all.is_empty()),
                    Some((whose, key)) => {
                        prop_assert_eq!(of(whose), most);
                        let oldest = all.iter().find(|(_, other)| of(*other) == most);
                        prop_assert_eq!(oldest.map(|(key, _)| *key), Some(key));
                    }
                }
            }
        }
    }
}
