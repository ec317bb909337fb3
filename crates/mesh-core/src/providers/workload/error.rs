//! Why the Workload API gives no identity.

use std::path::PathBuf;

use crate::error::{Code, Coded, Reason};

/// Why the Workload API gave no identity. Neither its keys nor its certificates are repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkloadError {
    /// Nobody answers at the socket.
    #[error(
        "the Workload API at {} cannot be reached: {detail}; start the agent, mount its socket into this \
         container, or correct the path", .socket.display()
    )]
    Away {
        /// The path of the socket.
        socket: PathBuf,
        /// The operating system's text.
        detail: String,
    },
    /// The agent knows no identity for this process.
    #[error(
        "the agent at {} gives this process no identity: {detail}; register it there, as with \
         'spire-server entry create'", .socket.display()
    )]
    Refused {
        /// The path of the socket.
        socket: PathBuf,
        /// The agent's text, cut.
        detail: String,
    },
    /// The agent failed.
    #[error("the Workload API at {} failed: {detail}; look into the log of the agent", .socket.display())]
    Failed {
        /// The path of the socket.
        socket: PathBuf,
        /// The agent's text, cut.
        detail: String,
    },
    /// Its answer is not what the standard says.
    #[error("the Workload API at {} answered with {fault}; look into the log of the agent", .socket.display())]
    Answer {
        /// The path of the socket.
        socket: PathBuf,
        /// The fault of the answer.
        fault: &'static str,
    },
    /// It did not answer in time.
    #[error(
        "the Workload API at {} did not answer within {seconds} s; look whether the agent listens there",
        .socket.display()
    )]
    Silent {
        /// The path of the socket.
        socket: PathBuf,
        /// The time.
        seconds: u64,
    },
}

impl Coded for WorkloadError {
    fn code(&self) -> Code {
        Code::FailedPrecondition
    }

    fn reason(&self) -> Reason {
        Reason::WorkloadApi
    }
}
