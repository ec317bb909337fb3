//! The directory of a history, and the names in it. On Unix every file is checked after it was opened: it is a
//! regular file of this user. Others may be able to write into the directory.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use super::error::ShelfError;

/// The place of a history. It belongs to this process until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    path: PathBuf,
    _lock: File,
}

impl Place {
    /// Makes the directory if it is missing, and takes the history with this name.
    pub(super) fn open(directory: &Path, name: &str) -> Result<Self, ShelfError> {
        let fault = |action, source| ShelfError::Io { action, path: directory.to_owned(), source };
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(directory).map_err(|error| fault("make the directory", error))?;
        let facts = fs::metadata(directory).map_err(|error| fault("read", error))?;
        if !facts.is_dir() {
            return Err(ShelfError::Type { path: directory.to_owned(), wanted: "a directory" });
        }
        // A platform's volumes are root's.
        if !is_own(&facts, true) {
            return Err(ShelfError::Foreign { path: directory.to_owned() });
        }
        let path = directory.join(format!("{name}.mesh"));
        let lock =
            open(&directory.join(format!("{name}.lock")), OpenOptions::new().create(true).truncate(false))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { directory: directory.to_owned(), path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(ShelfError::Taken { path }),
            Err(TryLockError::Error(source)) => Err(ShelfError::Io { action: "lock", path, source }),
        }
    }

    /// The file, which is made if it is missing.
    pub(super) fn file(&self) -> Result<File, ShelfError> {
        open(&self.path, OpenOptions::new().create(true).truncate(false))
    }

    /// A new file beside it.
    pub(super) fn beside(&self) -> Result<File, ShelfError> {
        let path = self.new_path();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.fault("replace", error)),
            _ => open(&path, OpenOptions::new().create_new(true)),
        }
    }

    /// Puts the new file in the place of the former one.
    pub(super) fn replace(&self) -> Result<(), ShelfError> {
        fs::rename(self.new_path(), &self.path).map_err(|error| self.fault("replace", error))?;
        // The name is on the disk only once the directory is.
        #[cfg(unix)]
        File::open(&self.directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| self.fault("replace", error))?;
        Ok(())
    }

    /// Moves a file away that is no history; returns where to. One that was moved there before is lost.
    pub(super) fn set_aside(&self) -> Result<PathBuf, ShelfError> {
        let away = self.path.with_extension("mesh.broken");
        fs::rename(&self.path, &away).map_err(|error| self.fault("move away", error))?;
        Ok(away)
    }

    /// An error about the file.
    pub(super) fn fault(&self, action: &'static str, source: io::Error) -> ShelfError {
        ShelfError::Io { action, path: self.path.clone(), source }
    }

    fn new_path(&self) -> PathBuf {
        self.path.with_extension("mesh.new")
    }
}

fn open(path: &Path, options: &mut OpenOptions) -> Result<File, ShelfError> {
    options.read(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Without NONBLOCK, opening a pipe would wait for its other end.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    let wanted = "a file of its own";
    let opened = options.open(path).and_then(|file| file.metadata().map(|facts| (file, facts)));
    let (file, facts) = opened.map_err(|source| {
        let is_link = path.symlink_metadata().is_ok_and(|facts| facts.is_symlink());
        let path = path.to_owned();
        if is_link {
            ShelfError::Type { path, wanted }
        } else {
            ShelfError::Io { action: "open", path, source }
        }
    })?;
    if !facts.is_file() {
        return Err(ShelfError::Type { path: path.to_owned(), wanted });
    }
    if !is_own(&facts, false) {
        return Err(ShelfError::Foreign { path: path.to_owned() });
    }
    Ok(file)
}

/// Whether a file is this user's alone, or also if it is root's.
#[cfg(unix)]
fn is_own(facts: &fs::Metadata, or_of_root: bool) -> bool {
    use std::os::unix::fs::MetadataExt;
    let owner = facts.uid();
    // A second name of a file may be in a directory of somebody else.
    let has_one_name = or_of_root || facts.nlink() == 1;
    has_one_name && (owner == rustix::process::geteuid().as_raw() || (or_of_root && owner == 0))
}

#[cfg(not(unix))]
fn is_own(_: &fs::Metadata, _: bool) -> bool {
    true
}
