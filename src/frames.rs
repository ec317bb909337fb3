//! The byte format of batches between Rust and JavaScript; `js/frames` is its other half, and `boundary` has
//! the numbers of both. Little-endian, because a JavaScript engine writes it fastest:
//!
//! ```text
//! u32 length of what follows | u8 kind | u8 encoding | u16 a | u32 id | parts
//! ```

use std::time::Duration;

use mesh_core::{
    mesh::{Chain, StreamId},
    record::message::{CallKind, Encoding, Payload, Priority},
};

use crate::boundary::{self, Event, HEADER, Side};

/// A frame to be written: its header, and its parts in order.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Event,
    pub(crate) encoding: Encoding,
    pub(crate) a: u16,
    pub(crate) id: u32,
    pub(crate) numbers: &'a [u32],
    pub(crate) parts: &'a [&'a [u8]],
}

impl Frame<'_> {
    /// Creates a frame without content.
    pub(crate) const fn empty(kind: Event) -> Self {
        Frame { kind, encoding: Encoding::Empty, a: 0, id: 0, numbers: &[], parts: &[] }
    }

    /// The encoded length of the frame in bytes.
    pub(crate) fn len(&self) -> usize {
        HEADER + self.numbers.len() * 4 + self.parts.iter().map(|part| part.len()).sum::<usize>()
    }

    /// Appends the frame.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.reserve(self.len());
        out.extend_from_slice(&((self.len() - 4) as u32).to_le_bytes());
        out.extend_from_slice(&[self.kind as u8, self.encoding as u8]);
        out.extend_from_slice(&self.a.to_le_bytes());
        out.extend_from_slice(&self.id.to_le_bytes());
        for number in self.numbers {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for part in self.parts {
            out.extend_from_slice(part);
        }
    }
}

/// A malformed batch: a fault of `js/`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Malformed;

/// A command read from a batch.
#[derive(Debug)]
pub(crate) enum Command<'a> {
    Call {
        id: u32,
        timeout: Option<Duration>,
        idempotent: bool,
        kind: CallKind,
        /// Empty for none.
        sticky: &'a str,
        hedge: Option<bool>,
        priority: Option<Priority>,
        chain: Chain<'a>,
        service: &'a str,
        method: &'a str,
        metadata: &'a [u8],
        payload: Payload<'a>,
    },
    Cancel {
        id: u32,
    },
    Respond {
        id: u32,
        metadata: &'a [u8],
        payload: Payload<'a>,
    },
    Fail {
        id: u32,
        failure: &'a [u8],
    },
    Item {
        stream: StreamId,
        payload: Payload<'a>,
    },
    End {
        stream: StreamId,
        metadata: &'a [u8],
    },
    Consumed {
        stream: StreamId,
        cost: u32,
    },
    Late {
        id: u32,
    },
}

/// Splits a stream's id into the number of its table and its number in the table.
pub(crate) const fn split(stream: StreamId) -> (u16, u32) {
    match stream {
        StreamId::Call(id) => (Side::Call as u16, id),
        StreamId::Request(id) => (Side::Request as u16, id),
    }
}

fn stream(a: usize, id: u32) -> Option<StreamId> {
    Some(match Side::from_number(u8::try_from(a).ok()?)? {
        Side::Call => StreamId::Call(id),
        Side::Request => StreamId::Request(id),
    })
}

/// Reads the commands of a batch.
#[derive(Debug)]
pub(crate) struct Commands<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Commands<'a> {
    type Item = Result<Command<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let command = self.read();
        if command.is_none() {
            self.0 = &[];
        }
        Some(command.ok_or(Malformed))
    }
}

impl<'a> Commands<'a> {
    fn read(&mut self) -> Option<Command<'a>> {
        let mut batch = Cursor(self.0);
        let length = batch.u32()?;
        let mut frame = Cursor(batch.bytes(length as usize)?);
        self.0 = batch.0;

        let [kind, encoding] = frame.array()?;
        let a = usize::from(u16::from_le_bytes(frame.array()?));
        let id = frame.u32()?;
        let encoding = Encoding::from_number(encoding)?;
        Some(match boundary::Command::from_number(kind)? {
            boundary::Command::Call => {
                let timeout_ms = f64::from_le_bytes(frame.array()?);
                let parent = frame.u32()?;
                let method_len = usize::from(u16::from_le_bytes(frame.array()?));
                let path_len = usize::from(u16::from_le_bytes(frame.array()?));
                let [flags, depth] = frame.array()?;
                let metadata_len = frame.u32()? as usize;
                // Milliseconds with their fraction, since rounding could extend a deadline.
                let timeout = Duration::try_from_secs_f64(timeout_ms / 1000.0).ok()?;
                // Only few calls have one, and its length is among the texts.
                let has_sticky = flags & 8 != 0;
                Command::Call {
                    id,
                    timeout: (timeout_ms > 0.0).then_some(timeout),
                    idempotent: flags & 1 != 0,
                    kind: CallKind::from_number(flags >> 1 & 3)?,
                    hedge: (flags & 16 != 0).then_some(flags & 32 != 0),
                    priority: Priority::from_number(flags >> 6),
                    service: frame.text(a)?,
                    method: frame.text(method_len)?,
                    metadata: frame.bytes(metadata_len)?,
                    chain: Chain {
                        parent: (parent != 0).then_some(parent),
                        depth,
                        path: frame.text(path_len)?,
                    },
                    sticky: if has_sticky {
                        let length = u16::from_le_bytes(frame.array()?);
                        frame.text(usize::from(length))?
                    } else {
                        ""
                    },
                    payload: Payload { encoding, bytes: frame.0 },
                }
            }
            boundary::Command::Cancel => Command::Cancel { id },
            boundary::Command::Respond => {
                let metadata_len = frame.u32()? as usize;
                Command::Respond {
                    id,
                    metadata: frame.bytes(metadata_len)?,
                    payload: Payload { encoding, bytes: frame.0 },
                }
            }
            boundary::Command::Fail => Command::Fail { id, failure: frame.0 },
            boundary::Command::Item => {
                Command::Item { stream: stream(a, id)?, payload: Payload { encoding, bytes: frame.0 } }
            }
            boundary::Command::End => Command::End { stream: stream(a, id)?, metadata: frame.0 },
            boundary::Command::Late => Command::Late { id },
            boundary::Command::Consumed => Command::Consumed { stream: stream(a, id)?, cost: frame.u32()? },
        })
    }
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn text(&mut self, len: usize) -> Option<&'a str> {
        std::str::from_utf8(self.bytes(len)?).ok()
    }
}
