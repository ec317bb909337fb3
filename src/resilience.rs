//! The native halves of `CircuitBreaker`, `RetryPolicy` and `RateLimiter`.

use std::time::Duration;

use mesh_core::{
    error::Code,
    resilience::{
        Admission, BreakerLimits, CircuitBreaker, ExponentialBackoff, Outcome, Permit, Quota, QuotaLimits,
        RetryBudget, RetryPolicy, Transition,
    },
};
use napi::{Env, Result};
use napi_derive::napi;

use crate::{
    convert::{argument, from_count, millis, timestamp, whole},
    error::throw,
};

/// The longest key of a quota, in bytes.
const MAX_KEY: usize = 1024;

/// The right to make a call, and the state change that it caused.
#[napi(object)]
pub struct NativeAdmission {
    /// The permit, to be passed to `settle`.
    pub permit: f64,
    /// The new state, if it has changed: `closed`, `open` or `half_open`.
    pub entered: Option<String>,
}

/// A breaker; times are milliseconds of a monotonic clock.
#[napi]
pub struct NativeCircuitBreaker {
    breaker: CircuitBreaker,
}

#[napi]
impl NativeCircuitBreaker {
    /// Creates a closed breaker.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: Env,
        failures: f64,
        failure_rate: f64,
        window_ms: f64,
        open_ms: f64,
        probes: f64,
    ) -> Result<Self> {
        let limits = BreakerLimits {
            failures: whole(env, "failureThreshold", failures)?,
            failure_rate,
            window: millis(env, "monitoringPeriod", window_ms)?,
            open_for: millis(env, "timeout", open_ms)?,
            probes: whole(env, "successThreshold", probes)?,
        };
        CircuitBreaker::new(limits).map(|breaker| Self { breaker }).map_err(|error| throw(env, error))
    }

    /// Admits a call, or throws `UNAVAILABLE`, reason `CIRCUIT_OPEN`.
    #[napi(catch_unwind)]
    pub fn acquire(&mut self, env: Env, now: f64) -> Result<NativeAdmission> {
        let now = timestamp(env, now)?;
        match self.breaker.acquire(now) {
            Ok(Admission { permit, transition }) => {
                Ok(NativeAdmission { permit: from_count(permit.into_raw()), entered: entered(transition) })
            }
            Err(error) => Err(throw(env, error)),
        }
    }

    /// Settles a permit with the outcome `success`, `failure` or `ignored`. Returns the new state if it has
    /// changed.
    #[napi(catch_unwind)]
    pub fn settle(&mut self, env: Env, permit: f64, outcome: String, now: f64) -> Result<Option<String>> {
        let now = timestamp(env, now)?;
        let outcome = match outcome.as_str() {
            "success" => Outcome::Success,
            "failure" => Outcome::Failure,
            "ignored" => Outcome::Ignored,
            _ => return Err(argument(env, "outcome must be success, failure or ignored")),
        };
        #[allow(clippy::cast_sign_loss, reason = "it was made of a count")]
        let permit = Permit::from_raw(permit as u64);
        Ok(entered(self.breaker.settle(permit, outcome, now)))
    }

    /// `closed`, `open` or `half_open`.
    #[napi(catch_unwind)]
    pub fn state(&self) -> &'static str {
        self.breaker.state().as_str()
    }

    /// Closes the breaker. Returns the new state if it has changed.
    #[napi(catch_unwind)]
    pub fn reset(&mut self) -> Option<String> {
        entered(self.breaker.reset())
    }
}

fn entered(transition: Option<Transition>) -> Option<String> {
    transition.map(|transition| transition.to.as_str().to_owned())
}

/// Classifies a call that failed with `code`: `success`, `failure` or `ignored`.
#[napi(catch_unwind)]
pub fn outcome_of_error(code: String) -> &'static str {
    // An error without a code counts as a fault of the service.
    match Outcome::of_error(Code::from_name(&code).unwrap_or(Code::Unknown)) {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
        Outcome::Ignored => "ignored",
    }
}

/// The delays between attempts, and a limit on all retries together.
#[napi]
pub struct NativeRetryPolicy {
    policy: RetryPolicy,
    budget: Option<RetryBudget>,
}

#[napi]
impl NativeRetryPolicy {
    /// Without `budget_ratio` only the limit of each call applies.
    #[napi(constructor, catch_unwind)]
    #[allow(clippy::too_many_arguments, reason = "options of an object in JavaScript")]
    pub fn new(
        env: Env,
        max_attempts: f64,
        initial_ms: f64,
        max_ms: f64,
        multiplier: f64,
        jitter: bool,
        budget_ratio: Option<f64>,
        budget_reserve: f64,
    ) -> Result<Self> {
        let max_attempts = whole(env, "maxAttempts", max_attempts)?;
        let budget_reserve = whole(env, "budget.reserve", budget_reserve)?;
        let initial = millis(env, "initialDelay", initial_ms)?;
        let max = millis(env, "maxDelay", max_ms)?;
        let backoff = ExponentialBackoff::new(initial, max, multiplier).map_err(|error| throw(env, error))?;
        let backoff = if jitter { backoff } else { backoff.without_jitter() };
        let budget = budget_ratio
            .map(|ratio| RetryBudget::new(ratio, budget_reserve))
            .transpose()
            .map_err(|error| throw(env, error))?;
        let policy = RetryPolicy::new(max_attempts, backoff).map_err(|error| throw(env, error))?;
        Ok(Self { policy, budget })
    }

    /// Records the first attempt of a call.
    #[napi(catch_unwind)]
    pub fn begin(&mut self) {
        if let Some(budget) = &mut self.budget {
            budget.deposit();
        }
    }

    /// Returns the milliseconds until the next attempt; `null` if there must be
    /// none.
    #[napi(catch_unwind)]
    pub fn delay(
        &mut self,
        env: Env,
        attempt: f64,
        retry_after_ms: Option<f64>,
        random: f64,
    ) -> Result<Option<f64>> {
        let attempt = whole(env, "attempt", attempt)?;
        let retry_after = retry_after_ms.map(|ms| millis(env, "retryAfterMs", ms)).transpose()?;
        Ok(self.granted(self.policy.delay(attempt, retry_after, random)))
    }

    fn granted(&mut self, delay: Option<Duration>) -> Option<f64> {
        let delay = delay?;
        if self.budget.as_mut().is_none_or(RetryBudget::withdraw) {
            Some(delay.as_secs_f64() * 1000.0)
        } else {
            None
        }
    }
}

/// The decision about a request; times are milliseconds from now.
#[napi(object)]
pub struct NativeDecision {
    /// Whether the request is allowed.
    pub allowed: bool,
    /// The time to wait, if the request is not allowed.
    pub retry_after_ms: Option<f64>,
    /// The number of further requests that are allowed now.
    pub remaining: u32,
    /// The time until the quota is full again.
    pub reset_ms: f64,
}

/// A request rate for each of a bounded number of callers.
#[napi]
pub struct NativeQuota {
    quota: Quota<String>,
}

#[napi]
impl NativeQuota {
    /// Creates a limiter with full quotas.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, requests: f64, window_ms: f64, block_ms: f64, max_keys: f64) -> Result<Self> {
        let limits = QuotaLimits {
            requests: whole(env, "maxRequests", requests)?,
            window: millis(env, "windowMs", window_ms)?,
            block: millis(env, "blockDuration", block_ms)?,
            keys: whole(env, "maxKeys", max_keys)? as usize,
        };
        Quota::new(limits).map(|quota| Self { quota }).map_err(|error| throw(env, error))
    }

    /// Takes a request from a caller's quota.
    #[napi(catch_unwind)]
    pub fn check(&mut self, env: Env, key: String, now: f64) -> Result<NativeDecision> {
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(argument(env, format!("clientId must be a string of 1 to {MAX_KEY} bytes")));
        }
        let decision = self.quota.check(&key, timestamp(env, now)?);
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        Ok(NativeDecision {
            allowed: decision.retry_after.is_none(),
            retry_after_ms: decision.retry_after.map(ms),
            remaining: decision.remaining,
            reset_ms: ms(decision.reset),
        })
    }

    /// Restores a caller's full quota.
    #[napi(catch_unwind)]
    pub fn reset(&mut self, key: String) {
        self.quota.reset(&key);
    }

    /// The number of remembered callers.
    #[napi(catch_unwind)]
    pub fn size(&self) -> u32 {
        self.quota.len() as u32
    }
}
