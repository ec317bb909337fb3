//! The choice of an instance, and the switch for ejection.

use super::{
    balancing::Balancing,
    caller_place::CallerPlace,
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

impl Copy for CallerPlace {}

impl CallerPlace {
    /// `balancing.caller`.
    pub(super) fn read_at(at: &At<'_>) -> Result<Option<Self>, ConfigError> {
        let options = at.object(Self::KEYS)?;
        if options.is_absent() {
            return Ok(None);
        }
        let read = Self::read(&options, at.env)?;
        if read.index >= read.of {
            return Err(options.wrong("index", "less than of"));
        }
        Ok(Some(read))
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
            caller: None,
            subset: 1,
        })
    }
}
