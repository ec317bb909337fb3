//! Rotations of keys and secrets in running meshes.

use std::path::Path;

use zeroize::Zeroizing;

use super::*;
use crate::error::Coded;

const NEW: &str = "another test's secret of 32 bytes or more";

impl Node {
    async fn rotate(&self, secret: &str, grace_ms: u64) -> Result<(), Error> {
        self.mesh.rotate_secret(Zeroizing::new(secret.to_owned()), Duration::from_millis(grace_ms)).await
    }

    fn opened(&self) -> usize {
        self.app.opened.lock().unwrap().len()
    }
}

/// A client with no session and no ticket of an earlier one.
async fn fresh(server: &Node, secret: &str) -> Node {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let id = format!("fresh-{}", LAST.fetch_add(1, Ordering::SeqCst));
    Node::client_of(server, json!({ "serviceId": id, "security": { "jwtSecret": secret } })).await
}

#[tokio::test]
async fn two_sides_change_their_secret_one_after_the_other_without_a_failed_call() {
    let hour = 3_600_000;
    // A rotated side and the others understand each other in any order.
    for server_first in [true, false] {
        let (server, client) = pair().await;
        client.call("echo", b"1").await.unwrap();
        let (first, second) = if server_first { (&server, &client) } else { (&client, &server) };
        first.rotate(NEW, hour).await.unwrap();
        client.call("echo", b"2").await.unwrap();
        for secret in if server_first { &[SECRET, NEW][..] } else { &[SECRET] } {
            fresh(&server, secret).await.call("echo", b"3").await.unwrap();
        }
        if !server_first {
            // The client that has rotated first opens a new session. It is refused with the new
            // secret and accepted with the previous one.
            client.mesh.rotate_key().await.unwrap();
            client.call("echo", b"4").await.unwrap();
            assert!(server.logged(Reason::HelloMac));
        }
        second.rotate(NEW, hour).await.unwrap();
        client.call("echo", b"5").await.unwrap();
        fresh(&server, NEW).await.call("echo", b"6").await.unwrap();
    }
}

#[tokio::test]
async fn after_its_grace_a_secret_and_the_sessions_made_with_it_are_over() {
    let (server, client) = pair().await;
    client.call("echo", b"1").await.unwrap();
    server.rotate(NEW, 400).await.unwrap();
    client.call("echo", b"2").await.unwrap();
    assert_eq!(server.opened(), 1, "the session goes on");
    eventually(async || server.stats().await.active_sessions == 0).await;
    let error = client.call("echo", b"3").await.unwrap_err();
    assert_eq!((error.code, &*error.reason), (Code::Unauthenticated, "HANDSHAKE_REFUSED"));
    assert!(server.logged(Reason::SecretRetired));
    client.rotate(NEW, 0).await.unwrap();
    client.call("echo", b"4").await.unwrap();
    // The log contains neither secret.
    let logs = format!("{:?}", server.app.logs.lock().unwrap());
    assert!(logs.contains("secret.rotated") && !logs.contains(SECRET) && !logs.contains(NEW), "{logs}");
}

#[tokio::test]
async fn without_grace_a_secret_is_over_at_once() {
    let (server, client) = pair().await;
    client.call("echo", b"1").await.unwrap();
    server.rotate(NEW, 0).await.unwrap();
    assert_eq!(client.reason("echo").await, "HANDSHAKE_REFUSED");
    assert!(server.logged(Reason::SecretRetired));
}

#[tokio::test]
async fn what_is_no_rotation_is_refused() {
    let (server, _client) = pair().await;
    let reason = |result: Result<(), Error>| result.unwrap_err().reason();
    assert_eq!(reason(server.rotate("short", 0).await), Reason::WeakSecret);
    assert_eq!(reason(server.rotate(SECRET, 0).await), Reason::Argument);
    server.rotate(NEW, 0).await.unwrap();
    assert_eq!(reason(server.rotate(SECRET, 0).await), Reason::Argument, "never back");
    let embedded = json!({ "security": { "jwtSecret": null } });
    let embedded = Node::server(embedded, echo()).await;
    let error = embedded.rotate(NEW, 0).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::FailedPrecondition, Reason::Argument));
}

async fn server_in(keys: &Path, port: u16) -> Node {
    Node::server(json!({ "port": port, "paths": { "keysDir": keys } }), echo()).await
}

#[tokio::test]
async fn a_new_key_is_taken_over_by_peers_that_know_the_former_one() {
    let keys = directory();
    let server = server_in(&keys, 0).await;
    let port = server.mesh.address().unwrap().port();
    let absent = Node::client_at(port, json!({ "serviceId": "absent" })).await;
    let client = Node::client_at(port, json!({})).await;
    for node in [&client, &absent] {
        node.call("echo", b"1").await.unwrap();
    }
    let (former, hung) = (server.mesh.public_key(), client.begin("slow", b"", 5000, false));
    eventually(async || server.stats().await.requests_in_flight == 1).await;
    let next = server.mesh.rotate_key().await.unwrap();
    assert!(next != former && server.mesh.public_key() == next);

    client.call("echo", b"2").await.unwrap();
    assert_eq!(client.opened(), 2, "new calls get a session with the new key");
    assert_eq!(server.stats().await.requests_in_flight, 1, "requests in progress keep theirs");
    client.mesh.post(move |io| io.cancel(hung.0));

    // A client was away during the rotation, and the server has restarted since.
    server.mesh.close(Duration::ZERO).await;
    drop(server);
    let server = server_in(&keys, port).await;
    assert!(server.mesh.public_key() == next);
    eventually(async || absent.stats().await.active_sessions == 0).await;
    absent.call("echo", b"3").await.unwrap();

    // After a second rotation the thief of the first key is refused.
    server.mesh.rotate_key().await.unwrap();
    absent.call("echo", b"4").await.unwrap();
    server.mesh.close(Duration::ZERO).await;
    drop(server);
    let thief = directory();
    let store = crate::crypto::keystore::KeyStore::open(&thief).unwrap();
    let id: crate::id::ServiceId = "server".parse().unwrap();
    let stolen = crate::crypto::keystore::KeyStore::open(&keys).unwrap();
    // `keys` holds the last two keys; the thief has the one before.
    store.save_key_pair(&id, &stolen.load_previous_key_pair(&id).unwrap().unwrap()).unwrap();
    let impostor = server_in(&thief, port).await;
    eventually(async || absent.stats().await.active_sessions == 0).await;
    assert_eq!(absent.reason("echo").await, "PEER_KEY_CHANGED");
    impostor.mesh.rotate_key().await.unwrap();
    assert_eq!(absent.reason("echo").await, "PEER_KEY_CHANGED");
}

#[tokio::test]
async fn a_client_s_new_key_is_taken_over_as_well() {
    let (server, client) = pair().await;
    client.call("echo", b"1").await.unwrap();
    client.mesh.rotate_key().await.unwrap();
    client.call("echo", b"2").await.unwrap();
    assert_eq!(server.opened(), 2);
    assert_eq!(server.stats().await.sessions_resumed, 0, "no ticket outlives its key");
}

#[tokio::test]
async fn services_that_share_a_directory_learn_of_a_new_key_from_each_other() {
    let keys = directory();
    let options = json!({ "security": { "jwtSecret": null }, "paths": { "keysDir": keys } });
    let server = Node::server(options.clone(), echo()).await;
    let client = Node::client_of(&server, options).await;
    client.call("echo", b"1").await.unwrap();
    // After two rotations the succession's previous key is not the one that this client remembers.
    server.mesh.rotate_key().await.unwrap();
    server.mesh.rotate_key().await.unwrap();
    client.call("echo", b"2").await.unwrap();
}

#[tokio::test]
async fn who_misses_two_new_keys_has_to_be_told() {
    let (server, client) = pair().await;
    client.call("echo", b"1").await.unwrap();
    server.mesh.rotate_key().await.unwrap();
    server.mesh.rotate_key().await.unwrap();
    let error = client.call("echo", b"2").await.unwrap_err();
    assert_eq!((error.code, &*error.reason), (Code::Unauthenticated, "PEER_KEY_CHANGED"));
    let (_, command) = error.message.split_once("run here: rm ").unwrap();
    let path = command.split(". If").next().unwrap();
    std::fs::remove_file(path).unwrap();
    eventually(async || client.call("echo", b"3").await.is_ok()).await;
}
