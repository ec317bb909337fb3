//! `resilience`: the options of the quota, the breakers and the retries of a mesh.

use std::time::Duration;

use super::{error::ConfigError, read::Options};

/// The options of `resilience`. Without an option, its part does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Resilience {
    /// `rateLimit`: the quota of each caller.
    pub rate_limit: Option<RateLimit>,
}

/// `resilience.rateLimit`: requests that each caller may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// `maxRequests`: requests in a window.
    pub requests: u32,
    /// `windowMs`: the window.
    pub window: Duration,
    /// `blockDuration`: how long a caller beyond its quota is refused at least. Zero.
    pub block: Duration,
    /// `maxKeys`: callers remembered at once. 10,000.
    pub keys: u32,
}

const INSTANT: Duration = Duration::from_millis(1);
const YEAR: Duration = Duration::from_hours(365 * 24);

impl Resilience {
    pub(super) fn parse(root: &Options<'_>) -> Result<Self, ConfigError> {
        let options = root.object("resilience", &["rateLimit", "circuitBreaker", "retry", "idempotency"])?;
        Ok(Self { rate_limit: RateLimit::parse(&options)? })
    }
}

impl RateLimit {
    fn parse(parent: &Options<'_>) -> Result<Option<Self>, ConfigError> {
        let known = ["maxRequests", "windowMs", "blockDuration", "maxKeys"];
        let options = parent.object("rateLimit", &known)?;
        if options.is_absent() {
            return Ok(None);
        }
        Ok(Some(Self {
            requests: count(&options, "maxRequests")?,
            window: time(&options, "windowMs", INSTANT)?,
            block: options.duration("blockDuration", Duration::ZERO, YEAR)?.unwrap_or_default(),
            keys: options.integer("maxKeys", 1, u32::MAX.into())?.map_or(10_000, |keys| keys as u32),
        }))
    }
}

/// A whole number from 1 that has no default.
fn count(options: &Options<'_>, key: &str) -> Result<u32, ConfigError> {
    let number = options.integer(key, 1, u32::MAX.into())?;
    number.map(|number| number as u32).ok_or_else(|| options.missing(key, "a whole number from 1"))
}

/// A duration that has no default.
fn time(options: &Options<'_>, key: &str, least: Duration) -> Result<Duration, ConfigError> {
    let expected = "a duration, in milliseconds or as in '15m' and '1h'";
    options.duration(key, least, YEAR)?.ok_or_else(|| options.missing(key, expected))
}
