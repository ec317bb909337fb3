//! One look at a set of files: all of them, whole, and none of them in the middle of a replacement.

use std::{
    fmt,
    fs::{File, Metadata},
    io::{self, Read as _, Seek as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use zeroize::Zeroizing;

use super::error::FileError;

/// The bytes of every file at one moment, in the order of their paths. They are wiped when the last
/// clone is dropped, because keys are read this way too.
#[derive(Clone, PartialEq, Eq)]
pub struct Contents(Arc<[Zeroizing<Vec<u8>>]>);

impl Contents {
    /// The contents that another source than files has delivered.
    pub(in crate::providers) fn of(parts: Vec<Zeroizing<Vec<u8>>>) -> Self {
        Self(parts.into())
    }

    /// The files, in the order in which their paths were given.
    #[must_use]
    pub fn files(&self) -> &[Zeroizing<Vec<u8>>] {
        &self.0
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = self.0.iter().map(|file| file.len());
        f.write_str("Contents of bytes ")?;
        f.debug_list().entries(sizes).finish()
    }
}

/// The contents of the files, or the first fault among them.
pub type Read = Result<Contents, FileError>;

/// Reads every file. The second value tells whether each path still led to the file that was read
/// when the last one had been read. Without it the files may be of two generations.
pub(super) fn read_all(paths: &[PathBuf], max: usize) -> (Read, bool) {
    let mut files = Vec::with_capacity(paths.len());
    // Each file stays open until the comparison: the system does not give its number to another one.
    let mut opened = Vec::with_capacity(paths.len());
    for path in paths {
        match read_file(path, max) {
            Ok((bytes, stamp, file)) => {
                files.push(bytes);
                opened.push((path, stamp, file));
            }
            Err(error) => return (Err(error), false),
        }
    }
    let same = opened
        .iter()
        .all(|(path, stamp, _)| std::fs::metadata(path).is_ok_and(|metadata| Stamp::of(&metadata) == *stamp));
    (Ok(Contents(files.into())), same)
}

fn read_file(path: &Path, max: usize) -> Result<(Zeroizing<Vec<u8>>, Stamp, File), FileError> {
    let failed = |error: io::Error| FileError::io(path.into(), &error);
    let file = open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(FileError::Type { path: path.into() });
    }
    let too_large = || FileError::TooLarge { path: path.into(), most: max };
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if size > max {
        return Err(too_large());
    }
    // One byte more than there are shows whether the file has grown since.
    let mut bytes = take(&file, size.saturating_add(1)).map_err(failed)?;
    if bytes.len() > size {
        // It grows at this moment, or its file system knows no sizes.
        (&file).rewind().map_err(failed)?;
        bytes = take(&file, max.saturating_add(1)).map_err(failed)?;
    }
    if bytes.len() > max {
        return Err(too_large());
    }
    Ok((bytes, Stamp::of(&metadata), file))
}

/// At most `most` bytes of the file, from where it stands.
fn take(file: &File, most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    // Room for all of it at once: a buffer that grows would leave copies of a key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(most));
    file.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    // NONBLOCK, or the opening of a pipe would wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// The mark that distinguishes two states of a file without reading it.
#[derive(PartialEq, Eq)]
struct Stamp {
    file: Option<FileId>,
    size: u64,
    modified: Option<std::time::SystemTime>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self { file: FileId::of(metadata), size: metadata.len(), modified: metadata.modified().ok() }
    }
}

/// The device and the number of a file or directory, where the system has such numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId(u64, u64);

impl FileId {
    #[cfg(unix)]
    #[allow(clippy::unnecessary_wraps, reason = "other systems have none")]
    pub(super) fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self(metadata.dev(), metadata.ino()))
    }

    #[cfg(not(unix))]
    pub(super) fn of(_: &Metadata) -> Option<Self> {
        None
    }
}
