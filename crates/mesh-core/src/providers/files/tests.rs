use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
    slice::from_ref,
};

use tokio::time::{Instant, timeout};

use super::*;
use crate::{
    crypto::keystore::tests::TempDir,
    error::{Code, Coded, Reason},
};

/// Only signals of the operating system: no poll comes in time.
const SIGNALS: Pace = Pace { notify: true, poll: Duration::from_hours(1), quiet: Duration::from_millis(20) };
/// Only the poll.
const POLL: Pace = Pace { notify: false, poll: Duration::from_millis(10), quiet: Duration::from_millis(5) };
const MAX: usize = 64;

fn watched(paths: &[PathBuf], pace: Pace) -> (Read, Watched) {
    Watched::with_pace(paths.to_vec(), MAX, pace)
}

fn texts(read: &Read) -> Vec<String> {
    let contents = read.as_ref().unwrap_or_else(|error| panic!("{error}"));
    contents.files().iter().map(|file| String::from_utf8(file.to_vec()).unwrap()).collect()
}

async fn next(watched: &mut Watched) -> Read {
    timeout(Duration::from_secs(20), watched.changed()).await.expect("a change is delivered")
}

/// Waits for a delivery that is as it should be. The deliveries before it are of states in between.
async fn until(watched: &mut Watched, wanted: impl Fn(&Read) -> bool) {
    while !wanted(&next(watched).await) {}
}

async fn until_text(watched: &mut Watched, text: &str) {
    until(watched, |read| read.as_ref().is_ok_and(|contents| *contents.files()[0] == text.as_bytes())).await;
}

fn put_over(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

#[tokio::test]
async fn a_file_that_is_renamed_over_is_delivered() {
    for pace in [SIGNALS, POLL] {
        let temp = TempDir::new();
        let path = temp.0.join("policy.json");
        fs::write(&path, "one").unwrap();
        let (first, mut watched) = watched(from_ref(&path), pace);
        assert_eq!(texts(&first), ["one"]);
        for text in ["two", "three"] {
            put_over(&path, text);
            assert_eq!(texts(&next(&mut watched).await), [text]);
        }
    }
}

#[tokio::test]
async fn a_file_that_is_written_in_place_is_delivered_whole_in_the_end() {
    for pace in [SIGNALS, POLL] {
        let temp = TempDir::new();
        let path = temp.0.join("policy.json");
        fs::write(&path, "whole").unwrap();
        let (_, mut watched) = watched(from_ref(&path), pace);
        let mut file = File::create(&path).unwrap();
        file.write_all(b"ha").unwrap();
        until_text(&mut watched, "ha").await;
        file.write_all(b"lf").unwrap();
        until_text(&mut watched, "half").await;
    }
}

#[tokio::test]
async fn writes_in_quick_succession_are_one_delivery() {
    let temp = TempDir::new();
    let path = temp.0.join("policy.json");
    fs::write(&path, "").unwrap();
    let (_, mut watched) = watched(from_ref(&path), Pace { quiet: Duration::from_secs(2), ..SIGNALS });
    let writer = thread::spawn(move || {
        let mut file = File::create(&path).unwrap();
        for byte in b"0123456789" {
            file.write_all(&[*byte]).unwrap();
            thread::sleep(Duration::from_millis(20));
        }
    });
    assert_eq!(texts(&next(&mut watched).await), ["0123456789"]);
    writer.join().unwrap();
}

#[tokio::test]
async fn a_vanished_file_is_a_fault_until_it_is_back() {
    for pace in [SIGNALS, POLL] {
        let temp = TempDir::new();
        let path = temp.0.join("policy.json");
        fs::write(&path, "one").unwrap();
        let (_, mut watched) = watched(from_ref(&path), pace);
        fs::remove_file(&path).unwrap();
        let error = next(&mut watched).await.unwrap_err();
        assert!(matches!(&error, FileError::Io { kind: io::ErrorKind::NotFound, .. }), "{error:?}");
        assert_eq!((error.code(), error.reason()), (Code::InvalidArgument, Reason::File));
        let text = error.to_string();
        assert!(text.contains(path.to_str().unwrap()) && text.contains("create it"), "{text}");
        // The same contents as before are news after a fault.
        fs::write(&path, "one").unwrap();
        until_text(&mut watched, "one").await;
    }
}

#[tokio::test]
async fn a_file_that_is_missing_for_a_moment_is_no_fault() {
    let temp = TempDir::new();
    let path = temp.0.join("policy.json");
    fs::write(&path, "one").unwrap();
    let (_, mut watched) = watched(from_ref(&path), Pace { quiet: Duration::from_secs(2), ..POLL });
    fs::remove_file(&path).unwrap();
    // The poll meets the gap; only after the quiet would it be a fault.
    thread::sleep(Duration::from_millis(200));
    fs::write(&path, "two").unwrap();
    assert_eq!(texts(&next(&mut watched).await), ["two"]);
}

#[tokio::test]
async fn a_file_that_is_missing_at_the_start_is_delivered_when_it_appears() {
    for pace in [SIGNALS, POLL] {
        let temp = TempDir::new();
        let path = temp.0.join("a/b/policy.json");
        let (first, mut watched) = watched(from_ref(&path), pace);
        assert_eq!(first.unwrap_err().reason(), Reason::File);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "one").unwrap();
        until_text(&mut watched, "one").await;
    }
}

#[tokio::test]
async fn a_directory_may_go_and_come_back() {
    for pace in [SIGNALS, POLL] {
        let temp = TempDir::new();
        let directory = temp.0.join("mesh");
        let path = directory.join("policy.json");
        fs::create_dir(&directory).unwrap();
        fs::write(&path, "one").unwrap();
        let (_, mut watched) = watched(from_ref(&path), pace);
        for text in ["two", "three"] {
            fs::remove_dir_all(&directory).unwrap();
            until(&mut watched, Result::is_err).await;
            fs::create_dir(&directory).unwrap();
            fs::write(&path, text).unwrap();
            until_text(&mut watched, text).await;
        }
        // Another one takes its place at once.
        let other = temp.0.join("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("policy.json"), "four").unwrap();
        fs::rename(&directory, temp.0.join("old")).unwrap();
        fs::rename(&other, &directory).unwrap();
        until_text(&mut watched, "four").await;
        put_over(&path, "five");
        until_text(&mut watched, "five").await;
        // Removed and made again before anybody looks: a file system may give it the same number again.
        fs::remove_dir_all(&directory).unwrap();
        fs::create_dir(&directory).unwrap();
        fs::write(&path, "six").unwrap();
        until_text(&mut watched, "six").await;
        put_over(&path, "seven");
        until_text(&mut watched, "seven").await;
    }
}

#[tokio::test]
async fn a_rewrite_with_the_same_contents_is_no_change() {
    let temp = TempDir::new();
    let path = temp.0.join("policy.json");
    fs::write(&path, "one").unwrap();
    let (_, mut watched) = watched(from_ref(&path), POLL);
    for _ in 0..3 {
        put_over(&path, "one");
        assert!(timeout(Duration::from_millis(100), watched.changed()).await.is_err());
    }
    put_over(&path, "two");
    assert_eq!(texts(&next(&mut watched).await), ["two"]);
}

#[tokio::test]
async fn a_file_that_is_too_large_or_no_file_is_a_fault() {
    let temp = TempDir::new();
    let path = temp.0.join("policy.json");
    fs::write(&path, [b'x'; MAX]).unwrap();
    let (first, mut watched) = watched(from_ref(&path), POLL);
    assert!(first.is_ok());
    fs::write(&path, [b'x'; MAX + 1]).unwrap();
    let error = next(&mut watched).await.unwrap_err();
    assert_eq!(error, FileError::TooLarge { path: path.clone(), most: MAX });
    // Its size alone is enough: there is no memory for a TiB.
    let sparse = File::create(temp.0.join("sparse")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    assert!(matches!(read_all(&[temp.0.join("sparse")], MAX).0, Err(FileError::TooLarge { .. })));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    until(&mut watched, |read| *read == Err(FileError::Type { path: path.clone() })).await;
}

#[tokio::test]
async fn everything_ends_with_the_value() {
    for pace in [SIGNALS, POLL] {
        let temp = TempDir::new();
        let path = temp.0.join("policy.json");
        fs::write(&path, "one").unwrap();
        let (_, watched) = watched(&[path], pace);
        let mut states = watched.states.clone();
        drop(watched);
        // The thread held the sender.
        let ended = timeout(Duration::from_secs(20), states.changed()).await.expect("the thread ends");
        assert!(ended.is_err());
    }
}

#[test]
fn reading_causes_no_signal() {
    let event = |kind| notify::Event::new(kind).add_path("/mesh/policy.json".into());
    let signal = |kind| signal(&event(kind), &Places::new());
    assert!(signal(EventKind::Access(AccessKind::Open(AccessMode::Any))).is_none());
    assert!(signal(EventKind::Access(AccessKind::Close(AccessMode::Read))).is_none());
    assert!(signal(EventKind::Access(AccessKind::Close(AccessMode::Write))).is_some());
    assert!(signal(EventKind::Other).is_some(), "events were lost");
}

#[test]
fn contents_stay_out_of_debug_texts() {
    let temp = TempDir::new();
    let path = temp.0.join("key.pem");
    fs::write(&path, "secret").unwrap();
    let (read, watched) = watched(&[path], POLL);
    assert_eq!(format!("{:?}", read.unwrap()), "Contents of bytes [6]");
    assert!(!format!("{watched:?}").contains("115, 101"), "{watched:?}");
}

/// The reader sees a change of the file while it reads it, or the second look does.
#[test]
fn a_size_that_does_not_hold_does_not_cut_a_file() {
    // Files of /proc have contents and the size zero.
    if cfg!(target_os = "linux") {
        let (read, _) = read_all(&["/proc/version".into()], 10_000);
        assert!(texts(&read)[0].starts_with("Linux version"));
        let (read, _) = read_all(&["/proc/version".into()], 5);
        assert!(matches!(read, Err(FileError::TooLarge { most: 5, .. })));
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A directory as Kubernetes mounts a Secret or a `ConfigMap`: each generation has a directory of its
    /// own, and a swap of one link replaces all files at once.
    struct Mount {
        at: PathBuf,
        generation: u32,
    }

    impl Mount {
        fn new(at: PathBuf, files: &[&str], text: &str) -> Self {
            let mut mount = Self { at, generation: 0 };
            fs::create_dir(&mount.at).unwrap();
            mount.publish(files, text);
            for file in files {
                symlink(Path::new("..data").join(file), mount.at.join(file)).unwrap();
            }
            mount
        }

        fn publish(&mut self, files: &[&str], text: &str) {
            self.generation += 1;
            let name = format!("..2026_11_29_00_00_00.{}", self.generation);
            let data = self.at.join(&name);
            fs::create_dir(&data).unwrap();
            for file in files {
                fs::write(data.join(file), text).unwrap();
            }
            symlink(&name, self.at.join("..data_tmp")).unwrap();
            let last = fs::read_link(self.at.join("..data"));
            fs::rename(self.at.join("..data_tmp"), self.at.join("..data")).unwrap();
            if let Ok(last) = last {
                fs::remove_dir_all(self.at.join(last)).unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_swap_of_links_as_kubernetes_does_it_is_delivered() {
        for pace in [SIGNALS, POLL] {
            let temp = TempDir::new();
            let mut mount = Mount::new(temp.0.join("mount"), &["policy.json"], "one");
            let (first, mut watched) = watched(&[mount.at.join("policy.json")], pace);
            assert_eq!(texts(&first), ["one"]);
            for text in ["two", "three", "four"] {
                mount.publish(&["policy.json"], text);
                assert_eq!(texts(&next(&mut watched).await), [text]);
            }
        }
    }

    #[tokio::test]
    async fn a_link_to_a_file_elsewhere_is_followed() {
        let temp = TempDir::new();
        let (link, target) = (temp.0.join("mesh/policy.json"), temp.0.join("store/policy.json"));
        for path in [&link, &target] {
            fs::create_dir(path.parent().unwrap()).unwrap();
        }
        fs::write(&target, "one").unwrap();
        symlink("../store/policy.json", &link).unwrap();
        let (_, mut watched) = watched(&[link], SIGNALS);
        put_over(&target, "two");
        until_text(&mut watched, "two").await;
    }

    /// Three files that belong together, replaced all the time, are never delivered in a mixture.
    #[test]
    fn files_of_one_set_are_of_one_generation() {
        let temp = TempDir::new();
        let files = ["tls.crt", "tls.key", "ca.crt"];
        let mut mount = Mount::new(temp.0.join("mount"), &files, "0");
        let paths: Vec<_> = files.iter().map(|file| mount.at.join(file)).collect();
        let (stop, stopped) = mpsc::channel::<()>();
        let writer = thread::spawn(move || {
            for generation in 1_u64.. {
                mount.publish(&files, &generation.to_string());
                if stopped.try_recv() != Err(mpsc::TryRecvError::Empty) {
                    break;
                }
            }
        });
        let (mut whole, mut torn) = (0, 0);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) && (whole < 200 || torn < 10) {
            let (read, same) = read_all(&paths, MAX);
            let Ok(contents) = read else { continue };
            let [cert, key, ca] = contents.files() else { panic!("{contents:?}") };
            if same {
                whole += 1;
                assert!(cert == key && key == ca, "{cert:?} {key:?} {ca:?}");
            } else {
                torn += 1;
            }
        }
        drop(stop);
        writer.join().unwrap();
        assert!(whole > 0 && torn > 0, "{whole} whole, {torn} torn");
    }

    #[tokio::test]
    async fn files_and_directories_that_cannot_be_written_are_watched() {
        let temp = TempDir::new();
        let directory = temp.0.join("mesh");
        let path = directory.join("policy.json");
        fs::create_dir(&directory).unwrap();
        fs::write(&path, "one").unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(&path, 0o400);
        mode(&directory, 0o500);
        let (first, mut watched) = watched(from_ref(&path), SIGNALS);
        assert_eq!(texts(&first), ["one"]);
        mode(&directory, 0o700);
        put_over(&path, "two");
        assert_eq!(texts(&next(&mut watched).await), ["two"]);
        // Root reads everything.
        if !rustix::process::geteuid().is_root() {
            mode(&path, 0o000);
            let error = next(&mut watched).await.unwrap_err();
            assert!(error.to_string().contains("make it readable"), "{error}");
            mode(&path, 0o400);
            until_text(&mut watched, "two").await;
        }
    }

    #[test]
    fn a_pipe_in_the_place_of_a_file_holds_nothing_up() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let temp = TempDir::new();
        let path = temp.0.join("policy.json");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let (read, _) = read_all(from_ref(&path), MAX);
        assert_eq!(read, Err(FileError::Type { path }));
    }
}
