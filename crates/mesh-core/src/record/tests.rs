mod attempts;
mod salamander;

use std::time::{Duration, Instant};

use bytes::BytesMut;
use proptest::prelude::*;

use super::{message::*, *};
use crate::{
    clock::Timestamp,
    crypto::{aead::AesKeySize, secret::Secret},
    error::{Code, Reason},
};

const LIMIT: usize = 1 << 16;
const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn pair(size: AesKeySize) -> (Sealer, Opener) {
    let sealer = Sealer::new(Secret::new([7; 32]), size, NOW).unwrap();
    (sealer, Opener::new(Secret::new([7; 32]), size, LIMIT, NOW).unwrap())
}

fn seal(sealer: &mut Sealer, text: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    sealer.seal(&mut out, |out| out.extend_from_slice(text)).unwrap();
    out.to_vec()
}

fn open(opener: &mut Opener, record: &[u8]) -> Result<Vec<u8>, RecordError> {
    let mut copy = record.to_vec();
    match opener.open(&mut &mut copy[..], NOW)? {
        Opened::Messages(text) => Ok(text.to_vec()),
        Opened::Rekeyed => Ok(Vec::new()),
    }
}

#[test]
fn records_round_trip_for_every_key_size() {
    for size in [AesKeySize::Aes128, AesKeySize::Aes192, AesKeySize::Aes256] {
        let (mut sealer, mut opener) = pair(size);
        for text in [&b"a"[..], &[0; 5000]] {
            let record = seal(&mut sealer, text);
            assert_eq!(record.len(), text.len() + OVERHEAD);
            assert_eq!(open(&mut opener, &record).unwrap(), text);
        }
    }
}

#[test]
fn every_flipped_bit_is_refused_and_changes_nothing() {
    let (mut sealer, _) = pair(AesKeySize::Aes256);
    let record = seal(&mut sealer, b"payload");
    for bit in 0..record.len() * 8 {
        let (_, mut opener) = pair(AesKeySize::Aes256);
        let mut forged = record.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        // Version, type and length are read first, since they determine the bytes to verify. A forged length
        // that fits fails at the MAC.
        let error = open(&mut opener, &forged).unwrap_err();
        match bit / 8 {
            0 | 1 => assert_eq!(error, RecordError::Format, "bit {bit}"),
            16..20 => assert!(matches!(error, RecordError::Format | RecordError::Auth), "bit {bit}: {error}"),
            _ => assert_eq!(error, RecordError::Auth, "bit {bit}"),
        }
        assert_eq!(opener.next_sequence(), 0);
        assert_eq!(open(&mut opener, &record).unwrap(), b"payload", "bit {bit}");
    }
}

#[test]
fn authentic_flags_that_nobody_knows_end_the_session() {
    let (mut sealer, mut opener) = pair(AesKeySize::Aes256);
    let mut record = seal(&mut sealer, b"payload");
    record[3] = 1;
    let covered = record.len() - MAC_LEN;
    let mac = keys::EpochKeys::first(Secret::new([7; 32]), AesKeySize::Aes256).unwrap().mac;
    let mac = mac.sign(&[&record[..covered]]);
    record[covered..].copy_from_slice(&mac);
    let error = open(&mut opener, &record).unwrap_err();
    assert_eq!(error, RecordError::Flags);
    assert!(!error.is_survivable());
}

#[test]
fn truncated_tags_and_wrong_lengths_are_malformed() {
    let (mut sealer, mut opener) = pair(AesKeySize::Aes256);
    let record = seal(&mut sealer, b"payload");
    for cut in [1, 2, 4, 8, 12, 15, 16, 31, 32, record.len() - 1, record.len()] {
        let (_, mut opener) = pair(AesKeySize::Aes256);
        assert_eq!(open(&mut opener, &record[..record.len() - cut]), Err(RecordError::Format), "cut {cut}");
    }
    let mut huge = record.clone();
    huge[16..20].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(open(&mut opener, &huge), Err(RecordError::Format));
    let (mut big, _) = pair(AesKeySize::Aes256);
    let above = seal(&mut big, &vec![0; LIMIT + 1]);
    let refused = open(&mut opener, &above).unwrap_err();
    assert_eq!((refused.code(), refused.reason()), (Code::Unauthenticated, Reason::RecordFormat));
}

#[test]
fn a_replayed_record_is_discarded_and_the_next_accepted() {
    let (mut sealer, mut opener) = pair(AesKeySize::Aes256);
    let (first, second) = (seal(&mut sealer, b"1"), seal(&mut sealer, b"2"));
    open(&mut opener, &first).unwrap();
    assert_eq!(open(&mut opener, &first), Err(RecordError::Replay));
    assert_eq!(open(&mut opener, &second).unwrap(), b"2");
}

#[test]
fn a_lost_record_is_a_gap() {
    let (mut sealer, mut opener) = pair(AesKeySize::Aes256);
    seal(&mut sealer, b"lost");
    let next = seal(&mut sealer, b"next");
    let error = open(&mut opener, &next).unwrap_err();
    assert_eq!(error, RecordError::Gap);
    assert!(!error.is_survivable());
}

#[test]
fn a_forged_sequence_changes_nothing() {
    let (mut sealer, mut opener) = pair(AesKeySize::Aes256);
    let record = seal(&mut sealer, b"x");
    for sequence in [u64::MAX, 1, 1 << 40] {
        let mut forged = record.clone();
        forged[8..16].copy_from_slice(&u64::to_be_bytes(sequence));
        assert_eq!(open(&mut opener, &forged), Err(RecordError::Auth));
    }
    assert_eq!(open(&mut opener, &record).unwrap(), b"x");
}

#[test]
fn a_record_of_the_other_direction_is_refused() {
    let (mut sealer, _) = pair(AesKeySize::Aes256);
    let mut other = Opener::new(Secret::new([8; 32]), AesKeySize::Aes256, LIMIT, NOW).unwrap();
    assert_eq!(open(&mut other, &seal(&mut sealer, b"request")), Err(RecordError::Auth));
}

#[test]
fn the_ninth_forgery_ends_the_session() {
    let (_, mut opener) = pair(AesKeySize::Aes256);
    for _ in 0..MAX_DISCARDED {
        assert_eq!(open(&mut opener, &[0; 100]), Err(RecordError::Format));
    }
    assert_eq!(open(&mut opener, &[0; 100]), Err(RecordError::Discarded));
}

#[test]
fn keys_change_by_count_by_age_and_on_demand_without_losing_a_record() {
    let (mut sealer, mut opener) = pair(AesKeySize::Aes128);
    let before = seal(&mut sealer, b"before");
    let token_key = *sealer.token_key().as_bytes();
    let mut out = BytesMut::new();
    let later = NOW + Duration::from_hours(1);
    assert!(!sealer.is_due(NOW) && sealer.is_due(later));
    sealer.rekey(later, &mut out).unwrap();
    assert!(!sealer.is_due(later));
    sealer.seal(&mut out, |out| out.extend_from_slice(b"after")).unwrap();
    assert_eq!(sealer.epoch(), 1);
    assert_ne!(*sealer.token_key().as_bytes(), token_key);

    open(&mut opener, &before).unwrap();
    let mut copy = out.to_vec();
    let mut input = &mut copy[..];
    assert_eq!(opener.open(&mut input, NOW), Ok(Opened::Rekeyed));
    assert_eq!(opener.open(&mut input, NOW), Ok(Opened::Messages(b"after")));
    assert!(input.is_empty());
    assert_eq!(open(&mut opener, &before), Err(RecordError::Auth), "a previous epoch is closed");
}

#[test]
fn a_lost_rekey_is_noticed() {
    let (mut sealer, mut opener) = pair(AesKeySize::Aes256);
    sealer.rekey(NOW, &mut BytesMut::new()).unwrap();
    assert_eq!(open(&mut opener, &seal(&mut sealer, b"x")), Err(RecordError::Auth));
}

#[test]
fn a_rekey_flood_is_refused() {
    let (mut sealer, mut opener) = pair(AesKeySize::Aes256);
    let mut flood = || {
        let mut out = BytesMut::new();
        sealer.rekey(NOW, &mut out).unwrap();
        open(&mut opener, &out)
    };
    for _ in 0..8 {
        flood().unwrap();
    }
    let refused = flood().unwrap_err();
    assert_eq!((refused.code(), refused.reason()), (Code::Unauthenticated, Reason::RekeyLimit));
}

#[test]
fn a_quiet_session_outlives_any_number_of_rekeys_by_age() {
    let (mut sealer, mut opener) = pair(AesKeySize::Aes256);
    for hour in 1..=100 {
        let now = NOW + Duration::from_hours(hour);
        assert!(sealer.is_due(now));
        let mut out = BytesMut::new();
        sealer.rekey(now, &mut out).unwrap();
        sealer.seal(&mut out, |out| out.extend_from_slice(b"once an hour")).unwrap();
        let mut copy = out.to_vec();
        let mut input = &mut copy[..];
        assert_eq!(opener.open(&mut input, now), Ok(Opened::Rekeyed), "hour {hour}");
        assert_eq!(opener.open(&mut input, now), Ok(Opened::Messages(b"once an hour")));
    }
}

#[test]
fn messages_round_trip() {
    let payload = Payload { encoding: Encoding::Json, bytes: b"{\"id\":1}" };
    let fields = RequestFields {
        attempt: 2,
        metadata: b"{\"tenant\":\"t1\"}",
        depth: 3,
        path: "a > b x > c y",
        ..RequestFields::default()
    };
    let failure = Failure {
        code: Code::NotFound,
        reason: "NO_ORDER",
        message: "no such order",
        retryable: true,
        retry_after_ms: Some(5),
        error_id: "e1",
        data: payload,
    };
    let raw = Payload { encoding: Encoding::Raw, bytes: b"\0\xff" };
    let mut out = BytesMut::new();
    let now = instant();
    // The part of a millisecond is not sent.
    let deadline = Some(now + Duration::from_micros(800_999));
    Encoded::request("orders.get", deadline, fields, payload)
        .unwrap()
        .with_call(1)
        .put(&mut out, "token", now);
    Encoded::response(1, b"", raw).unwrap().put(&mut out, "unused", now);
    Encoded::error(2, &failure).put(&mut out, "", now);
    Encoded::cancel(3, CancelCause::Deadline).put(&mut out, "", now);
    Encoded::ping([1; 8]).put(&mut out, "", now);
    Encoded::pong([2; 8]).put(&mut out, "", now);
    Encoded::go_away(9, Code::Unavailable).put(&mut out, "", now);
    let read: Vec<_> = Messages::new(&out).collect::<Result<_, _>>().unwrap();
    assert_eq!(
        read,
        [
            Message::Request {
                call: 1,
                token: b"token",
                time_left_ms: 800,
                method: "orders.get",
                fields,
                payload
            },
            Message::Response { call: 1, metadata: b"", payload: raw },
            Message::Error { call: 2, failure },
            Message::Cancel { call: 3, cause: CancelCause::Deadline },
            Message::Ping([1; 8]),
            Message::Pong([2; 8]),
            Message::GoAway { last: 9, code: Code::Unavailable },
        ]
    );
}

#[test]
fn what_of_a_failure_does_not_fit_is_marked_and_the_rest_arrives() {
    let read = |encoded: Encoded| {
        let mut out = BytesMut::new();
        encoded.put(&mut out, "", instant());
        let Some(Ok(Message::Error { failure, .. })) = Messages::new(&out).next() else { panic!() };
        let data = String::from_utf8(failure.data.bytes.to_vec()).unwrap();
        (failure.code, failure.reason.to_owned(), failure.message.to_owned(), data)
    };
    let text = "x".repeat(MAX_FIELDS);
    let data = Payload { encoding: Encoding::Json, bytes: b"[1,2,3,4]" };
    let failure = Failure { reason: "NONE", data, ..Failure::new(Code::NotFound, Reason::Internal, &text) };
    let (code, reason, message, kept) = read(Encoded::error(1, &failure));
    assert_eq!((code, &*reason, &*kept), (Code::NotFound, "NONE", "[1,2,3,4]"));
    assert_eq!(message, "[cut: the strings of this error are larger than 8 KiB]");
    let failure = Failure { message: "no order", ..failure };
    let (code, reason, message, kept) = read(Encoded::error_within(1, &failure, 8));
    assert_eq!((code, &*reason, &*message), (Code::NotFound, "NONE", "no order"));
    assert_eq!(kept, "\"[cut: 9 bytes, and the caller accepts 8]\"");
    assert_eq!(read(Encoded::error_within(1, &failure, 9)).3, "[1,2,3,4]");
}

#[allow(clippy::disallowed_methods)]
fn instant() -> Instant {
    Instant::now()
}

/// The time left that arrives with a request, if the request is sent at all.
fn time_left_after(left: Duration) -> Option<u32> {
    let now = instant();
    let request = Encoded::request("m", Some(now + left), RequestFields::FIRST, Payload::EMPTY).unwrap();
    if request.is_late(now) {
        return None;
    }
    let mut out = BytesMut::new();
    request.put(&mut out, "t", now);
    match Messages::new(&out).next() {
        Some(Ok(Message::Request { time_left_ms, .. })) => Some(time_left_ms),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_with_less_than_a_millisecond_left_is_not_sent() {
    assert_eq!(time_left_after(Duration::ZERO), None);
    assert_eq!(time_left_after(Duration::from_micros(999)), None);
    assert_eq!(time_left_after(Duration::from_millis(1)), Some(1));
    assert_eq!(time_left_after(Duration::from_micros(1_999)), Some(1));
}

#[test]
fn a_path_that_does_not_fit_is_left_out_and_the_depth_is_not() {
    let room = MAX_FIELDS - 3 - 4 - 3;
    for (metadata, path, kept) in [(room - 5, "a > b", true), (room - 4, "a > b", false)] {
        let metadata = vec![b'x'; metadata];
        let fields = RequestFields { metadata: &metadata, depth: 9, path, ..RequestFields::FIRST };
        let mut out = BytesMut::new();
        Encoded::request("m", None, fields, Payload::EMPTY).unwrap().put(&mut out, "t", instant());
        let Some(Ok(Message::Request { fields, .. })) = Messages::new(&out).next() else { panic!() };
        assert_eq!((fields.depth, fields.path), (9, if kept { path } else { "" }));
    }
}

#[test]
fn a_path_that_could_move_a_terminal_is_not_well_formed() {
    let read = |path: &[u8]| {
        let mut out = BytesMut::new();
        Encoded::request(
            "m",
            None,
            RequestFields { depth: 2, path: "abcd", ..RequestFields::FIRST },
            Payload::EMPTY,
        )
        .unwrap()
        .put(&mut out, "t", instant());
        let at = out.windows(4).position(|bytes| bytes == b"abcd").unwrap();
        out[at..at + 4].copy_from_slice(path);
        Messages::new(&out).next().unwrap().map(|_| ())
    };
    assert_eq!(read(b"a >b"), Ok(()));
    for path in [b"a\x1b[m", b"a\nbc", b"a\0bc", b"a\xc3\xa9b"] {
        assert_eq!(read(path), Err(RecordError::Format), "{path:?}");
    }
}

proptest! {
    /// Each hop takes some time, or too little for a clock to show.
    #[test]
    fn a_deadline_never_grows_on_its_way(first in 1u32..10_000_000, hops in prop::collection::vec(0u64..3_000, 1..200)) {
        let mut left = first;
        for micros in hops {
            let received = Duration::from_millis(left.into());
            let Some(next) = time_left_after(received.saturating_sub(Duration::from_micros(micros))) else { break };
            prop_assert!(next <= left);
            prop_assert!(next < left || micros == 0, "a hop that takes time costs some");
            left = next;
        }
    }
}

#[test]
fn method_names_cannot_carry_markup() {
    for name in ["", "a b", "a\nb", "<b>", "é", "\u{1b}[1m", &"x".repeat(201)] {
        assert!(!is_method_name(name), "{name:?}");
    }
    assert!(is_method_name("orders.get/v1") && is_method_name("methodName"));
}

#[test]
fn fields_beyond_the_limit_are_refused_before_they_are_sent() {
    let fields = RequestFields { metadata: &vec![b'x'; MAX_FIELDS], ..RequestFields::default() };
    assert_eq!(Encoded::request("m", None, fields, Payload::EMPTY).map(|_| ()), Err(RecordError::TooLarge));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_are_never_accepted(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (_, mut opener) = pair(AesKeySize::Aes256);
        prop_assert!(open(&mut opener, &bytes).is_err());
        for message in Messages::new(&bytes) {
            let _ = message;
        }
    }

    #[test]
    fn any_sequence_of_payloads_arrives_in_order(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 1..20)) {
        let (mut sealer, mut opener) = pair(AesKeySize::Aes192);
        for payload in &payloads {
            let record = seal(&mut sealer, payload);
            prop_assert_eq!(&open(&mut opener, &record).unwrap(), payload);
        }
    }
}

/// The records of `tests/vectors/records.json`, made again byte for byte. With
/// `MESH_WRITE_VECTORS=1` they are recorded again.
#[test]
fn record_vectors_follow_the_document() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/records.json");
    let mut made = Vec::new();
    for bits in [128, 192, 256] {
        let (mut sealer, _) = pair(AesKeySize::from_bits(bits).unwrap());
        let mut records =
            vec![hex::encode(seal(&mut sealer, b"first")), hex::encode(seal(&mut sealer, b"second"))];
        let mut rekey = BytesMut::new();
        sealer.rekey(NOW, &mut rekey).unwrap();
        records.push(hex::encode(rekey));
        records.push(hex::encode(seal(&mut sealer, b"third")));
        made.push(serde_json::json!({
            "aes_bits": bits,
            "traffic_secret": hex::encode([7; 32]),
            "plaintexts": ["first", "second", null, "third"],
            "records": records,
            "token_key_of_epoch_1": hex::encode(sealer.token_key().as_bytes()),
        }));
    }
    if std::env::var_os("MESH_WRITE_VECTORS").is_some() {
        std::fs::write(path, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
    }
    let recorded: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(recorded, serde_json::Value::Array(made));
}

#[test]
fn messages_of_streams_round_trip() {
    let item = Payload { encoding: Encoding::Raw, bytes: b"item" };
    let now = instant();
    let mut out = BytesMut::new();
    for kind in [CallKind::ClientStream, CallKind::ServerStream, CallKind::BidiStream] {
        let fields = RequestFields { kind, attempt: 1, ..RequestFields::default() };
        let input = if kind.streams_input() { Payload::EMPTY } else { item };
        Encoded::request("m", None, fields, input).unwrap().put(&mut out, "t", now);
    }
    Encoded::item(4, item).put(&mut out, "", now);
    Encoded::end(5, b"{}").unwrap().put(&mut out, "", now);
    Encoded::window(0, 6).put(&mut out, "", now);
    let read: Vec<_> = Messages::new(&out).map(Result::unwrap).collect();
    let kinds = read.iter().filter_map(|message| match message {
        Message::Request { fields, .. } => Some(fields.kind),
        _ => None,
    });
    assert!(kinds.eq([CallKind::ClientStream, CallKind::ServerStream, CallKind::BidiStream]));
    assert_eq!(
        read[3..],
        [
            Message::Item { call: 4, payload: item },
            Message::End { call: 5, metadata: b"{}" },
            Message::Window { call: 0, credit: 6 },
        ]
    );
}

#[test]
fn a_bad_message_of_a_stream_is_that_streams_alone() {
    let message = |kind: u8, flags: u8, body: &[u8]| {
        let mut out = vec![kind, flags, 0, 0, 0, 9];
        out.extend_from_slice(&(body.len() as u32).to_be_bytes());
        out.extend_from_slice(body);
        out
    };
    let bad = [
        message(8, 2, b"not empty"),
        message(8, 3, b""),
        message(8, 0x80, b"x"),
        message(9, 0, b""),
        message(9, 0, &[0, 0, 1]),
        message(9, 1, &[0, 0]),
        message(10, 0, &[0, 0, 1]),
        message(10, 0, &[0, 0, 0, 0]),
        message(10, 0, &[0, 0, 0, 0, 1]),
        message(10, 4, &[0, 0, 0, 1]),
    ];
    for bytes in bad {
        let mut out = bytes.clone();
        out.extend_from_slice(&message(5, 0, &[7; 8]));
        let read: Vec<_> = Messages::new(&out).collect();
        assert_eq!(read, [Ok(Message::Malformed { call: 9 }), Ok(Message::Ping([7; 8]))], "{bytes:?}");
    }
}
