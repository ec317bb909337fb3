//! Streams that stand still: noticed once a second, counted, and logged with
//! who holds what.

use super::{
    core::Core,
    events::StreamId,
    session::{Session, Stall, StreamError, Streams},
    sync::lock,
};

/// What came of looking at one stream.
type Looked = (StreamId, Result<[Option<Stall>; 2], StreamError>);

/// A line for the log.
struct Line {
    peer: String,
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Core {
    /// Looks at every stream once.
    pub(super) fn sweep_streams(&self) {
        let (mut looked, mut lines): (Vec<Looked>, Vec<Line>) = Default::default();
        let mut look = |id: StreamId, streams: &mut Streams, session: &Session| {
            if streams.method().is_empty() {
                return;
            }
            let outcome = streams.sweep(session);
            let new = outcome.iter().flatten().flatten().filter(|stall| stall.new);
            lines.extend(new.map(|stall| line(*stall, streams, session)));
            looked.push((id, outcome));
        };
        for (id, call) in &mut lock(&self.outbound).calls {
            if let Some((session, _)) = &call.placed {
                look(StreamId::Call(*id), &mut call.streams, session);
            }
        }
        for (id, active) in &mut lock(&self.inbound).requests {
            look(StreamId::Request(*id), &mut active.streams, &active.session);
        }
        looked.sort_unstable_by_key(|(id, _)| *id);
        lines.sort_unstable_by(|one, other| one.fields.cmp(&other.fields));
        let stalled = looked.iter().flat_map(|(_, outcome)| outcome.iter().flatten().flatten()).count();
        self.stats.set_stalled(stalled);
        for (stream, outcome) in looked {
            if let Err(error) = outcome {
                self.break_stream(stream, error);
            }
        }
        if !lines.is_empty() {
            for Line { peer, message, fields } in lines {
                self.log_refusal("stall", peer, message, fields);
            }
            self.events.flush();
        }
    }
}

fn line(stall: Stall, streams: &Streams, session: &Session) -> Line {
    let (peer, method) = (session.info.peer.to_string(), streams.method());
    let held = stall.held;
    let (reason, message) = if stall.peer {
        ("peer", format!("{peer} does not read the stream {method}: {held} bytes wait here"))
    } else {
        ("application", format!("nobody here reads the stream {method} from {peer}: {held} bytes are held"))
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
