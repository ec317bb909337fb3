//! The section `security.accept`: the trust that is accepted beside certificates during a
//! migration, and its end.

use super::{
    accepted::AcceptedTrust,
    error::ConfigError,
    read::{At, Env, Options},
    security::Security,
    service::Service,
};
use crate::clock::Timestamp;

/// A trust that is weaker than a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeakerTrust {
    /// The mesh secret, and pins if there are any.
    SharedSecret,
    /// Pinned keys.
    Pinned,
}

impl WeakerTrust {
    /// The value of the option.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SharedSecret => "shared-secret",
            Self::Pinned => "pinned",
        }
    }
}

/// `security.accept`, in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accept {
    /// The trust that is accepted beside certificates.
    pub trust: WeakerTrust,
    /// The first instant at which it is no longer accepted.
    pub until: Timestamp,
}

impl Accept {
    pub(super) fn read(
        security: &Options<'_>,
        has_certificate: bool,
        env: Env<'_>,
    ) -> Result<Option<Self>, ConfigError> {
        let at = At { options: security, key: "accept", variable: None, env };
        let read = |options: &Options<'_>, env: Env<'_>| AcceptedTrust::read(options, env);
        let accepted = at.each_of(AcceptedTrust::KEYS, 1, read)?;
        let Some(AcceptedTrust { trust, until }) = accepted.first().cloned() else { return Ok(None) };
        if !has_certificate {
            return Err(security
                .wrong("accept", "used together with security.certificate: it names what else is accepted"));
        }
        Ok(Some(Self { trust, until }))
    }

    /// Checks that the secret or the pins that it accepts are configured, and no other weaker
    /// trust.
    pub(super) fn check(self, security: &Security, services: &[Service]) -> Result<(), ConfigError> {
        let wrong = |path: &str, expected: &str, got: &str| {
            let (path, expected, got) = (path.to_owned(), expected.to_owned(), got.to_owned());
            Err(ConfigError::Value { path, expected, got })
        };
        let pins = services.iter().any(|service| service.public_key.is_some());
        match self.trust {
            WeakerTrust::SharedSecret if security.secret.is_none() => {
                wrong("security.jwtSecret", "the secret that security.accept accepts", "nothing")
            }
            WeakerTrust::Pinned if security.secret.is_some() => {
                wrong("security.jwtSecret", "absent: security.accept accepts pinned keys only", "a value")
            }
            WeakerTrust::Pinned if !pins => wrong(
                "discovery.services",
                "a publicKey for each service that security.accept accepts",
                "none",
            ),
            _ => Ok(()),
        }
    }
}
