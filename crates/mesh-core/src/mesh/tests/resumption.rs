//! Sessions after the first.

use std::path::Path;

use super::*;

/// A server that can restart with the same key, on the same port.
async fn start(keys: &Path, port: u16, options: Value) -> Node {
    let mut config = json!({ "port": port, "paths": { "keysDir": keys } });
    merge(&mut config, options);
    Node::server(config, echo()).await
}

/// A client that has a ticket of a server, which has stopped.
async fn acquainted(keys: &Path) -> (Node, u16) {
    let server = start(keys, 0, json!({})).await;
    let port = server.mesh.address().unwrap().port();
    let client = Node::client_of(&server, json!({})).await;
    client.call("echo", b"1").await.unwrap();
    assert_eq!((server.stats().await.private_operations, server.stats().await.sessions_resumed), (1, 0));
    stop(&server, &client).await;
    (client, port)
}

async fn stop(server: &Node, client: &Node) {
    server.mesh.close(Duration::from_secs(1)).await;
    eventually(async || client.stats().await.active_sessions == 0).await;
}

#[tokio::test]
async fn a_restarted_server_does_no_rsa_for_the_clients_it_knows() {
    let keys = directory();
    let (client, port) = acquainted(&keys).await;
    for round in 1..=3 {
        let server = start(&keys, port, json!({})).await;
        assert_eq!(client.call("echo", b"again").await.unwrap(), b"again");
        let stats = server.stats().await;
        assert_eq!((stats.sessions_resumed, stats.private_operations), (1, 0));
        let stats = client.stats().await;
        // The first handshake opened `k_s` and signed the holder key.
        assert_eq!((stats.sessions_resumed, stats.private_operations), (round, 2));
        stop(&server, &client).await;
    }
}

#[tokio::test]
async fn without_its_former_key_a_server_is_not_taken_for_the_same() {
    let (client, port) = acquainted(&directory()).await;
    let other = start(&directory(), port, json!({})).await;
    assert_eq!(client.reason("echo").await, "PEER_KEY_CHANGED");
    assert_eq!(other.stats().await.sessions_resumed, 0);
}

#[tokio::test]
async fn a_server_too_busy_to_look_at_a_ticket_does_not_use_it_up() {
    let keys = directory();
    let (client, port) = acquainted(&keys).await;
    let server = start(&keys, port, json!({ "limits": { "maxPendingHandshakes": 1 } })).await;
    let later = Instant::now() + Duration::from_hours(1);
    let hog = server.core().await.server.admission().occupy([127, 0, 0, 9].into(), later);
    assert_eq!(client.reason("echo").await, "BUSY");
    drop(hog);
    eventually(async || client.call("echo", b"2").await.is_ok()).await;
    assert_eq!((server.stats().await.sessions_resumed, server.stats().await.private_operations), (1, 0));
}
