//! The directories in which a replacement of a file shows: that of the file itself, and that of every
//! symbolic link on the way to it.

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

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::crypto::keystore::tests::TempDir;

    fn found(path: PathBuf) -> Vec<PathBuf> {
        places(&[path]).into_keys().collect()
    }

    #[test]
    fn each_link_on_the_way_adds_its_directory() {
        let temp = TempDir::new();
        let root = fs::canonicalize(&temp.0).unwrap();
        fs::create_dir_all(root.join("releases/1")).unwrap();
        fs::create_dir(root.join("mount")).unwrap();
        fs::write(root.join("releases/1/policy.json"), "{}").unwrap();
        symlink("../releases/1", root.join("mount/..data")).unwrap();
        symlink("..data/policy.json", root.join("mount/policy.json")).unwrap();
        let expected = [root.join("mount"), root.join("releases/1")];
        assert_eq!(found(root.join("mount/policy.json")), expected);
        assert_eq!(found(root.join("mount/./../mount/policy.json")), expected);
    }

    #[test]
    fn the_nearest_directory_stands_in_for_one_that_is_missing() {
        let temp = TempDir::new();
        let root = fs::canonicalize(&temp.0).unwrap();
        assert_eq!(found(root.join("a/b/policy.json")), [root.clone()]);
        fs::create_dir(root.join("a")).unwrap();
        assert_eq!(found(root.join("a/b/policy.json")), [root.join("a")]);
    }

    #[test]
    fn links_in_a_circle_come_to_an_end() {
        let temp = TempDir::new();
        let root = fs::canonicalize(&temp.0).unwrap();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert_eq!(found(root.join("a")), [root]);
    }
}
