use bytes::BytesMut;

use super::{super::message::*, instant};

#[test]
fn a_request_becomes_another_attempt_and_nothing_else_changes() {
    let fields = RequestFields { metadata: b"{\"a\":\"b\"}", ..RequestFields::default() };
    let payload = Payload { encoding: Encoding::Raw, bytes: b"input" };
    let first = Encoded::request("m", None, fields, payload).unwrap().with_call(3);
    let now = instant();
    for attempt in [2, 3, 255] {
        let expected = RequestFields { attempt, ..fields };
        let expected = Encoded::request("m", None, expected, payload).unwrap().with_call(3);
        for again in [first.with_attempt(attempt), first.with_attempt(7).with_attempt(attempt)] {
            let (mut got, mut wanted) = (BytesMut::new(), BytesMut::new());
            again.put(&mut got, "token", now);
            expected.put(&mut wanted, "token", now);
            assert_eq!(got, wanted);
        }
    }
}
