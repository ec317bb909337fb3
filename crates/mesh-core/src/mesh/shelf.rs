//! The file that keeps the history over a restart.
//!
//! It begins with [`MAGIC`]. Behind it are blocks: the length of the content in four bytes, the first eight bytes of
//! the SHA-256 of length and content, and the content. Each minute appends what is new. After an hour of these, or
//! 16 MiB, everything that still counts is written anew beside it, and takes its place.
//!
//! Size: 24 bytes a point, 1,344 points an edge at most: 34 KiB an edge, and [`MAX_FILE`] for 2,000 of them. A crash
//! costs the blocks that were not written whole, which are those of the last minute.

mod error;
mod place;

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};

pub(super) use self::error::ShelfError;
use self::place::Place;
use super::sync::lock;
use crate::{crypto::mac::sha256, telemetry::History};

/// The beginning of a file, with the version of its form.
const MAGIC: &[u8; 8] = b"MESHHIS1";
/// The largest file that is read or written.
const MAX_FILE: u64 = 96 << 20;
/// The bytes that may be appended before the whole file is written anew.
const MAX_APPENDED: u64 = 16 << 20;
/// The largest content of a block.
const MAX_BLOCK: usize = 2 << 20;
/// Length and checksum.
const HEAD: usize = 12;
/// The interval between two writes, in ms.
const STEP: u64 = 60_000;
/// The interval at which everything is written anew, in ms.
const RENEWAL: u64 = 3_600_000;

/// The damage of a file that was read all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// It does not begin as a history does; it was moved away.
    Header(PathBuf),
    /// So many bytes were not what was written.
    Bytes(u64),
}

/// The file of one service.
#[derive(Debug)]
pub(super) struct Shelf {
    directory: PathBuf,
    service: String,
    open: Option<Open>,
    /// The time up to which everything is written, in ms.
    written: u64,
    /// The time of the last attempt, in ms.
    tried: u64,
}

#[derive(Debug)]
struct Open {
    place: Place,
    file: File,
    /// The bytes that are whole. Behind them may be some of a write that failed.
    length: u64,
    appended: u64,
    renewed: u64,
}

impl Shelf {
    /// A shelf that is not open yet.
    pub(super) fn new(directory: &Path, service: &str) -> Self {
        Self {
            directory: directory.to_owned(),
            service: service.to_owned(),
            open: None,
            written: 0,
            tried: 0,
        }
    }

    /// Opens the file, if it is not open, and puts what it holds into `history`. Blocks.
    pub(super) fn open(&mut self, history: &Mutex<History>, now: u64) -> Result<Option<Damage>, ShelfError> {
        if self.open.is_some() {
            return Ok(None);
        }
        let place = Place::open(&self.directory, &format!("history-{}", self.service))?;
        let mut file = place.file()?;
        let length = file.metadata().map_err(|error| place.fault("read", error))?.len();
        let (damage, renew) = match load(&mut file, history, now) {
            Ok(0) => (None, length == 0),
            Ok(bytes) => (Some(Damage::Bytes(bytes)), true),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let away = place.set_aside()?;
                file = place.file()?;
                (Some(Damage::Header(away)), true)
            }
            Err(error) => return Err(place.fault("read", error)),
        };
        lock(history).settle(now);
        let mut open = Open { place, file, length, appended: 0, renewed: now };
        if renew {
            open.renew(history, now)?;
        }
        (self.written, self.tried, self.open) = (now, now, Some(open));
        Ok(damage)
    }

    /// Whether it is time to write: a minute after the last attempt, or `at_once`.
    pub(super) fn is_due(&mut self, now: u64, at_once: bool) -> bool {
        let is_due = at_once || now.abs_diff(self.tried) >= STEP;
        if is_due {
            self.tried = now;
        }
        is_due
    }

    /// Writes what is new. Blocks.
    pub(super) fn write(&mut self, history: &Mutex<History>, now: u64) -> Result<(), ShelfError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let is_old = now.saturating_sub(open.renewed) >= RENEWAL || open.appended >= MAX_APPENDED;
        // A clock that was put back makes "since" mean nothing.
        if is_old || now < self.written {
            open.renew(history, now)?;
        } else {
            let blocks = lock(history).blocks(self.written);
            open.append(&blocks)?;
        }
        self.written = now;
        Ok(())
    }
}

impl Open {
    fn append(&mut self, blocks: &[Vec<u8>]) -> Result<(), ShelfError> {
        let (file, length) = (&mut self.file, self.length);
        let mut write = || {
            // The rest of a failed write would hide the blocks behind it.
            file.set_len(length)?;
            file.seek(SeekFrom::Start(length))?;
            let mut written = 0;
            for block in blocks {
                written += put(file, block)?;
            }
            file.sync_data()?;
            Ok(written)
        };
        let written = write().map_err(|error| self.place.fault("write", error))?;
        self.length += written;
        self.appended += written;
        Ok(())
    }

    /// Writes everything anew, beside the file, which it then replaces.
    fn renew(&mut self, history: &Mutex<History>, now: u64) -> Result<(), ShelfError> {
        let blocks = lock(history).blocks(0);
        let mut file = self.place.beside()?;
        let write = || {
            file.write_all(MAGIC)?;
            let mut length = MAGIC.len() as u64;
            for block in blocks {
                if length + (HEAD + block.len()) as u64 > MAX_FILE - MAX_APPENDED {
                    break;
                }
                length += put(&mut file, &block)?;
            }
            file.sync_all()?;
            Ok(length)
        };
        let length = write().map_err(|error| self.place.fault("write", error))?;
        self.place.replace()?;
        (self.file, self.length, self.appended, self.renewed) = (file, length, 0, now);
        Ok(())
    }
}

/// Writes a block; returns its size.
fn put(file: &mut File, content: &[u8]) -> io::Result<u64> {
    let length = u32::try_from(content.len()).map_err(io::Error::other)?.to_be_bytes();
    let sum = sha256(&[&length, content]);
    let block = [&length, &sum[..HEAD - length.len()], content].concat();
    file.write_all(&block)?;
    Ok(block.len() as u64)
}

/// Reads a file; returns how many bytes of it are no blocks. [`io::ErrorKind::InvalidData`] if it is no history.
fn load(file: &mut File, history: &Mutex<History>, now: u64) -> io::Result<u64> {
    let mut reader = BufReader::new(file.take(MAX_FILE));
    let mut magic = Vec::new();
    reader.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic)?;
    if magic != MAGIC {
        // A crash may have come between making the file and writing to it.
        return if MAGIC.starts_with(&magic) {
            Ok(magic.len() as u64)
        } else {
            Err(io::ErrorKind::InvalidData.into())
        };
    }
    let mut lost = 0;
    let mut block = Vec::new();
    loop {
        block.clear();
        if reader.by_ref().take(HEAD as u64).read_to_end(&mut block)? < HEAD {
            return Ok(lost + block.len() as u64);
        }
        let length: [u8; 4] = std::array::from_fn(|at| block[at]);
        let content = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if content > MAX_BLOCK {
            // The position of the next block is unknown.
            return Ok(lost + HEAD as u64 + io::copy(&mut reader, &mut io::sink())?);
        }
        let read = reader.by_ref().take(content as u64).read_to_end(&mut block)?;
        let (head, content_read) = block.split_at(HEAD);
        if read == content && sha256(&[&length, content_read]).starts_with(&head[length.len()..]) {
            lock(history).restore(content_read, now);
        } else {
            lost += block.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests;
