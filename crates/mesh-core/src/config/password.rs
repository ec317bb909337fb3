//! A password for another server.

use std::fmt;

use zeroize::Zeroizing;

/// A password. It is wiped when dropped, and redacted in `Debug`.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    pub(super) const fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The password itself, for the server that requires it.
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
