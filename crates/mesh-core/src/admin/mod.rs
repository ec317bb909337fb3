//! The admin port: a small HTTP server on a thread of its own, away from the calls. It reads, and changes
//! nothing.
//!
//! `port` binds and accepts, within the bounds of `connections`; `guard` decides about each request, with the
//! `login` of the page; `routes` answers, `events` as a stream. The facts come from a [`Source`].

mod connections;
#[cfg(unix)]
mod control;
mod events;
mod guard;
mod login;
mod page;
mod port;
mod routes;
#[cfg(test)]
mod tests;
mod tls;
mod writing;

use std::{pin::Pin, sync::Arc};

pub(crate) use self::port::AdminPort;
use crate::{
    error::{Code, Coded, Reason},
    telemetry::Tail,
};

/// The admin port cannot be opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AdminError {
    /// The address cannot be listened on.
    #[error("{option}: cannot listen on {address}: {detail}; give another {option}, or 0 for a free one")]
    Listen {
        /// The option with the port.
        option: &'static str,
        /// Host and port.
        address: String,
        /// The operating system's message.
        detail: String,
    },
    /// The certificate of the port cannot be used.
    #[error("{0}")]
    Tls(String),
    /// Its thread cannot be started.
    #[error("admin.port: the thread of the admin port could not be started")]
    Thread,
}

impl Coded for AdminError {
    fn code(&self) -> Code {
        match self {
            Self::Listen { .. } => Code::FailedPrecondition,
            Self::Tls(_) => Code::InvalidArgument,
            Self::Thread => Code::Internal,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Listen { .. } => Reason::Listen,
            Self::Tls(_) => Reason::File,
            Self::Thread => Reason::Internal,
        }
    }
}

/// A text that is made elsewhere; `None` if that takes too long or is impossible now.
pub(crate) type Later = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// Work that is done elsewhere.
pub(crate) type Done = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A change: its result as JSON, or its fault as JSON; `None` when the mesh has ended.
pub(crate) type Changed = Pin<Box<dyn Future<Output = Option<Result<String, String>>> + Send>>;

/// The format of a page of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus text 0.0.4.
    Prometheus,
    /// `OpenMetrics` 1.0.
    OpenMetrics,
}

/// The facts that the admin port shows.
pub(crate) trait Source: Send + Sync + 'static {
    /// The dependencies that keep this process from being ready; none if it is.
    fn obstacles(&self) -> Vec<String>;
    /// The page of metrics.
    fn metrics(&self, format: Format) -> Later;
    /// The report of this process, as JSON.
    fn report(&self) -> Later;
    /// The merged picture of the mesh, as JSON.
    fn picture(&self) -> Later;
    /// The history of `window` seconds, in steps of `step` seconds, as JSON.
    fn history(&self, window: u32, step: u32) -> Later;
    /// Reads the history of former processes, if it is kept.
    fn recall(&self) -> Done;
    /// Adds this moment to the history.
    fn remember(&self) -> Done;
    /// Writes the history of the last minute at the end of the process, if the history is kept.
    fn put_away(&self) -> Done;
    /// Logs a fault of the port as this event.
    fn trouble(&self, event: &'static str, text: String);
    /// Replaces the key of the service. The owner of the process asks for it, never the port.
    fn rotate_key(&self) -> Changed;
    /// Calls and events as they happen.
    fn tail(&self) -> Arc<Tail>;
}
