mod disk;
#[cfg(unix)]
mod unix;

use std::{
    fs,
    io::{Read, Write},
    sync::{Barrier, OnceLock},
    thread,
};

use super::{super::rsa::Thumbprint, peers::peer_file, *};
use crate::error::{Coded, Reason};

/// A temporary place for a key directory; dropping it removes the directory.
pub(crate) struct TempDir(pub(crate) PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("ssm-{}", temporary_name().unwrap()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    fn listing(&self) -> Vec<PathBuf> {
        let mut names: Vec<_> = fs::read_dir(&self.0)
            .unwrap()
            .flat_map(|entry| {
                let path = entry.unwrap().path();
                let inside = fs::read_dir(&path).into_iter().flatten().map(|entry| entry.unwrap().path());
                [path].into_iter().chain(inside).collect::<Vec<_>>()
            })
            .collect();
        names.sort();
        names
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn id(text: &str) -> ServiceId {
    text.parse().unwrap()
}

fn thumbprint(byte: u8) -> Thumbprint {
    Thumbprint::from_bytes([byte; 32])
}

fn pair() -> &'static KeyPair {
    static PAIR: OnceLock<KeyPair> = OnceLock::new();
    PAIR.get_or_init(|| KeyPair::generate(2048).unwrap())
}

/// Returns the reason, after checking that the message names `path` and a repair.
fn refused<T>(result: Result<T, KeyStoreError>, path: &Path, repair: &str) -> Reason {
    let err = result.err().expect("refused");
    let message = err.to_string();
    assert!(message.contains(&*path.to_string_lossy()), "{message}");
    assert!(message.contains(repair), "{message}");
    err.reason()
}

#[test]
fn everything_is_found_again() {
    let temp = TempDir::new();
    let store = KeyStore::open(&temp.keys()).unwrap();
    let secret = store.mesh_secret().unwrap();
    let key = store.key_pair(&id("a"), 2048).unwrap();
    store.remember_peer(&id("b"), &thumbprint(1)).unwrap();
    store.save_public_key(&id("c"), key.public_key()).unwrap();

    let store = KeyStore::open(&temp.keys()).unwrap();
    assert_eq!(store.mesh_secret().unwrap(), secret);
    assert_eq!(store.key_pair(&id("a"), 2048).unwrap().public_key(), key.public_key());
    assert_eq!(store.load_public_key(&id("a")).unwrap().as_ref(), Some(key.public_key()));
    assert_eq!(store.known_peer(&id("b")).unwrap(), Some(thumbprint(1)));
    assert_eq!(store.load_public_key(&id("c")).unwrap().as_ref(), Some(key.public_key()));
    assert_eq!(store.known_peer(&id("unseen")).unwrap(), None);
    assert!(store.load_key_pair(&id("unseen")).unwrap().is_none());
    assert!(store.load_public_key(&id("unseen")).unwrap().is_none());
}

#[test]
fn no_service_id_reaches_the_file_system() {
    let temp = TempDir::new();
    let store = KeyStore::open(&temp.keys()).unwrap();
    store.save_key_pair(&id("orders.eu"), pair()).unwrap();
    store.remember_peer(&id("orders.eu"), &thumbprint(1)).unwrap();
    for path in temp.listing() {
        assert!(!path.file_name().unwrap().to_string_lossy().contains("orders"), "{path:?}");
    }
    assert_eq!(temp.listing().len(), 4);
}

#[test]
fn a_remembered_peer_stays() {
    let temp = TempDir::new();
    let store = KeyStore::open(&temp.keys()).unwrap();
    store.remember_peer(&id("b"), &thumbprint(1)).unwrap();
    store.remember_peer(&id("b"), &thumbprint(1)).unwrap();
    let path = store.known_peer_path(&id("b"));
    let before = fs::read(&path).unwrap();
    assert_eq!(refused(store.remember_peer(&id("b"), &thumbprint(2)), &path, "rm "), Reason::PeerKeyChanged);
    assert_eq!(fs::read(&path).unwrap(), before);
    fs::remove_file(&path).unwrap();
    store.remember_peer(&id("b"), &thumbprint(2)).unwrap();
}

#[test]
fn one_key_names_one_service() {
    let temp = TempDir::new();
    let store = KeyStore::open(&temp.keys()).unwrap();
    store.remember_peer(&id("b"), &thumbprint(1)).unwrap();
    for n in 0..10 {
        let taken = store.remember_peer(&id(&format!("claimed{n}")), &thumbprint(1));
        let path = store.key_owner_path(&thumbprint(1));
        assert_eq!(refused(taken, &path, "that of b; one key names one service"), Reason::PeerKeyInUse);
    }
    assert_eq!(store.directory.count(&PEER_PREFIXES).unwrap(), 1, "nothing was written for the claims");
    // A successor is claimed like a first key, and the previous key is free again.
    store.remember_peer(&id("c"), &thumbprint(3)).unwrap();
    let taken = store.succeed_peer(&id("b"), &thumbprint(1), &thumbprint(3)).unwrap_err();
    assert_eq!(taken.reason(), Reason::PeerKeyInUse);
    assert_eq!(store.known_peer(&id("b")).unwrap(), Some(thumbprint(1)));
    store.succeed_peer(&id("b"), &thumbprint(1), &thumbprint(2)).unwrap();
    store.remember_peer(&id("d"), &thumbprint(1)).unwrap();
    // The repair of the message: the service was renamed.
    fs::remove_file(store.key_owner_path(&thumbprint(2))).unwrap();
    store.remember_peer(&id("renamed"), &thumbprint(2)).unwrap();
}

#[test]
fn a_claim_without_its_service_is_taken_up_again() {
    // As after a crash between the two files.
    let temp = TempDir::new();
    let store = KeyStore::open(&temp.keys()).unwrap();
    store.remember_peer(&id("b"), &thumbprint(1)).unwrap();
    fs::remove_file(store.known_peer_path(&id("b"))).unwrap();
    store.remember_peer(&id("b"), &thumbprint(1)).unwrap();
    assert_eq!(store.known_peer(&id("b")).unwrap(), Some(thumbprint(1)));
}

#[cfg(unix)]
#[test]
fn a_directory_that_is_opened_to_others_while_in_use_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let temp = TempDir::new();
    let store = KeyStore::open(&temp.keys()).unwrap();
    store.remember_peer(&id("b"), &thumbprint(1)).unwrap();
    let mode = |mode| fs::set_permissions(temp.keys(), fs::Permissions::from_mode(mode)).unwrap();
    mode(0o777);
    assert_eq!(refused(store.known_peer(&id("b")), &temp.keys(), "chmod 700"), Reason::KeydirMode);
    let written = store.remember_peer(&id("c"), &thumbprint(2));
    assert_eq!(refused(written, &temp.keys(), "chmod 700"), Reason::KeydirMode);
    mode(0o700);
    assert_eq!(store.known_peer(&id("b")).unwrap(), Some(thumbprint(1)));
    assert_eq!(store.known_peer(&id("c")).unwrap(), None);
}

#[test]
fn a_stored_public_key_stays() {
    let temp = TempDir::new();
    let store = KeyStore::open(&temp.keys()).unwrap();
    let other = KeyPair::generate(2048).unwrap();
    store.save_public_key(&id("b"), pair().public_key()).unwrap();
    store.save_public_key(&id("b"), pair().public_key()).unwrap();
    let changed = store.save_public_key(&id("b"), other.public_key()).unwrap_err();
    assert_eq!(changed.reason(), Reason::PeerKeyChanged);
    // A foreign key cannot replace the service's own key either.
    store.save_key_pair(&id("a"), pair()).unwrap();
    let changed = store.save_public_key(&id("a"), other.public_key()).unwrap_err();
    assert_eq!(changed.reason(), Reason::PeerKeyChanged);
}

#[test]
fn a_saved_pair_takes_the_place_of_the_former() {
    let temp = TempDir::new();
    let store = KeyStore::open(&temp.keys()).unwrap();
    let other = KeyPair::generate(2048).unwrap();
    store.save_key_pair(&id("a"), pair()).unwrap();
    store.save_key_pair(&id("a"), &other).unwrap();
    assert_eq!(store.key_pair(&id("a"), 2048).unwrap().public_key(), other.public_key());
    assert_eq!(temp.listing().len(), 2);
}

#[test]
fn a_replaced_pair_is_kept_as_the_previous() {
    let temp = TempDir::new();
    let store = KeyStore::open(&temp.keys()).unwrap();
    let other = KeyPair::generate(2048).unwrap();
    store.replace_key_pair(&id("a"), pair()).unwrap();
    assert!(store.load_previous_key_pair(&id("a")).unwrap().is_none());
    store.replace_key_pair(&id("a"), &other).unwrap();
    // Again, as after a crash between the two writes.
    store.replace_key_pair(&id("a"), &other).unwrap();
    let previous = store.load_previous_key_pair(&id("a")).unwrap().unwrap();
    assert_eq!(previous.public_key(), pair().public_key());
    assert_eq!(store.load_key_pair(&id("a")).unwrap().unwrap().public_key(), other.public_key());
}

#[test]
fn strangers_cannot_fill_the_directory() {
    let temp = TempDir::new();
    let store = KeyStore::open(&temp.keys()).unwrap();
    for n in 0..MAX_KNOWN_PEERS {
        fs::write(temp.keys().join(peer_file(&id(&format!("s{n}")))), "").unwrap();
    }
    let keys = temp.keys();
    let full = store.remember_peer(&id("one-more"), &thumbprint(1));
    assert_eq!(refused(full, &keys, "remove those"), Reason::KeydirFull);
    let full = store.save_public_key(&id("one-more"), pair().public_key());
    assert_eq!(refused(full, &keys, "remove those"), Reason::KeydirFull);
    assert_eq!(temp.listing().len(), MAX_KNOWN_PEERS + 1);
    // The service's own keys do not count.
    store.mesh_secret().unwrap();
}

#[test]
fn another_key_size_is_refused() {
    let temp = TempDir::new();
    let store = KeyStore::open(&temp.keys()).unwrap();
    store.save_key_pair(&id("a"), pair()).unwrap();
    let path = temp.keys().join(key_file(&id("a")));
    let reason = refused(store.key_pair(&id("a"), 4096), &path, "set security.rsaKeySize to 2048");
    assert_eq!(reason, Reason::KeydirKeySize);
    assert_eq!(store.key_pair(&id("a"), 2048).unwrap().public_key(), pair().public_key());
}

#[test]
fn damaged_files_are_refused_and_left_alone() {
    let temp = TempDir::new();
    let store = KeyStore::open(&temp.keys()).unwrap();
    store.mesh_secret().unwrap();
    store.save_key_pair(&id("a"), pair()).unwrap();
    store.remember_peer(&id("a"), &thumbprint(1)).unwrap();
    let names = [MESH_SECRET.to_owned(), key_file(&id("a")), peer_file(&id("a"))];
    for name in names {
        let path = temp.keys().join(&name);
        let whole = fs::read(&path).unwrap();
        let half = &whole[..whole.len() / 2];
        let longer = [&whole[..], &[b'0'; 9000]].concat();
        let mut binary = whole.clone();
        binary[10] = 0xff;
        for damaged in [&b""[..], half, &longer, &binary] {
            fs::write(&path, damaged).unwrap();
            let read = store.mesh_secret().map(drop).and_then(|()| {
                store.key_pair(&id("a"), 2048)?;
                store.known_peer(&id("a")).map(drop)
            });
            assert_eq!(refused(read, &path, "rm "), Reason::KeydirCorrupt);
            assert_eq!(fs::read(&path).unwrap(), damaged);
        }
        fs::write(&path, &whole).unwrap();
    }
    store.key_pair(&id("a"), 2048).unwrap();
}

#[test]
fn the_default_is_below_the_home_directory() {
    let env = |vars: &'static [(&str, &str)]| {
        KeyStore::default_dir(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    };
    let home = env(&[("HOME", "/home/u"), ("LOCALAPPDATA", r"C:\Users\u\AppData\Local")]).unwrap();
    assert!(home.ends_with("secure-stack-mesh") && home.is_absolute(), "{home:?}");
    if cfg!(target_os = "linux") {
        assert_eq!(home, Path::new("/home/u/.local/state/secure-stack-mesh"));
        let state = env(&[("HOME", "/home/u"), ("XDG_STATE_HOME", "/state")]).unwrap();
        assert_eq!(state, Path::new("/state/secure-stack-mesh"));
        // The XDG specification says to ignore relative paths.
        let relative = env(&[("HOME", "/home/u"), ("XDG_STATE_HOME", "state")]).unwrap();
        assert_eq!(relative, home);
    }
    for vars in [&[][..], &[("HOME", "")], &[("HOME", "relative")]] {
        let err = env(vars).unwrap_err();
        assert_eq!(err.reason(), Reason::KeydirUnknown);
        assert!(err.to_string().contains("paths.keysDir"));
    }
}

#[test]
fn threads_agree_on_one_secret() {
    let temp = TempDir::new();
    for round in 0..1000 {
        let dir = temp.0.join(round.to_string());
        let barrier = Barrier::new(4);
        let secrets: Vec<_> = thread::scope(|scope| {
            let start = || {
                barrier.wait();
                KeyStore::open(&dir).unwrap().mesh_secret().unwrap()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|secret| *secret == secrets[0]), "round {round}");
        let left = fs::read_dir(&dir).unwrap().count();
        assert_eq!(left, 1, "temporary files left");
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn threads_agree_on_one_peer_key() {
    let temp = TempDir::new();
    let store = KeyStore::open(&temp.keys()).unwrap();
    for round in 0..50_u8 {
        let peer = id(&format!("peer{round}"));
        let barrier = Barrier::new(4);
        let winners: Vec<_> = thread::scope(|scope| {
            let (store, peer, barrier) = (&store, &peer, &barrier);
            let threads: Vec<_> = (0..4_u8)
                .map(|n| {
                    scope.spawn(move || {
                        barrier.wait();
                        let key = thumbprint(4 * round + n);
                        store.remember_peer(peer, &key).is_ok().then_some(key)
                    })
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(winners.len(), 1);
        assert_eq!(store.known_peer(&peer).unwrap(), Some(winners[0]));
        // The keys that lost are free for another service.
        assert_eq!(store.directory.count(&["owner-"]).unwrap(), usize::from(round) + 1);
    }
}

/// The program of the processes that [`processes_agree_on_one_secret_and_key`] and the tests below start; as
/// a test it does nothing.
#[test]
fn child_process() {
    let Some(dir) = std::env::var_os("SSM_TEST_KEY_DIR") else { return };
    // Starts at the parent's signal, together with the other processes.
    let _ = std::io::stdin().read(&mut [0]);
    let outcome = KeyStore::open(Path::new(&dir)).and_then(|store| {
        let secret = store.mesh_secret()?;
        let pair = store.key_pair(&id("a"), 2048)?;
        let digest = hex::encode(sha256(&[secret.as_bytes()]));
        Ok(format!("{digest} {}", pair.public_key().thumbprint()))
    });
    let text = outcome.unwrap_or_else(|err| format!("{} {err}", err.reason()));
    println!("outcome: {text}");
}

struct Child(std::process::Child);

impl Child {
    fn start(dir: &Path, prepare: impl FnOnce(&mut std::process::Command)) -> Self {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "crypto::keystore::tests::child_process", "--nocapture"])
            .env("SSM_TEST_KEY_DIR", dir)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped());
        prepare(&mut command);
        Self(command.spawn().unwrap())
    }

    fn go(&mut self) {
        self.0.stdin.take().unwrap().write_all(b"!").unwrap();
    }

    fn outcome(self) -> String {
        let output = self.0.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let at = text.find("outcome: ").unwrap_or_else(|| panic!("{text}"));
        text[at + 9..].lines().next().unwrap().to_owned()
    }
}

#[test]
fn processes_agree_on_one_secret_and_key() {
    let temp = TempDir::new();
    for round in 0..6 {
        let dir = temp.0.join(round.to_string());
        let mut children: Vec<_> = (0..4).map(|_| Child::start(&dir, |_| {})).collect();
        children.iter_mut().for_each(Child::go);
        let outcomes: Vec<_> = children.into_iter().map(Child::outcome).collect();
        assert!(!outcomes[0].contains("KEYDIR"), "{outcomes:?}");
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
    }
}

#[test]
fn the_portable_directory_does_the_same() {
    let temp = TempDir::new();
    let directory = portable::Directory::open(temp.keys()).unwrap();
    assert_eq!(directory.path(), temp.keys());
    assert!(directory.read("a", 4).unwrap().is_none());
    assert!(directory.create("a", b"one").unwrap());
    assert!(!directory.create("a", b"two").unwrap());
    assert_eq!(**directory.read("a", 3).unwrap().unwrap(), *b"one");
    assert_eq!(directory.read("a", 2).unwrap_err().reason(), Reason::KeydirCorrupt);
    directory.replace("a", b"two").unwrap();
    assert_eq!(**directory.read("a", 3).unwrap().unwrap(), *b"two");
    assert_eq!(directory.count(&["a", "b"]).unwrap(), 1);
    fs::create_dir(temp.keys().join("d")).unwrap();
    assert_eq!(directory.read("d", 4).unwrap_err().reason(), Reason::KeydirType);
    assert_eq!(temp.listing().len(), 3);
    directory.remove("a").unwrap();
    directory.remove("a").unwrap();
    assert!(directory.read("a", 3).unwrap().is_none());
    assert!(directory.create("a", b"one").unwrap());
    let file = portable::Directory::open(temp.keys().join("a"));
    assert_eq!(file.err().unwrap().reason(), Reason::KeydirType);
}
