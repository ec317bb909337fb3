//! Messages that are encoded for a record.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};

use super::{
    CancelCause, Encoding, Failure, MAX_FIELDS, MAX_PATH, MESSAGE_HEADER, Payload, Priority, RequestFields,
    kind, tag,
};
use crate::{
    budget::Charge,
    error::Code,
    record::{ITEM_COST, RecordError},
    wire::{Malformed, Write},
};

/// The limit of an error's reason and error id, in bytes.
const MAX_WORD: usize = 256;
/// Bytes of the field that holds the attempt: tag, length, number.
const ATTEMPT_FIELD: usize = 1 + 2 + 1;

/// A message ready for a record. A request still lacks its token and its time left: both depend on the moment
/// at which the record is sealed.
#[derive(Clone, Debug)]
pub struct Encoded {
    kind: u8,
    flags: u8,
    call: u32,
    deadline: Option<Instant>,
    payload: usize,
    body: Bytes,
    /// The charge for a large body, shared by all that hold the message.
    held: Option<Arc<Charge>>,
}

impl Encoded {
    /// Bytes of this message in a record, without a request's token.
    #[must_use]
    pub fn len(&self) -> usize {
        MESSAGE_HEADER + self.body.len()
    }

    /// Bytes of this message in a record, with `token` if it is a request.
    #[must_use]
    pub fn len_with(&self, token: &str) -> usize {
        self.len() + self.extra(token)
    }

    /// Bytes of a request's token and time left.
    fn extra(&self, token: &str) -> usize {
        if self.is_request() { 2 + token.len() + 4 } else { 0 }
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

    /// The bytes that an item takes from the windows of its stream and of the session.
    #[must_use]
    pub fn cost(&self) -> usize {
        if self.kind == kind::ITEM { self.payload + ITEM_COST } else { 0 }
    }

    /// Adds the charge for its memory to the message. The charge is released with the last copy of the
    /// message.
    #[must_use]
    pub fn held_by(self, charge: Charge) -> Self {
        Self { held: Some(Arc::new(charge)), ..self }
    }

    /// The charge for its memory, if it has one of its own.
    #[must_use]
    pub const fn held(&self) -> Option<&Arc<Charge>> {
        self.held.as_ref()
    }

    /// Always `false`: a message has a header.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Whether this is a request, which carries a token.
    #[must_use]
    pub const fn is_request(&self) -> bool {
        self.kind == kind::REQUEST
    }

    /// Returns the same message under a new call number.
    #[must_use]
    pub fn with_call(&self, call: u32) -> Self {
        Self { call, ..self.clone() }
    }

    /// Whether this is a request whose deadline leaves no time at `now`. Such a request must not be sent: the
    /// wire cannot express less than a millisecond.
    #[must_use]
    pub fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| is_late(deadline, now))
    }

    /// Returns the same request with a new attempt number. The request is unchanged if its fields have no
    /// room for the number.
    #[must_use]
    pub fn with_attempt(&self, attempt: u8) -> Self {
        let fields_at = 1 + usize::from(self.body.first().copied().unwrap_or_default());
        let parts = self.body.split_at_checked(fields_at).zip(self.body.get(fields_at + 2..));
        let Some(((method, _), rest)) = parts.filter(|_| self.is_request()) else { return self.clone() };
        let len = usize::from(u16::from_be_bytes([self.body[fields_at], self.body[fields_at + 1]]));
        // The attempt is the first field, if it is present.
        let old = if rest.first() == Some(&tag::ATTEMPT) && len >= ATTEMPT_FIELD { ATTEMPT_FIELD } else { 0 };
        let (others, payload) = (&rest[old..len], &rest[len..]);
        let mut body = BytesMut::with_capacity(self.body.len() + ATTEMPT_FIELD);
        body.put(method);
        let put = put_fields(&mut body, |out| {
            put_field(out, tag::ATTEMPT, &[attempt])?;
            out.put(others);
            Ok(())
        });
        body.put(payload);
        if put.is_err() { self.clone() } else { Self { body: body.freeze(), ..self.clone() } }
    }

    /// A request for `method`, to be answered by `deadline`.
    pub fn request(
        method: &str,
        deadline: Option<Instant>,
        fields: RequestFields<'_>,
        payload: Payload<'_>,
    ) -> Result<Self, RecordError> {
        let mut body = BytesMut::with_capacity(
            method.len() + fields.metadata.len() + fields.path.len() + payload.bytes.len() + 32,
        );
        body.put_vec8(method.as_bytes()).map_err(|_| RecordError::TooLarge)?;
        let start = body.len() + 2;
        put_fields(&mut body, |out| {
            if fields.attempt > 1 {
                put_field(out, tag::ATTEMPT, &[fields.attempt])?;
            }
            put_text(out, tag::METADATA, fields.metadata)?;
            if fields.depth > 1 {
                put_field(out, tag::DEPTH, &[fields.depth])?;
            }
            if fields.priority != Priority::Normal {
                put_field(out, tag::PRIORITY, &[fields.priority as u8])?;
            }
            // The path is only for people, so the call is sent without it instead of failing.
            if fields.path.len() <= MAX_PATH && out.len() + 3 + fields.path.len() <= start + MAX_FIELDS {
                put_text(out, tag::PATH, fields.path.as_bytes())?;
            }
            Ok(())
        })?;
        body.put(payload.bytes);
        Ok(Self {
            kind: kind::REQUEST,
            flags: payload.flags() | fields.kind.flags(),
            call: 0,
            deadline,
            payload: payload.bytes.len(),
            body: body.freeze(),
            held: None,
        })
    }

    /// A response to `call`.
    pub fn response(call: u32, metadata: &[u8], payload: Payload<'_>) -> Result<Self, RecordError> {
        let mut body = BytesMut::with_capacity(metadata.len() + payload.bytes.len() + 8);
        put_fields(&mut body, |out| put_text(out, tag::METADATA, metadata))?;
        body.put(payload.bytes);
        Ok(Self {
            kind: kind::RESPONSE,
            flags: payload.flags(),
            call,
            deadline: None,
            payload: payload.bytes.len(),
            body: body.freeze(),
            held: None,
        })
    }

    /// Encodes the failure of `call`. A mark replaces data of more than `limit` bytes.
    #[must_use]
    pub fn error_within(call: u32, failure: &Failure<'_>, limit: usize) -> Self {
        let len = failure.data.bytes.len();
        if len <= limit {
            return Self::error(call, failure);
        }
        let mark = format!("\"[cut: {len} bytes, and the caller accepts {limit}]\"");
        let data = Payload { encoding: Encoding::Json, bytes: mark.as_bytes() };
        Self::error(call, &Failure { data, ..*failure })
    }

    /// Encodes the failure of `call`. A mark replaces a string that is too long, so that the caller always
    /// receives a failure.
    #[must_use]
    pub fn error(call: u32, failure: &Failure<'_>) -> Self {
        let cut = || {
            let (reason, error_id) = (word(failure.reason), word(failure.error_id));
            let message = "[cut: the strings of this error are larger than 8 KiB]";
            Self::try_error(call, &Failure { reason, message, error_id, ..*failure })
        };
        Self::try_error(call, failure).or_else(|_| cut()).unwrap_or_else(|_| {
            let bare = Failure { message: "", data: Payload::EMPTY, reason: "", error_id: "", ..*failure };
            let mut body = BytesMut::new();
            body.put(&[0, 4, tag::CODE, 0, 1, bare.code as u8]);
            Self {
                kind: kind::ERROR,
                flags: Encoding::Empty as u8,
                call,
                deadline: None,
                payload: 0,
                body: body.freeze(),
                held: None,
            }
        })
    }

    fn try_error(call: u32, failure: &Failure<'_>) -> Result<Self, RecordError> {
        let mut body = BytesMut::with_capacity(failure.message.len() + failure.data.bytes.len() + 96);
        put_fields(&mut body, |out| {
            put_field(out, tag::CODE, &[failure.code as u8])?;
            put_text(out, tag::REASON, failure.reason.as_bytes())?;
            put_text(out, tag::TEXT, failure.message.as_bytes())?;
            if failure.retryable {
                put_field(out, tag::RETRYABLE, &[1])?;
            }
            if let Some(after) = failure.retry_after_ms {
                put_field(out, tag::RETRY_AFTER, &after.to_be_bytes())?;
            }
            put_text(out, tag::ERROR_ID, failure.error_id.as_bytes())
        })?;
        body.put(failure.data.bytes);
        Ok(Self {
            kind: kind::ERROR,
            flags: failure.data.flags(),
            call,
            deadline: None,
            payload: failure.data.bytes.len(),
            body: body.freeze(),
            held: None,
        })
    }

    /// An item of a stream.
    #[must_use]
    pub fn item(call: u32, payload: Payload<'_>) -> Self {
        Self {
            kind: kind::ITEM,
            flags: payload.flags(),
            call,
            deadline: None,
            payload: payload.bytes.len(),
            body: Bytes::copy_from_slice(payload.bytes),
            held: None,
        }
    }

    /// The end of a stream's items.
    pub fn end(call: u32, metadata: &[u8]) -> Result<Self, RecordError> {
        let mut body = BytesMut::with_capacity(metadata.len() + 8);
        put_fields(&mut body, |out| put_text(out, tag::METADATA, metadata))?;
        Ok(Self {
            kind: kind::END,
            flags: 0,
            call,
            deadline: None,
            payload: 0,
            body: body.freeze(),
            held: None,
        })
    }

    /// Grants the peer `credit` more bytes; call 0 means the whole session.
    #[must_use]
    pub fn window(call: u32, credit: u32) -> Self {
        Self::small(kind::WINDOW, call, &credit.to_be_bytes())
    }

    /// Informs the server that the caller has abandoned `call`.
    #[must_use]
    pub fn cancel(call: u32, cause: CancelCause) -> Self {
        Self::small(kind::CANCEL, call, &[cause as u8])
    }

    /// Answers a ping.
    #[must_use]
    pub fn pong(nonce: [u8; 8]) -> Self {
        Self::small(kind::PONG, 0, &nonce)
    }

    /// Requests a pong.
    #[must_use]
    pub fn ping(nonce: [u8; 8]) -> Self {
        Self::small(kind::PING, 0, &nonce)
    }

    /// Reports that calls above `last` never ran, and that the server takes no more calls.
    #[must_use]
    pub fn go_away(last: u32, code: Code) -> Self {
        let mut body = Vec::with_capacity(5);
        body.put_u32(last);
        body.put(&[code as u8]);
        Self::small(kind::GOAWAY, 0, &body)
    }

    fn small(kind: u8, call: u32, body: &[u8]) -> Self {
        let body = Bytes::copy_from_slice(body);
        Self { kind, flags: 0, call, deadline: None, payload: 0, body, held: None }
    }

    /// Appends the message to a record's plaintext, with `token` if it is a request.
    ///
    /// A request must not be [late](Self::is_late) at `now`.
    pub fn put(&self, out: &mut BytesMut, token: &str, now: Instant) {
        let extra = self.extra(token);
        out.reserve(self.len() + extra);
        out.put(&[self.kind, self.flags]);
        out.put_u32(self.call);
        // The casts are lossless: a payload is far smaller than 4 GiB, and a token than 64 KiB.
        out.put_u32((self.body.len() + extra) as u32);
        if self.is_request() {
            out.put_u16(token.len() as u16);
            out.put(token.as_bytes());
            // Rounded down, so that no chain of calls gains time. The minimum is 1, because 0 means no deadline.
            let left = self
                .deadline
                .map_or(0, |deadline| deadline.saturating_duration_since(now).as_millis().max(1));
            out.put_u32(u32::try_from(left).unwrap_or(u32::MAX));
        }
        out.put(&self.body);
    }
}

/// Whether less than a millisecond is left.
pub(crate) fn is_late(deadline: Instant, now: Instant) -> bool {
    deadline.saturating_duration_since(now) < Duration::from_millis(1)
}

fn word(text: &str) -> &str {
    if text.len() <= MAX_WORD { text } else { "" }
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
    // The cast is lossless: `MAX_FIELDS` is below 64 KiB.
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
