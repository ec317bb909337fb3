//! The errors of a configuration.

use super::weakness::{MAKE_SECRET, Weakness};
use crate::error::{Code, Coded, Reason};

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value of the wrong type or out of range.
    #[error("{path} must be {expected}, got {got}")]
    Value {
        /// The option, as in `discovery.services[1].port`.
        path: String,
        /// What would be right.
        expected: String,
        /// What was there, shortened; never a secret.
        got: String,
    },
    /// An option that does not exist.
    #[error("{path} is not an option{}", suggestion.as_ref().map(|s| format!("; did you mean {s}?")).unwrap_or_default())]
    Unknown {
        /// The option.
        path: String,
        /// The nearest one that exists.
        suggestion: Option<String>,
    },
    /// A secret that protects nothing.
    #[error("{path} {weakness}; make one with: {MAKE_SECRET}")]
    WeakSecret {
        /// The option.
        path: String,
        /// What is weak about it.
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
