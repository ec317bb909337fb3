//! Accepted and refused peers in each kind of trust.

use super::{
    hostile::{local_as, raw_key},
    raw_server::RawServer,
    *,
};
use crate::handshake::Local;

#[tokio::test]
async fn a_wrong_secret_is_refused_without_a_private_operation() {
    let server = Node::server(json!({}), echo()).await;
    let other = json!({ "security": { "jwtSecret": "another secret of more than 32 bytes!" } });
    let client = Node::client_of(&server, other).await;
    let error = client.call("echo", b"").await.unwrap_err();
    assert_eq!((error.code, &*error.reason), (Code::Unauthenticated, "HANDSHAKE_REFUSED"));
    assert!(error.message.contains("security.jwtSecret"), "{}", error.message);
    assert!(server.logged(Reason::HelloMac));
    let stats = server.stats().await;
    assert_eq!((stats.private_operations, stats.active_sessions, stats.handshakes_failed), (0, 0, 1));
}

#[tokio::test]
async fn a_pinned_service_accepts_only_its_key() {
    let none = json!({ "security": { "jwtSecret": null } });
    let make = async |id: &str, port: Value, services: Value, keys: &PathBuf| {
        let mut options = none.clone();
        merge(&mut options, json!({ "paths": { "keysDir": keys }, "discovery": { "services": services } }));
        if !port.is_null() {
            merge(&mut options, json!({ "port": port }));
        }
        Node::try_start(id, options, echo()).await.unwrap()
    };
    // The keys are made first, so that each side can pin the other's.
    let (server_keys, client_keys, thief_keys) = (directory(), directory(), directory());
    let pem = async |id: &str, keys: &PathBuf| {
        make(id, Value::Null, json!([]), keys).await.mesh.public_key().to_pem()
    };
    let (server_pem, client_pem) = (pem("server", &server_keys).await, pem("client", &client_keys).await);
    pem("client", &thief_keys).await;

    let entry = |id: &str, port: u16, pem: &str| json!([{ "id": id, "host": "127.0.0.1", "port": port, "publicKey": pem }]);
    // The client does not listen: the server knows it by its key alone.
    let client_only = json!([{ "id": "client", "publicKey": client_pem }]);
    let server = make("server", json!(0), client_only, &server_keys).await;
    let port = server.mesh.address().unwrap().port();

    let client = make("client", Value::Null, entry("server", port, &server_pem), &client_keys).await;
    assert_eq!(client.call("echo", b"pinned").await.unwrap(), b"pinned");
    assert_eq!(client.app.opened.lock().unwrap()[0].trust_name(), "pinned");

    let thief = make("client", Value::Null, entry("server", port, &server_pem), &thief_keys).await;
    assert_eq!(thief.reason("echo").await, "HANDSHAKE_REFUSED");
    assert!(server.logged(Reason::KeyMismatch));
    let stranger = make("stranger", Value::Null, entry("server", port, &server_pem), &directory()).await;
    let told = stranger.call("echo", b"").await.unwrap_err();
    assert_eq!(
        (told.reason, told.code),
        (thief.call("echo", b"").await.unwrap_err().reason, Code::Unauthenticated)
    );
    assert!(server.logged(Reason::UnknownPeer));
    assert_eq!(server.stats().await.private_operations, 1, "for the one true client");

    let mistaken = make("client", Value::Null, entry("server", port, &client_pem), &client_keys).await;
    assert_eq!(mistaken.reason("echo").await, "KEY_MISMATCH");
}

#[tokio::test]
async fn a_peer_that_changes_its_key_is_refused_until_the_old_one_is_removed() {
    let keys = directory();
    let server = Node::server(json!({ "paths": { "keysDir": keys } }), echo()).await;
    Node::client_of(&server, json!({})).await.call("echo", b"").await.unwrap();
    let changed = Node::client_of(&server, json!({})).await; // a new directory, so a new key
    assert_eq!(changed.reason("echo").await, "HANDSHAKE_REFUSED");
    assert!(server.logged(Reason::PeerKeyChanged));
    let hint = server.app.logs.lock().unwrap().iter().find_map(|event| {
        let (_, command) = event.message.split_once("run here: rm ")?;
        Some(command.split(". If").next()?.to_owned())
    });
    let path = hint.expect("the log says what to remove");
    assert!(std::path::Path::new(&path).starts_with(&keys));
    std::fs::remove_file(&path).unwrap();
    server.mesh.close(Duration::ZERO).await;
    let server = Node::server(json!({ "paths": { "keysDir": keys } }), echo()).await;
    let options = json!({ "paths": { "keysDir": directory() } });
    Node::client_of(&server, options).await.call("echo", b"").await.unwrap();
    let lenient = json!({ "security": { "peerKeys": "ignore" } });
    let server = Node::server(lenient.clone(), echo()).await;
    for _ in 0..2 {
        Node::client_of(&server, lenient.clone()).await.call("echo", b"").await.unwrap();
    }
}

/// With pins alone everything in M2 is public, so a stranger at the service's
/// address can cause a client's proof. The delays between attempts limit how
/// often.
#[tokio::test]
async fn a_false_server_causes_a_bounded_number_of_private_operations() {
    let impostor = RawServer::listen().await;
    let pinned = raw_key().public_key().to_pem();
    let services =
        json!([{ "id": "server", "host": "127.0.0.1", "port": impostor.port(), "publicKey": pinned }]);
    let options = json!({ "security": { "jwtSecret": null }, "discovery": { "services": services } });
    let client = Node::try_start("client", options, echo()).await.unwrap();
    let local = local_as("server", raw_key());
    let local = Arc::new(Local { secrets: Vec::new(), ..(*local).clone() });
    tokio::spawn(impostor.pose(local, client.mesh.public_key().thumbprint()));

    let begun = Instant::now();
    let mut calls = 0;
    while begun.elapsed() < Duration::from_secs(2) {
        let error = client.begin("echo", b"x", 20, true).1.await.unwrap().unwrap_err();
        assert!(matches!(error.code, Code::DeadlineExceeded | Code::Unavailable), "{error:?}");
        calls += 1;
    }
    // There are attempts after at least 50, 100, 200, 400, 500 and 500 ms, and one signature of the
    // holder key.
    let operations = client.stats().await.private_operations;
    assert!(calls > 50 && (2..=8).contains(&operations), "{operations} for {calls} calls");
}
