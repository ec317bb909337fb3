//! Reads messages from a record's plaintext.

use super::{
    CallKind, CancelCause, Failure, MAX_FIELDS, MAX_METHOD, MAX_PATH, Message, Payload, Priority,
    RequestFields, kind, tag,
};
use crate::{
    error::Code,
    record::RecordError,
    wire::{Malformed, Reader},
};

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
            // The start of the next message is unknown, so the rest is dropped.
            self.0 = Reader::new(&[]);
        }
        Some(message)
    }
}

fn read<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, Malformed> {
    let number = reader.u8()?;
    let flags = reader.u8()?;
    let call = reader.u32()?;
    let mut body = Reader::new(reader.vec32()?);
    let message = match number {
        kind::REQUEST => {
            let token = body.vec16()?;
            let time_left_ms = body.u32()?;
            let method = read_method(body.vec8()?)?;
            let kind = CallKind::from_flags(flags);
            let fields = RequestFields { kind, ..read_request_fields(&mut body)? };
            let payload = Payload::read(flags & !kind.flags(), body.rest())?;
            if kind.streams_input() && payload != Payload::EMPTY {
                return Err(Malformed);
            }
            Message::Request { call, token, time_left_ms, method, fields, payload }
        }
        kind::RESPONSE => {
            let metadata = read_metadata(&mut body)?;
            Message::Response { call, metadata, payload: Payload::read(flags, body.rest())? }
        }
        kind::ERROR => Message::Error { call, failure: read_failure(flags, &mut body)? },
        kind::CANCEL => {
            let cause = match body.u8()? {
                1 => CancelCause::Cancelled,
                2 => CancelCause::Deadline,
                _ => return Err(Malformed),
            };
            body.end()?;
            Message::Cancel { call, cause }
        }
        kind::PING | kind::PONG => {
            let nonce = body.array()?;
            body.end()?;
            if number == kind::PING { Message::Ping(nonce) } else { Message::Pong(nonce) }
        }
        kind::GOAWAY => {
            let last = body.u32()?;
            let code = Code::from_number(body.u8()?).ok_or(Malformed)?;
            body.end()?;
            Message::GoAway { last, code }
        }
        kind::ITEM | kind::END | kind::WINDOW => {
            read_of_stream(number, flags, call, body).unwrap_or(Message::Malformed { call })
        }
        _ => return Err(Malformed),
    };
    Ok(message)
}

fn read_of_stream(number: u8, flags: u8, call: u32, mut body: Reader<'_>) -> Result<Message<'_>, Malformed> {
    let message = match number {
        kind::ITEM => return Ok(Message::Item { call, payload: Payload::read(flags, body.rest())? }),
        kind::END => Message::End { call, metadata: read_metadata(&mut body)? },
        _ => Message::Window { call, credit: body.u32()? },
    };
    // A window message without credit is malformed: it would only cost the receiver time.
    if flags != 0 || matches!(message, Message::Window { credit: 0, .. }) {
        return Err(Malformed);
    }
    body.end()?;
    Ok(message)
}

fn read_metadata<'a>(body: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    let mut metadata: &[u8] = &[];
    each_field(body, |tag, value| {
        if tag == tag::METADATA {
            metadata = value;
        }
        Ok(())
    })?;
    Ok(metadata)
}

/// Accepts printable ASCII without spaces, which is safe in logs and pages.
fn read_method(name: &[u8]) -> Result<&str, Malformed> {
    let name = std::str::from_utf8(name).map_err(|_| Malformed)?;
    if is_method_name(name) { Ok(name) } else { Err(Malformed) }
}

/// Returns whether `name` is a valid method name: 1 to [`MAX_METHOD`] printable ASCII characters without
/// spaces, quotes or angle brackets.
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
    let mut fields = RequestFields::FIRST;
    each_field(body, |tag, value| {
        match tag {
            tag::ATTEMPT => fields.attempt = Reader::new(value).u8()?,
            tag::METADATA => fields.metadata = value,
            // Depth starts at 1, so 0 becomes 1.
            tag::DEPTH => fields.depth = Reader::new(value).u8()?.max(1),
            tag::PATH => fields.path = read_path(value)?,
            tag::PRIORITY => {
                // A class that this version does not know counts as the usual one.
                fields.priority = Priority::from_number(Reader::new(value).u8()?).unwrap_or_default();
            }
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
        retryable: false,
        retry_after_ms: None,
        error_id: "",
        data: Payload::EMPTY,
    };
    each_field(body, |tag, value| {
        match tag {
            tag::CODE => code = Code::from_number(Reader::new(value).u8()?),
            tag::REASON => failure.reason = read_text(value)?,
            tag::TEXT => failure.message = read_text(value)?,
            tag::RETRY_AFTER => failure.retry_after_ms = Some(read_u32(value)?),
            tag::ERROR_ID => failure.error_id = read_text(value)?,
            tag::RETRYABLE => failure.retryable = Reader::new(value).u8()? == 1,
            _ => {}
        }
        Ok(())
    })?;
    failure.code = code.ok_or(Malformed)?;
    failure.data = Payload::read(flags, body.rest())?;
    Ok(failure)
}

/// Accepts only characters that are safe in errors and logs, where the path appears unescaped.
fn read_path(value: &[u8]) -> Result<&str, Malformed> {
    let printable = |b: &u8| b.is_ascii_graphic() || *b == b' ';
    if value.len() > MAX_PATH || !value.iter().all(printable) {
        return Err(Malformed);
    }
    read_text(value)
}

fn read_u32(value: &[u8]) -> Result<u32, Malformed> {
    value.try_into().map(u32::from_be_bytes).map_err(|_| Malformed)
}

fn read_text(value: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(value).map_err(|_| Malformed)
}
