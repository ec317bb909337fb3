//! This service's key where its owner gives it: replicas share one, and a new
//! disk does not make a new identity.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{error::ConfigError, read::At};

/// `security.privateKey` or `SECURE_MESH_PRIVATE_KEY`: PEM, or a file that holds it.
#[derive(Clone)]
pub struct PrivateKey {
    /// Where it was given, for errors.
    pub option: &'static str,
    /// The key, or where it is.
    pub source: KeySource,
}

/// The key, or where it is.
#[derive(Clone)]
pub enum KeySource {
    /// PKCS#8 or PKCS#1 in PEM.
    Pem(Zeroizing<String>),
    /// The absolute path of a file with it.
    File(PathBuf),
}

impl KeySource {
    /// PEM, or the absolute path of a file.
    pub(super) fn of(text: &str) -> Option<Self> {
        if text.contains("-----BEGIN") {
            // Files of variables hold one line: there `\n` stands for the end of one.
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
        // Not shown: it may be a key, in a form that is none of these.
        let wrong = || ConfigError::Value {
            path: option.to_owned(),
            expected: EXPECTED.to_owned(),
            got: if text.trim().is_empty() { "an empty text" } else { "something else" }.to_owned(),
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
