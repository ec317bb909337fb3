//! The directory on Unix. Every operation is relative to a checked descriptor, and the checks look at the
//! opened file, not at its path, which could have changed in between.

use std::{
    fs::{DirBuilder, File},
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, fsync, linkat, mkdirat, open, openat, renameat,
        unlinkat,
    },
    io::Errno,
    process::geteuid,
};
use zeroize::Zeroizing;

use super::{DIRECTORY as SUBDIRECTORY, KeyStoreError, TEMPORARY_PREFIX, VolumeProblem, temporary_name};

pub(crate) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens the directory, creating it and its parents with mode 0700 where
    /// they are missing. `path` is absolute and has no trailing separator,
    /// which would disable `O_NOFOLLOW`.
    pub(crate) fn open(path: PathBuf) -> Result<Self, KeyStoreError> {
        let created = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match (open(&path, flags, Mode::empty()), created) {
            (Ok(fd), _) => fd,
            (Err(Errno::LOOP | Errno::NOTDIR), _) if path.symlink_metadata().is_ok() => {
                let found = path.symlink_metadata().map_or("not readable", |meta| kind(meta.file_type()));
                return Err(KeyStoreError::Type { path, found, wanted: "a directory" });
            }
            (Err(_), Err(source)) => return Err(KeyStoreError::Io { action: "create", path, source }),
            (Err(err), Ok(())) => return Err(io_error("open", path, err)),
        };
        let directory = Self { fd, path };
        match directory.check() {
            Ok(()) => Ok(directory),
            Err(error) if directory.is_volume() => directory.own_subdirectory(error),
            Err(error) => Err(error),
        }
    }

    /// Returns whether a platform provides the directory: root owns it, or it is a mount point. This user
    /// cannot choose its owner and mode.
    fn is_volume(&self) -> bool {
        let Ok(stat) = fstat(&self.fd) else { return false };
        let above = self.path.parent().and_then(|path| rustix::fs::stat(path).ok());
        let mounted = above.is_some_and(|above| above.st_dev != stat.st_dev);
        mounted || (stat.st_uid == 0 && !geteuid().is_root())
    }

    /// Opens or creates a subdirectory that belongs to this user alone. `unfit` is the fault of the volume itself.
    fn own_subdirectory(&self, unfit: KeyStoreError) -> Result<Self, KeyStoreError> {
        match mkdirat(&self.fd, SUBDIRECTORY, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(err @ (Errno::ACCESS | Errno::PERM | Errno::ROFS)) => {
                let problem = VolumeProblem::Write { user: geteuid().as_raw(), fault: err.into() };
                return Err(KeyStoreError::Volume { path: self.path.clone(), problem });
            }
            Err(_) => return Err(unfit),
        }
        let path = self.path.join(SUBDIRECTORY);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match openat(&self.fd, SUBDIRECTORY, flags, Mode::empty()) {
            Ok(fd) => fd,
            // Another user's, which only that user may open.
            Err(Errno::ACCESS) => match rustix::fs::lstat(&path) {
                Ok(stat) => {
                    let problem = VolumeProblem::Owner { owner: stat.st_uid, user: geteuid().as_raw() };
                    return Err(KeyStoreError::Volume { path, problem });
                }
                Err(_) => return Err(unfit),
            },
            Err(_) => return Err(unfit),
        };
        let directory = Self { fd, path };
        match directory.check() {
            Ok(()) => Ok(directory),
            Err(KeyStoreError::Mode { path, mode, .. }) => {
                Err(KeyStoreError::Volume { path, problem: VolumeProblem::Mode(mode) })
            }
            Err(KeyStoreError::Owner { path, owner, user }) => {
                Err(KeyStoreError::Volume { path, problem: VolumeProblem::Owner { owner, user } })
            }
            Err(error) => Err(error),
        }
    }

    /// Checks that the directory still belongs to this user alone. Every use checks it, so that an operator
    /// who opens the directory to others sees the error at once.
    fn check(&self) -> Result<(), KeyStoreError> {
        let stat = fstat(&self.fd).map_err(|err| io_error("open", self.path.clone(), err))?;
        check_access(&self.path, &stat, 0o700)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file `name`, of at most `max` bytes; `None` if there is none.
    pub(crate) fn read(&self, name: &str, max: usize) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError> {
        self.check()?;
        let path = self.path.join(name);
        // Without NONBLOCK, opening a pipe would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => {
                return Err(KeyStoreError::Type { path, found: "a symbolic link", wanted: "a regular file" });
            }
            // The error of opening a socket.
            Err(Errno::NXIO) => {
                return Err(KeyStoreError::Type { path, found: "a socket", wanted: "a regular file" });
            }
            Err(err) => return Err(io_error("open", path, err)),
        };
        // The checks look at the open file, since the name could already lead to a different one.
        let stat = fstat(&fd).map_err(|err| io_error("open", path.clone(), err))?;
        let found = FileType::from_raw_mode(stat.st_mode);
        if found != FileType::RegularFile {
            return Err(KeyStoreError::Type { path, found: raw_kind(found), wanted: "a regular file" });
        }
        // The access check precedes the read, so that a secret that others can change is never used.
        check_access(&path, &stat, 0o600)?;
        // One allocation for the whole file: a growing vector would leave copies of the secret behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(max + 1));
        File::from(fd).take(max as u64 + 1).read_to_end(&mut bytes).map_err(|source| KeyStoreError::Io {
            action: "read",
            path: path.clone(),
            source,
        })?;
        if bytes.len() > max {
            return Err(KeyStoreError::Corrupt { path, what: format!("more than {max} bytes") });
        }
        Ok(Some(bytes))
    }

    /// Creates `name` with all of `bytes` in it, or not at all; `false` if it
    /// exists.
    pub(crate) fn create(&self, name: &str, bytes: &[u8]) -> Result<bool, KeyStoreError> {
        let temporary = self.temporary(bytes)?;
        // A link, unlike a rename, fails if the name exists, so that the first of concurrent processes wins.
        match linkat(&self.fd, &*temporary.name, &self.fd, name, AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok(false),
            Err(Errno::PERM | Errno::OPNOTSUPP) => {
                let source = io::ErrorKind::Unsupported.into();
                return Err(KeyStoreError::Io { action: "link", path: self.path.join(name), source });
            }
            Err(err) => return Err(io_error("write", self.path.join(name), err)),
        }
        self.sync()?;
        Ok(true)
    }

    /// Replaces the content of `name` with `bytes` atomically.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), KeyStoreError> {
        let temporary = self.temporary(bytes)?;
        renameat(&self.fd, &*temporary.name, &self.fd, name)
            .map_err(|err| io_error("write", self.path.join(name), err))?;
        self.sync()
    }

    /// Removes `name`. A missing file is not an error.
    pub(crate) fn remove(&self, name: &str) -> Result<(), KeyStoreError> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Err(err) if err != Errno::NOENT => Err(io_error("remove", self.path.join(name), err)),
            _ => Ok(()),
        }
    }

    /// Counts the names that begin with one of `prefixes`.
    pub(crate) fn count(&self, prefixes: &[&str]) -> Result<usize, KeyStoreError> {
        let failed = |err| io_error("list", self.path.clone(), err);
        let mut count = 0;
        for entry in Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            count += usize::from(prefixes.iter().any(|prefix| name.starts_with(prefix.as_bytes())));
        }
        Ok(count)
    }

    fn temporary(&self, bytes: &[u8]) -> Result<Temporary<'_>, KeyStoreError> {
        self.check()?;
        let name = temporary_name()?;
        debug_assert!(name.starts_with(TEMPORARY_PREFIX));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&self.fd, &*name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|err| io_error("write to", self.path.clone(), err))?;
        let temporary = Temporary { directory: self, name };
        let mut file = File::from(fd);
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|source| KeyStoreError::Io {
            action: "write to",
            path: self.path.clone(),
            source,
        })?;
        Ok(temporary)
    }

    fn sync(&self) -> Result<(), KeyStoreError> {
        fsync(&self.fd).map_err(|err| io_error("write to", self.path.clone(), err))
    }
}

/// A complete file under a temporary name; dropping the value removes the file.
struct Temporary<'a> {
    directory: &'a Directory,
    name: String,
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // A rename has already removed the name; for any other error there is no remedy here.
        let _ = unlinkat(&self.directory.fd, &*self.name, AtFlags::empty());
    }
}

fn check_access(path: &Path, stat: &Stat, wanted: u32) -> Result<(), KeyStoreError> {
    let user = geteuid().as_raw();
    if stat.st_uid != user {
        return Err(KeyStoreError::Owner { path: path.into(), owner: stat.st_uid, user });
    }
    #[allow(clippy::useless_conversion, reason = "narrower on some systems")]
    let mode = u32::from(stat.st_mode) & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyStoreError::Mode { path: path.into(), mode, wanted });
    }
    Ok(())
}

fn io_error(action: &'static str, path: PathBuf, err: Errno) -> KeyStoreError {
    KeyStoreError::Io { action, path, source: err.into() }
}

fn kind(file_type: std::fs::FileType) -> &'static str {
    if file_type.is_symlink() {
        "a symbolic link"
    } else if file_type.is_file() {
        "a file"
    } else {
        "a pipe, socket or device"
    }
}

fn raw_kind(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Directory => "a directory",
        FileType::Fifo => "a pipe",
        FileType::Symlink => "a symbolic link",
        FileType::Socket => "a socket",
        _ => "a device",
    }
}
