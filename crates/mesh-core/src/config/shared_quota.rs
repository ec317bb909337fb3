//! `resilience.rateLimit.shared`: a quota that several processes have together.

use std::fmt;

use zeroize::Zeroizing;

use super::{error::ConfigError, read::At};

/// The quota of each caller, kept in Redis for all processes of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedQuota {
    /// `shared`: where Redis is.
    pub url: RedisUrl,
    /// `onUnavailable`: the treatment of requests while Redis does not answer.
    pub on_unavailable: OnUnavailable,
}

/// The treatment of requests while the quota is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnavailable {
    /// Each process lets in what the quota allows, by itself.
    #[default]
    Local,
    /// None is let in.
    Deny,
}

/// The URL of a Redis server, which may hold a password. It is wiped when dropped, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(Zeroizing<String>);

impl RedisUrl {
    /// The whole URL, for the connection.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RedisUrl(…)")
    }
}

const EXPECTED: &str =
    "a URL, as in 'redis://10.0.0.7:6379' or 'rediss://user:password@redis.example:6380/0'";

impl SharedQuota {
    /// Reads `shared` and `onUnavailable`, which stand beside the quota.
    pub(super) fn read(shared: &At<'_>, on_unavailable: &At<'_>) -> Result<Option<Self>, ConfigError> {
        let chosen =
            on_unavailable.choice(&[("local", OnUnavailable::Local), ("deny", OnUnavailable::Deny)])?;
        // No error repeats the URL.
        let Some((_, url)) = shared.confidential()? else {
            return match chosen {
                Some(_) => Err(shared.missing(EXPECTED)),
                None => Ok(None),
            };
        };
        let rest = url.strip_prefix("redis://").or_else(|| url.strip_prefix("rediss://"));
        let host = rest.map(|rest| {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            authority.rsplit_once('@').map_or(authority, |(_, host)| host)
        });
        if host.is_none_or(|host| host.is_empty() || host.starts_with(':'))
            || url.contains(|c: char| c.is_whitespace() || c == '#')
        {
            return Err(shared.malformed(EXPECTED));
        }
        Ok(Some(Self { url: RedisUrl(url), on_unavailable: chosen.unwrap_or_default() }))
    }
}
