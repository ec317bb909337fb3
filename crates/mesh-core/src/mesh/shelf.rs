//! The file in which the history survives a restart: a line of JSON for each minute, in two files of at most 16
//! MiB. An incomplete line is skipped, so a crash loses at most a minute.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use crate::{admin::AdminError, clock::Timestamp, telemetry::History};

/// The size at which a new file begins.
const MAX_FILE: u64 = 16 << 20;
/// The time between two lines, in ms.
const STEP: u64 = 60_000;

/// The file of one service.
#[derive(Debug)]
pub(super) struct Shelf {
    path: PathBuf,
    former: PathBuf,
    /// The time up to which the history is written, in ms.
    written: u64,
}

impl Shelf {
    /// Opens or creates the file, and loads its last hour into `history`. Blocks.
    pub(super) fn open(
        directory: &Path,
        service: &str,
        history: &mut History,
        now: Timestamp,
    ) -> Result<Self, AdminError> {
        let path = directory.join(format!("history-{service}.jsonl"));
        let former = directory.join(format!("history-{service}.1.jsonl"));
        let shelf = Self { path, former, written: now.as_millis() };
        let opened =
            fs::create_dir_all(directory).and_then(|()| shelf.file()).and_then(|_| shelf.load(history, now));
        opened.map_err(|error| AdminError::History {
            path: shelf.path.display().to_string(),
            detail: error.to_string(),
        })?;
        Ok(shelf)
    }

    fn file(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.path)
    }

    fn load(&self, history: &mut History, now: Timestamp) -> io::Result<()> {
        for path in [&self.former, &self.path] {
            let file = match File::open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            // A crash can leave any bytes in a line. The limit on the size holds even if another
            // program has written the file.
            for line in BufReader::new(file.take(2 * MAX_FILE)).split(b'\n') {
                history.restore(&line?, now.as_millis());
            }
        }
        Ok(())
    }

    /// Writes the new part of the history, at most once a minute. Blocks.
    pub(super) fn write(&mut self, history: &History, now: u64) -> io::Result<()> {
        if now.saturating_sub(self.written) < STEP {
            return Ok(());
        }
        let Some(mut line) = history.line(self.written) else { return Ok(()) };
        line.push('\n');
        let mut file = self.file()?;
        if file.metadata()?.len() + line.len() as u64 > MAX_FILE {
            fs::rename(&self.path, &self.former)?;
            file = self.file()?;
        }
        // The leading newline ends an incomplete line of an earlier write.
        file.write_all(format!("\n{line}").as_bytes())?;
        file.sync_data()?;
        self.written = now;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{
        BUCKETS,
        picture::{Edge, MeshPicture},
        report::Figures,
    };

    fn picture(at: u64, total: u64) -> MeshPicture {
        let figures = Figures { total, buckets: vec![total; BUCKETS], ..Figures::default() };
        let edge = Edge { from: "a".to_owned(), to: "b".to_owned(), figures, ..Edge::default() };
        MeshPicture { at, edges: vec![edge], ..MeshPicture::default() }
    }

    fn directory(name: &str) -> PathBuf {
        let mut random = [0; 8];
        crate::crypto::secret::fill_random(&mut random).unwrap();
        std::env::temp_dir().join(format!("mesh-history-{name}-{}", hex::encode(random)))
    }

    fn points(history: &History, now: u64) -> usize {
        history.view(now, 3_600_000, 10_000, Vec::new()).series.first().map_or(0, |series| series.at.len())
    }

    #[test]
    fn a_restart_finds_what_was_written_and_a_torn_line_costs_itself_only() {
        let (directory, start) = (directory("torn"), 1_000_000_000);
        let now = |step: u64| start + step * 10_000;
        let mut history = History::default();
        let mut shelf = Shelf::open(&directory, "me", &mut history, Timestamp::from_millis(start)).unwrap();
        for step in 0..30 {
            history.add(&picture(now(step), step * 10));
            shelf.write(&history, now(step)).unwrap();
        }
        assert_eq!(points(&history, now(29)), 29);
        let path = directory.join("history-me.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        // The last line is torn in the middle, and the first one belongs to another program.
        fs::write(&path, format!("{{\"at\":\u{0}[[[\n{}", &text[..text.len() - 60])).unwrap();
        let mut restored = History::default();
        let mut shelf =
            Shelf::open(&directory, "me", &mut restored, Timestamp::from_millis(now(30))).unwrap();
        let kept = points(&restored, now(30));
        assert!((18..=24).contains(&kept), "{kept}");
        restored.add(&picture(now(31), 400));
        restored.add(&picture(now(40), 500));
        shelf.write(&restored, now(40)).unwrap();
        let mut again = History::default();
        Shelf::open(&directory, "me", &mut again, Timestamp::from_millis(now(41))).unwrap();
        assert_eq!(points(&again, now(41)), kept + 1, "a new line behind the torn one");
        let mut late = History::default();
        Shelf::open(&directory, "me", &mut late, Timestamp::from_millis(now(41) + 7_200_000)).unwrap();
        assert_eq!(points(&late, now(41) + 7_200_000), 0, "points older than an hour are skipped");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn the_files_have_a_limit() {
        let directory = directory("limit");
        let mut history = History::default();
        let start = 1_000_000_000;
        let mut shelf = Shelf::open(&directory, "me", &mut history, Timestamp::from_millis(start)).unwrap();
        let path = directory.join("history-me.jsonl");
        for round in 1..=3_u64 {
            fs::write(&path, vec![b'x'; MAX_FILE as usize]).unwrap();
            history.add(&picture(start + round * 70_000, round));
            shelf.write(&history, start + round * 70_000).unwrap();
        }
        let sizes: Vec<u64> =
            fs::read_dir(&directory).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).collect();
        assert_eq!(sizes.len(), 2);
        assert!(sizes.iter().all(|size| *size <= MAX_FILE), "{sizes:?}");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_written_names_the_option() {
        let error =
            Shelf::open(Path::new("/dev/null/x"), "me", &mut History::default(), Timestamp::default());
        assert!(error.unwrap_err().to_string().starts_with("admin.history: "));
    }
}
