//! `resilience`: the options of the quota, the breakers, the retries and the hedging of a mesh.

use std::time::Duration;

use super::{
    bulkhead::Bulkhead,
    concurrency::Concurrency,
    error::ConfigError,
    read::{At, Env, Options},
    shared_quota::SharedQuota,
};

/// The options of `resilience`. A part without its options is off.
#[derive(Clone, Debug, PartialEq)]
pub struct Resilience {
    /// `rateLimit`: the quota of each caller.
    pub rate_limit: Option<RateLimit>,
    /// `rateLimit.shared`: whether the quotas are those of several processes.
    pub shared_quota: Option<SharedQuota>,
    /// `circuitBreaker`: the conditions under which a failing instance gets no calls.
    pub circuit_breaker: Option<Breaker>,
    /// `retry`: the number and pace of further attempts.
    pub retry: Option<Retry>,
    /// `queueMs`: the longest wait of a call for room on a session. One second; zero for none.
    pub queue: Duration,
    /// `hedging`: the conditions under which an idempotent call gets a second copy at another
    /// instance.
    pub hedging: Option<Hedging>,
    /// `bulkhead`: the most calls at one service.
    pub bulkhead: Option<Bulkhead>,
    /// `concurrency`: an adaptive limit on requests under way.
    pub concurrency: Option<Concurrency>,
}

impl Copy for Bulkhead {}

impl PartialEq for Bulkhead {
    fn eq(&self, other: &Self) -> bool {
        (self.max_calls, self.max_queue) == (other.max_calls, other.max_queue)
    }
}

impl Copy for Concurrency {}

impl PartialEq for Concurrency {
    fn eq(&self, other: &Self) -> bool {
        (self.min, self.initial, self.max) == (other.min, other.initial, other.max)
    }
}

/// `resilience.hedging`: the conditions under which an idempotent call gets a second copy at
/// another instance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hedging {
    /// `percentile`: a call slower than this share of the calls of its method gets a copy. 0.95.
    pub percentile: f64,
    /// `ratio`: copies per call, in the long run. 0.05.
    pub ratio: f64,
}

impl Default for Hedging {
    fn default() -> Self {
        Self { percentile: 0.95, ratio: 0.05 }
    }
}

impl Default for Resilience {
    fn default() -> Self {
        Self {
            rate_limit: None,
            shared_quota: None,
            circuit_breaker: None,
            retry: None,
            queue: Duration::from_secs(1),
            hedging: None,
            bulkhead: None,
            concurrency: None,
        }
    }
}

/// `resilience.rateLimit`: the quota of each caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// `maxRequests`: requests in a window.
    pub requests: u32,
    /// `windowMs`: the window.
    pub window: Duration,
    /// `blockDuration`: the least time for which a caller beyond its quota is refused. Zero.
    pub block: Duration,
    /// `maxKeys`: callers remembered at once. 10,000.
    pub keys: u32,
}

/// `resilience.circuitBreaker`: the conditions under which a failing instance gets no calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Breaker {
    /// `failureThreshold`: failures within the window that open the breaker.
    pub failures: u32,
    /// `successThreshold`: probes that must succeed to close it.
    pub probes: u32,
    /// `timeout`: the time for which it stays open.
    pub open_for: Duration,
    /// `monitoringPeriod`: the window in which failures are counted. One minute.
    pub window: Duration,
    /// `failureRate`: the share of calls that must also have failed. 0.5.
    pub failure_rate: f64,
}

/// `resilience.retry`: the number and pace of further attempts of unary calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// `maxAttempts`: attempts in all.
    pub max_attempts: u32,
    /// `initialDelay`: the longest delay after the first attempt. 100 ms.
    pub initial_delay: Duration,
    /// `maxDelay`: the longest delay of all. 30 s, or `initialDelay` if that is longer.
    pub max_delay: Duration,
    /// `backoffMultiplier`: the growth of the longest delay from attempt to attempt. 2.
    pub multiplier: f64,
    /// `jitter`: whether each delay is drawn at random up to the longest. True.
    pub jitter: bool,
    /// `budget.ratio`: retries per call, in the long run. 0.2.
    pub budget_ratio: f64,
    /// `budget.reserve`: retries that may happen at once. 10.
    pub budget_reserve: u32,
}

const INSTANT: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_hours(1);
const YEAR: Duration = Duration::from_hours(365 * 24);
const NUMBER: &str = "a whole number from 1";
const DURATION: &str = "a duration, in milliseconds or as in '15m' and '1h'";

impl Resilience {
    pub(super) fn read(root: &Options<'_>, env: Env<'_>) -> Result<Self, ConfigError> {
        let options = root.object(
            "resilience",
            &[
                "rateLimit",
                "circuitBreaker",
                "retry",
                "idempotency",
                "queueMs",
                "hedging",
                "bulkhead",
                "concurrency",
            ],
        )?;
        let at = |key| At { options: &options, key, variable: None, env };
        Ok(Self {
            rate_limit: RateLimit::read(&options, env)?,
            shared_quota: RateLimit::read_shared(&options, env)?,
            circuit_breaker: Breaker::read(&options, env)?,
            retry: Retry::read(&options, env)?,
            queue: at("queueMs").time(Duration::ZERO, HOUR)?.unwrap_or(Self::default().queue),
            hedging: Hedging::read(&options, env)?,
            bulkhead: Bulkhead::read_in(&options, env)?,
            concurrency: Concurrency::read_in(&options, env)?,
        })
    }
}

impl Hedging {
    fn read(parent: &Options<'_>, env: Env<'_>) -> Result<Option<Self>, ConfigError> {
        let parent = At { options: parent, key: "hedging", variable: None, env };
        if parent.is_false() {
            return Ok(None);
        }
        let options = parent.object(&["percentile", "ratio"])?;
        if options.is_absent() {
            return Ok(None);
        }
        let at = |key| At { options: &options, key, variable: None, env };
        let usual = Self::default();
        Ok(Some(Self {
            percentile: at("percentile").number(0.5, 0.999)?.unwrap_or(usual.percentile),
            ratio: at("ratio").number(0.001, 1.0)?.unwrap_or(usual.ratio),
        }))
    }
}

impl Bulkhead {
    /// `bulkhead`, which is off without its options.
    fn read_in(parent: &Options<'_>, env: Env<'_>) -> Result<Option<Self>, ConfigError> {
        let parent = At { options: parent, key: "bulkhead", variable: None, env };
        let options = if parent.is_false() { return Ok(None) } else { parent.object(Self::KEYS)? };
        if options.is_absent() { Ok(None) } else { Self::read(&options, env).map(Some) }
    }
}

impl Concurrency {
    /// The limit at the start, unless `initial` says otherwise.
    const INITIAL: u32 = 20;

    /// `concurrency`, which is off without its options.
    fn read_in(parent: &Options<'_>, env: Env<'_>) -> Result<Option<Self>, ConfigError> {
        let parent = At { options: parent, key: "concurrency", variable: None, env };
        let options = if parent.is_false() { return Ok(None) } else { parent.object(Self::KEYS)? };
        if options.is_absent() {
            return Ok(None);
        }
        let read = Self::read(&options, env)?;
        let wrong =
            |key, expected: &str| Err(At { options: &options, key, variable: None, env }.wrong(expected));
        if read.max < read.min {
            return wrong("max", "no smaller than min");
        }
        match read.initial {
            Some(initial) if initial < read.min || initial > read.max => {
                wrong("initial", "between min and max")
            }
            _ => Ok(Some(read)),
        }
    }

    /// The limit at the start.
    #[must_use]
    pub fn start(&self) -> u32 {
        self.initial.unwrap_or(Self::INITIAL.clamp(self.min, self.max))
    }
}

impl RateLimit {
    const KEYS: [&str; 6] =
        ["maxRequests", "windowMs", "blockDuration", "maxKeys", "shared", "onUnavailable"];

    fn read_shared(parent: &Options<'_>, env: Env<'_>) -> Result<Option<SharedQuota>, ConfigError> {
        let options = parent.object("rateLimit", &Self::KEYS)?;
        let at = |key| At { options: &options, key, variable: None, env };
        SharedQuota::read(&at("shared"), &at("onUnavailable"))
    }

    fn read(parent: &Options<'_>, env: Env<'_>) -> Result<Option<Self>, ConfigError> {
        let options = parent.object("rateLimit", &Self::KEYS)?;
        if options.is_absent() {
            return Ok(None);
        }
        let at = |key| At { options: &options, key, variable: None, env };
        Ok(Some(Self {
            requests: given(&at("maxRequests"), count(&at("maxRequests"))?, NUMBER)?,
            window: given(&at("windowMs"), at("windowMs").time(INSTANT, YEAR)?, DURATION)?,
            block: at("blockDuration").time(Duration::ZERO, YEAR)?.unwrap_or_default(),
            keys: count(&at("maxKeys"))?.unwrap_or(10_000),
        }))
    }
}

impl Breaker {
    fn read(parent: &Options<'_>, env: Env<'_>) -> Result<Option<Self>, ConfigError> {
        let known = ["failureThreshold", "successThreshold", "timeout", "monitoringPeriod", "failureRate"];
        let options = parent.object("circuitBreaker", &known)?;
        if options.is_absent() {
            return Ok(None);
        }
        let at = |key| At { options: &options, key, variable: None, env };
        Ok(Some(Self {
            failures: given(&at("failureThreshold"), count(&at("failureThreshold"))?, NUMBER)?,
            probes: given(&at("successThreshold"), count(&at("successThreshold"))?, NUMBER)?,
            open_for: given(&at("timeout"), at("timeout").time(INSTANT, YEAR)?, DURATION)?,
            window: at("monitoringPeriod").time(INSTANT, YEAR)?.unwrap_or(Duration::from_mins(1)),
            failure_rate: at("failureRate").number(0.0, 1.0)?.unwrap_or(0.5),
        }))
    }
}

impl Retry {
    fn read(parent: &Options<'_>, env: Env<'_>) -> Result<Option<Self>, ConfigError> {
        let known = ["maxAttempts", "initialDelay", "maxDelay", "backoffMultiplier", "jitter", "budget"];
        let options = parent.object("retry", &known)?;
        if options.is_absent() {
            return Ok(None);
        }
        let budget = options.object("budget", &["ratio", "reserve"])?;
        let at = |key| At { options: &options, key, variable: None, env };
        let of_budget = |key| At { options: &budget, key, variable: None, env };
        let initial_delay =
            at("initialDelay").time(Duration::ZERO, YEAR)?.unwrap_or(Duration::from_millis(100));
        let max_delay = at("maxDelay").time(Duration::ZERO, YEAR)?;
        if max_delay.is_some_and(|longest| longest < initial_delay) {
            return Err(at("maxDelay").wrong("no shorter than initialDelay"));
        }
        Ok(Some(Self {
            max_attempts: given(&at("maxAttempts"), at("maxAttempts").integer(1, 100)?, "1…100")?,
            initial_delay,
            max_delay: max_delay.unwrap_or(Duration::from_secs(30).max(initial_delay)),
            multiplier: at("backoffMultiplier").number(1.0, 100.0)?.unwrap_or(2.0),
            jitter: at("jitter").boolean()?.unwrap_or(true),
            budget_ratio: of_budget("ratio").number(0.0, 100.0)?.unwrap_or(0.2),
            budget_reserve: of_budget("reserve").integer(0, u32::MAX)?.unwrap_or(10),
        }))
    }
}

/// A whole number from 1.
fn count(at: &At<'_>) -> Result<Option<u32>, ConfigError> {
    at.integer(1, u32::MAX)
}

/// The value of an option that has no default.
fn given<T>(at: &At<'_>, value: Option<T>, expected: &str) -> Result<T, ConfigError> {
    value.ok_or_else(|| at.missing(expected))
}
