//! `resilience`: the options of the quota, the breakers and the retries of a mesh.

use std::time::Duration;

use super::{error::ConfigError, read::Options};

/// The options of `resilience`. Without an option, its part does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Resilience {
    /// `rateLimit`: the quota of each caller.
    pub rate_limit: Option<RateLimit>,
    /// `circuitBreaker`: when an instance that fails is left alone.
    pub circuit_breaker: Option<Breaker>,
    /// `retry`: when calls are tried again.
    pub retry: Option<Retry>,
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

/// `resilience.circuitBreaker`: when an instance that fails is left alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Breaker {
    /// `failureThreshold`: failures within the window that open it.
    pub failures: u32,
    /// `successThreshold`: calls that must succeed to close it.
    pub probes: u32,
    /// `timeout`: how long it stays open.
    pub open_for: Duration,
    /// `monitoringPeriod`: the window that failures are counted in. One minute.
    pub window: Duration,
    /// `failureRate`: the share of calls that must have failed besides. 0.5.
    pub failure_rate: f64,
}

/// `resilience.retry`: when unary calls are tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// `maxAttempts`: tries in all.
    pub max_attempts: u32,
    /// `initialDelay`: the longest delay after the first try. 100 ms.
    pub initial_delay: Duration,
    /// `maxDelay`: the longest delay of all. 30 s, or `initialDelay` if that is longer.
    pub max_delay: Duration,
    /// `backoffMultiplier`: how much longer delays may be from try to try. 2.
    pub multiplier: f64,
    /// `jitter`: whether delays are chosen at random up to their length. True.
    pub jitter: bool,
    /// `budget.ratio`: retries a call, in the long run. 0.2.
    pub budget_ratio: f64,
    /// `budget.reserve`: retries at once. 10.
    pub budget_reserve: u32,
}

const INSTANT: Duration = Duration::from_millis(1);
const YEAR: Duration = Duration::from_hours(365 * 24);

impl Resilience {
    pub(super) fn parse(root: &Options<'_>) -> Result<Self, ConfigError> {
        let options = root.object("resilience", &["rateLimit", "circuitBreaker", "retry", "idempotency"])?;
        Ok(Self {
            rate_limit: RateLimit::parse(&options)?,
            circuit_breaker: Breaker::parse(&options)?,
            retry: Retry::parse(&options)?,
        })
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

impl Breaker {
    fn parse(parent: &Options<'_>) -> Result<Option<Self>, ConfigError> {
        let known = ["failureThreshold", "successThreshold", "timeout", "monitoringPeriod", "failureRate"];
        let options = parent.object("circuitBreaker", &known)?;
        if options.is_absent() {
            return Ok(None);
        }
        Ok(Some(Self {
            failures: count(&options, "failureThreshold")?,
            probes: count(&options, "successThreshold")?,
            open_for: time(&options, "timeout", INSTANT)?,
            window: options.duration("monitoringPeriod", INSTANT, YEAR)?.unwrap_or(Duration::from_mins(1)),
            failure_rate: options.number("failureRate", 0.0, 1.0)?.unwrap_or(0.5),
        }))
    }
}

impl Retry {
    fn parse(parent: &Options<'_>) -> Result<Option<Self>, ConfigError> {
        let known = ["maxAttempts", "initialDelay", "maxDelay", "backoffMultiplier", "jitter", "budget"];
        let options = parent.object("retry", &known)?;
        if options.is_absent() {
            return Ok(None);
        }
        let tries = options.integer("maxAttempts", 1, 100)?;
        let initial_delay =
            options.duration("initialDelay", Duration::ZERO, YEAR)?.unwrap_or(Duration::from_millis(100));
        let max_delay = options.duration("maxDelay", Duration::ZERO, YEAR)?;
        if max_delay.is_some_and(|longest| longest < initial_delay) {
            return Err(options.wrong("maxDelay", "no shorter than initialDelay"));
        }
        let budget = options.object("budget", &["ratio", "reserve"])?;
        Ok(Some(Self {
            max_attempts: tries.ok_or_else(|| options.missing("maxAttempts", "1…100"))? as u32,
            initial_delay,
            max_delay: max_delay.unwrap_or(Duration::from_secs(30).max(initial_delay)),
            multiplier: options.number("backoffMultiplier", 1.0, 100.0)?.unwrap_or(2.0),
            jitter: options.boolean("jitter")?.unwrap_or(true),
            budget_ratio: budget.number("ratio", 0.0, 100.0)?.unwrap_or(0.2),
            budget_reserve: budget.integer("reserve", 0, u32::MAX.into())?.map_or(10, |most| most as u32),
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
