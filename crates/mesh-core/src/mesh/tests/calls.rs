//! Calls, their limits and their ends.

use super::*;

#[tokio::test]
async fn calls_are_answered_with_the_verified_identity() {
    let (server, client) = pair().await;
    assert_eq!(client.call("echo", b"\0hello\xff").await.unwrap(), b"\0hello\xff");
    let opened = server.app.opened.lock().unwrap()[0].clone();
    assert_eq!(
        (opened.peer.as_str(), opened.trust_name(), opened.aes_bits),
        ("client", "shared-secret", 256)
    );
    let error = client.call("fail", b"").await.unwrap_err();
    assert_eq!((error.code, &*error.reason, error.remote), (Code::NotFound, "NO", true));
    assert_eq!(error.error_id.as_deref(), Some("e"));
    let stats = client.stats().await;
    assert_eq!(
        (stats.active_sessions, stats.calls_ok, stats.calls_failed, stats.calls_in_flight),
        (1, 1, 1, 0)
    );
}

#[tokio::test]
async fn a_thousand_racing_calls_share_one_handshake() {
    let (server, client) = pair().await;
    let calls: Vec<_> =
        (0..1000u32).map(|n| (n, client.begin("echo", &n.to_be_bytes(), 10_000, false).1)).collect();
    for (n, answer) in calls {
        assert_eq!(answer.await.unwrap().unwrap(), n.to_be_bytes());
    }
    let stats = server.stats().await;
    assert_eq!((stats.handshakes_ok, stats.requests_ok, stats.requests_in_flight), (1, 1000, 0));
    assert_eq!(stats.private_operations, 1);
}

#[tokio::test]
async fn large_messages_pass_up_to_the_limit_either_way() {
    let limits = json!({ "limits": { "maxMessageBytes": 1 << 20 } });
    let grow: Handler = Box::new(|request| match request.method {
        "grow" => Some(Ok(vec![7; (1 << 20) + 1])),
        _ => Some(Ok(request.payload.bytes.to_vec())),
    });
    let server = Node::server(limits.clone(), grow).await;
    let client = Node::client_of(&server, limits).await;
    let full = vec![3; 1 << 20];
    assert_eq!(client.call("echo", &full).await.unwrap(), full);
    let error = client.call("echo", &vec![3; (1 << 20) + 1]).await.unwrap_err();
    assert_eq!((&*error.reason, error.remote), ("TOO_LARGE", false), "refused before it is sent");
    let error = client.call("grow", b"").await.unwrap_err();
    assert_eq!(
        (&*error.reason, error.remote),
        ("TOO_LARGE", true),
        "the server answers with an error instead of the result"
    );
    // The server accepts less than its client sends. The client knows that from the handshake.
    let small = Node::server(json!({ "limits": { "maxMessageBytes": 2048 } }), echo()).await;
    let client = Node::client_of(&small, json!({})).await;
    client.call("echo", &[0; 2048]).await.unwrap();
    assert_eq!(client.call("echo", &[0; 2049]).await.unwrap_err().reason, "TOO_LARGE");
    client.call("echo", b"still alive").await.unwrap();
}

#[tokio::test]
async fn much_both_ways_at_once_blocks_neither_side() {
    let (server, client) = pair().await;
    let full = vec![3; 1 << 20];
    let calls: Vec<_> = (0..48).map(|_| client.begin("echo", &full, 30_000, false).1).collect();
    for answer in calls {
        assert_eq!(answer.await.unwrap().unwrap().len(), full.len());
    }
    assert_eq!(server.stats().await.requests_ok, 48);
}

#[tokio::test]
async fn deadlines_hold_on_both_sides() {
    let (server, client) = pair().await;
    client.call("echo", b"").await.unwrap();
    let error = client.begin("never", b"", 60, false).1.await.unwrap().unwrap_err();
    assert_eq!((error.code, &*error.reason), (Code::DeadlineExceeded, "DEADLINE"));
    eventually(async || server.stats().await.requests_in_flight == 0).await;
    assert_eq!(server.app.aborted.lock().unwrap()[0], AbortCause::Deadline);
    assert_eq!(client.call("echo", b"next").await.unwrap(), b"next");
}

#[tokio::test]
async fn a_cancelled_call_is_cancelled_there_and_never_told_here() {
    let (server, client) = pair().await;
    client.call("echo", b"").await.unwrap();
    let (id, receiver) = client.begin("never", b"", 5000, false);
    eventually(async || server.app.handled.load(Ordering::SeqCst) == 2).await;
    client.mesh.post(move |io| io.cancel(id));
    eventually(async || server.app.aborted.lock().unwrap().contains(&AbortCause::Cancelled)).await;
    drop(client.app.calls.lock().unwrap().remove(&id));
    assert!(receiver.await.is_err());
    assert_eq!(client.stats().await.calls_in_flight, 0);
}

#[tokio::test]
async fn calls_beyond_the_limits_are_refused_with_a_hint() {
    let server = Node::server(json!({ "limits": { "maxConcurrentCalls": 4 } }), echo()).await;
    let client = Node::client_of(&server, json!({})).await;
    client.call("echo", b"").await.unwrap();
    let held: Vec<_> = (0..4).map(|_| client.begin("never", b"", 5000, false)).collect();
    let error = client.call("echo", b"").await.unwrap_err();
    assert_eq!((error.code, &*error.reason, error.retryable), (Code::ResourceExhausted, "CALL_LIMIT", true));
    assert!(error.retry_after.is_some());
    let id = held[0].0;
    client.mesh.post(move |io| io.cancel(id));
    eventually(async || client.call("echo", b"").await.is_ok()).await;
}

#[tokio::test]
async fn calls_beyond_those_of_a_session_wait_for_room_in_turn() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let open = Arc::new(Mutex::new(Vec::new()));
    let left_open = Arc::clone(&open);
    let handler: Handler = Box::new(move |request| {
        told.lock().unwrap().push(request.payload.bytes[0]);
        if request.method == "never" {
            left_open.lock().unwrap().push(request.id);
        }
        (request.method == "echo").then(|| Ok(request.payload.bytes.to_vec()))
    });
    let server = Node::server(json!({ "limits": { "maxConcurrentCalls": 4 } }), handler).await;
    let client = Node::client_of(&server, json!({ "resilience": { "queueMs": 5000 } })).await;
    client.call("echo", b"\0").await.unwrap();
    let held: Vec<_> = (0..4).map(|_| client.begin("never", b"\0", 5000, false)).collect();
    let calls: Vec<_> = (1..=100).map(|number| client.begin("echo", &[number], 5000, false).1).collect();
    eventually(async || client.stats().await.calls_queued == 100).await;
    // A cancelled call is skipped, and a call beyond its deadline names the cause.
    let (given_up, _receiver) = client.begin("echo", b"g", 5000, false);
    client.mesh.post(move |io| io.cancel(given_up));
    let error = client.begin("echo", b"l", 50, false).1.await.unwrap().unwrap_err();
    assert_eq!((error.code, &*error.reason), (Code::ResourceExhausted, "CALL_LIMIT"), "{error:?}");
    // The calls end by answers, because the server counts a cancelled call until its handler ends.
    for id in open.lock().unwrap().drain(..) {
        server.mesh.post(move |io| io.respond(id, b"", Payload::EMPTY));
    }
    for (_, answer) in held {
        answer.await.unwrap().unwrap();
    }
    for (number, answer) in (1..=100).zip(calls) {
        assert_eq!(answer.await.unwrap().unwrap(), [number]);
    }
    let expected: Vec<u8> = [0; 5].into_iter().chain(1..=100).collect();
    assert_eq!(*seen.lock().unwrap(), expected);
    assert_eq!(client.stats().await.calls_queued, 0);
    assert_eq!(client.mesh.gauges().await.unwrap().timers, 0);
}

#[tokio::test]
async fn thousands_of_calls_at_once_are_all_answered() {
    let (server, client) = pair().await;
    let calls: Vec<_> = (0..5000).map(|_| client.begin("echo", b"x", 30_000, false).1).collect();
    for answer in calls {
        assert_eq!(answer.await.unwrap().unwrap(), b"x");
    }
    assert_eq!(server.app.handled.load(Ordering::SeqCst), 5000);
}

#[tokio::test]
async fn a_queue_of_no_time_refuses_at_once() {
    let server = Node::server(json!({ "limits": { "maxConcurrentCalls": 1 } }), echo()).await;
    let client = Node::client_of(&server, json!({ "resilience": { "queueMs": 0 } })).await;
    client.call("echo", b"").await.unwrap();
    let _held = client.begin("never", b"", 5000, false);
    let begun = Instant::now();
    assert_eq!(client.reason("echo").await, "CALL_LIMIT");
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn sessions_beyond_the_limits_are_refused_before_the_private_operation() {
    let server = Node::server(json!({ "limits": { "maxSessionsPerPeer": 1 } }), echo()).await;
    let keys = directory();
    let options = json!({ "paths": { "keysDir": keys } });
    let first = Node::client_of(&server, options.clone()).await;
    first.call("echo", b"").await.unwrap();
    let second = Node::client_of(&server, options).await;
    let error = second.call("echo", b"").await.unwrap_err();
    assert_eq!((error.code, &*error.reason, error.retryable), (Code::ResourceExhausted, "BUSY", true));
    assert_eq!(server.stats().await.private_operations, 1);
    first.call("echo", b"untouched").await.unwrap();
}

#[tokio::test]
async fn unknown_services_and_own_id_are_told_at_once() {
    let (_server, client) = pair().await;
    let lost = Node::client_at(1, json!({ "discovery": { "services": [] } })).await;
    assert_eq!(lost.reason("echo").await, "UNKNOWN_SERVICE");
    assert_eq!(client.reason("bad name").await, "ARGUMENT");
}

#[tokio::test]
async fn an_application_that_does_not_keep_up_stops_its_peers() {
    let (server, client) = pair().await;
    client.call("echo", b"").await.unwrap();
    server.app.backlog.store(64 << 20, Ordering::SeqCst);
    let waiting = client.begin("echo", b"not read", 5000, false).1;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(server.app.handled.load(Ordering::SeqCst), 1);
    server.app.backlog.store(0, Ordering::SeqCst);
    assert_eq!(waiting.await.unwrap().unwrap(), b"not read");
}
