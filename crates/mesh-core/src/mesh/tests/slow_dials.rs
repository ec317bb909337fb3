//! Silent instances, and addresses without a host. They delay no call.

use std::path::Path;

use tokio::{
    net::TcpListener,
    time::{Instant, timeout},
};

use super::*;

/// A port that accepts connections and stays silent.
async fn silent() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    port
}

/// A client of the service `server`, which has instances at these addresses.
async fn client_of(instances: &[(&str, u16)], limits: Value) -> Node {
    let at = |(host, port): &(&str, u16)| json!({ "id": "server", "host": host, "port": port });
    let services: Vec<_> = instances.iter().map(at).collect();
    let options = json!({ "discovery": { "services": services }, "limits": limits });
    Node::try_start("client", options, echo()).await.unwrap()
}

/// Another client of the same service, with the key that the servers remember.
async fn again(keys: &Path, instances: &[(&str, u16)]) -> Node {
    let at = |(host, port): &(&str, u16)| json!({ "id": "server", "host": host, "port": port });
    let services: Vec<_> = instances.iter().map(at).collect();
    let options = json!({ "paths": { "keysDir": keys }, "discovery": { "services": services } });
    Node::try_start("client", options, echo()).await.unwrap()
}

const LOCAL: &str = "127.0.0.1";
/// An address without a host, reserved for documentation (RFC 5737).
const NOWHERE: &str = "192.0.2.1";

#[tokio::test]
async fn an_instance_that_says_nothing_holds_up_nobody() {
    let server = Node::server(json!({}), echo()).await;
    let port = server.mesh.address().unwrap().port();
    let client = client_of(&[(LOCAL, silent().await), (LOCAL, port)], json!({})).await;
    for round in 0..20 {
        let begun = Instant::now();
        assert_eq!(client.call("echo", b"x").await.unwrap(), b"x");
        assert!(begun.elapsed() < Duration::from_millis(900), "call {round}: {:?}", begun.elapsed());
    }
    assert_eq!(server.stats().await.handshakes_ok, 1, "by one connection");
}

#[tokio::test]
async fn dead_instances_cost_the_first_call_milliseconds_and_later_ones_nothing() {
    let server = Node::server(json!({}), echo()).await;
    let port = server.mesh.address().unwrap().port();
    // The first instance to try is random.
    let keys = directory();
    for round in 0..8 {
        let client = again(&keys, &[(LOCAL, silent().await), (NOWHERE, 1), (LOCAL, port)]).await;
        let begun = Instant::now();
        client.call("echo", b"x").await.unwrap();
        let first = begun.elapsed();
        assert!(first < Duration::from_millis(300), "client {round}: {first:?}");
        for call in 0..50 {
            let begun = Instant::now();
            client.call("echo", b"x").await.unwrap();
            assert!(begun.elapsed() < Duration::from_millis(75), "call {call}: {:?}", begun.elapsed());
        }
    }
}

#[tokio::test]
async fn calls_at_once_all_go_to_the_instance_that_answers() {
    let server = Node::server(json!({}), echo()).await;
    let port = server.mesh.address().unwrap().port();
    let holes = [(LOCAL, silent().await), (NOWHERE, 1), (LOCAL, silent().await), (LOCAL, port)];
    let client = client_of(&holes, json!({})).await;
    let begun = Instant::now();
    let calls: Vec<_> = (0..50).map(|_| client.begin("echo", b"x", 10_000, false).1).collect();
    for answer in calls {
        assert_eq!(answer.await.unwrap().unwrap(), b"x");
    }
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    assert_eq!(server.app.handled.load(Ordering::SeqCst), 50, "each ran once");
}

#[tokio::test]
async fn a_service_that_says_nothing_is_given_up_soon_and_the_call_never_ran() {
    for instance in [(LOCAL, silent().await), (NOWHERE, 1)] {
        let client = client_of(&[instance], json!({})).await;
        let begun = Instant::now();
        let calls: Vec<_> = (0..50).map(|_| client.begin("echo", b"", 10_000, false).1).collect();
        for answer in calls {
            let error = answer.await.unwrap().unwrap_err();
            // A machine without a route fails at once.
            if instance.0 == NOWHERE && &*error.reason == "CONNECT_FAILED" {
                continue;
            }
            let found = (error.code, &*error.reason, error.retryable, error.attempts);
            assert_eq!(found, (Code::Unavailable, "CONNECT_TIMEOUT", true, 1), "{error:?}");
        }
        assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_call_whose_time_is_over_before_there_is_a_session_is_told_so() {
    let client = client_of(&[(LOCAL, silent().await)], json!({})).await;
    let error = client.begin("echo", b"", 300, false).1.await.unwrap().unwrap_err();
    assert_eq!((error.code, &*error.reason, error.retryable), (Code::Unavailable, "CONNECT_TIMEOUT", true));
}

#[tokio::test]
async fn a_handshake_has_a_time_of_its_own() {
    let client = client_of(&[(LOCAL, silent().await)], json!({ "handshakeTimeoutMs": 300 })).await;
    let begun = Instant::now();
    let error = client.call("echo", b"").await.unwrap_err();
    assert_eq!((error.code, &*error.reason), (Code::Unavailable, "CONNECT_TIMEOUT"));
    assert!(error.attempts > 1, "a handshake is over after 300 ms, and the next one begins: {error:?}");
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_instance_that_comes_back_serves_the_calls_that_wait_for_a_silent_one() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = client_of(&[(LOCAL, silent().await), (LOCAL, port)], json!({})).await;
    let calls: Vec<_> = (0..10).map(|_| client.begin("echo", b"x", 10_000, false).1).collect();
    sleep(Duration::from_millis(500)).await;
    let server = Node::server(json!({ "port": port }), echo()).await;
    for answer in calls {
        assert_eq!(answer.await.unwrap().unwrap(), b"x");
    }
    assert_eq!(server.app.handled.load(Ordering::SeqCst), 10);
}

#[tokio::test]
async fn no_detour_leads_to_an_instance_whose_breaker_is_open() {
    let bad = Node::server(json!({}), Box::new(|_| Some(Err(Code::Internal)))).await;
    let port = bad.mesh.address().unwrap().port();
    let at = |port| json!({ "id": "server", "host": LOCAL, "port": port });
    let breaker = json!({ "failureThreshold": 1, "successThreshold": 1, "timeout": "1h", "failureRate": 0 });
    let options = json!({
        "discovery": { "services": [at(silent().await), at(port)] },
        "resilience": { "circuitBreaker": breaker },
    });
    let client = Node::try_start("client", options, echo()).await.unwrap();
    assert_eq!(client.call("echo", b"").await.unwrap_err().code, Code::Internal);
    bad.mesh.close(Duration::ZERO).await;
    drop(bad);
    let listener = TcpListener::bind((LOCAL, port)).await.unwrap();
    let waiting = client.begin("echo", b"", 1000, false).1;
    let dialled = timeout(Duration::from_millis(800), listener.accept()).await;
    assert!(dialled.is_err(), "{dialled:?}");
    assert_eq!(&*waiting.await.unwrap().unwrap_err().reason, "CONNECT_TIMEOUT");
}
