use super::{super::flows::FlowKind, *};

const SECOND: Duration = Duration::from_secs(1);

fn recorder() -> Recorder {
    Recorder::new("me", "1.0.0", Timestamp::from_secs(1_000), true)
}

fn begun<'a>(direction: Direction, method: &'a str, metadata: &'a [u8]) -> Begun<'a> {
    Begun { direction, peer: "orders", method, kind: FlowKind::Unary, metadata, trust: "", attempt: 1 }
}

fn failed(code: Code, reason: &str) -> Failed<'_> {
    Failed { code, reason, message: "no\n", error_id: "e1" }
}

#[test]
fn a_failure_is_kept_with_its_trace_and_nothing_else_of_its_metadata() {
    let recorder = recorder();
    let metadata =
        br#"{"secret":"x","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#;
    let watched = recorder.begin(begun(Direction::Out, "get", metadata), SECOND).watched.unwrap();
    recorder.end(watched, Some(failed(Code::Internal, "HANDLER")), 3 * SECOND);
    let errors = recorder.errors();
    assert_eq!(errors[0].trace_id.as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
    assert_eq!((errors[0].at, errors[0].message.as_str()), (1_003_000, r"no\n"));
    assert!(!format!("{errors:?}").contains("secret"));
    assert_eq!(recorder.outbound.read()[0].durations().nanos, 2_000_000_000);
}

#[test]
fn a_recorder_that_is_off_records_no_call() {
    let recorder = Recorder::new("me", "1.0.0", Timestamp::default(), false);
    assert!(recorder.begin(begun(Direction::In, "get", b""), SECOND).watched.is_none());
    recorder.event("start", "me", "started", SECOND);
    assert!(recorder.events().is_empty());
}

#[test]
fn only_the_recent_past_counts_as_recent() {
    let recorder = recorder();
    let key = (Direction::Out, "orders".to_owned(), "get".to_owned());
    let call = |code: Option<Code>, now: Duration| {
        let watched = recorder.begin(begun(Direction::Out, "get", b""), now).watched.unwrap();
        recorder.end(watched, code.map(|code| failed(code, "X")), now);
    };
    (0..10).for_each(|_| call(Some(Code::Internal), SECOND));
    assert_eq!(recorder.recent()[&key], (10, 10));
    recorder.mark(30 * SECOND);
    assert_eq!(recorder.recent()[&key], (10, 10));
    recorder.mark(31 * SECOND);
    assert_eq!(recorder.recent()[&key], (10, 10), "no mark before its time");
    call(None, 40 * SECOND);
    recorder.mark(60 * SECOND);
    call(None, 61 * SECOND);
    assert_eq!(recorder.recent()[&key], (2, 0));
}

#[test]
fn no_list_grows_without_a_limit() {
    let recorder = recorder();
    for number in 0..5_000 {
        let name = format!("n{number}");
        let watched = recorder.begin(begun(Direction::In, &name, b""), SECOND).watched.unwrap();
        recorder.end(watched, Some(failed(Code::Internal, &name)), SECOND);
        recorder.denied(&name, &name, &name, SECOND);
        recorder.handshake(Direction::In, &name);
        recorder.refused(&name, "BUSY", "x", 1, SECOND);
        recorder.event("refused", &name, &"x".repeat(10_000), SECOND);
    }
    assert_eq!((recorder.errors().len(), recorder.refusals().len()), (MAX_ERRORS, MAX_REFUSED));
    assert!(recorder.denials().len() <= MAX_DENIALS + 1);
    assert_eq!(recorder.denials().iter().map(|denial| denial.count).sum::<u64>(), 5_000);
    assert!(recorder.handshakes().len() <= MAX_REASONS + 1);
    assert_eq!(recorder.events().len(), MAX_EVENTS);
    assert!(recorder.events().iter().all(|event| event.text.len() <= MAX_TEXT));
}
