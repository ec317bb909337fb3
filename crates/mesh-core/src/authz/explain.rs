//! The reason of a decision, for people.

use std::fmt::Write as _;

use super::{Policy, caller::Caller};
use crate::config::{CallerPattern, Effect, Rule};

/// A decision with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether the caller may call the method.
    pub allowed: bool,
    /// The name of the rule that decides; `None` for the default.
    pub rule: Option<String>,
    /// A sentence about it.
    pub why: String,
}

impl Policy {
    /// Explains the decision about a request: which rule decides, and which one nearly did. It looks at every
    /// rule, so it is for people and not for requests.
    #[must_use]
    pub fn explain(&self, caller: Caller<'_>, method: &str, metadata: &[u8]) -> Explanation {
        let decision = self.decide(caller, method, metadata);
        let who = match caller.spiffe_id {
            Some(id) => format!("{} ({id})", caller.service_id),
            None => caller.service_id.to_owned(),
        };
        let mut why = if let Some(rule) = decision.rule {
            let verb = if decision.allowed { "permits" } else { "denies" };
            format!("{} {verb} {method} to {who}", rule.name)
        } else {
            let default = if decision.allowed { "allow" } else { "deny" };
            format!("no rule matches {method} of {who}; the default is '{default}'")
        };
        // Nothing outweighs a rule that denies.
        let denied = decision.rule.is_some_and(|rule| rule.effect == Effect::Deny);
        if !denied && let Some((rule, obstacle)) = self.near_miss(decision.allowed, caller, method) {
            // Writing to a string cannot fail.
            let _ = write!(why, "; {} does not match because {obstacle}", rule.name);
        }
        Explanation { allowed: decision.allowed, rule: decision.rule.map(|rule| rule.name.clone()), why }
    }

    /// The first rule that would have led to the other decision but for its `except` or its conditions.
    fn near_miss(&self, allowed: bool, caller: Caller<'_>, method: &str) -> Option<(&Rule, String)> {
        let other = if allowed { Effect::Deny } else { Effect::Allow };
        self.rules
            .iter()
            .filter(|rule| rule.effect == other && rule.from.iter().any(|from| matches(from, caller)))
            .filter(|rule| rule.to.iter().any(|to| to.matches(method)))
            .find_map(|rule| {
                let excepted = rule.except.iter().any(|pattern| pattern.matches(method));
                let obstacle = if excepted {
                    "its except names the method".to_owned()
                } else if rule.metadata.is_empty() {
                    return None;
                } else {
                    let conditions = rule.metadata.iter().map(|(name, value)| format!("{name}={value}"));
                    format!("the request lacks the metadata {}", conditions.collect::<Vec<_>>().join(", "))
                };
                Some((rule, obstacle))
            })
    }
}

/// Whether a pattern matches a caller.
pub(super) fn matches(pattern: &CallerPattern, caller: Caller<'_>) -> bool {
    match pattern {
        CallerPattern::Any => true,
        CallerPattern::Service(id) => id.as_str() == caller.service_id,
        CallerPattern::Spiffe(id) => caller.spiffe_id == Some(id.as_str()),
        CallerPattern::Below(above) => caller
            .spiffe_id
            .and_then(|id| id.strip_prefix(above.as_str()))
            .is_some_and(|rest| rest.len() > 1 && rest.starts_with('/')),
    }
}
