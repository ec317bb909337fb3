//! The errors of a configuration.

use super::weakness::{MAKE_SECRET, Weakness};
use crate::error::{Code, Coded, Reason};

/// A fault of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value of the wrong type or out of range.
    #[error("{path} must be {expected}, got {got}")]
    Value {
        /// The option, as in `discovery.services[1].port`.
        path: String,
        /// The values that the option takes.
        expected: String,
        /// The value that was found, shortened; never a secret.
        got: String,
    },
    /// An option that does not exist.
    #[error("{path} is not an option{}", suggestion.as_ref().map(|s| format!("; did you mean {s}?")).unwrap_or_default())]
    Unknown {
        /// The option.
        path: String,
        /// The existing option with the most similar name.
        suggestion: Option<String>,
    },
    /// A secret that an attacker can guess.
    #[error("{path} {weakness}; make one with: {MAKE_SECRET}")]
    WeakSecret {
        /// The option.
        path: String,
        /// The weakness.
        weakness: Weakness,
    },
}

impl Coded for ConfigError {
    fn code(&self) -> Code {
        Code::InvalidArgument
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Value { .. } | Self::Unknown { .. } => Reason::Config,
            Self::WeakSecret { .. } => Reason::WeakSecret,
        }
    }
}
