use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use crate::{
    crypto::CryptoError,
    error::{Code, Coded, Reason},
    id::ServiceId,
};

/// Why keys cannot be kept, or not be used. Every message names the path and
/// the repair.
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
    /// The path is not the kind of thing it should be.
    #[error(
        "{} is {found}, not {wanted}; move it away or point paths.keysDir (SECURE_MESH_KEYS_DIR) elsewhere",
        Shown(path)
    )]
    Type {
        /// The offending path.
        path: PathBuf,
        /// What was found, as in `a symbolic link`.
        found: &'static str,
        /// What was expected, as in `a directory`.
        wanted: &'static str,
    },
    /// A file does not hold what it should.
    #[error(
        "{} is damaged: {what}; restore it from a backup, or remove it to have a new one made: rm {}",
        Shown(path),
        Shown(path)
    )]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The stored key has another size than the one asked for.
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
        /// Bits asked for.
        wanted: u32,
    },
    /// The directory holds as many keys of others as it may.
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
    /// The operating system refused.
    #[error(
        "cannot {action} {}: {source}; {}, or point paths.keysDir (SECURE_MESH_KEYS_DIR) elsewhere",
        Shown(path),
        repair(source)
    )]
    Io {
        /// What was attempted, as in `write`.
        action: &'static str,
        /// The directory or file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The environment names no place to keep keys in.
    #[error(
        "no directory to keep keys in: neither HOME nor XDG_STATE_HOME (LOCALAPPDATA on Windows) is an \
         absolute path; set one of them, or paths.keysDir (SECURE_MESH_KEYS_DIR)"
    )]
    Unknown,
    /// Another key is already remembered for the service.
    #[error("another key is remembered for this service; to accept the new one: rm {}", Shown(path))]
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
        /// The file that says whose key it is.
        path: PathBuf,
        /// The service that the key belongs to.
        owner: ServiceId,
    },
    /// The file that was named as the service's key cannot be it.
    #[error("security.privateKey (SECURE_MESH_PRIVATE_KEY): {} {problem}", Shown(path))]
    Given {
        /// The file as it was named.
        path: PathBuf,
        /// What is wrong with it.
        problem: GivenKeyProblem,
    },
    /// Making or encoding a key failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// Why a file is not taken as the service's key.
#[derive(Debug, thiserror::Error)]
pub enum GivenKeyProblem {
    /// Other users may read or write it.
    #[error(
        "is open to other users (mode {0:04o}); close it (chmod 600), or give it as a container's secret, \
         on a volume that is mounted read-only"
    )]
    Mode(u32),
    /// It belongs to another user.
    #[error("belongs to user {owner}; it must belong to root or to the user of this process ({user})")]
    Owner {
        /// Its owner's user id.
        owner: u32,
        /// This process's effective user id.
        user: u32,
    },
    /// It is a directory, a pipe or the like.
    #[error("is not a regular file")]
    Type,
    /// It does not hold a key.
    #[error("holds no RSA private key in PEM (PKCS#8 or PKCS#1): {0}")]
    NotAKey(String),
    /// The operating system refused.
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

/// What to do about an error of the operating system.
pub(crate) fn repair(err: &io::Error) -> &'static str {
    // "Too many open files", of this process and of the system; they have no kind of their own.
    if cfg!(unix) && matches!(err.raw_os_error(), Some(23 | 24)) {
        return "allow more open files (ulimit -n), or find out who keeps so many open";
    }
    match err.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "make it writable for this user"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space",
        io::ErrorKind::FileTooLarge => "allow larger files (ulimit -f)",
        io::ErrorKind::Unsupported => "use a file system with hard links",
        _ => "see to the file system",
    }
}

/// A path as it can be pasted into a shell or shown in a log: as it is when it
/// is plain, quoted and escaped when not.
pub(crate) struct Shown<'a>(pub(crate) &'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=\\".contains(c);
        match self.0.to_str() {
            Some(text) if text.chars().all(plain) => f.write_str(text),
            Some(text) if !text.chars().any(char::is_control) => {
                write!(f, "'{}'", text.replace('\'', r"'\''"))
            }
            // Neither can be typed, so escaping is all that is left to do.
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
