//! A password for a server elsewhere.

use std::fmt;

use zeroize::Zeroizing;

/// A password. It is wiped when dropped, and never shown.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    pub(super) const fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text, for the server that asks for it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}
