//! The directory in memory, one for the process. Meshes on a network in memory use it; their keys end with
//! the process.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use zeroize::Zeroizing;

use super::{Directory, KeyStoreError};

type Files = BTreeMap<String, Zeroizing<Vec<u8>>>;

static FILES: LazyLock<Mutex<Files>> = LazyLock::new(Mutex::default);

/// The place of keys: a directory or the memory of the process.
pub(super) enum Place {
    Disk(Directory),
    Memory,
}

impl Place {
    /// The directory's path. The path of a directory in memory does not exist in the file system.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Disk(directory) => directory.path(),
            Self::Memory => Path::new("(memory)"),
        }
    }

    pub(super) fn read(&self, name: &str, max: usize) -> Result<Option<Zeroizing<Vec<u8>>>, KeyStoreError> {
        match self {
            Self::Disk(directory) => directory.read(name, max),
            Self::Memory => Ok(files().get(name).cloned()),
        }
    }

    pub(super) fn create(&self, name: &str, bytes: &[u8]) -> Result<bool, KeyStoreError> {
        match self {
            Self::Disk(directory) => directory.create(name, bytes),
            Self::Memory => {
                let mut files = files();
                let free = !files.contains_key(name);
                if free {
                    files.insert(name.to_owned(), Zeroizing::new(bytes.to_vec()));
                }
                Ok(free)
            }
        }
    }

    pub(super) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), KeyStoreError> {
        match self {
            Self::Disk(directory) => directory.replace(name, bytes),
            Self::Memory => {
                files().insert(name.to_owned(), Zeroizing::new(bytes.to_vec()));
                Ok(())
            }
        }
    }

    /// Removes `name`. A missing file is not an error.
    pub(super) fn remove(&self, name: &str) -> Result<(), KeyStoreError> {
        match self {
            Self::Disk(directory) => directory.remove(name),
            Self::Memory => {
                files().remove(name);
                Ok(())
            }
        }
    }

    pub(super) fn count(&self, prefixes: &[&str]) -> Result<usize, KeyStoreError> {
        match self {
            Self::Disk(directory) => directory.count(prefixes),
            Self::Memory => {
                let counted = |name: &&String| prefixes.iter().any(|prefix| name.starts_with(prefix));
                Ok(files().keys().filter(counted).count())
            }
        }
    }
}

fn files() -> MutexGuard<'static, Files> {
    // Each change of the map is a single insertion or removal, so a poisoned lock holds a consistent map.
    FILES.lock().unwrap_or_else(PoisonError::into_inner)
}
