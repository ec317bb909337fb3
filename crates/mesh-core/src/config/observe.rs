//! `observe`: the services that may ask this one for its report.

use std::collections::HashSet;

use super::{
    error::ConfigError,
    patterns::is_spiffe_id,
    read::{Env, Options},
};
use crate::id::ServiceId;

/// The most names in `from`.
const MAX_NAMES: usize = 1_000;

/// The services that may ask this one for its report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Observe {
    /// Every service under embedded trust, where all belong to one user of one machine; otherwise none.
    #[default]
    Embedded,
    /// Every service, or none.
    All(bool),
    /// These service ids and SPIFFE ids.
    From(HashSet<String>),
}

impl Observe {
    pub(super) fn read(root: &Options<'_>, env: Env<'_>) -> Result<Self, ConfigError> {
        use super::read::At;
        if !root.has("observe") {
            return Ok(Self::Embedded);
        }
        let at = At { options: root, key: "observe", variable: None, env };
        if let Ok(Some(all)) = at.boolean() {
            return Ok(Self::All(all));
        }
        let expected = || at.wrong("true, false or { from: [service ids] }");
        let options = root.object("observe", &["from"]).map_err(|error| match error {
            ConfigError::Unknown { .. } => error,
            _ => expected(),
        })?;
        let from = At { options: &options, key: "from", variable: None, env };
        let name =
            |text: &str| (is_spiffe_id(text) || text.parse::<ServiceId>().is_ok()).then(|| text.to_owned());
        let names = from.each_text(MAX_NAMES, "a service id or a SPIFFE id", name)?.ok_or_else(expected)?;
        Ok(Self::From(names.into_iter().collect()))
    }

    /// Whether a caller may ask.
    #[must_use]
    pub fn permits(&self, embedded: bool, service: &str, spiffe_id: Option<&str>) -> bool {
        match self {
            Self::Embedded => embedded,
            Self::All(all) => *all,
            Self::From(names) => {
                names.contains(service) || spiffe_id.is_some_and(|spiffe_id| names.contains(spiffe_id))
            }
        }
    }

    /// Whether any caller may ask.
    #[must_use]
    pub fn is_on(&self, embedded: bool) -> bool {
        match self {
            Self::Embedded => embedded,
            Self::All(all) => *all,
            Self::From(names) => !names.is_empty(),
        }
    }
}
