use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use crate::{
    crypto::CryptoError,
    error::{Code, Coded, Reason},
    id::ServiceId,
};

/// The reason why keys cannot be stored or used. Every message names the path
/// and the repair.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// Other users may read or write the path.
    #[error(
        "{} is open to other users (mode {mode:04o}); close it: chmod {wanted:o} {}",
        Shown(path),
        Shown(path)
    )]
    Mode {
        /// The directory or file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits it should have.
        wanted: u32,
    },
    /// Another user owns the path and could change it.
    #[error(
        "{} belongs to user {owner}, but this process runs as user {user}; give it back (chown {user} {}) \
         or point paths.keysDir (SECURE_MESH_KEYS_DIR) to a directory of your own",
        Shown(path),
        Shown(path)
    )]
    Owner {
        /// The directory or file.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
        /// This process's effective user id.
        user: u32,
    },
    /// A platform provides the directory, and this process cannot keep keys in it.
    #[error("{} {problem}", Shown(path))]
    Volume {
        /// The volume, or this service's directory on it.
        path: PathBuf,
        /// The fault.
        problem: VolumeProblem,
    },
    /// The path has the wrong type.
    #[error(
        "{} is {found}, not {wanted}; move it away or point paths.keysDir (SECURE_MESH_KEYS_DIR) elsewhere",
        Shown(path)
    )]
    Type {
        /// The offending path.
        path: PathBuf,
        /// The type that was found, as in `a symbolic link`.
        found: &'static str,
        /// The expected type, as in `a directory`.
        wanted: &'static str,
    },
    /// A file has invalid content.
    #[error(
        "{} is damaged: {what}; restore it from a backup, or remove it to have a new one made: rm {}",
        Shown(path),
        Shown(path)
    )]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// The fault of the file.
        what: String,
    },
    /// The size of the stored key differs from the requested size.
    #[error(
        "the key in {} has {stored} bits, not {wanted}; set security.rsaKeySize to {stored}, or remove the \
         file to have a new key made: rm {}",
        Shown(path),
        Shown(path)
    )]
    KeySize {
        /// The key's file.
        path: PathBuf,
        /// Bits of the stored key.
        stored: u32,
        /// Bits requested.
        wanted: u32,
    },
    /// The directory has reached its limit of other services' keys.
    #[error(
        "{} holds {limit} keys of other services, the most there may be; remove those no longer needed",
        Shown(path)
    )]
    Full {
        /// The key directory.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// The operating system reported an error.
    #[error(
        "cannot {action} {}: {source}; {}, or point paths.keysDir (SECURE_MESH_KEYS_DIR) elsewhere",
        Shown(path),
        repair(source)
    )]
    Io {
        /// The attempted action, as in `write`.
        action: &'static str,
        /// The directory or file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The environment names no directory for keys.
    #[error(
        "no directory to keep keys in: neither HOME nor XDG_STATE_HOME (LOCALAPPDATA on Windows) is an \
         absolute path; set one of them, or paths.keysDir (SECURE_MESH_KEYS_DIR)"
    )]
    Unknown,
    /// A different key is already remembered for the service.
    #[error("a different key is remembered for this service; to accept the new one: rm {}", Shown(path))]
    PeerKeyChanged {
        /// The file that holds the remembered key.
        path: PathBuf,
    },
    /// The key is remembered as another service's.
    #[error(
        "this key is remembered as that of {owner}; one key names one service. If {owner} was renamed: rm {}",
        Shown(path)
    )]
    PeerKeyInUse {
        /// The file that records the key's owner.
        path: PathBuf,
        /// The service that the key belongs to.
        owner: ServiceId,
    },
    /// The configured key file cannot serve as the service's key.
    #[error("security.privateKey (SECURE_MESH_PRIVATE_KEY): {} {problem}", Shown(path))]
    Given {
        /// The file as it was configured.
        path: PathBuf,
        /// The fault of the file.
        problem: GivenKeyProblem,
    },
    /// Generating or encoding a key failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// The reason why keys cannot be kept on a volume.
#[derive(Debug, thiserror::Error)]
pub enum VolumeProblem {
    /// This process may not create its directory there.
    #[error(
        "is a volume that user {user} may not write to ({fault}); set securityContext.fsGroup to a group of the \
         process, with fsGroupChangePolicy: OnRootMismatch, or mount an emptyDir there"
    )]
    Write {
        /// This process's effective user id.
        user: u32,
        /// The system's word.
        fault: io::Error,
    },
    /// The directory was opened to its group.
    #[error(
        "is open to its group (mode {0:04o}), as a kubelet leaves it after each mount; set \
         securityContext.fsGroupChangePolicy: OnRootMismatch, and close it once: chmod -R go-rwx,g-s on this directory"
    )]
    Mode(u32),
    /// The directory belongs to another user.
    #[error(
        "belongs to user {owner}, but this process runs as user {user}; set securityContext.runAsUser: {owner}, \
         or point paths.keysDir (SECURE_MESH_KEYS_DIR) to a new directory on the volume"
    )]
    Owner {
        /// Its owner's user id.
        owner: u32,
        /// This process's effective user id.
        user: u32,
    },
}

/// The reason why a file is rejected as the service's key.
#[derive(Debug, thiserror::Error)]
pub enum GivenKeyProblem {
    /// Other users may read or write the file.
    #[error(
        "is open to other users (mode {0:04o}); close it (chmod 600), or give it as a container's secret, \
         on a volume that is mounted read-only"
    )]
    Mode(u32),
    /// The file belongs to another user.
    #[error("belongs to user {owner}; it must belong to root or to the user of this process ({user})")]
    Owner {
        /// Its owner's user id.
        owner: u32,
        /// This process's effective user id.
        user: u32,
    },
    /// The path is a directory, a pipe or the like.
    #[error("is not a regular file")]
    Type,
    /// The file does not contain a key.
    #[error("holds no RSA private key in PEM (PKCS#8 or PKCS#1): {0}")]
    NotAKey(String),
    /// The operating system reported an error.
    #[error("cannot be read: {0}")]
    Io(io::Error),
}

impl Coded for KeyStoreError {
    fn code(&self) -> Code {
        match self {
            Self::Full { .. } => Code::ResourceExhausted,
            Self::Crypto(err) => err.code(),
            Self::PeerKeyChanged { .. } | Self::PeerKeyInUse { .. } => Code::Unauthenticated,
            Self::Mode { .. }
            | Self::Owner { .. }
            | Self::Volume { .. }
            | Self::Type { .. }
            | Self::Corrupt { .. }
            | Self::KeySize { .. }
            | Self::Io { .. }
            | Self::Given { .. }
            | Self::Unknown => Code::FailedPrecondition,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Mode { .. } => Reason::KeydirMode,
            Self::Owner { .. } => Reason::KeydirOwner,
            Self::Volume { problem, .. } => match problem {
                VolumeProblem::Write { .. } => Reason::KeydirIo,
                VolumeProblem::Mode(_) => Reason::KeydirMode,
                VolumeProblem::Owner { .. } => Reason::KeydirOwner,
            },
            Self::Type { .. } => Reason::KeydirType,
            Self::Corrupt { .. } => Reason::KeydirCorrupt,
            Self::KeySize { .. } => Reason::KeydirKeySize,
            Self::Full { .. } => Reason::KeydirFull,
            Self::Io { .. } => Reason::KeydirIo,
            Self::Unknown => Reason::KeydirUnknown,
            Self::PeerKeyChanged { .. } => Reason::PeerKeyChanged,
            Self::PeerKeyInUse { .. } => Reason::PeerKeyInUse,
            Self::Given { problem, .. } => match problem {
                GivenKeyProblem::Mode(_) => Reason::KeydirMode,
                GivenKeyProblem::Owner { .. } => Reason::KeydirOwner,
                GivenKeyProblem::Type => Reason::KeydirType,
                GivenKeyProblem::NotAKey(_) => Reason::KeydirCorrupt,
                GivenKeyProblem::Io(_) => Reason::KeydirIo,
            },
            Self::Crypto(err) => err.reason(),
        }
    }
}

/// The repair for an error of the operating system.
pub(crate) fn repair(err: &io::Error) -> &'static str {
    // "Too many open files", of this process and of the system. `io::ErrorKind`
    // has no variant for them.
    if cfg!(unix) && matches!(err.raw_os_error(), Some(23 | 24)) {
        return "allow more open files (ulimit -n), or find the process that keeps so many open";
    }
    match err.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "make it writable for this user"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space",
        io::ErrorKind::FileTooLarge => "allow larger files (ulimit -f)",
        io::ErrorKind::Unsupported => "use a file system with hard links",
        _ => "check the file system",
    }
}

/// A path in a form that is safe in a shell and in a log. A plain path is
/// unchanged; any other is quoted and escaped.
pub(crate) struct Shown<'a>(pub(crate) &'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=\\".contains(c);
        match self.0.to_str() {
            Some(text) if text.chars().all(plain) => f.write_str(text),
            Some(text) if !text.chars().any(char::is_control) => {
                write!(f, "'{}'", text.replace('\'', r"'\''"))
            }
            // Such a path cannot be typed in a shell, so it is only escaped for
            // the log.
            _ => f.write_str(&format!("{}", self.0.display()).escape_debug().to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_can_be_pasted_and_logged() {
        let shown = |text: &str| Shown(Path::new(text)).to_string();
        assert_eq!(shown("/home/a/.local/state"), "/home/a/.local/state");
        assert_eq!(shown("/home/a b/it's"), r"'/home/a b/it'\''s'");
        assert_eq!(shown("/tmp/a\nb\u{1b}"), r"/tmp/a\nb\u{1b}");
    }
}
