//! Services that are away: the waits of calls for them, and the limits of these waits.

use tokio::{io::AsyncWriteExt, net::TcpListener, time::Instant};

use super::*;

/// A port without a listener.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_service_that_is_away_for_a_moment_is_waited_for() {
    let port = free_port();
    let client = Node::client_at(port, json!({})).await;
    let calls: Vec<_> = (0..100).map(|_| client.begin("echo", b"early", 10_000, false).1).collect();
    sleep(Duration::from_millis(700)).await;
    let server = Node::server(json!({ "port": port }), echo()).await;
    for answer in calls {
        assert_eq!(answer.await.unwrap().unwrap(), b"early");
    }
    assert_eq!(server.app.handled.load(Ordering::SeqCst), 100, "each ran once");
    assert_eq!(server.stats().await.handshakes_ok, 1, "by one connection");
}

#[tokio::test]
async fn an_instance_that_is_away_for_seconds_loses_no_call() {
    let keys = directory();
    let options = |port: u16| json!({ "paths": { "keysDir": keys }, "port": port });
    let server = Node::server(options(0), echo()).await;
    let port = server.mesh.address().unwrap().port();
    let client = Node::client_of(&server, json!({})).await;
    client.call("echo", b"").await.unwrap();
    // Some calls are in flight when the server stops, and are idempotent; the others were never sent.
    let mut calls: Vec<_> = (0..10).map(|_| client.begin("never", b"", 10_000, true).1).collect();
    eventually(async || server.app.handled.load(Ordering::SeqCst) == 11).await;
    drop(server);
    eventually(async || client.stats().await.active_sessions == 0).await;
    calls.extend((0..40).map(|_| client.begin("echo", b"x", 10_000, false).1));
    sleep(Duration::from_millis(3500)).await;
    let all: Handler = Box::new(|request| Some(Ok(request.payload.bytes.to_vec())));
    let server = Node::server(options(port), all).await;
    for answer in calls {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(server.app.handled.load(Ordering::SeqCst), 50, "each ran once");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_given_up_soon_and_not_hammered() {
    let client = Node::client_at(free_port(), json!({})).await;
    let begun = Instant::now();
    let mut tries = 0;
    let calls: Vec<_> = (0..100).map(|_| client.begin("echo", b"", 10_000, false).1).collect();
    for answer in calls {
        let error = answer.await.unwrap().unwrap_err();
        assert_eq!(
            (error.code, &*error.reason, error.retryable),
            (Code::Unavailable, "CONNECT_FAILED", true)
        );
        assert!(error.retry_after.is_some_and(|after| after > Duration::from_millis(50)), "{error:?}");
        tries = error.attempts;
        assert!((6..=12).contains(&tries), "{tries}");
    }
    assert!(begun.elapsed() > Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    // A call between two attempts fails at once.
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(client.reason("echo").await, "CONNECT_FAILED");
    }
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    let more = client.stats().await.handshakes_failed - u64::from(tries);
    assert!(more <= 1, "{more} tries for calls that came later");
}

#[tokio::test]
async fn a_call_that_has_no_time_for_another_try_is_told_so() {
    let client = Node::client_at(free_port(), json!({})).await;
    let error = client.begin("echo", b"", 600, false).1.await.unwrap().unwrap_err();
    assert_eq!(&*error.reason, "CONNECT_FAILED", "rather than the deadline");
}

#[tokio::test]
async fn a_refused_handshake_is_not_tried_again() {
    let server = Node::server(json!({}), echo()).await;
    let other = json!({ "security": { "jwtSecret": "another secret of more than 32 bytes!" } });
    let client = Node::client_of(&server, other).await;
    let begun = Instant::now();
    let error = client.call("echo", b"").await.unwrap_err();
    assert_eq!((&*error.reason, error.attempts, error.retry_after), ("HANDSHAKE_REFUSED", 1, None));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    // Any number of calls causes few attempts.
    for _ in 0..200 {
        assert_eq!(client.reason("echo").await, "HANDSHAKE_REFUSED");
    }
    let tries = server.stats().await.handshakes_failed;
    assert!(tries <= 1 + begun.elapsed().as_millis() as u64 / 50, "{tries} in {:?}", begun.elapsed());
    assert!(tries < 20, "{tries}");
}

#[tokio::test]
async fn an_instance_that_is_away_costs_calls_nothing_while_another_serves() {
    let server = Node::server(json!({}), echo()).await;
    let at = |port: u16| json!({ "id": "server", "host": "127.0.0.1", "port": port });
    let services = json!([at(free_port()), at(server.mesh.address().unwrap().port())]);
    let options = json!({ "discovery": { "services": services } });
    let client = Node::try_start("client", options, echo()).await.unwrap();
    for _ in 0..50 {
        let begun = Instant::now();
        client.call("echo", b"").await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    // The instance is tried after its delay, and not for each call.
    assert!(client.stats().await.handshakes_failed <= 4);
}

#[tokio::test]
async fn a_connection_that_ends_in_the_handshake_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // The server sends a byte that is no HTTP/2, and closes.
            let _ = stream.write_all(b"!").await;
        }
    });
    let client = Node::client_at(port, json!({})).await;
    let error = client.call("echo", b"").await.unwrap_err();
    assert_eq!(error.code, Code::Unavailable, "{error:?}");
    assert!(error.attempts >= 6, "{error:?}");
}
