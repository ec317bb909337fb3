//! The reasons for which a history is not kept.

use std::{io, path::PathBuf};

/// The reason for which the history is not kept.
#[derive(Debug, thiserror::Error)]
pub(in crate::mesh) enum ShelfError {
    /// The directory or the file is not this user's.
    #[error("{path} belongs to another user; give it to the user of this process, or name another directory")]
    Foreign { path: PathBuf },
    /// Something else has the name.
    #[error("{path} is not {wanted}; move it away, or name another directory")]
    Type { path: PathBuf, wanted: &'static str },
    /// A process of the same service keeps the file.
    #[error("another process keeps {path}; give each process of a service a directory of its own")]
    Taken { path: PathBuf },
    /// The system refuses.
    #[error("cannot {action} {path}: {source}; {}", repair(source))]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

fn repair(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space on that disk",
        io::ErrorKind::PermissionDenied => "let the user of this process write there",
        io::ErrorKind::ReadOnlyFilesystem => "name a directory on a disk that can be written",
        _ => "look at that disk",
    }
}
