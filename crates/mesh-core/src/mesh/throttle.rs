//! Log lines that strangers can cause at will. The first few of each kind are
//! written, and the others are counted.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use tokio::time::Instant;

use super::sync::lock;

/// The lines of one kind that are written in one window.
const LINES: u32 = 10;
const WINDOW: Duration = Duration::from_mins(1);
/// The most kinds that are distinguished at a time. Beyond it all subjects count as one.
const MAX_KINDS: usize = 1024;
/// The subject of lines when there are too many kinds.
const OTHERS: &str = "others";

/// The kind of a line: the event, its subject and its reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pub(crate) event: &'static str,
    pub(crate) subject: String,
    pub(crate) reason: String,
}

#[derive(Debug)]
struct Count {
    since: Instant,
    lines: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<HashMap<Kind, Count>>);

impl Throttle {
    /// Whether a line may be written. One that may not is counted.
    pub(crate) fn admits(&self, mut kind: Kind, now: Instant) -> bool {
        let mut counts = lock(&self.0);
        if counts.len() >= MAX_KINDS && !counts.contains_key(&kind) {
            OTHERS.clone_into(&mut kind.subject);
        }
        let count = counts.entry(kind).or_insert(Count { since: now, lines: 0 });
        count.lines = count.lines.saturating_add(1);
        count.lines <= LINES
    }

    /// Ends the complete windows; returns the number of withheld lines in each.
    pub(crate) fn withheld(&self, now: Instant) -> Vec<(Kind, u32)> {
        let mut withheld = Vec::new();
        lock(&self.0).retain(|kind, count| {
            let over = now.duration_since(count.since) >= WINDOW;
            if over && count.lines > LINES {
                withheld.push((kind.clone(), count.lines - LINES));
            }
            !over
        });
        withheld
    }

    /// The same, with the incomplete windows.
    pub(crate) fn withheld_at_the_end(&self, now: Instant) -> Vec<(Kind, u32)> {
        self.withheld(now + WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(subject: &(impl ToString + ?Sized), reason: &str) -> Kind {
        Kind { event: "handshake.refused", subject: subject.to_string(), reason: reason.to_owned() }
    }

    #[test]
    fn of_each_kind_the_first_lines_are_written_and_the_others_counted() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let written =
            |subject, reason| (0..100).filter(|_| throttle.admits(kind(subject, reason), now)).count();
        assert_eq!(written("a", "HELLO_MAC"), 10);
        assert_eq!(written("a", "FINISHED"), 10);
        assert_eq!(written("b", "HELLO_MAC"), 10);
        assert!(throttle.admits(kind("c", "HELLO_MAC"), now));
        assert_eq!(throttle.withheld(now + Duration::from_secs(59)), []);
        let withheld = throttle.withheld(now + WINDOW);
        assert_eq!(withheld.len(), 3, "no line about c was withheld");
        assert!(withheld.contains(&(kind("b", "HELLO_MAC"), 90)));
        assert!(throttle.admits(kind("a", "HELLO_MAC"), now + WINDOW), "a new window");
    }

    #[test]
    fn any_number_of_subjects_makes_a_bounded_number_of_lines() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let written = (0..50_000).filter(|n| throttle.admits(kind(&n, "HELLO_MAC"), now)).count();
        assert_eq!(written, MAX_KINDS + LINES as usize);
        assert!(lock(&throttle.0).len() <= MAX_KINDS + 1);
        let withheld = throttle.withheld(now + WINDOW);
        assert_eq!(withheld, [(kind(OTHERS, "HELLO_MAC"), 50_000 - written as u32)]);
        assert!(lock(&throttle.0).is_empty());
    }
}
