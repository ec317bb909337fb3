//! The conversion of failures into JavaScript `Error` objects with `code`, `reason` and, if known,
//! `retryAfterMs`.

use mesh_core::error::{Code, Coded, Reason};
use napi::{Env, Error, JsValue, Result, Status, bindgen_prelude::ToNapiValue, sys};

/// A failure that JavaScript receives.
#[derive(Debug)]
pub struct Failure {
    code: Code,
    reason: Reason,
    message: String,
    retry_after_ms: Option<u32>,
}

impl<E: Coded> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            retry_after_ms: error
                .retry_after()
                .map(|time| u32::try_from(time.as_millis()).unwrap_or(u32::MAX)),
            ..Self::new(error.code(), error.reason(), error.to_string())
        }
    }
}

impl Failure {
    /// Creates a failure that is not an error of the core.
    pub(crate) fn new(code: Code, reason: Reason, message: impl Into<String>) -> Self {
        debug_assert!(reason.codes().contains(&code), "{reason} is not declared to come with {code}");
        Self { code, reason, message: message.into(), retry_after_ms: None }
    }

    /// Creates the error object. It is wrapped so that JavaScript receives exactly this object when it is
    /// thrown or rejected.
    pub(crate) fn into_js(self, env: Env) -> Error {
        self.try_into_js(env).unwrap_or_else(|error| error)
    }

    fn try_into_js(self, env: Env) -> Result<Error> {
        let mut object = env.create_error(Error::new(Status::GenericFailure, self.message))?;
        object.set("code", self.code.as_str())?;
        object.set("reason", self.reason.as_str())?;
        if let Some(ms) = self.retry_after_ms {
            object.set("retryAfterMs", ms)?;
        }
        Ok(Error::from(object.to_unknown()))
    }
}

/// Throws a core error from a synchronous method.
pub(crate) fn throw(env: Env, error: impl Into<Failure>) -> Error {
    error.into().into_js(env)
}

/// The result of an `async fn`. An `async fn` cannot reject with a code of its own, but the conversion of its
/// result runs on the JavaScript thread and can.
#[derive(Debug)]
pub struct Settled<T>(pub(crate) std::result::Result<T, Failure>);

impl<T, E: Into<Failure>> From<std::result::Result<T, E>> for Settled<T> {
    fn from(result: std::result::Result<T, E>) -> Self {
        Self(result.map_err(Into::into))
    }
}

impl<T: ToNapiValue> ToNapiValue for Settled<T> {
    unsafe fn to_napi_value(raw: sys::napi_env, value: Self) -> Result<sys::napi_value> {
        match value.0 {
            // SAFETY: `raw` is the environment of this conversion.
            Ok(value) => unsafe { T::to_napi_value(raw, value) },
            Err(failure) => Err(failure.into_js(Env::from_raw(raw))),
        }
    }
}
