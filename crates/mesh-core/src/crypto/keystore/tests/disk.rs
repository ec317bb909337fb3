//! Full disks: the start fails, and no partial file is left.

use std::process::Command;

use super::*;

/// A file system of a few pages, mounted for as long as this lives.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// Needs root, and the permission to mount.
    fn mount() -> Option<Self> {
        let temp = TempDir::new();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs"])
            .arg(&temp.0)
            .output();
        mount.is_ok_and(|output| output.status.success()).then_some(Self(temp))
    }

    /// Leaves no byte free.
    fn fill(&self) -> PathBuf {
        let path = self.0.0.join("full");
        let mut file = fs::File::create(&path).unwrap();
        while file.write_all(&[1; 512]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0.0).status();
    }
}

#[test]
fn a_full_disk_is_refused_and_nothing_is_left_on_it() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: only root can mount a disk to fill");
        return;
    };
    let dir = disk.0.keys();
    let store = KeyStore::open(&dir).unwrap();
    let filler = disk.fill();
    for result in [
        store.mesh_secret().map(drop),
        store.save_key_pair(&id("a"), pair()),
        store.remember_peer(&id("b"), &thumbprint(1)),
        store.save_public_key(&id("c"), pair().public_key()),
    ] {
        assert_eq!(refused(result, &dir, "free some space"), Reason::KeydirIo);
    }
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "nothing half-written is left");
    // With free space, everything works as before.
    fs::remove_file(&filler).unwrap();
    let secret = store.mesh_secret().unwrap();
    store.save_key_pair(&id("a"), pair()).unwrap();
    // The replacement of a key is atomic.
    disk.fill();
    let other = KeyPair::generate(2048).unwrap();
    assert_eq!(refused(store.replace_key_pair(&id("a"), &other), &dir, "free some space"), Reason::KeydirIo);
    let kept = store.load_key_pair(&id("a")).unwrap().unwrap();
    assert_eq!(kept.public_key(), pair().public_key());
    assert_eq!(store.mesh_secret().unwrap(), secret);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
}

#[cfg(unix)]
#[test]
fn files_that_may_not_grow_are_refused_and_nothing_is_left() {
    let temp = TempDir::new();
    let mut child = Child::start(&temp.keys(), |command| {
        let program = std::mem::replace(command, Command::new("sh"));
        // A limit of zero bytes, reported as an error instead of a signal.
        command.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"]);
        command.arg(program.get_program()).args(program.get_args());
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    });
    child.go();
    let outcome = child.outcome();
    assert!(outcome.starts_with("KEYDIR_IO "), "{outcome}");
    assert!(outcome.contains(temp.keys().to_str().unwrap()), "{outcome}");
    assert!(outcome.contains("ulimit -f"), "{outcome}");
    assert_eq!(fs::read_dir(temp.keys()).unwrap().count(), 0);
}
