//! Permissions, links and owners of files on Unix.

use std::os::unix::{
    fs::{MetadataExt, PermissionsExt, chown, symlink},
    net::UnixListener,
    process::CommandExt,
};

use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::geteuid,
};

use super::*;

const NOBODY: u32 = 65534;

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn modes_are_0700_and_0600() {
    let temp = TempDir::new();
    let store = KeyStore::open(&temp.0.join("new/keys")).unwrap();
    store.mesh_secret().unwrap();
    store.save_key_pair(&id("a"), pair()).unwrap();
    store.remember_peer(&id("a"), &thumbprint(1)).unwrap();
    assert_eq!(fs::metadata(store.path()).unwrap().mode() & 0o7777, 0o700);
    assert_eq!(fs::metadata(temp.0.join("new")).unwrap().mode() & 0o7777, 0o700);
    let files: Vec<_> = fs::read_dir(store.path()).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(files.len(), 4);
    for file in files {
        assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o600, "{file:?}");
    }
}

#[test]
fn a_directory_open_to_others_is_refused() {
    let temp = TempDir::new();
    fs::create_dir(temp.keys()).unwrap();
    for mode in [0o755, 0o701, 0o710, 0o770, 0o1777] {
        chmod(&temp.keys(), mode);
        let opened = KeyStore::open(&temp.keys());
        assert_eq!(refused(opened, &temp.keys(), "chmod 700 "), Reason::KeydirMode, "{mode:o}");
    }
    assert_eq!(temp.listing(), [temp.keys()]);
    chmod(&temp.keys(), 0o700);
    KeyStore::open(&temp.keys()).unwrap();
}

#[test]
fn a_file_open_to_others_is_refused() {
    let temp = TempDir::new();
    let store = KeyStore::open(&temp.keys()).unwrap();
    store.mesh_secret().unwrap();
    let path = temp.keys().join(MESH_SECRET);
    for mode in [0o644, 0o640, 0o604, 0o660] {
        chmod(&path, mode);
        assert_eq!(refused(store.mesh_secret(), &path, "chmod 600 "), Reason::KeydirMode, "{mode:o}");
    }
    chmod(&path, 0o400);
    store.mesh_secret().unwrap();
}

#[test]
fn links_are_not_followed() {
    let temp = TempDir::new();
    let real = temp.0.join("real");
    let store = KeyStore::open(&real).unwrap();
    store.mesh_secret().unwrap();
    symlink(&real, temp.keys()).unwrap();
    for path in [temp.keys(), temp.0.join("keys/"), temp.0.join("keys/."), temp.0.join("./keys//")] {
        let opened = KeyStore::open(&path);
        assert_eq!(refused(opened, &temp.keys(), "symbolic link"), Reason::KeydirType, "{path:?}");
    }

    let (secret, elsewhere) = (real.join(MESH_SECRET), temp.0.join("elsewhere"));
    fs::rename(&secret, &elsewhere).unwrap();
    symlink(&elsewhere, &secret).unwrap();
    assert_eq!(refused(store.mesh_secret(), &secret, "symbolic link"), Reason::KeydirType);
    // A dangling link is not followed for writing either.
    fs::remove_file(&elsewhere).unwrap();
    assert_eq!(refused(store.mesh_secret(), &secret, "symbolic link"), Reason::KeydirType);
    assert!(!elsewhere.exists());
}

#[test]
fn only_directories_and_regular_files_will_do() {
    let temp = TempDir::new();
    fs::write(temp.keys(), "").unwrap();
    assert_eq!(refused(KeyStore::open(&temp.keys()), &temp.keys(), "a file"), Reason::KeydirType);
    fs::remove_file(temp.keys()).unwrap();

    let store = KeyStore::open(&temp.keys()).unwrap();
    let secret = temp.keys().join(MESH_SECRET);
    // The pipe has no writer, so that a blocking open would wait for ever.
    mknodat(CWD, &secret, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    assert_eq!(refused(store.mesh_secret(), &secret, "a pipe"), Reason::KeydirType);
    fs::remove_file(&secret).unwrap();
    fs::create_dir(&secret).unwrap();
    assert_eq!(refused(store.mesh_secret(), &secret, "a directory"), Reason::KeydirType);
    fs::remove_dir(&secret).unwrap();
    let socket = UnixListener::bind(&secret).unwrap();
    assert_eq!(refused(store.mesh_secret(), &secret, "a socket"), Reason::KeydirType);
    drop(socket);
}

#[test]
fn a_foreign_owner_is_refused() {
    if !geteuid().is_root() {
        return;
    }
    let temp = TempDir::new();
    let store = KeyStore::open(&temp.keys()).unwrap();
    store.mesh_secret().unwrap();
    let secret = temp.keys().join(MESH_SECRET);
    chown(&secret, Some(NOBODY), None).unwrap();
    assert_eq!(refused(store.mesh_secret(), &secret, "chown 0 "), Reason::KeydirOwner);
    chown(temp.keys(), Some(NOBODY), None).unwrap();
    assert_eq!(refused(KeyStore::open(&temp.keys()), &temp.keys(), "chown 0 "), Reason::KeydirOwner);
}

/// The result of an ordinary user's process for `dir`.
fn outcome_as_nobody(dir: &Path) -> String {
    let root = geteuid().is_root();
    let mut child = Child::start(dir, |command| {
        if root {
            command.uid(NOBODY).gid(NOBODY);
        }
    });
    child.go();
    child.outcome()
}

#[test]
fn what_cannot_be_written_is_refused() {
    let temp = TempDir::new();
    chmod(&temp.0, 0o755);
    fs::create_dir(temp.keys()).unwrap();
    chmod(&temp.keys(), 0o500);
    if geteuid().is_root() {
        chown(temp.keys(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    // An existing directory without write permission, and a new one that
    // cannot be made there.
    for dir in [temp.keys(), temp.keys().join("new")] {
        let outcome = outcome_as_nobody(&dir);
        assert!(outcome.starts_with("KEYDIR_IO "), "{outcome}");
        assert!(outcome.contains(dir.to_str().unwrap()), "{outcome}");
        assert!(outcome.contains("make it writable"), "{outcome}");
    }
    assert_eq!(temp.listing(), [temp.keys()]);
}

#[test]
fn a_volume_of_the_platform_holds_a_directory_of_this_users_own() {
    if !geteuid().is_root() {
        return;
    }
    let volume = |mode, group| {
        let temp = TempDir::new();
        chmod(&temp.0, 0o755);
        fs::create_dir(temp.keys()).unwrap();
        chown(temp.keys(), Some(0), Some(group)).unwrap();
        chmod(&temp.keys(), mode);
        temp
    };
    // An emptyDir of Kubernetes; the same with the sticky bit; a volume with an fsGroup.
    for (mode, group) in [(0o777, 0), (0o1777, 0), (0o2775, NOBODY)] {
        let temp = volume(mode, group);
        let outcome = outcome_as_nobody(&temp.keys());
        assert!(!outcome.contains("KEYDIR"), "{mode:o}: {outcome}");
        let own = temp.keys().join(DIRECTORY);
        let found = fs::metadata(&own).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o777), (NOBODY, 0o700), "{mode:o}");
        assert_eq!(outcome_as_nobody(&temp.keys()), outcome, "{mode:o}: found again");
        assert_eq!(fs::read_dir(temp.keys()).unwrap().count(), 1, "{mode:o}: nothing beside it");
        // It counts only while it is of this user alone.
        chmod(&own, 0o770);
        let outcome = outcome_as_nobody(&temp.keys());
        assert!(outcome.starts_with("KEYDIR_"), "{mode:o}: {outcome}");
    }
    // Somebody else was there first: with a directory, or with a link to one.
    let temp = volume(0o777, 0);
    let own = temp.keys().join(DIRECTORY);
    fs::create_dir(&own).unwrap();
    chmod(&own, 0o777);
    assert!(outcome_as_nobody(&temp.keys()).starts_with("KEYDIR_OWNER "));
    fs::remove_dir(&own).unwrap();
    let elsewhere = temp.0.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    chown(&elsewhere, Some(NOBODY), None).unwrap();
    chmod(&elsewhere, 0o700);
    symlink(&elsewhere, &own).unwrap();
    assert!(outcome_as_nobody(&temp.keys()).starts_with("KEYDIR_OWNER "));
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    // The directory of another user, who is not the platform, is no volume.
    let temp = volume(0o777, 0);
    chown(temp.keys(), Some(NOBODY - 1), None).unwrap();
    assert!(outcome_as_nobody(&temp.keys()).starts_with("KEYDIR_OWNER "));
    assert_eq!(fs::read_dir(temp.keys()).unwrap().count(), 0);
}
