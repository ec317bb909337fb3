//! Authorization: which caller may call which method. A [`Policy`] decides by the verified identity of the
//! caller, the name of the method and, where a rule asks for it, the metadata of the request. It performs no
//! I/O and keeps no state of callers.
//!
//! A rule matches a request if one of its `from` matches the caller, one of its `to` matches the method, none
//! of its `except` does, and its conditions hold. A matching rule with `deny` denies the request, whatever
//! else matches. Otherwise a matching rule permits it. Otherwise the default decides.

mod caller;
mod conditions;
mod explain;
mod index;
#[cfg(test)]
mod tests;
mod trie;

pub use self::{caller::Caller, explain::Explanation};
use self::{conditions::Metadata, index::Index};
pub use crate::config::{Effect, Mode, PolicyRules, Rule};

/// The decision about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'p> {
    /// Whether the caller may call the method.
    pub allowed: bool,
    /// The rule that decided; `None` for the default.
    pub rule: Option<&'p Rule>,
}

impl<'p> Decision<'p> {
    /// The name of the rule that decided; `default` in parentheses, which no rule can be named, for the default.
    #[must_use]
    pub fn rule_name(&self) -> &'p str {
        self.rule.map_or("(default)", |rule| rule.name.as_str())
    }
}

/// A policy, ready to decide.
///
/// ```
/// use mesh_core::authz::{Caller, Policy, PolicyRules};
/// let file = br#"{ "rules": [{ "from": ["gateway"], "to": ["orders.*"], "except": ["orders.delete"] }] }"#;
/// let policy = Policy::new(PolicyRules::of_file("/etc/mesh/policy.json".as_ref(), file).unwrap());
/// let gateway = Caller { service_id: "gateway", spiffe_id: None };
/// assert!(policy.decide(gateway, "orders.get", b"").allowed);
/// assert!(!policy.decide(gateway, "orders.delete", b"").allowed);
/// ```
#[derive(Debug)]
pub struct Policy {
    default: Effect,
    mode: Mode,
    rules: Vec<Rule>,
    index: Index,
}

impl Policy {
    /// Builds the index of some rules. With 10,000 rules it takes a tenth of a second, so it belongs off the I/O thread.
    #[must_use]
    pub fn new(PolicyRules { default, mode, rules }: PolicyRules) -> Self {
        let index = Index::new(&rules);
        Self { default, mode, rules, index }
    }

    /// Whether denials take effect.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The number of rules.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// The rules, in their order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether there is no rule, so that the default decides about every request.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Decides about a request. `metadata` is a JSON object of strings, or nothing; it is read only if a rule
    /// that otherwise matches has conditions. If it cannot be read, such a rule with `deny` denies the
    /// request, and any other such rule does not permit it.
    #[must_use]
    pub fn decide(&self, caller: Caller<'_>, method: &str, metadata: &[u8]) -> Decision<'_> {
        let metadata = Metadata::new(metadata);
        let candidates = self.index.candidates(caller, method);
        let first = |effect| {
            candidates
                .iter()
                .filter_map(|list| list.of(effect).iter().find(|rule| self.holds(**rule, method, &metadata)))
                .min()
        };
        let rule =
            first(Effect::Deny).or_else(|| first(Effect::Allow)).map(|rule| &self.rules[*rule as usize]);
        Decision { allowed: rule.map_or(self.default, |rule| rule.effect) == Effect::Allow, rule }
    }

    /// Whether a rule whose `from` and `to` match a request matches it altogether.
    fn holds(&self, rule: u32, method: &str, metadata: &Metadata<'_>) -> bool {
        let rule = &self.rules[rule as usize];
        !rule.except.iter().any(|pattern| pattern.matches(method)) && metadata.meets(rule)
    }
}
