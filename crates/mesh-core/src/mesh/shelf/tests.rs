use std::fs;

use super::*;
use crate::telemetry::{
    BUCKETS, MeshEvent,
    picture::{Edge, MeshPicture},
    report::Figures,
};

const START: u64 = 1_800_000_000_000;
const MINUTE: u64 = 60_000;

fn at(step: u64) -> u64 {
    START + step * 10_000
}

fn picture(at: u64, total: u64) -> MeshPicture {
    let figures = Figures { total, buckets: vec![total; BUCKETS], ..Figures::default() };
    let edge = Edge { from: "a".to_owned(), to: "b".to_owned(), figures, ..Edge::default() };
    MeshPicture { at, edges: vec![edge], ..MeshPicture::default() }
}

/// A directory that is removed in the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let mut random = [0; 8];
        crate::crypto::secret::fill_random(&mut random).unwrap();
        Self(std::env::temp_dir().join(format!("mesh-history-{name}-{}", hex::encode(random))))
    }

    fn file(&self) -> PathBuf {
        self.0.join("history-me.mesh")
    }

    fn open(&self, history: &Mutex<History>, now: u64) -> Result<(Shelf, Option<Damage>), ShelfError> {
        let mut opened = Shelf::new(&self.0, "me");
        let damage = opened.open(history, now)?;
        Ok((opened, damage))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn week() -> Mutex<History> {
    Mutex::new(History::of_a_week())
}

fn write(shelf: &mut Shelf, history: &Mutex<History>, now: u64) -> Result<(), ShelfError> {
    if shelf.is_due(now, false) { shelf.write(history, now) } else { Ok(()) }
}

fn points(history: &Mutex<History>, now: u64) -> usize {
    let view = lock(history).view(now, 3_600_000, 10_000);
    view.series.first().map_or(0, |series| series.at.len())
}

/// A file of half an hour, made by steps of ten seconds; the last block is that of the last minute.
fn fill(directory: &Directory, steps: u64) -> Mutex<History> {
    let history = week();
    let (mut shelf, damage) = directory.open(&history, at(0)).unwrap();
    assert_eq!(damage, None);
    for step in 1..=steps {
        lock(&history).add(&picture(at(step), step * 10));
        lock(&history).note(vec![MeshEvent { at: at(step), ..MeshEvent::default() }]);
        write(&mut shelf, &history, at(step)).unwrap();
    }
    history
}

#[test]
fn a_write_that_is_torn_at_any_byte_costs_the_last_minute_and_nothing_else() {
    let directory = Directory::new("torn");
    let history = fill(&directory, 180);
    assert_eq!(points(&history, at(180)), 179);
    let whole = fs::read(directory.file()).unwrap();
    let (all, damage) = (week(), directory.open(&week(), at(180)).unwrap().1);
    assert_eq!(damage, None);
    directory.open(&all, at(180)).unwrap();
    assert_eq!(points(&all, at(180)), 179);
    // Where the last block begins.
    let mut start = MAGIC.len();
    loop {
        let length: [u8; 4] = whole[start..start + 4].try_into().unwrap();
        let next = start + HEAD + u32::from_be_bytes(length) as usize;
        if next == whole.len() {
            break;
        }
        start = next;
    }
    for end in start..whole.len() {
        fs::write(directory.file(), &whole[..end]).unwrap();
        let history = week();
        let (mut shelf, damage) = directory.open(&history, at(180)).unwrap();
        assert_eq!(points(&history, at(180)), 173, "torn at {end} of {}", whole.len());
        assert_eq!(damage.is_some(), end != start);
        // And the next minute is behind the torn one.
        lock(&history).add(&picture(at(181), 0));
        lock(&history).add(&picture(at(187), 60));
        write(&mut shelf, &history, at(187)).unwrap();
        drop(shelf);
        let again = week();
        assert_eq!(directory.open(&again, at(187)).unwrap().1, None);
        assert_eq!(points(&again, at(187)), 174);
    }
}

#[test]
fn a_changed_byte_costs_its_block() {
    let directory = Directory::new("changed");
    fill(&directory, 60);
    let whole = fs::read(directory.file()).unwrap();
    for place in (MAGIC.len() + HEAD..whole.len()).step_by(37) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x20;
        fs::write(directory.file(), bytes).unwrap();
        let history = week();
        let (_, damage) = directory.open(&history, at(60)).unwrap();
        assert!(matches!(damage, Some(Damage::Bytes(1..))), "{place}: {damage:?}");
        assert!(points(&history, at(60)) < 59);
    }
}

#[test]
fn a_file_of_something_else_is_moved_away() {
    let directory = Directory::new("header");
    fill(&directory, 12);
    for text in ["MESHHIS2 of a later version", "{\"json\":1}", "\0"] {
        fs::write(directory.file(), text).unwrap();
        let (_, damage) = directory.open(&week(), at(12)).unwrap();
        let Some(Damage::Header(away)) = damage else { panic!("{damage:?}") };
        assert_eq!(fs::read(away).unwrap(), text.as_bytes());
        assert_eq!(fs::read(directory.file()).unwrap(), MAGIC);
    }
    // A crash before anything was written is none.
    fs::write(directory.file(), &MAGIC[..3]).unwrap();
    assert_eq!(directory.open(&week(), at(12)).unwrap().1, Some(Damage::Bytes(3)));
    // A length beyond all measure allocates nothing.
    fs::write(directory.file(), [&MAGIC[..], &[0xff; 64]].concat()).unwrap();
    assert_eq!(directory.open(&week(), at(12)).unwrap().1, Some(Damage::Bytes(64)));
}

#[test]
fn the_file_is_bounded_however_long_and_large_the_mesh() {
    let directory = Directory::new("bound");
    let history = week();
    let (mut shelf, _) = directory.open(&history, at(0)).unwrap();
    let name = |number: u64| format!("{number:0>100}");
    let wide = |at: u64, total: u64| {
        let figures = Figures { total, buckets: vec![total; BUCKETS], ..Figures::default() };
        let edge = |number| Edge {
            from: name(number % 45),
            to: name(number),
            figures: figures.clone(),
            ..Edge::default()
        };
        MeshPicture { at, edges: (0..200).map(edge).collect(), ..MeshPicture::default() }
    };
    let mut largest = 0;
    for minute in 0..400 {
        let now = START + minute * MINUTE;
        lock(&history).add(&wide(now, minute * 100));
        write(&mut shelf, &history, now).unwrap();
        largest = largest.max(fs::metadata(directory.file()).unwrap().len());
    }
    // An hour of 200 edges, and what is kept of six hours before.
    assert!(largest < 5_600_000, "{largest}");
    let files = fs::read_dir(&directory.0).unwrap().count();
    assert_eq!(files, 2, "the file and its lock");
    // One with more than there can be is not read to its end.
    drop(shelf);
    File::options().write(true).open(directory.file()).unwrap().set_len(MAX_FILE * 4).unwrap();
    let (_, damage) = directory.open(&week(), START + 400 * MINUTE).unwrap();
    let Some(Damage::Bytes(lost)) = damage else { panic!("{damage:?}") };
    assert!(lost <= MAX_FILE, "{lost}");
    assert!(fs::metadata(directory.file()).unwrap().len() < 5_600_000);
}

#[test]
fn a_place_that_cannot_be_used_says_why_and_what_to_do() {
    let text = |directory: &Path| {
        let mut shelf = Shelf::new(directory, "me");
        shelf.open(&week(), at(0)).unwrap_err().to_string()
    };
    assert!(text(Path::new("/dev/null/x")).starts_with("cannot make the directory /dev/null/x: "));
    let directory = Directory::new("place");
    let history = week();
    let (shelf, _) = directory.open(&history, at(0)).unwrap();
    assert!(text(&directory.0).starts_with("another process keeps "), "{}", text(&directory.0));
    drop(shelf);
    directory.open(&history, at(0)).unwrap();
}

#[cfg(unix)]
#[test]
fn files_and_directories_of_others_and_links_are_left_alone() {
    use std::os::unix::fs::{MetadataExt, chown, symlink};
    let directory = Directory::new("others");
    fill(&directory, 12);
    assert_eq!(fs::metadata(directory.file()).unwrap().mode() & 0o777, 0o600);
    let victim = directory.0.join("victim");
    fs::write(&victim, "precious").unwrap();
    let refused = || directory.open(&week(), at(12)).unwrap_err().to_string();
    fs::remove_file(directory.file()).unwrap();
    symlink(&victim, directory.file()).unwrap();
    assert!(refused().contains("is not a file of its own"), "{}", refused());
    fs::remove_file(directory.file()).unwrap();
    fs::hard_link(&victim, directory.file()).unwrap();
    assert!(refused().contains("belongs to another user"), "{}", refused());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    fs::remove_file(directory.file()).unwrap();
    if rustix::process::geteuid().is_root() {
        fs::write(directory.file(), "").unwrap();
        chown(directory.file(), Some(12_345), None).unwrap();
        assert!(refused().contains("belongs to another user"), "{}", refused());
        chown(directory.file(), Some(0), None).unwrap();
        chown(&directory.0, Some(12_345), None).unwrap();
        assert!(refused().contains("belongs to another user"), "{}", refused());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_the_history_of_that_while_only() {
    let directory = Directory::new("full");
    let history = week();
    let (mut shelf, _) = directory.open(&history, at(0)).unwrap();
    for step in 1..=6 {
        lock(&history).add(&picture(at(step), step * 10));
    }
    // A file that is always full takes the place of the real one for a minute.
    let open = shelf.open.as_mut().unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let real = std::mem::replace(&mut open.file, full);
    let error = write(&mut shelf, &history, at(6)).unwrap_err().to_string();
    assert!(error.starts_with("cannot write "), "{error}");
    // The write ended in the middle of a block.
    let mut torn = real.try_clone().unwrap();
    torn.seek(SeekFrom::End(0)).unwrap();
    torn.write_all(&[0, 0, 1]).unwrap();
    shelf.open.as_mut().unwrap().file = real;
    lock(&history).add(&picture(at(7), 70));
    // A minute later there is room.
    write(&mut shelf, &history, at(12)).unwrap();
    drop(shelf);
    let again = week();
    assert_eq!(directory.open(&again, at(12)).unwrap().1, None);
    assert_eq!(points(&again, at(12)), 6);
}
