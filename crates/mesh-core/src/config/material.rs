//! Certificates, keys and lists as options give them: the path of a file, or the PEM itself.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{
    certificate::CertificateOptions,
    enrolment::EnrolmentOptions as Enrolment,
    error::ConfigError,
    private_key::KeySource,
    read::{At, Env, Options},
    tls::TlsOptions,
};

/// A certificate, key, bundle or list as an option gives it: PEM, or the path of a file that holds
/// it.
#[derive(Clone)]
pub struct Material {
    /// The option, for errors; also if a variable gave the value.
    pub option: &'static str,
    /// The PEM, or the path of its file.
    pub source: KeySource,
}

impl Material {
    pub(super) fn read(at: &At<'_>, option: &'static str) -> Result<Option<Self>, ConfigError> {
        let Some((variable, text)) = at.confidential()? else { return Ok(None) };
        // The error does not repeat the value: it may be a key in another format.
        let wrong = || ConfigError::Value {
            path: variable.unwrap_or(option).to_owned(),
            expected: "PEM, or the absolute path of a file".to_owned(),
            got: if text.trim().is_empty() { "an empty string" } else { "something else" }.to_owned(),
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

/// The section `security.certificate`, or the certificates of `security.tls`, checked and complete.
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
    /// `authority`: the source of the files above, which [`Certificate::is_at`] then names.
    pub authority: Option<Box<Enrolment>>,
    /// `workloadApi`: the socket from which all of them come instead.
    pub workload: Option<PathBuf>,
}

impl Certificate {
    /// Reads the section; `None` if neither it nor any of its variables is present.
    pub(super) fn read(security: &Options<'_>, env: Env<'_>) -> Result<Option<Self>, ConfigError> {
        let options = security.object("certificate", CertificateOptions::KEYS)?;
        let read = CertificateOptions::read(&options, env)?;
        let authority = Self::read_authority(&options, env)?;
        if authority.is_some() || read.workload.is_some() {
            let (source, option) =
                if authority.is_some() { ("authority", AUTHORITY) } else { ("workloadApi", WORKLOAD_API) };
            let beside = [("cert", &read.cert), ("key", &read.key), ("ca", &read.ca), ("crl", &read.crl)];
            let beside = beside.iter().find(|(_, given)| given.is_some()).map(|(key, _)| *key);
            if let Some(key) =
                beside.or((authority.is_some() && read.workload.is_some()).then_some("workloadApi"))
            {
                return Err(
                    options.wrong(key, &format!("absent beside {source}, which gives the certificate"))
                );
            }
            let nowhere = || Material { option, source: KeySource::File(PathBuf::new()) };
            return Ok(Some(Self {
                cert: nowhere(),
                key: nowhere(),
                ca: nowhere(),
                crl: Some(nowhere()),
                crl_warns: read.crl_warns,
                trust_domain: read.trust_domain,
                dns: read.dns,
                dns_suffix: read.dns_suffix,
                template: read.template,
                authority: authority.map(Box::new),
                workload: read.workload,
            }));
        }
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
            authority: None,
            workload: None,
        }))
    }

    fn read_authority(options: &Options<'_>, env: Env<'_>) -> Result<Option<Enrolment>, ConfigError> {
        let section = options.object("authority", Enrolment::KEYS)?;
        if section.is_absent() {
            return Ok(None);
        }
        let read = Enrolment::read(&section, env)?;
        match (&read.service, &read.directory) {
            (Some(_), None) | (None, Some(_)) => Ok(Some(read)),
            (None, None) => Err(section.missing("service", "the id of the service that has the authority")),
            (Some(_), Some(_)) => Err(section.wrong(
                "directory",
                "absent beside service: the one is for the service with the authority, the other for those without",
            )),
        }
    }

    /// Takes the certificate, its key, the anchors and the lists from these files, which the enrolment writes.
    pub fn is_at(&mut self, identity: &Path, trust: &Path) {
        let file = |path: &Path| Material { option: AUTHORITY, source: KeySource::File(path.to_owned()) };
        (self.cert, self.key) = (file(identity), file(identity));
        (self.ca, self.crl) = (file(trust), Some(file(trust)));
    }
}

const AUTHORITY: &str = "security.certificate.authority";
const WORKLOAD_API: &str = "security.certificate.workloadApi";

/// `security.tls`: TLS beneath the streams.
#[derive(Clone, Debug)]
pub enum Tls {
    /// TLS if there is `security.certificate` to carry it.
    Auto,
    /// TLS; without a certificate the start fails.
    Required,
    /// Plain HTTP/2.
    Off,
    /// Certificates that serve for TLS only.
    Given(Box<Certificate>),
    /// TLS whose server proves itself by the handshake inside alone. No option sets it: a newcomer has it until it
    /// has a certificate.
    Unproven,
}

const TLS: &str = "'auto', 'required', 'off', or an object with cert, key and ca";

impl Tls {
    pub(super) fn read(
        security: &Options<'_>,
        certificate: Option<&Certificate>,
        env: Env<'_>,
    ) -> Result<Self, ConfigError> {
        let tls = match security.word("tls") {
            Some("auto") => Self::Auto,
            Some("required") => Self::Required,
            Some("off") => Self::Off,
            Some(_) => return Err(security.wrong("tls", TLS)),
            None => {
                let options = security.object("tls", TlsOptions::KEYS)?;
                if options.is_absent() {
                    Self::Auto
                } else {
                    Self::Given(Box::new(Certificate::of_tls(&options, env)?))
                }
            }
        };
        match (&tls, certificate) {
            (Self::Required, None) => Err(ConfigError::Value {
                path: "security.tls".to_owned(),
                expected:
                    "an object with cert, key and ca, or 'required' beside security.certificate: TLS needs a \
                           certificate that carries it"
                        .to_owned(),
                got: "'required' alone".to_owned(),
            }),
            (Self::Given(_), Some(_)) => Err(ConfigError::Value {
                path: "security.tls".to_owned(),
                expected:
                    "'auto', 'required' or 'off' beside security.certificate, which carries TLS as well"
                        .to_owned(),
                got: "an object".to_owned(),
            }),
            _ => Ok(tls),
        }
    }
}

impl Certificate {
    /// Reads the certificates of `security.tls`. They name the service by a SPIFFE id, or by a DNS
    /// name that equals the service id.
    fn of_tls(options: &Options<'_>, env: Env<'_>) -> Result<Self, ConfigError> {
        let read = TlsOptions::read(options, env)?;
        let given = |key, material: Option<Material>| {
            material.ok_or_else(|| options.missing(key, "PEM, or the absolute path of a file"))
        };
        Ok(Self {
            cert: given("cert", read.cert)?,
            key: given("key", read.key)?,
            ca: given("ca", read.ca)?,
            crl: None,
            crl_warns: false,
            trust_domain: None,
            dns: true,
            dns_suffix: None,
            template: None,
            authority: None,
            workload: None,
        })
    }
}
