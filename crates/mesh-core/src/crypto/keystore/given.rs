//! A key in a configured file, as containers receive one: behind symbolic links, owned by root, readable by a
//! group.

use std::path::Path;

use zeroize::Zeroizing;

use super::{KeyStoreError, MAX_KEY_FILE, error::GivenKeyProblem};
use crate::crypto::rsa::KeyPair;

/// Reads the key pair at `path`, through symbolic links. It must be a regular file of this user or of root
/// that nobody else can write. Others may read it only on a file system that is mounted read-only: containers
/// receive secrets in that way, and they have no other users.
///
/// Blocks.
pub fn read_key_file(path: &Path) -> Result<KeyPair, KeyStoreError> {
    let problem = |problem| KeyStoreError::Given { path: path.into(), problem };
    let bytes = read_secret_file(path, MAX_KEY_FILE)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| problem(GivenKeyProblem::NotAKey("it is not text".to_owned())))?;
    KeyPair::from_pkcs8_pem(text).map_err(|error| problem(GivenKeyProblem::NotAKey(error.to_string())))
}

/// Reads a secret of at most `most` bytes from a file, under the rule of
/// [`read_key_file`]. Blocks.
pub(crate) fn read_secret_file(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
    let problem = |problem| KeyStoreError::Given { path: path.into(), problem };
    let bytes = read(path, most).map_err(problem)?;
    if bytes.len() > most {
        return Err(problem(GivenKeyProblem::NotAKey(format!("it has more than {most} bytes"))));
    }
    Ok(bytes)
}

#[cfg(unix)]
fn read(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, GivenKeyProblem> {
    use rustix::{
        fs::{FileType, Mode, OFlags, StatVfsMountFlags, fstat, fstatvfs, open},
        process::geteuid,
    };
    let io = |errno: rustix::io::Errno| GivenKeyProblem::Io(errno.into());
    // Without NONBLOCK, opening a pipe would wait for its writer.
    let file = open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).map_err(io)?;
    let stat = fstat(&file).map_err(io)?;
    let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let read_only = fstatvfs(&file).is_ok_and(|vfs| vfs.f_flag.contains(StatVfsMountFlags::RDONLY));
    #[allow(clippy::useless_conversion, reason = "narrower on some systems")]
    let mode = u32::from(stat.st_mode) & 0o7777;
    accept(regular, stat.st_uid, geteuid().as_raw(), mode, read_only)?;
    take(file.into(), most)
}

#[cfg(not(unix))]
fn read(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, GivenKeyProblem> {
    let file = std::fs::File::open(path).map_err(GivenKeyProblem::Io)?;
    if !file.metadata().is_ok_and(|found| found.is_file()) {
        return Err(GivenKeyProblem::Type);
    }
    take(file, most)
}

fn take(file: std::fs::File, most: usize) -> Result<Zeroizing<Vec<u8>>, GivenKeyProblem> {
    use std::io::Read;
    // One allocation for the whole file: a growing vector would leave copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 2));
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(GivenKeyProblem::Io)?;
    Ok(bytes)
}

/// The rule of owner and mode. `user` is the effective user of this process.
#[cfg(unix)]
fn accept(regular: bool, owner: u32, user: u32, mode: u32, read_only: bool) -> Result<(), GivenKeyProblem> {
    const ROOT: u32 = 0;
    if !regular {
        return Err(GivenKeyProblem::Type);
    }
    if owner != user && owner != ROOT {
        return Err(GivenKeyProblem::Owner { owner, user });
    }
    let others_read = mode & 0o004 != 0 && !read_only;
    if mode & 0o022 != 0 || others_read {
        return Err(GivenKeyProblem::Mode(mode));
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;
    use crate::{
        crypto::keystore::tests::TempDir,
        error::{Coded, Reason},
    };

    #[test]
    fn the_rule_accepts_what_containers_are_given_and_nothing_wider() {
        let accepted = |owner, mode, read_only| accept(true, owner, 1000, mode, read_only).is_ok();
        // A file of this user; a Kubernetes Secret with fsGroup; a Secret with its default mode; a Docker secret.
        for (owner, mode, read_only) in
            [(1000, 0o600, false), (0, 0o440, false), (0, 0o640, false), (0, 0o644, true), (0, 0o444, true)]
        {
            assert!(accepted(owner, mode, read_only), "{owner} {mode:o} {read_only}");
        }
        for (owner, mode, read_only) in [
            (0, 0o644, false),
            (1000, 0o604, false),
            (1000, 0o620, false),
            (0, 0o660, true),
            (0, 0o666, true),
            (1001, 0o600, true),
        ] {
            assert!(!accepted(owner, mode, read_only), "{owner} {mode:o} {read_only}");
        }
        assert!(accept(false, 1000, 1000, 0o600, false).is_err());
    }

    #[test]
    fn a_key_is_found_behind_links_as_kubernetes_makes_them() {
        let temp = TempDir::new();
        let pair = KeyPair::generate(2048).unwrap();
        let data = temp.0.join("..2026_11_28_00_00_00.1");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("key.pem"), pair.to_pkcs8_pem().unwrap().as_bytes()).unwrap();
        fs::set_permissions(data.join("key.pem"), Permissions::from_mode(0o440)).unwrap();
        symlink(data.file_name().unwrap(), temp.0.join("..data")).unwrap();
        symlink("..data/key.pem", temp.0.join("key.pem")).unwrap();
        let path = temp.0.join("key.pem");
        assert_eq!(read_key_file(&path).unwrap().public_key(), pair.public_key());

        let refused = |reason, text: &str| {
            let error = read_key_file(&path).unwrap_err();
            assert_eq!(error.reason(), reason);
            let shown = error.to_string();
            assert!(shown.contains(text) && shown.contains("key.pem"), "{shown}");
        };
        fs::set_permissions(data.join("key.pem"), Permissions::from_mode(0o644)).unwrap();
        refused(Reason::KeydirMode, "chmod 600");
        fs::set_permissions(data.join("key.pem"), Permissions::from_mode(0o600)).unwrap();
        fs::write(data.join("key.pem"), "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n").unwrap();
        refused(Reason::KeydirCorrupt, "not a PEM block");
        assert!(!read_key_file(&path).unwrap_err().to_string().contains("c2VjcmV0"));
        fs::write(data.join("key.pem"), vec![b'x'; MAX_KEY_FILE + 1]).unwrap();
        refused(Reason::KeydirCorrupt, "bytes");
        fs::remove_file(data.join("key.pem")).unwrap();
        refused(Reason::KeydirIo, "No such file");
        fs::create_dir(data.join("key.pem")).unwrap();
        refused(Reason::KeydirType, "not a regular file");
    }
}
