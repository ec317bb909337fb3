//! The authority that a mesh has mounted.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use mesh_core::{
    authority::{Authority, AuthorityError},
    clock::Timestamp,
    id::ServiceId,
};
use zeroize::Zeroizing;

/// The authority that newcomers find at a mesh, and its records as they were read last.
#[derive(Default)]
pub(crate) struct Mounted(Mutex<Option<Known>>);

struct Known {
    authority: Arc<Authority>,
    seen: Option<Seen>,
}

/// The time and the size of a file. Each change of the records makes another file.
type Seen = (SystemTime, u64);

/// The secrets of newcomers' sessions, and the services they are for.
type Newcomers = Vec<(Zeroizing<String>, ServiceId)>;

impl Mounted {
    /// Mounts `authority`.
    pub(crate) fn set(&self, authority: Arc<Authority>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Known { authority, seen: None });
    }

    /// The newcomers that the authority admits, if its records have changed since they were read last.
    pub(crate) fn newcomers(&self) -> Result<Option<Newcomers>, AuthorityError> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((authority, seen)) = lock().as_ref().map(|known| (Arc::clone(&known.authority), known.seen))
        else {
            return Ok(None);
        };
        let found =
            std::fs::metadata(authority.file()).and_then(|file| Ok((file.modified()?, file.len()))).ok();
        if found.is_some() && found == seen {
            return Ok(None);
        }
        let newcomers = authority.newcomers(Timestamp::now())?;
        if let Some(known) = &mut *lock() {
            known.seen = found;
        }
        Ok(Some(newcomers))
    }
}
