//! The conversion of JavaScript's numbers and strings into values of the core.

use std::time::Duration;

use mesh_core::{
    clock::Timestamp,
    config, duration,
    error::{Code, Coded, Reason},
};
use napi::{Env, Result};
use napi_derive::napi;

use crate::error::{Failure, throw};

/// The largest integer that a JavaScript number holds exactly.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// The error of a rejected argument; `message` names it and the repair.
pub(crate) fn argument(env: Env, message: impl Into<String>) -> napi::Error {
    throw(env, Failure::new(Code::InvalidArgument, Reason::Argument, message))
}

/// A core error about one argument, prefixed with the argument's name.
pub(crate) fn at(env: Env, name: &str, error: &impl Coded) -> napi::Error {
    throw(env, Failure::new(error.code(), error.reason(), format!("{name}: {error}")))
}

/// Converts milliseconds from 0 to 36500 days.
pub(crate) fn millis(env: Env, name: &str, value: f64) -> Result<Duration> {
    if !(0.0..=MAX_SAFE_INTEGER).contains(&value) {
        return Err(argument(env, format!("{name} must be a number of milliseconds from 0, got {value}")));
    }
    let duration = Duration::from_millis(integer(value));
    if duration > duration::MAX {
        return Err(argument(env, format!("{name} must be at most 36500 days, got {value} ms")));
    }
    Ok(duration)
}

/// Converts a whole number from 0 to 2³² - 1. A direct conversion to `u32` would turn 4294967297 into 1, and
/// 1.5 into 1 too.
pub(crate) fn whole(env: Env, name: &str, value: f64) -> Result<u32> {
    exact(value).ok_or_else(|| {
        argument(env, format!("{name} must be a whole number from 0 to 4294967295, got {value}"))
    })
}

/// As [`whole`], for callers without an environment, or with an error of their own.
#[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "the range is checked")]
pub(crate) fn exact(value: f64) -> Option<u32> {
    ((0.0..=f64::from(u32::MAX)).contains(&value) && value.fract() == 0.0).then_some(value as u32)
}

/// Converts a result of `Date.now()`.
pub(crate) fn timestamp(env: Env, value: f64) -> Result<Timestamp> {
    if !(0.0..=MAX_SAFE_INTEGER).contains(&value) {
        return Err(argument(env, format!("the clock must show milliseconds since 1970, got {value}")));
    }
    Ok(Timestamp::from_millis(integer(value)))
}

/// Converts a time to a number as `Date.now()` returns it.
#[allow(clippy::cast_precision_loss, reason = "times of day are far below 2⁵³ milliseconds")]
pub(crate) fn from_timestamp(value: Timestamp) -> f64 {
    value.as_millis() as f64
}

/// Converts a count. The last digits would be lost beyond 2⁵³, which no counter reaches.
#[allow(clippy::cast_precision_loss, reason = "as said")]
pub(crate) fn from_count(value: u64) -> f64 {
    value as f64
}

#[allow(clippy::cast_sign_loss, reason = "callers have checked the range")]
fn integer(value: f64) -> u64 {
    value as u64
}

/// Returns the known word that is nearest to `word`, if one is near enough.
#[napi(catch_unwind)]
pub fn nearest_word(word: String, words: Vec<String>) -> Option<String> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    config::nearest(&word, &words).map(str::to_owned)
}

/// Converts a string such as `'15m'` to milliseconds.
#[napi(catch_unwind)]
pub fn parse_duration(env: Env, name: String, text: String) -> Result<f64> {
    match duration::parse(&text) {
        Ok(duration) => Ok(from_count(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))),
        Err(error) => Err(at(env, &name, &error)),
    }
}
