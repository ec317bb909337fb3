//! The report of this process for the server, whose answer it is.

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use tokio::time::Instant;

use super::sync::lock;
use crate::telemetry::{problems::Onsets, report::Report};

/// The time for which one report answers all requests.
const FRESH: Duration = Duration::from_secs(1);

type Make = Box<dyn Fn() -> Option<Report> + Send + Sync>;

/// Makes the report of this process.
#[derive(Default)]
pub(crate) struct Reporter {
    make: OnceLock<Make>,
    last: Mutex<Option<(Instant, Arc<String>)>>,
    /// When problems began.
    pub(crate) onsets: Onsets,
}

impl Reporter {
    /// Sets the function that makes the report.
    pub(crate) fn is_made_by(&self, make: impl Fn() -> Option<Report> + Send + Sync + 'static) {
        let _ = self.make.set(Box::new(make));
    }

    /// The recent report, if there is one.
    pub(crate) fn recent(&self) -> Option<Arc<String>> {
        let last = lock(&self.last);
        last.as_ref().filter(|(made, _)| made.elapsed() < FRESH).map(|(_, text)| Arc::clone(text))
    }

    /// Makes a report.
    pub(crate) fn make(&self) -> Option<Report> {
        self.make.get()?()
    }

    /// Keeps a report for the next requests.
    pub(crate) fn keep(&self, text: String) -> Arc<String> {
        let text = Arc::new(text);
        *lock(&self.last) = Some((Instant::now(), Arc::clone(&text)));
        text
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reporter(..)")
    }
}
