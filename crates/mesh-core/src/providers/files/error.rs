//! The reasons for which the contents of files are not known.

use std::{io, path::PathBuf};

use crate::error::{Code, Coded, Reason};

/// The reason for which a file could not be read. It names the file and the repair, never the contents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("{} cannot be read: {detail}; {}", path.display(), repair(*kind))]
    Io {
        /// The file, as the option names it.
        path: PathBuf,
        /// The kind of failure.
        kind: io::ErrorKind,
        /// The operating system's text.
        detail: String,
    },
    /// The path leads to a directory, a pipe, a socket or a device.
    #[error("{} is not a regular file; put one in its place", path.display())]
    Type {
        /// The file, as the option names it.
        path: PathBuf,
    },
    /// The file is larger than its use permits.
    #[error("{} has more than {most} bytes; shorten it", path.display())]
    TooLarge {
        /// The file, as the option names it.
        path: PathBuf,
        /// The limit.
        most: usize,
    },
    /// No thread could be started to read files.
    #[error("no thread could be started to watch files; allow more threads (ulimit -u)")]
    Thread,
}

impl FileError {
    pub(super) fn io(path: PathBuf, error: &io::Error) -> Self {
        Self::Io { path, kind: error.kind(), detail: error.to_string() }
    }
}

impl Coded for FileError {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } | Self::Type { .. } | Self::TooLarge { .. } => Code::InvalidArgument,
            Self::Thread => Code::Internal,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Io { .. } | Self::Type { .. } | Self::TooLarge { .. } => Reason::File,
            Self::Thread => Reason::Internal,
        }
    }
}

fn repair(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            "create it, or correct the path in the configuration"
        }
        io::ErrorKind::PermissionDenied => "make it readable for the user of this process",
        _ => "look at the file system",
    }
}
