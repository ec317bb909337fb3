//! The memory budget: requests, answers, items and calls without room are refused,
//! and held memory is released.

use super::{hostile::Raw, *};
use crate::record::{
    MAX_UNWELCOME,
    json::MAX_DEPTH,
    message::{Encoded, Message, RequestFields},
};

const KIB: usize = 1024;

/// Limits by which a session may hold 1.5 MiB and a peer 2 MiB; each charge of a peer leaves 384
/// KiB.
fn small() -> Value {
    json!({ "limits": { "maxMessageBytes": 256 * KIB, "maxMemoryBytes": 4 * KIB * KIB } })
}

async fn holds(node: &Node) -> usize {
    node.stats().await.memory.used
}

async fn holds_nothing(node: &Node) {
    eventually(async || holds(node).await == 0).await;
}

#[tokio::test]
async fn requests_beyond_the_memory_budget_are_refused_and_later_ones_are_served() {
    let server = Node::server(small(), echo()).await;
    let client = Node::client_of(&server, json!({})).await;
    client.call("echo", b"").await.unwrap();
    let input = vec![7; 200 * KIB];
    let calls: Vec<_> = (0..9).map(|_| client.begin("hang", &input, 20_000, false)).collect();
    eventually(async || server.stats().await.memory.refused > 0).await;
    let error = client.call("echo", &input).await.unwrap_err();
    assert_eq!((&*error.reason, error.retryable), ("MEMORY_LIMIT", true));
    assert!(error.retry_after.is_some(), "{error:?}");
    assert_eq!(server.app.handled.load(Ordering::SeqCst), 1 + 4, "with 204 KiB each, and their frames");
    assert!((4 * 200 * KIB..2 * KIB * KIB).contains(&holds(&server).await));
    client.call("echo", b"small").await.unwrap();
    let other = Node::try_start("other", services(&server), echo()).await.unwrap();
    assert_eq!(other.call("echo", &input).await.unwrap(), input, "others are served");
    let mut refused = 0;
    for (id, mut end) in calls {
        // Nothing is reported of a call that is given up.
        refused += usize::from(end.try_recv().is_ok());
        client.mesh.post(move |io| io.cancel(id));
    }
    assert_eq!(refused, 5);
    eventually(async || client.call("echo", &input).await.is_ok()).await;
    holds_nothing(&server).await;
    holds_nothing(&client).await;
    let figures = server.stats().await.memory;
    assert_eq!(figures.limit, 4 * KIB * KIB);
    assert!(figures.peak > 4 * 200 * KIB && figures.peak < figures.limit && figures.refused >= 5);
}

#[tokio::test]
async fn a_handler_that_runs_keeps_its_charge_though_nobody_waits_for_it() {
    let server = Node::server(small(), echo()).await;
    server.app.stubborn.store(true, Ordering::SeqCst);
    let client = Node::client_of(&server, json!({})).await;
    let input = vec![7; 200 * KIB];
    for _ in 0..8 {
        let _ = client.begin("hang", &input, 30, false).1.await;
    }
    assert_eq!(server.app.handled.load(Ordering::SeqCst), 4);
    assert!(holds(&server).await > 4 * 200 * KIB);
}

#[tokio::test]
async fn own_calls_beyond_their_share_are_refused_and_can_be_made_later() {
    let server = Node::server(json!({}), echo()).await;
    let client = Node::client_of(&server, small()).await;
    let input = vec![7; 200 * KIB];
    let calls: Vec<_> = (0..20).map(|_| client.begin("hang", &input, 20_000, false)).collect();
    let error = client.call("echo", &input).await.unwrap_err();
    assert_eq!((&*error.reason, error.retryable, error.remote), ("MEMORY_LIMIT", true, false));
    assert!(holds(&client).await <= 3 * KIB * KIB, "three quarters");
    for (id, _) in &calls {
        let id = *id;
        client.mesh.post(move |io| io.cancel(id));
    }
    eventually(async || client.call("echo", &input).await.is_ok()).await;
    holds_nothing(&client).await;
}

#[tokio::test]
async fn answers_that_are_not_read_are_bounded_and_the_others_become_errors() {
    let big: Handler = Box::new(|_| Some(Ok(vec![7; 200 * KIB])));
    let server = Node::server(small(), big).await;
    let mut raw = Raw::connect(&server).await;
    for _ in 0..40 {
        raw.asks("big").await;
    }
    eventually(async || server.app.handled.load(Ordering::SeqCst) == 40).await;
    eventually(async || server.stats().await.memory.refused > 0).await;
    assert!(holds(&server).await <= 1536 * KIB);
    let (mut answers, mut refused) = (0, 0);
    while answers + refused < 40 {
        let heard = raw.hear(|message| match message {
            Message::Response { payload, .. } => answers += usize::from(payload.bytes.len() == 200 * KIB),
            Message::Error { failure, .. } => refused += usize::from(failure.reason == "MEMORY_LIMIT"),
            _ => {}
        });
        heard.await.expect("the session goes on");
    }
    assert!(answers >= 5 && refused >= 20, "{answers} {refused}");
    holds_nothing(&server).await;
}

#[tokio::test]
async fn items_that_are_not_read_beyond_the_budget_end_their_streams() {
    let server = Node::server(small(), echo()).await;
    server.app.hoarding.store(true, Ordering::SeqCst);
    let client = Node::client_of(&server, json!({})).await;
    client.call("echo", b"").await.unwrap();
    let mut ends = Vec::new();
    for _ in 0..40 {
        let (id, end) = client.begin_kind(CallKind::ClientStream, "sum", b"", None, false);
        client.mesh.post(move |io| {
            let bytes = vec![7; 16 * KIB];
            for _ in 0..4 {
                io.item(StreamId::Call(id), Payload { encoding: Encoding::Raw, bytes: &bytes });
            }
        });
        ends.push((id, end));
    }
    eventually(async || server.stats().await.memory.refused > 0).await;
    assert!(holds(&server).await <= 1536 * KIB);
    client.call("echo", b"during").await.unwrap();
    let mut failed = 0;
    for (id, mut end) in ends {
        // Nothing is reported of a call that is given up.
        let ended = end.try_recv();
        failed += usize::from(matches!(ended, Ok(Err(error)) if error.reason == "MEMORY_LIMIT"));
        client.mesh.post(move |io| io.cancel(id));
    }
    assert!(failed > 5, "{failed}");
    holds_nothing(&server).await;
    holds_nothing(&client).await;
}

#[tokio::test]
async fn json_that_is_costly_to_parse_is_refused_unparsed() {
    let server = Node::server(json!({ "limits": { "maxMessageBytes": 1024 * KIB } }), echo()).await;
    let mut raw = Raw::connect(&server).await;
    let deep = |depth| ["[".repeat(depth), "]".repeat(depth)].concat();
    let wide = format!("[{}[]]", "[],".repeat(300_000));
    for (json, accepted) in [(deep(MAX_DEPTH), true), (deep(MAX_DEPTH + 1), false), (wide, false)] {
        raw.calls += 1;
        let payload = Payload { encoding: Encoding::Json, bytes: json.as_bytes() };
        let request = Encoded::request("echo", None, RequestFields::default(), payload).unwrap();
        let record = raw.record(&request.with_call(raw.calls), &raw.good_token());
        raw.send(record).await;
        let answer = raw.answer().await.unwrap();
        assert_eq!(answer.as_ref().err().map(|reason| &**reason), (!accepted).then_some("TOO_LARGE"));
    }
    assert_eq!(server.app.handled.load(Ordering::SeqCst), 1, "the others reached no handler");
    holds_nothing(&server).await;
}

#[tokio::test]
async fn a_frame_of_many_unwelcome_messages_closes_the_session() {
    for refused in [false, true] {
        let server = Node::server(json!({}), echo()).await;
        let mut raw = Raw::connect(&server).await;
        for (count, closes) in [(MAX_UNWELCOME, false), (MAX_UNWELCOME + 1, true)] {
            let first = raw.calls + 1;
            let record = raw.record_of(|out| {
                for call in (first..).take(count as usize) {
                    let request =
                        Encoded::request("echo", None, RequestFields::default(), Payload::EMPTY).unwrap();
                    let message = if refused { request.with_call(call) } else { Encoded::ping([7; 8]) };
                    message.put(out, "no token", Instant::now().into_std());
                }
            });
            raw.calls += count;
            raw.send(record).await;
            if closes {
                while raw.answer().await.is_some() {}
                assert!(server.logged(Reason::RecordFormat));
            } else {
                while refused && count as usize > server.stats().await.requests_failed as usize {
                    assert!(raw.answer().await.expect("a refusal").is_err());
                }
            }
        }
        assert_eq!(server.app.handled.load(Ordering::SeqCst), 0);
        holds_nothing(&server).await;
    }
}

fn services(server: &Node) -> Value {
    let port = server.mesh.address().unwrap().port();
    json!({ "discovery": { "services": [{ "id": "server", "host": "127.0.0.1", "port": port }] } })
}
