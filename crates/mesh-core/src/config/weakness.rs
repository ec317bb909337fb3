//! The requirements on a secret.

use std::collections::HashSet;

/// A command that prints a good secret.
pub const MAKE_SECRET: &str =
    r#"node -e "console.log(require('node:crypto').randomBytes(32).toString('base64url'))""#;
/// Shortest mesh secret accepted, in bytes: the output of SHA-256 (RFC 7518, 3.2).
pub const MIN_SECRET: usize = 32;
/// Fewest different bytes in a secret. Of 32 random bytes there are nearly
/// always more than 25, of 32 random decimal digits more than 8.
const MIN_DISTINCT: usize = 8;
/// The longest pattern, in bytes, whose repetition is refused as a secret.
const LONGEST_PATTERN: usize = 16;

/// The weakness by which an attacker can guess a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// Fewer bytes than [`MIN_SECRET`]; the length found.
    #[error("must be at least {MIN_SECRET} bytes, got {0}")]
    Short(usize),
    /// Fewer different bytes than `MIN_DISTINCT`.
    #[error("must be random, and has fewer than {MIN_DISTINCT} different bytes")]
    Monotonous,
    /// A repetition of one short pattern.
    #[error("must be random, and is one short pattern that is repeated")]
    Repeated,
}

impl Weakness {
    /// The weakness of `secret`, if these checks find one. They cannot prove
    /// that a secret is random.
    #[must_use]
    pub fn of(secret: &[u8]) -> Option<Self> {
        if secret.len() < MIN_SECRET {
            return Some(Self::Short(secret.len()));
        }
        if secret.iter().collect::<HashSet<_>>().len() < MIN_DISTINCT {
            return Some(Self::Monotonous);
        }
        let repeats = |period: usize| secret[period..] == secret[..secret.len() - period];
        (1..=LONGEST_PATTERN).any(repeats).then_some(Self::Repeated)
    }
}
