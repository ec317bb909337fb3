//! Keys on disk: the mesh secret of the embedded default, the services' own key
//! pairs, and the remembered keys of other services.
//!
//! One directory of mode 0700 holds files of mode 0600. File names are hashes,
//! so no service id reaches the file system. A file appears atomically, and the
//! first one to appear stays, so that processes that start together agree on
//! one secret.
//!
//! Every function here blocks; async code calls it from the blocking pool.

use std::{
    ffi::OsString,
    fmt,
    path::{Component, Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    CryptoError,
    mac::sha256,
    rsa::{KeyPair, PublicKey},
    secret::{Secret, fill_random},
};
use crate::id::ServiceId;

mod error;
mod given;
mod memory;
mod peers;
#[cfg(any(not(unix), test))]
mod portable;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(unix)]
mod unix;

pub use error::{GivenKeyProblem, KeyStoreError, VolumeProblem};
pub(crate) use error::{Shown, repair};
pub use given::read_key_file;
pub(crate) use given::read_secret_file;
#[cfg(not(unix))]
pub(crate) use portable::Directory;
#[cfg(unix)]
pub(crate) use unix::Directory;

use memory::Place;

/// The limit of remembered keys in one directory, so that strangers cannot fill
/// a disk with names.
pub const MAX_KNOWN_PEERS: usize = 4096;

const DIRECTORY: &str = "secure-stack-mesh";
const MESH_SECRET: &str = "mesh-secret";
const TEMPORARY_PREFIX: &str = "tmp-";
/// Prefixes of the files that are created for other services.
const PEER_PREFIXES: [&str; 3] = ["peer-", "pub-", "certified-"];

/// Size limits, above any valid file: 64 digits for the secret, a PEM of 4096
/// bits for a key.
const MAX_SECRET_FILE: usize = 80;
const MAX_KEY_FILE: usize = 8192;

/// An open key directory that passed the checks of its owner and mode.
pub struct KeyStore {
    directory: Place,
}

impl KeyStore {
    /// Opens `dir`, creating it if it is missing.
    ///
    /// # Errors
    /// `KEYDIR_MODE` if other users have access, `KEYDIR_OWNER` if it belongs
    /// to another user, `KEYDIR_TYPE` if it is not a directory but, say, a
    /// symbolic link to one, `KEYDIR_IO` if it cannot be created or opened.
    pub fn open(dir: &Path) -> Result<Self, KeyStoreError> {
        Ok(Self { directory: Place::Disk(open_directory(dir)?) })
    }

    /// The keys of this process in memory; they end with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { directory: Place::Memory }
    }

    /// The directory to use when none is configured:
    /// `$XDG_STATE_HOME/secure-stack-mesh` or
    /// `~/.local/state/secure-stack-mesh`; on macOS
    /// `~/Library/Application Support/secure-stack-mesh`; on Windows
    /// `%LOCALAPPDATA%\secure-stack-mesh`. Never below the working directory.
    ///
    /// `env` reads an environment variable.
    ///
    /// # Errors
    /// `KEYDIR_UNKNOWN` if the environment names no absolute path.
    pub fn default_dir(env: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, KeyStoreError> {
        let path = |name| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = if cfg!(windows) {
            path("LOCALAPPDATA")
        } else if cfg!(target_os = "macos") {
            path("HOME").map(|home| home.join("Library").join("Application Support"))
        } else {
            path("XDG_STATE_HOME").or_else(|| path("HOME").map(|home| home.join(".local").join("state")))
        };
        Ok(base.ok_or(KeyStoreError::Unknown)?.join(DIRECTORY))
    }

    /// The directory's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The directory's path; `None` for keys in memory.
    #[must_use]
    pub fn disk(&self) -> Option<&Path> {
        match &self.directory {
            Place::Disk(_) => Some(self.path()),
            Place::Memory => None,
        }
    }

    /// Returns the secret that all services of this user on this machine share.
    /// The first call creates it.
    pub fn mesh_secret(&self) -> Result<Secret<32>, KeyStoreError> {
        if let Some(secret) = self.load_mesh_secret()? {
            return Ok(secret);
        }
        let secret = Secret::<32>::random()?;
        let text = Zeroizing::new(format!("{}\n", &*Zeroizing::new(hex::encode(secret.as_bytes()))));
        if self.directory.create(MESH_SECRET, text.as_bytes())? {
            return Ok(secret);
        }
        self.load_mesh_secret()?.ok_or_else(|| self.vanished(MESH_SECRET))
    }

    fn load_mesh_secret(&self) -> Result<Option<Secret<32>>, KeyStoreError> {
        let Some(text) = self.directory.read(MESH_SECRET, MAX_SECRET_FILE)? else { return Ok(None) };
        let parse = |out: &mut [u8; 32]| {
            let digits = text.strip_suffix(b"\n").unwrap_or(&text);
            hex::decode_to_slice(digits, out).is_ok()
        };
        let mut well_formed = false;
        let secret = Secret::fill_with(|out| well_formed = parse(out));
        if well_formed {
            Ok(Some(secret))
        } else {
            Err(self.corrupt(MESH_SECRET, "not 64 hexadecimal digits"))
        }
    }

    /// Returns the key pair of the service `id`. The first call generates it,
    /// which takes as long as [`KeyPair::generate`].
    ///
    /// # Errors
    /// `KEYDIR_KEY_SIZE` if the stored key does not have `bits` bits,
    /// `KEYDIR_CORRUPT` if it is not a key.
    pub fn key_pair(&self, id: &ServiceId, bits: u32) -> Result<KeyPair, KeyStoreError> {
        let pair = self.any_key_pair(id, bits)?;
        let stored = pair.public_key().bits();
        if stored != bits {
            let path = self.path().join(key_file(id));
            return Err(KeyStoreError::KeySize { path, stored, wanted: bits });
        }
        Ok(pair)
    }

    /// Returns the key pair of the service `id`, of any size. The first call
    /// generates it with `bits` bits.
    pub fn any_key_pair(&self, id: &ServiceId, bits: u32) -> Result<KeyPair, KeyStoreError> {
        match self.load_key_pair(id)? {
            Some(pair) => Ok(pair),
            None => self.create_key_pair(id, bits),
        }
    }

    fn create_key_pair(&self, id: &ServiceId, bits: u32) -> Result<KeyPair, KeyStoreError> {
        let pair = KeyPair::generate(bits)?;
        let name = key_file(id);
        if self.directory.create(&name, pair.to_pkcs8_pem()?.as_bytes())? {
            return Ok(pair);
        }
        // Another process was faster, so its key is the service's key.
        self.load_key_pair(id)?.ok_or_else(|| self.vanished(&name))
    }

    /// The stored key pair of `id`, if there is one.
    pub fn load_key_pair(&self, id: &ServiceId) -> Result<Option<KeyPair>, KeyStoreError> {
        self.read_key_pair(&key_file(id))
    }

    fn read_key_pair(&self, name: &str) -> Result<Option<KeyPair>, KeyStoreError> {
        let Some(pem) = self.read_text(name, MAX_KEY_FILE)? else { return Ok(None) };
        KeyPair::from_pkcs8_pem(&pem).map(Some).map_err(|err| self.not_a_key(name, err))
    }

    /// Stores `pair` as the key pair of `id` and overwrites an existing one.
    pub fn save_key_pair(&self, id: &ServiceId, pair: &KeyPair) -> Result<(), KeyStoreError> {
        self.directory.replace(&key_file(id), pair.to_pkcs8_pem()?.as_bytes())
    }

    /// Returns the key pair that [`replace_key_pair`](Self::replace_key_pair)
    /// replaced, if there is one.
    pub fn load_previous_key_pair(&self, id: &ServiceId) -> Result<Option<KeyPair>, KeyStoreError> {
        self.read_key_pair(&previous_file(id))
    }

    /// Stores `pair` as the current key pair of `id` and keeps the one it
    /// replaces as the previous key pair, so that data encrypted to it stays
    /// readable. Data encrypted to the key pair before that one becomes
    /// unreadable.
    pub fn replace_key_pair(&self, id: &ServiceId, pair: &KeyPair) -> Result<(), KeyStoreError> {
        if let Some(former) = self.load_key_pair(id)?
            && former.public_key() != pair.public_key()
        {
            self.directory.replace(&previous_file(id), former.to_pkcs8_pem()?.as_bytes())?;
        }
        self.save_key_pair(id, pair)
    }

    /// The stored public key of `id`: that of its key pair, or the one that
    /// [`save_public_key`](Self::save_public_key) stored.
    pub fn load_public_key(&self, id: &ServiceId) -> Result<Option<PublicKey>, KeyStoreError> {
        if let Some(pair) = self.load_key_pair(id)? {
            return Ok(Some(pair.public_key().clone()));
        }
        let name = public_file(id);
        let Some(pem) = self.read_text(&name, MAX_KEY_FILE)? else { return Ok(None) };
        PublicKey::from_pem(&pem).map(Some).map_err(|err| self.not_a_key(&name, err))
    }

    /// Stores the public key of the other service `id`, once.
    ///
    /// # Errors
    /// `PEER_KEY_CHANGED` if another key is stored for `id`, `KEYDIR_FULL` at
    /// [`MAX_KNOWN_PEERS`].
    pub fn save_public_key(&self, id: &ServiceId, key: &PublicKey) -> Result<(), KeyStoreError> {
        let name = public_file(id);
        match self.load_public_key(id)? {
            Some(stored) if stored == *key => return Ok(()),
            Some(_) => return Err(KeyStoreError::PeerKeyChanged { path: self.path().join(name) }),
            None => self.check_room()?,
        }
        if self.directory.create(&name, key.to_pem().as_bytes())? {
            Ok(())
        } else {
            self.save_public_key(id, key)
        }
    }

    fn check_room(&self) -> Result<(), KeyStoreError> {
        if self.directory.count(&PEER_PREFIXES)? < MAX_KNOWN_PEERS {
            Ok(())
        } else {
            Err(KeyStoreError::Full { path: self.path().into(), limit: MAX_KNOWN_PEERS })
        }
    }

    fn read_text(&self, name: &str, max: usize) -> Result<Option<Zeroizing<String>>, KeyStoreError> {
        let Some(mut bytes) = self.directory.read(name, max)? else { return Ok(None) };
        match String::from_utf8(std::mem::take(&mut *bytes)) {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(err) => {
                drop(Zeroizing::new(err.into_bytes()));
                Err(self.corrupt(name, "not text"))
            }
        }
    }

    fn corrupt(&self, name: &str, what: &str) -> KeyStoreError {
        KeyStoreError::Corrupt { path: self.path().join(name), what: what.into() }
    }

    fn not_a_key(&self, name: &str, err: CryptoError) -> KeyStoreError {
        match err {
            CryptoError::Library => err.into(),
            err => self.corrupt(name, &err.to_string()),
        }
    }

    fn vanished(&self, name: &str) -> KeyStoreError {
        let source = std::io::ErrorKind::NotFound.into();
        KeyStoreError::Io { action: "read", path: self.path().join(name), source }
    }
}

impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyStore({:?})", self.path())
    }
}

/// Opens a directory that only this user can use, and creates it if it is missing.
pub(crate) fn open_directory(dir: &Path) -> Result<Directory, KeyStoreError> {
    let absolute = std::path::absolute(dir).map_err(|source| KeyStoreError::Io {
        action: "open",
        path: dir.into(),
        source,
    })?;
    // A trailing separator would make the system follow a symbolic link, so
    // it is removed.
    let path = absolute.components().filter(|part| *part != Component::CurDir).collect();
    Directory::open(path)
}

fn key_file(id: &ServiceId) -> String {
    format!("key-{}.pem", hash(id))
}

fn previous_file(id: &ServiceId) -> String {
    format!("previous-{}.pem", hash(id))
}

fn public_file(id: &ServiceId) -> String {
    format!("pub-{}.pem", hash(id))
}

fn hash(id: &ServiceId) -> String {
    hex::encode(sha256(&[id.as_str().as_bytes()]))
}

fn temporary_name() -> Result<String, CryptoError> {
    let mut random = [0; 16];
    fill_random(&mut random)?;
    Ok(format!("{TEMPORARY_PREFIX}{}", hex::encode(random)))
}
