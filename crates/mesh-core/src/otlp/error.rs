//! The failures of an export.

use hyper::StatusCode;

/// The reason for which spans did not reach the collector.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error("it cannot be reached: {0}")]
    Connect(String),
    #[error("TLS: {0}")]
    Tls(String),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("it did not answer within 10 s")]
    Patience,
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("it rejected {0} spans: {1}")]
    Rejected(usize, String),
}

impl ExportError {
    /// The stable detail, by which lines of the log are counted.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Tls(_) => "tls",
            Self::Broken(_) => "broken",
            Self::Patience => "timeout",
            Self::Status(_) => "status",
            Self::Rejected(..) => "rejected",
        }
    }

    /// Whether the same request can succeed later, as the specification has it.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Status(status) => matches!(status.as_u16(), 429 | 502..=504),
            Self::Rejected(..) => false,
            _ => true,
        }
    }
}
