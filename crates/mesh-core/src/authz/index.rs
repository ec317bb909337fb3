//! The index that finds the rules that may match a caller and a method. It does not read the other rules.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasherDefault, Hasher},
};

use super::{caller::Caller, trie::Trie};
use crate::config::{CallerPattern, Effect, MethodPattern, Rule};

/// The number of the pattern `*`, on both sides.
const ANY: u32 = 0;

/// Every pattern has a number. A pair of numbers leads to the rules that have both patterns.
#[derive(Debug)]
pub(super) struct Index {
    /// Service ids and SPIFFE ids. No service id has a colon, so they do not mix.
    callers: HashMap<Box<str>, u32>,
    callers_below: Trie,
    methods: HashMap<Box<str>, u32>,
    methods_below: Trie,
    pairs: HashMap<u64, Candidates, BuildHasherDefault<Spread>>,
}

/// The rules of one pair of patterns, in their order.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    denying: List,
    permitting: List,
}

#[derive(Debug, Default)]
struct List {
    rules: Vec<u32>,
    /// The last rule matches without further conditions, so that none after it can decide.
    closed: bool,
}

impl Candidates {
    /// The rules with this effect.
    pub(super) fn of(&self, effect: Effect) -> &[u32] {
        match effect {
            Effect::Deny => &self.denying.rules,
            Effect::Allow => &self.permitting.rules,
        }
    }

    fn add(&mut self, number: u32, rule: &Rule) {
        let list = match rule.effect {
            Effect::Deny => &mut self.denying,
            Effect::Allow => &mut self.permitting,
        };
        // A rule may have a pattern twice.
        if !list.closed && list.rules.last() != Some(&number) {
            list.rules.push(number);
            list.closed = rule.except.is_empty() && rule.metadata.is_empty();
        }
    }
}

impl Index {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut index = Self {
            callers: HashMap::new(),
            callers_below: Trie::new('/'),
            methods: HashMap::new(),
            methods_below: Trie::new('.'),
            pairs: HashMap::default(),
        };
        let mut last = ANY;
        for (number, rule) in (0..).zip(rules) {
            let methods: Vec<_> = rule.to.iter().map(|pattern| index.method(pattern, &mut last)).collect();
            for pattern in &rule.from {
                let caller = index.caller(pattern, &mut last);
                for method in &methods {
                    index.pairs.entry(pair(caller, *method)).or_default().add(number, rule);
                }
            }
        }
        index
    }

    fn caller(&mut self, pattern: &CallerPattern, last: &mut u32) -> u32 {
        match pattern {
            CallerPattern::Any => ANY,
            CallerPattern::Service(id) => number(&mut self.callers, id.as_str(), last),
            CallerPattern::Spiffe(id) => number(&mut self.callers, id, last),
            CallerPattern::Below(above) => below(&mut self.callers_below, above, last),
        }
    }

    fn method(&mut self, pattern: &MethodPattern, last: &mut u32) -> u32 {
        match pattern {
            MethodPattern::Any => ANY,
            MethodPattern::Exact(name) => number(&mut self.methods, name, last),
            MethodPattern::Below(above) => below(&mut self.methods_below, above, last),
        }
    }

    /// The rules whose `from` and `to` match.
    pub(super) fn candidates(&self, caller: Caller<'_>, method: &str) -> Vec<&Candidates> {
        let mut methods = Vec::with_capacity(8);
        methods.push(ANY);
        methods.extend(self.methods.get(method));
        self.methods_below.visit(method, |number| methods.push(number));

        let mut found = Vec::with_capacity(8);
        let mut add = |caller| {
            found.extend(methods.iter().filter_map(|method| self.pairs.get(&pair(caller, *method))));
        };
        add(ANY);
        if let Some(caller) = self.callers.get(caller.service_id) {
            add(*caller);
        }
        if let Some(id) = caller.spiffe_id {
            if let Some(caller) = self.callers.get(id) {
                add(*caller);
            }
            self.callers_below.visit(id, add);
        }
        found
    }
}

/// The numbers of two patterns in one.
fn pair(caller: u32, method: u32) -> u64 {
    u64::from(caller) << 32 | u64::from(method)
}

/// The hash of a pair. The numbers are the index's own and no caller adds one, so they need no defense against
/// collisions, and a decision looks up several.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, pair: u64) {
        // The table takes the upper bits for one purpose and the lower for another.
        let product = u128::from(pair) * 0x9E37_79B9_7F4A_7C15;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

/// The number of a name; the next one if it is new.
fn number(numbers: &mut HashMap<Box<str>, u32>, name: &str, last: &mut u32) -> u32 {
    match numbers.entry(name.into()) {
        Entry::Occupied(known) => *known.get(),
        Entry::Vacant(new) => {
            *last += 1;
            *new.insert(*last)
        }
    }
}

/// The same for the beginning of names.
fn below(numbers: &mut Trie, above: &str, last: &mut u32) -> u32 {
    let found = numbers.insert(above, *last + 1);
    *last = (*last).max(found);
    found
}
