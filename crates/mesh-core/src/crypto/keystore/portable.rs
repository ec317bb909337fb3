//! The directory on systems without Unix permissions. On Windows the inherited access control list closes a
//! directory below the user's profile to other users, so only the kind of each file remains to be checked.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{KeyStoreError, temporary_name};

pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Opens the directory, creating it and its parents where missing.
    pub(crate) fn open(path: PathBuf) -> Result<Self, KeyStoreError> {
        let created = fs::create_dir_all(&path);
        match (path.symlink_metadata(), created) {
            (Ok(meta), _) if meta.is_dir() => Ok(Self { path }),
            (Ok(meta), _) => {
                let found = if meta.is_symlink() { "a symbolic link" } else { "a file" };
                Err(KeyStoreError::Type { path, found, wanted: "a directory" })
            }
            (Err(_), Err(source)) | (Err(source), Ok(())) => {
                Err(KeyStoreError::Io { action: "create", path, source })
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file `name`, of at most `max` bytes; `None` if there is none.
    pub(crate) fn read(&self, name: &str, max: usize) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError> {
        let path = self.path.join(name);
        match path.symlink_metadata() {
            Ok(meta) if meta.is_file() => {}
            Ok(meta) => {
                let found = if meta.is_symlink() { "a symbolic link" } else { "a directory" };
                return Err(KeyStoreError::Type { path, found, wanted: "a regular file" });
            }
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeyStoreError::Io { action: "open", path, source }),
        }
        // One allocation for the whole file: a growing vector would leave copies of the secret behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(max + 1));
        File::open(&path)
            .and_then(|file| file.take(max as u64 + 1).read_to_end(&mut bytes))
            .map_err(|source| KeyStoreError::Io { action: "read", path: path.clone(), source })?;
        if bytes.len() > max {
            return Err(KeyStoreError::Corrupt { path, what: format!("more than {max} bytes") });
        }
        Ok(Some(bytes))
    }

    /// Creates `name` with all of `bytes` in it, or not at all; `false` if it
    /// exists.
    pub(crate) fn create(&self, name: &str, bytes: &[u8]) -> Result<bool, KeyStoreError> {
        let (temporary, path) = (self.temporary(bytes)?, self.path.join(name));
        let linked = fs::hard_link(&temporary, &path);
        let _ = fs::remove_file(&temporary);
        match linked {
            Ok(()) => Ok(true),
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(source) => Err(KeyStoreError::Io { action: "write", path, source }),
        }
    }

    /// Replaces the content of `name` with `bytes` atomically.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), KeyStoreError> {
        let (temporary, path) = (self.temporary(bytes)?, self.path.join(name));
        fs::rename(&temporary, &path).map_err(|source| {
            let _ = fs::remove_file(&temporary);
            KeyStoreError::Io { action: "write", path, source }
        })
    }

    /// Removes `name`. A missing file is not an error.
    pub(crate) fn remove(&self, name: &str) -> Result<(), KeyStoreError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(KeyStoreError::Io { action: "remove", path, source })
            }
            _ => Ok(()),
        }
    }

    /// Counts the names that begin with one of `prefixes`.
    pub(crate) fn count(&self, prefixes: &[&str]) -> Result<usize, KeyStoreError> {
        let failed = |source| KeyStoreError::Io { action: "list", path: self.path.clone(), source };
        let mut count = 0;
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let name = name.to_string_lossy();
            count += usize::from(prefixes.iter().any(|prefix| name.starts_with(prefix)));
        }
        Ok(count)
    }

    fn temporary(&self, bytes: &[u8]) -> Result<PathBuf, KeyStoreError> {
        let path = self.path.join(temporary_name()?);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
        match written {
            Ok(()) => Ok(path),
            Err(source) => {
                let _ = fs::remove_file(&path);
                Err(KeyStoreError::Io { action: "write to", path: self.path.clone(), source })
            }
        }
    }
}
