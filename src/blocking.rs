//! Work that would block the event loop.

use mesh_core::error::{Code, Reason};
use napi::bindgen_prelude::spawn_blocking;

use crate::error::{Failure, Settled};

/// Runs `job` on the blocking pool.
pub(crate) async fn off_the_loop<T, E>(job: impl FnOnce() -> Result<T, E> + Send + 'static) -> Settled<T>
where
    T: Send + 'static,
    E: Into<Failure> + Send + 'static,
{
    match spawn_blocking(job).await {
        Ok(result) => result.into(),
        Err(_) => Settled(Err(Failure::new(Code::Internal, Reason::Internal, "the operation panicked"))),
    }
}
