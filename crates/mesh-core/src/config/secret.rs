//! The mesh secret.

use std::fmt;

use zeroize::Zeroizing;

use super::{error::ConfigError, read::At, weakness::Weakness};

/// The mesh secret as configured; redacted in `Debug`.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub(super) fn read(at: &At<'_>) -> Result<Option<Self>, ConfigError> {
        let Some((variable, secret)) = at.confidential()? else { return Ok(None) };
        check_secret(&variable.map_or_else(|| at.path(), str::to_owned), &secret)?;
        Ok(Some(Self(secret)))
    }

    /// The secret's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Rejects a weak secret. `path` is the option or variable that gave it.
pub(crate) fn check_secret(path: &str, secret: &str) -> Result<(), ConfigError> {
    match Weakness::of(secret.as_bytes()) {
        Some(weakness) => Err(ConfigError::WeakSecret { path: path.to_owned(), weakness }),
        None => Ok(()),
    }
}
