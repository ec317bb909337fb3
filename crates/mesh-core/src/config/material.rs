//! Files of certificates, keys and lists: a path, or the text itself.

use std::fmt;

use super::{
    certificate::CertificateOptions,
    error::ConfigError,
    private_key::KeySource,
    read::{At, Env, Options},
};

/// A certificate, key, bundle or list as it is given: PEM, or a file that holds it.
#[derive(Clone)]
pub struct Material {
    /// The option that it is of, for errors, whatever variable stood in.
    pub option: &'static str,
    /// The text, or where it is.
    pub source: KeySource,
}

impl Material {
    pub(super) fn read(at: &At<'_>, option: &'static str) -> Result<Option<Self>, ConfigError> {
        let Some((variable, text)) = at.confidential()? else { return Ok(None) };
        // Not shown: it may be a key, in a form that is none of these.
        let wrong = || ConfigError::Value {
            path: variable.unwrap_or(option).to_owned(),
            expected: "PEM, or the absolute path of a file".to_owned(),
            got: if text.trim().is_empty() { "an empty text" } else { "something else" }.to_owned(),
        };
        let source = KeySource::of(&text).ok_or_else(wrong)?;
        Ok(Some(Self { option, source }))
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Material({})", self.option)
    }
}

/// `security.certificate`, whole.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// `cert`: the leaf and its intermediates.
    pub cert: Material,
    /// `key`: the leaf's private key.
    pub key: Material,
    /// `ca`: the trust anchors.
    pub ca: Material,
    /// `crl`: revocation lists.
    pub crl: Option<Material>,
    /// `crlPolicy` is `'warn'`.
    pub crl_warns: bool,
    /// `trustDomain`.
    pub trust_domain: Option<String>,
    /// `names` is `'dns'`.
    pub dns: bool,
    /// `dnsSuffix`.
    pub dns_suffix: Option<String>,
    /// `id`: a SPIFFE id with the placeholder `{service}`.
    pub template: Option<String>,
}

impl Certificate {
    /// The section, unless neither it nor any of its variables is there.
    pub(super) fn read(security: &Options<'_>, env: Env<'_>) -> Result<Option<Self>, ConfigError> {
        let options = security.object("certificate", CertificateOptions::KEYS)?;
        let read = CertificateOptions::read(&options, env)?;
        if options.is_absent() && read.cert.is_none() && read.key.is_none() && read.ca.is_none() {
            return Ok(None);
        }
        let given = |key, material: Option<Material>| {
            material.ok_or_else(|| options.missing(key, "PEM, or the absolute path of a file"))
        };
        Ok(Some(Self {
            cert: given("cert", read.cert)?,
            key: given("key", read.key)?,
            ca: given("ca", read.ca)?,
            crl: read.crl,
            crl_warns: read.crl_warns,
            trust_domain: read.trust_domain,
            dns: read.dns,
            dns_suffix: read.dns_suffix,
            template: read.template,
        }))
    }
}
