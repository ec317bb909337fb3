//! The directories in which a replacement of a file shows: that of the file itself, and that of every
//! symbolic link on the way to it.

#[cfg(all(test, unix))]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    path::{Component, Path, PathBuf},
};

use super::read::FileId;

/// The most links on the way to one file: the limit of Linux.
const MAX_LINKS: usize = 40;

/// Directories without links in their paths, each with its identity: a directory that was removed and
/// made again is another one.
pub(super) type Places = BTreeMap<PathBuf, Option<FileId>>;

/// The directories for all of `paths`. Where a directory is missing, the nearest one above it stands in,
/// in which it will appear.
pub(super) fn places(paths: &[PathBuf]) -> Places {
    let mut places = Places::new();
    for path in paths {
        follow(path, &mut places);
    }
    places
}

fn follow(path: &Path, places: &mut Places) {
    let Ok(path) = std::path::absolute(path) else { return };
    let mut ahead: VecDeque<PathBuf> = parts(&path).collect();
    let mut at = PathBuf::new();
    let mut links = 0;
    while let Some(part) = ahead.pop_front() {
        if part.as_os_str() == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&part);
        match fs::symlink_metadata(&next) {
            Ok(found) if found.is_symlink() && links < MAX_LINKS => {
                links += 1;
                add(&at, places);
                let Ok(target) = fs::read_link(&next) else { return };
                if target.is_absolute() {
                    at = PathBuf::new();
                }
                for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                    ahead.push_front(part);
                }
            }
            Ok(found) if found.is_dir() && !ahead.is_empty() => at = next,
            // The file, or the first part of the path that is missing.
            _ => {
                add(&at, places);
                return;
            }
        }
    }
    add(&at, places);
}

fn parts(path: &Path) -> impl Iterator<Item = PathBuf> {
    path.components().filter(|part| *part != Component::CurDir).map(|part| PathBuf::from(part.as_os_str()))
}

fn add(directory: &Path, places: &mut Places) {
    if let Ok(found) = fs::metadata(directory) {
        places.insert(directory.into(), FileId::of(&found));
    }
}
