//! Retries, circuit breakers, quotas and adaptive limits. Nothing here sleeps or reads a clock: time and random numbers are
//! arguments, decisions are values.

mod adaptive;
mod backoff;
mod breaker;
mod budget;
mod leases;
mod quota;
mod retry;

pub use adaptive::{AdaptiveLimit, Unloaded};
pub use backoff::ExponentialBackoff;
pub use breaker::{Admission, BreakerLimits, BreakerState, CircuitBreaker, Outcome, Permit, Transition};
pub use budget::RetryBudget;
pub use leases::{Ask, Lease, LeaseLimits, Leases, Spend};
pub use quota::{Decision, Quota, QuotaLimits};
pub use retry::{Attempt, RetryPolicy};

use std::time::Duration;

use crate::error::{Code, Coded, Reason};

/// The reason for a refusal of this module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResilienceError {
    /// A setting is out of range; the string names it and the valid range.
    #[error("{0}")]
    Setting(&'static str),
    /// The circuit is open, or half open with all its probes in use.
    #[error("Circuit breaker is open after too many failures; try again in {} ms", .0.as_millis())]
    CircuitOpen(Duration),
    /// The caller has used up its quota.
    #[error("too many requests; try again in {} ms", .0.as_millis())]
    RateLimited(Duration),
}

impl Coded for ResilienceError {
    fn code(&self) -> Code {
        match self {
            Self::Setting(_) => Code::InvalidArgument,
            Self::CircuitOpen(_) => Code::Unavailable,
            Self::RateLimited(_) => Code::ResourceExhausted,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Setting(_) => Reason::Argument,
            Self::CircuitOpen(_) => Reason::CircuitOpen,
            Self::RateLimited(_) => Reason::RateLimited,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Setting(_) => None,
            Self::CircuitOpen(time) | Self::RateLimited(time) => Some(*time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_they_are() {
        let wait = Duration::from_millis(7);
        let open = ResilienceError::CircuitOpen(wait);
        assert_eq!((open.code(), open.reason()), (Code::Unavailable, Reason::CircuitOpen));
        let limited = ResilienceError::RateLimited(wait);
        assert_eq!((limited.code(), limited.reason()), (Code::ResourceExhausted, Reason::RateLimited));
        assert_eq!(limited.retry_after(), Some(wait));
        assert_eq!(limited.to_string(), "too many requests; try again in 7 ms");
    }
}
