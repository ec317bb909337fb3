//! The mesh key as an option gives it. With it replicas share one identity, and
//! the identity survives the loss of a disk.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{error::ConfigError, read::At};

/// `security.privateKey` or `SECURE_MESH_PRIVATE_KEY`: PEM, or the path of a file that holds it.
#[derive(Clone)]
pub struct PrivateKey {
    /// The option or variable that gave the key, for errors.
    pub option: &'static str,
    /// The key, or the path of its file.
    pub source: KeySource,
}

/// The key, or the path of its file.
#[derive(Clone)]
pub enum KeySource {
    /// PKCS#8 or PKCS#1 in PEM.
    Pem(Zeroizing<String>),
    /// The absolute path of a file with the PEM.
    File(PathBuf),
}

impl KeySource {
    /// Reads PEM or the absolute path of a file; `None` if `text` is neither.
    pub(super) fn of(text: &str) -> Option<Self> {
        if text.contains("-----BEGIN") {
            // Files of environment variables hold one line for each value, so `\n` stands for the
            // end of a line.
            let one_line = !text.trim().contains('\n');
            let text = if one_line { text.replace("\\n", "\n") } else { text.to_owned() };
            Some(Self::Pem(Zeroizing::new(text)))
        } else if !text.contains('\n') && Path::new(text.trim()).is_absolute() {
            Some(Self::File(PathBuf::from(text.trim())))
        } else {
            None
        }
    }
}

const EXPECTED: &str =
    "an RSA private key in PEM (PKCS#8 or PKCS#1), or the absolute path of a file that holds one";

impl PrivateKey {
    pub(super) fn read(at: &At<'_>) -> Result<Option<Self>, ConfigError> {
        let Some((variable, text)) = at.confidential()? else { return Ok(None) };
        let option = variable.unwrap_or("security.privateKey");
        // The error does not repeat the value: it may be a key in another format.
        let wrong = || ConfigError::Value {
            path: option.to_owned(),
            expected: EXPECTED.to_owned(),
            got: if text.trim().is_empty() { "an empty string" } else { "something else" }.to_owned(),
        };
        let source = KeySource::of(&text).ok_or_else(wrong)?;
        Ok(Some(Self { option, source }))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.option)
    }
}
