//! The directory: one file that holds the ledger, one for each private key, and a lock.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{error::AuthorityError, ledger::Ledger};
use crate::crypto::keystore::{Directory, KeyStoreError, open_directory};

const LEDGER: &str = "authority.json";
const LOCK: &str = "lock";
/// 50,000 certificates and as many revocations have less than 24 MiB.
const MAX_LEDGER: usize = 64 * 1024 * 1024;
const MAX_KEY: usize = 4 * 1024;
const VERSION: u32 = 1;

/// The directory of an authority, or of its root.
pub(super) struct Disk {
    directory: Directory,
}

/// One process at a time changes the ledger, or it holds this.
pub(super) struct Locked {
    _file: File,
}

impl Disk {
    /// Opens the directory; with `create` it is made if it is missing.
    pub(super) fn open(path: &Path, create: bool) -> Result<Self, AuthorityError> {
        if !create && !path.exists() {
            return Err(AuthorityError::Missing(path.to_owned()));
        }
        Ok(Self { directory: open_directory(path)? })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Waits until no other process changes the ledger.
    pub(super) fn lock(&self) -> Result<Locked, AuthorityError> {
        let path = self.directory.path().join(LOCK);
        let opened = {
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).read(true).write(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(&path)
        };
        let file = opened.and_then(|file| file.lock().map(|()| file));
        let file = file.map_err(|source| KeyStoreError::Io { action: "lock", path, source })?;
        Ok(Locked { _file: file })
    }

    /// The ledger as it is on disk.
    pub(super) fn ledger(&self) -> Result<Ledger, AuthorityError> {
        let path = self.directory.path().join(LEDGER);
        let bytes = self
            .directory
            .read(LEDGER, MAX_LEDGER)?
            .ok_or_else(|| AuthorityError::Missing(self.directory.path().to_owned()))?;
        let damaged = |what: String| AuthorityError::Damaged { path: path.clone(), what };
        let ledger: Ledger = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if ledger.version == VERSION {
            Ok(ledger)
        } else {
            Err(damaged("it is of another version".to_owned()))
        }
    }

    /// Writes the first ledger of a directory.
    pub(super) fn create(&self, ledger: &Ledger) -> Result<(), AuthorityError> {
        if self.directory.create(LEDGER, &encode(ledger))? {
            Ok(())
        } else {
            Err(AuthorityError::Exists(self.directory.path().to_owned()))
        }
    }

    /// Replaces the ledger. It is on disk when this returns.
    pub(super) fn replace(&self, ledger: &Ledger, _: &Locked) -> Result<(), AuthorityError> {
        Ok(self.directory.replace(LEDGER, &encode(ledger))?)
    }

    /// The ledger's file, by whose attributes a change is noticed.
    pub(super) fn ledger_path(&self) -> PathBuf {
        self.directory.path().join(LEDGER)
    }

    pub(super) fn put_key(&self, name: &str, pkcs8: &[u8]) -> Result<(), AuthorityError> {
        if self.directory.create(&key_file(name), pkcs8)? {
            Ok(())
        } else {
            Err(AuthorityError::Exists(self.directory.path().join(key_file(name))))
        }
    }

    pub(super) fn key(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, AuthorityError> {
        Ok(self.directory.read(&key_file(name), MAX_KEY)?)
    }

    pub(super) fn remove_key(&self, name: &str) -> Result<(), AuthorityError> {
        Ok(self.directory.remove(&key_file(name))?)
    }

    pub(super) fn key_path(&self, name: &str) -> PathBuf {
        self.directory.path().join(key_file(name))
    }
}

fn key_file(name: &str) -> String {
    format!("{name}.key")
}

fn encode(ledger: &Ledger) -> Vec<u8> {
    // Neither maps with other keys than strings nor anything else in it can fail.
    serde_json::to_vec(ledger).unwrap_or_default()
}
