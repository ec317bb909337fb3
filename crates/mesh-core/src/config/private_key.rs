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

const EXPECTED: &str =
    "an RSA private key in PEM (PKCS#8 or PKCS#1), or the absolute path of a file that holds one";

impl PrivateKey {
    pub(super) fn read(at: &At<'_>) -> Result<Option<Self>, ConfigError> {
        let Some((variable, text)) = at.confidential()? else { return Ok(None) };
        let option = variable.unwrap_or("security.privateKey");
        let source = if text.contains("-----BEGIN") {
            // Files of variables hold one line: there `\n` stands for the end of one.
            let one_line = !text.trim().contains('\n');
            KeySource::Pem(if one_line { Zeroizing::new(text.replace("\\n", "\n")) } else { text })
        } else if !text.contains('\n') && Path::new(text.trim()).is_absolute() {
            KeySource::File(PathBuf::from(text.trim()))
        } else {
            // Not shown: it may be a key, in a form that is none of these.
            let got = if text.trim().is_empty() { "an empty text" } else { "something else" };
            return Err(ConfigError::Value {
                path: option.to_owned(),
                expected: EXPECTED.to_owned(),
                got: got.to_owned(),
            });
        };
        Ok(Some(Self { option, source }))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.option)
    }
}
