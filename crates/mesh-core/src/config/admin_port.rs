//! The section `admin`, checked.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use serde_json::Value;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{
    admin::AdminOptions,
    admin_tls::AdminTlsOptions,
    error::ConfigError,
    material::Material,
    read::{At, Env, Options, describe, is_host},
};

const SHORTEST: usize = 16;
const LONGEST: usize = 256;

/// The token of the admin port; redacted in `Debug`.
#[derive(Clone)]
pub struct AdminToken(Zeroizing<String>);

/// The section `admin`, checked and complete.
#[derive(Clone, Debug)]
pub struct Admin {
    /// `admin.port`; 0 lets the system choose.
    pub port: u16,
    /// `admin.host`.
    pub host: String,
    /// `admin.token`.
    pub token: Option<AdminToken>,
    /// `admin.hosts`, in lower case.
    pub hosts: Vec<String>,
    /// `admin.history`.
    pub history: Option<PathBuf>,
    /// `admin.tls`.
    pub tls: Option<AdminTls>,
    /// Whether nothing but the probes is served, which hold nothing: no option sets it.
    pub probes_only: bool,
}

/// The section `admin.tls`, checked.
#[derive(Clone, Debug)]
pub struct AdminTls {
    /// `admin.tls.cert`.
    pub cert: Material,
    /// `admin.tls.key`.
    pub key: Material,
    /// `admin.tls.clientCa`.
    pub client_ca: Option<Material>,
}

impl Admin {
    /// A port that has the probes only. Other machines may reach it.
    pub(super) fn probes(host: &str, port: u16) -> Result<Self, ConfigError> {
        if !is_host(host) || host.is_empty() {
            return Err(ConfigError::Value {
                path: "probes.host".to_owned(),
                expected: "a host name or an IP address, without a scheme, port or path".to_owned(),
                got: describe(&Value::String(host.to_owned())),
            });
        }
        let (host, hosts) = (host.to_owned(), Vec::new());
        Ok(Self { port, host, token: None, hosts, history: None, tls: None, probes_only: true })
    }

    pub(super) fn read(root: &Options<'_>, env: Env<'_>) -> Result<Option<Self>, ConfigError> {
        let options = root.object("admin", AdminOptions::KEYS)?;
        let AdminOptions { port, host, token, hosts, history } = AdminOptions::read(&options, env)?;
        let Some(port) = port else {
            let given = !options.is_absent();
            return if given { Err(options.missing("port", "a port, 0 for any")) } else { Ok(None) };
        };
        let tls = AdminTls::read(&options, env)?;
        let admin = Self { port, host, token, hosts, history, tls, probes_only: false };
        if admin.token.is_none() && !admin.knows_clients() && !is_loopback(&admin.host) {
            return Err(ConfigError::Value {
                path: "admin.token (or SECURE_MESH_ADMIN_TOKEN)".to_owned(),
                expected: format!(
                    "given, since admin.host is {}: others than this machine reach it. Make one with: \
                     openssl rand -hex 24; or give admin.tls.clientCa",
                    admin.host
                ),
                got: "nothing".to_owned(),
            });
        }
        Ok(Some(admin))
    }

    /// Whether clients can prove themselves by a certificate.
    #[must_use]
    pub fn knows_clients(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
    }
}

impl AdminTls {
    fn read(admin: &Options<'_>, env: Env<'_>) -> Result<Option<Self>, ConfigError> {
        let options = admin.object("tls", AdminTlsOptions::KEYS)?;
        if options.is_absent() {
            return Ok(None);
        }
        let AdminTlsOptions { cert, key, client_ca } = AdminTlsOptions::read(&options, env)?;
        Ok(Some(Self { cert, key, client_ca }))
    }
}

impl AdminToken {
    pub(super) fn read(at: &At<'_>) -> Result<Option<Self>, ConfigError> {
        let Some((variable, token)) = at.confidential()? else { return Ok(None) };
        let is_printable = token.bytes().all(|byte| byte.is_ascii_graphic());
        if is_printable && (SHORTEST..=LONGEST).contains(&token.len()) {
            return Ok(Some(Self(token)));
        }
        Err(ConfigError::Value {
            path: variable.map_or_else(|| at.path(), str::to_owned),
            expected: format!("{SHORTEST} to {LONGEST} printable ASCII characters without spaces"),
            got: format!("{} bytes", token.len()),
        })
    }

    /// A host of `admin.hosts`.
    pub(super) fn host(text: &str) -> Option<String> {
        is_host(text).then(|| text.to_ascii_lowercase())
    }

    /// Whether `shown` is the token. The time it takes does not depend on the place of a
    /// difference.
    #[must_use]
    pub fn is(&self, shown: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(shown).into()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(..)")
    }
}

pub(super) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| match address {
            IpAddr::V4(address) => address.is_loopback(),
            IpAddr::V6(address) => {
                address.is_loopback() || address.to_ipv4_mapped().as_ref().is_some_and(Ipv4Addr::is_loopback)
            }
        })
}
