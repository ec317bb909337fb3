//! Clocks that change while a mesh runs.

use std::sync::atomic::AtomicU64;

use super::*;
use crate::clock::{Clock, Timestamp};

/// The machine, with a clock that is ahead by `ahead` seconds.
fn machine(ahead: impl Fn() -> u64 + Send + Sync + 'static) -> Platform {
    let clock = Clock::new(move || Timestamp::now() + Duration::from_secs(ahead()));
    Platform { clock, ..Platform::system() }
}

async fn client_on(platform: Platform, server: &Node) -> Node {
    let port = server.mesh.address().unwrap().port();
    let options =
        json!({ "discovery": { "services": [{ "id": "server", "host": "127.0.0.1", "port": port }] } });
    Node::try_start_on(platform, "client", options, echo()).await.unwrap()
}

#[tokio::test]
async fn no_call_fails_because_the_clock_of_a_machine_was_set_back() {
    for ahead in [90, 600] {
        let shift = Arc::new(AtomicU64::new(ahead));
        let read = || {
            let shift = Arc::clone(&shift);
            machine(move || shift.load(Ordering::SeqCst))
        };
        let server = Node::try_start_on(read(), "server", json!({ "port": 0 }), echo()).await.unwrap();
        let client = client_on(read(), &server).await;
        client.call("echo", b"before").await.unwrap();
        shift.store(0, Ordering::SeqCst);
        client.call("echo", b"after").await.unwrap();
        assert_eq!(server.stats().await.handshakes_ok, 1, "a new token is enough");
    }
}

#[tokio::test]
async fn a_request_refused_for_its_time_is_made_again_on_a_new_session() {
    let shift = Arc::new(AtomicU64::new(90));
    let of_server = Arc::clone(&shift);
    let server = machine(move || of_server.load(Ordering::SeqCst));
    let server = Node::try_start_on(server, "server", json!({ "port": 0 }), echo()).await.unwrap();
    // The client's clock is set back only after the refusal of its request, because the token was
    // in transit.
    let app = Arc::clone(&server.app);
    let refused = move || app.logs.lock().unwrap().iter().any(|line| line.event == "request.refused");
    let client = client_on(machine(move || if refused() { 0 } else { 90 }), &server).await;
    client.call("echo", b"before").await.unwrap();
    shift.store(0, Ordering::SeqCst);
    client.call("echo", b"after").await.unwrap();
    assert!(server.logged(Reason::ClockSkew));
    assert_eq!(server.app.handled.load(Ordering::SeqCst), 2, "each ran once");
    assert_eq!(server.stats().await.handshakes_ok, 2);
    client.call("echo", b"later").await.unwrap();
    assert_eq!(server.stats().await.handshakes_ok, 2, "the session stays");
}

#[tokio::test]
async fn clocks_that_stay_apart_are_named() {
    let shift = Arc::new(AtomicU64::new(90));
    let of_server = Arc::clone(&shift);
    let server = machine(move || of_server.load(Ordering::SeqCst));
    let server = Node::try_start_on(server, "server", json!({ "port": 0 }), echo()).await.unwrap();
    let client = client_on(machine(|| 90), &server).await;
    client.call("echo", b"before").await.unwrap();
    shift.store(0, Ordering::SeqCst);
    let error = client.call("echo", b"after").await.unwrap_err();
    assert_eq!(error.code, Code::Unauthenticated);
    assert_eq!(server.app.handled.load(Ordering::SeqCst), 1);
    assert!(server.logged(Reason::ClockSkew));
}
