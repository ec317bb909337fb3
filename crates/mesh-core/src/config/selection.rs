//! The choice of an instance, and the switch for ejection.

use super::{
    balancing::Balancing,
    ejection::Ejection,
    error::ConfigError,
    read::{At, Env, Options},
};

/// `balancing.policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// Power of two choices.
    #[default]
    P2c,
    /// Each instance in turn.
    RoundRobin,
    /// An instance at random.
    Random,
}

impl Selection {
    pub(super) const NAMES: &[(&str, Self)] =
        &[("p2c", Self::P2c), ("round-robin", Self::RoundRobin), ("random", Self::Random)];
}

impl Copy for Ejection {}

impl Ejection {
    /// `balancing.ejection`, which is on unless it is `false`.
    pub(super) fn or_never(at: &At<'_>) -> Result<Option<Self>, ConfigError> {
        if at.is_false() { Ok(None) } else { Self::read(&at.object(Self::KEYS)?, at.env).map(Some) }
    }
}

impl Balancing {
    /// The defaults of the section.
    #[must_use]
    pub fn usual() -> Self {
        let (options, env): (_, Env<'_>) = (Options::none(), &|_| None);
        // No row of the table is required.
        Self::read(&options, env).unwrap_or(Self {
            policy: Selection::P2c,
            zone: None,
            slow_start: std::time::Duration::ZERO,
            ejection: None,
            subset: 1,
        })
    }
}
