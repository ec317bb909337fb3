//! Stalled streams. They are detected once a second, counted, and logged with
//! the side that does not read.

use super::{
    side::Carrier,
    state::Session,
    streams::{Stall, Streams},
};
use crate::mesh::shared::Shared;

/// The stalled streams at one moment.
#[derive(Debug, Default)]
pub(crate) struct Stalls {
    count: usize,
    lines: Vec<Line>,
}

/// A line for the log.
#[derive(Debug)]
struct Line {
    peer: String,
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Stalls {
    /// Checks every stream of one side once; ends those that hold room that others need.
    pub(crate) fn look<C: Carrier>(&mut self, carrier: &C) {
        let mut broken = Vec::new();
        carrier.each(|id, streams, session| {
            if streams.method().is_empty() {
                return;
            }
            match streams.sweep(session) {
                Ok(stalls) => {
                    let stalls = || stalls.iter().flatten();
                    self.count += stalls().count();
                    let new = stalls().filter(|stall| stall.new);
                    self.lines.extend(new.map(|stall| line(*stall, streams, session)));
                }
                Err(error) => broken.push((id, error)),
            }
        });
        broken.sort_unstable_by_key(|(id, _)| *id);
        for (id, error) in broken {
            carrier.break_stream(id, error);
        }
    }

    /// Counts and logs the stalled streams.
    pub(crate) fn report(mut self, shared: &Shared) {
        shared.stats.set_stalled(self.count);
        self.lines.sort_unstable_by(|one, other| one.fields.cmp(&other.fields));
        if !self.lines.is_empty() {
            for Line { peer, message, fields } in self.lines {
                shared.log_refusal("stall", peer, message, fields);
            }
            shared.events.flush();
        }
    }
}

fn line(stall: Stall, streams: &Streams, session: &Session) -> Line {
    let (peer, method) = (session.info.peer.to_string(), streams.method());
    let held = stall.held;
    let (reason, message) = if stall.peer {
        ("peer", format!("{peer} does not read the stream {method}: {held} bytes wait here"))
    } else {
        (
            "application",
            format!("the application does not read the stream {method} from {peer}: {held} bytes wait here"),
        )
    };
    let fields = vec![
        ("peer", peer.clone()),
        ("session", session.info.id.to_string()),
        ("method", method.to_owned()),
        ("reason", reason.to_owned()),
        ("bytes", held.to_string()),
    ];
    Line { peer, message, fields }
}
