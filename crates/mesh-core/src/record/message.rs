//! The messages inside a record: `docs/protocol.md`, section 6.

use bytes::BytesMut;

use super::RecordError;
use crate::{
    clock::Timestamp,
    error::Code,
    wire::{Malformed, Reader, Write},
};

/// Longest method name, in bytes.
pub const MAX_METHOD: usize = 200;
/// Largest block of fields, in bytes.
pub const MAX_FIELDS: usize = 8 * 1024;
/// Bytes of a message before its body.
pub const MESSAGE_HEADER: usize = 10;

const RAW: u8 = 1;
const EMPTY: u8 = 2;

/// What a payload is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// JSON text.
    Json,
    /// Bytes as they are.
    Raw,
    /// There is none.
    Empty,
}

/// A payload, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    /// What it is made of.
    pub encoding: Encoding,
    /// The bytes; without any if `encoding` is [`Encoding::Empty`].
    pub bytes: &'a [u8],
}

impl<'a> Payload<'a> {
    /// No payload.
    pub const EMPTY: Payload<'static> = Payload { encoding: Encoding::Empty, bytes: &[] };

    fn read(flags: u8, bytes: &'a [u8]) -> Result<Self, Malformed> {
        let encoding = match flags {
            0 => Encoding::Json,
            RAW => Encoding::Raw,
            EMPTY if bytes.is_empty() => Encoding::Empty,
            _ => return Err(Malformed),
        };
        Ok(Self { encoding, bytes })
    }

    fn flags(self) -> u8 {
        match self.encoding {
            Encoding::Json => 0,
            Encoding::Raw => RAW,
            Encoding::Empty => EMPTY,
        }
    }
}

/// What goes with a request beside its payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestFields<'a> {
    /// Which attempt this is, from 1.
    pub attempt: u8,
    /// A JSON object of strings, or nothing.
    pub metadata: &'a [u8],
}

/// The failure of a call, as it crosses the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure<'a> {
    /// The kind of failure.
    pub code: Code,
    /// The stable detail, or nothing.
    pub reason: &'a str,
    /// For people.
    pub message: &'a str,
    /// When trying again can make sense, in milliseconds.
    pub retry_after_ms: Option<u32>,
    /// Finds the failure in the server's log.
    pub error_id: &'a str,
    /// Structured details, JSON text or nothing.
    pub data: Payload<'a>,
}

/// Why a call was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CancelCause {
    /// The caller gave up.
    Cancelled = 1,
    /// The deadline passed.
    Deadline = 2,
}

/// A message, borrowed from the record that carried it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Message<'a> {
    Request {
        call: u32,
        token: &'a [u8],
        /// Milliseconds; 0 if the call has no deadline.
        time_left_ms: u32,
        method: &'a str,
        fields: RequestFields<'a>,
        payload: Payload<'a>,
    },
    Response {
        call: u32,
        metadata: &'a [u8],
        payload: Payload<'a>,
    },
    Error {
        call: u32,
        failure: Failure<'a>,
    },
    Cancel {
        call: u32,
        cause: CancelCause,
    },
    Ping([u8; 8]),
    Pong([u8; 8]),
    GoAway {
        last: u32,
        code: Code,
    },
}

const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
const ERROR: u8 = 3;
const CANCEL: u8 = 4;
const PING: u8 = 5;
const PONG: u8 = 6;
const GOAWAY: u8 = 7;

const ATTEMPT: u8 = 2;
const METADATA: u8 = 3;
const CODE: u8 = 16;
const REASON: u8 = 17;
const TEXT: u8 = 18;
const RETRY_AFTER: u8 = 19;
const ERROR_ID: u8 = 20;

/// Reads the messages of one record, in order.
#[derive(Clone, Debug)]
pub struct Messages<'a>(Reader<'a>);

impl<'a> Messages<'a> {
    /// Starts at the front of a record's plaintext.
    #[must_use]
    pub const fn new(plaintext: &'a [u8]) -> Self {
        Self(Reader::new(plaintext))
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.end().is_ok() {
            return None;
        }
        let message = read(&mut self.0).map_err(|_| RecordError::Format);
        if message.is_err() {
            // Where the next message begins is unknown.
            self.0 = Reader::new(&[]);
        }
        Some(message)
    }
}

fn read<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, Malformed> {
    let kind = reader.u8()?;
    let flags = reader.u8()?;
    let call = reader.u32()?;
    let mut body = Reader::new(reader.vec32()?);
    let message = match kind {
        REQUEST => {
            let token = body.vec16()?;
            let time_left_ms = body.u32()?;
            let method = read_method(body.vec8()?)?;
            let fields = read_request_fields(&mut body)?;
            let payload = Payload::read(flags, body.rest())?;
            Message::Request { call, token, time_left_ms, method, fields, payload }
        }
        RESPONSE => {
            let mut metadata: &[u8] = &[];
            each_field(&mut body, |tag, value| {
                if tag == METADATA {
                    metadata = value;
                }
                Ok(())
            })?;
            Message::Response { call, metadata, payload: Payload::read(flags, body.rest())? }
        }
        ERROR => Message::Error { call, failure: read_failure(flags, &mut body)? },
        CANCEL => {
            let cause = match body.u8()? {
                1 => CancelCause::Cancelled,
                2 => CancelCause::Deadline,
                _ => return Err(Malformed),
            };
            body.end()?;
            Message::Cancel { call, cause }
        }
        PING | PONG => {
            let nonce = body.array()?;
            body.end()?;
            if kind == PING { Message::Ping(nonce) } else { Message::Pong(nonce) }
        }
        GOAWAY => {
            let last = body.u32()?;
            let code = Code::from_number(body.u8()?).ok_or(Malformed)?;
            body.end()?;
            Message::GoAway { last, code }
        }
        _ => return Err(Malformed),
    };
    Ok(message)
}

/// Printable ASCII without spaces: nothing that a log or a page could mistake.
fn read_method(name: &[u8]) -> Result<&str, Malformed> {
    let name = std::str::from_utf8(name).map_err(|_| Malformed)?;
    if is_method_name(name) { Ok(name) } else { Err(Malformed) }
}

/// Whether `name` can be a method's: 1 to [`MAX_METHOD`] printable ASCII
/// characters without spaces, quotes or angle brackets.
#[must_use]
pub fn is_method_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'"' | b'\'' | b'`' | b'\\');
    (1..=MAX_METHOD).contains(&name.len()) && name.bytes().all(allowed)
}

fn each_field<'a>(
    body: &mut Reader<'a>,
    mut visit: impl FnMut(u8, &'a [u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let block = body.vec16()?;
    if block.len() > MAX_FIELDS {
        return Err(Malformed);
    }
    let mut fields = Reader::new(block);
    while fields.end().is_err() {
        visit(fields.u8()?, fields.vec16()?)?;
    }
    Ok(())
}

fn read_request_fields<'a>(body: &mut Reader<'a>) -> Result<RequestFields<'a>, Malformed> {
    let mut fields = RequestFields { attempt: 1, ..RequestFields::default() };
    each_field(body, |tag, value| {
        match tag {
            ATTEMPT => fields.attempt = Reader::new(value).u8()?,
            METADATA => fields.metadata = value,
            _ => {}
        }
        Ok(())
    })?;
    Ok(fields)
}

fn read_failure<'a>(flags: u8, body: &mut Reader<'a>) -> Result<Failure<'a>, Malformed> {
    let mut code = None;
    let mut failure = Failure {
        code: Code::Unknown,
        reason: "",
        message: "",
        retry_after_ms: None,
        error_id: "",
        data: Payload::EMPTY,
    };
    each_field(body, |tag, value| {
        match tag {
            CODE => code = Code::from_number(Reader::new(value).u8()?),
            REASON => failure.reason = read_text(value)?,
            TEXT => failure.message = read_text(value)?,
            RETRY_AFTER => failure.retry_after_ms = Some(read_u32(value)?),
            ERROR_ID => failure.error_id = read_text(value)?,
            _ => {}
        }
        Ok(())
    })?;
    failure.code = code.ok_or(Malformed)?;
    failure.data = Payload::read(flags, body.rest())?;
    Ok(failure)
}

fn read_u32(value: &[u8]) -> Result<u32, Malformed> {
    value.try_into().map(u32::from_be_bytes).map_err(|_| Malformed)
}

fn read_text(value: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(value).map_err(|_| Malformed)
}

/// A message ready for a record. A request lacks its token, which belongs to
/// the epoch in which the record is sealed, and its time left, which is known
/// only then.
#[derive(Clone, Debug)]
pub struct Encoded {
    kind: u8,
    flags: u8,
    call: u32,
    deadline: Option<Timestamp>,
    payload: usize,
    body: bytes::Bytes,
}

impl Encoded {
    /// Bytes this message will add to a record, a request's token aside.
    #[must_use]
    pub fn len(&self) -> usize {
        MESSAGE_HEADER + self.body.len()
    }

    /// The call this message belongs to.
    #[must_use]
    pub const fn call(&self) -> u32 {
        self.call
    }

    /// Bytes of the payload.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.payload
    }

    /// Never: a message has a header.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Whether this is a request, so that it carries a token.
    #[must_use]
    pub const fn is_request(&self) -> bool {
        self.kind == REQUEST
    }

    /// The same message under another call number.
    #[must_use]
    pub fn with_call(&self, call: u32) -> Self {
        Self { call, ..self.clone() }
    }

    /// A request for `method`, to be answered by `deadline`.
    pub fn request(
        method: &str,
        deadline: Option<Timestamp>,
        fields: RequestFields<'_>,
        payload: Payload<'_>,
    ) -> Result<Self, RecordError> {
        let mut body =
            BytesMut::with_capacity(method.len() + fields.metadata.len() + payload.bytes.len() + 32);
        body.put_vec8(method.as_bytes()).map_err(|_| RecordError::TooLarge)?;
        put_fields(&mut body, |out| {
            if fields.attempt > 1 {
                put_field(out, ATTEMPT, &[fields.attempt])?;
            }
            put_text(out, METADATA, fields.metadata)
        })?;
        body.put(payload.bytes);
        Ok(Self {
            kind: REQUEST,
            flags: payload.flags(),
            call: 0,
            deadline,
            payload: payload.bytes.len(),
            body: body.freeze(),
        })
    }

    /// A response to `call`.
    pub fn response(call: u32, metadata: &[u8], payload: Payload<'_>) -> Result<Self, RecordError> {
        let mut body = BytesMut::with_capacity(metadata.len() + payload.bytes.len() + 8);
        put_fields(&mut body, |out| put_text(out, METADATA, metadata))?;
        body.put(payload.bytes);
        Ok(Self {
            kind: RESPONSE,
            flags: payload.flags(),
            call,
            deadline: None,
            payload: payload.bytes.len(),
            body: body.freeze(),
        })
    }

    /// The failure of `call`. Text that does not fit is left out rather than
    /// let a failure go untold.
    #[must_use]
    pub fn error(call: u32, failure: &Failure<'_>) -> Self {
        Self::try_error(call, failure).unwrap_or_else(|_| {
            let bare = Failure { message: "", data: Payload::EMPTY, reason: "", error_id: "", ..*failure };
            let mut body = BytesMut::new();
            body.put(&[0, 4, CODE, 0, 1, bare.code as u8]);
            Self { kind: ERROR, flags: EMPTY, call, deadline: None, payload: 0, body: body.freeze() }
        })
    }

    fn try_error(call: u32, failure: &Failure<'_>) -> Result<Self, RecordError> {
        let mut body = BytesMut::with_capacity(failure.message.len() + failure.data.bytes.len() + 96);
        put_fields(&mut body, |out| {
            put_field(out, CODE, &[failure.code as u8])?;
            put_text(out, REASON, failure.reason.as_bytes())?;
            put_text(out, TEXT, failure.message.as_bytes())?;
            if let Some(after) = failure.retry_after_ms {
                put_field(out, RETRY_AFTER, &after.to_be_bytes())?;
            }
            put_text(out, ERROR_ID, failure.error_id.as_bytes())
        })?;
        body.put(failure.data.bytes);
        Ok(Self {
            kind: ERROR,
            flags: failure.data.flags(),
            call,
            deadline: None,
            payload: failure.data.bytes.len(),
            body: body.freeze(),
        })
    }

    /// Tells the server that nobody waits for `call` any more.
    #[must_use]
    pub fn cancel(call: u32, cause: CancelCause) -> Self {
        Self::small(CANCEL, call, &[cause as u8])
    }

    /// Answers a ping.
    #[must_use]
    pub fn pong(nonce: [u8; 8]) -> Self {
        Self::small(PONG, 0, &nonce)
    }

    /// Asks for a pong.
    #[must_use]
    pub fn ping(nonce: [u8; 8]) -> Self {
        Self::small(PING, 0, &nonce)
    }

    /// Says that calls above `last` never ran, and no more will.
    #[must_use]
    pub fn go_away(last: u32, code: Code) -> Self {
        let mut body = Vec::with_capacity(5);
        body.put_u32(last);
        body.put(&[code as u8]);
        Self::small(GOAWAY, 0, &body)
    }

    fn small(kind: u8, call: u32, body: &[u8]) -> Self {
        Self { kind, flags: 0, call, deadline: None, payload: 0, body: bytes::Bytes::copy_from_slice(body) }
    }

    /// Appends the message to a record's plaintext; `token` goes with a request.
    pub fn put(&self, out: &mut BytesMut, token: &str, now: Timestamp) {
        let extra = if self.is_request() { 2 + token.len() + 4 } else { 0 };
        out.reserve(self.len() + extra);
        out.put(&[self.kind, self.flags]);
        out.put_u32(self.call);
        out.put_u32((self.body.len() + extra) as u32);
        if self.is_request() {
            out.put_u16(token.len() as u16);
            out.put(token.as_bytes());
            // A deadline that passed on the way out is the shortest, not none.
            let left = self.deadline.map_or(0, |deadline| deadline.since(now).as_millis().max(1));
            out.put_u32(u32::try_from(left).unwrap_or(u32::MAX));
        }
        out.put(&self.body);
    }
}

fn put_fields(
    body: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut) -> Result<(), Malformed>,
) -> Result<(), RecordError> {
    let start = body.len();
    body.put_u16(0);
    write(body).map_err(|_| RecordError::TooLarge)?;
    let len = body.len() - start - 2;
    if len > MAX_FIELDS {
        return Err(RecordError::TooLarge);
    }
    body[start..start + 2].copy_from_slice(&(len as u16).to_be_bytes());
    Ok(())
}

fn put_field(out: &mut BytesMut, tag: u8, value: &[u8]) -> Result<(), Malformed> {
    out.put(&[tag]);
    out.put_vec16(value)
}

fn put_text(out: &mut BytesMut, tag: u8, value: &[u8]) -> Result<(), Malformed> {
    if value.is_empty() { Ok(()) } else { put_field(out, tag, value) }
}
