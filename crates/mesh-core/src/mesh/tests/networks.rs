//! Networks in memory: the same protocol, closed to the outside.

use std::future::poll_fn;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};

use super::*;
use crate::{
    error::Coded,
    transport::memory::{Port, connect},
};

async fn on_network(name: &str) -> (Node, Node) {
    let server = Node::server(json!({ "network": name }), echo()).await;
    let client = Node::client_of(&server, json!({ "network": name })).await;
    (server, client)
}

/// Forwards bytes, and keeps a copy.
async fn wiretap(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    heard: Arc<Mutex<Vec<u8>>>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        heard.lock().unwrap().extend_from_slice(&buffer[..length]);
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

fn contains(heard: &[u8], needle: &[u8]) -> bool {
    heard.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test]
async fn what_passes_in_memory_is_what_would_pass_on_a_wire() {
    let network = NetworkName("tapped".into());
    let server = Node::server(json!({ "network": "tapped", "port": 1 }), echo()).await;
    let mut middle = Port::bind(&network, 2).unwrap();
    let (up, down) = (Arc::new(Mutex::default()), Arc::new(Mutex::default()));
    let taps = (Arc::clone(&up), Arc::clone(&down));
    tokio::spawn(async move {
        while let Ok((client, caller)) = poll_fn(|cx| middle.poll_accept(cx)).await {
            let (from_client, to_client) = split(client);
            let (from_server, to_server) = split(connect(&(network.clone(), 1), caller).unwrap());
            tokio::spawn(wiretap(from_client, to_server, Arc::clone(&taps.0)));
            tokio::spawn(wiretap(from_server, to_client, Arc::clone(&taps.1)));
        }
    });
    let client = Node::client_at(2, json!({ "network": "tapped" })).await;
    let input = b"a text that must not be readable".repeat(8);
    assert_eq!(client.call("echo", &input).await.unwrap(), input);

    let stats = (client.stats().await, server.stats().await);
    assert_eq!((stats.0.handshakes_ok, stats.1.handshakes_ok), (1, 1));
    assert!(stats.0.private_operations > 0 && stats.1.private_operations > 0);
    for heard in [up, down] {
        let heard = heard.lock().unwrap();
        assert!(heard.len() > 1000, "a handshake has passed, {} bytes", heard.len());
        assert!(!contains(&heard, &input[..16]));
        assert!(!contains(&heard, SECRET.as_bytes()));
    }
}

#[tokio::test]
async fn networks_are_apart() {
    let (server, client) = on_network("one").await;
    let port = server.mesh.address().unwrap().port();
    client.call("echo", b"").await.unwrap();
    for other in [json!({ "network": "other" }), json!({})] {
        let stranger = Node::client_at(port, other).await;
        assert_eq!(stranger.reason("echo").await, "CONNECT_FAILED");
    }
    assert_eq!(server.stats().await.handshakes_ok, 1);
}

#[tokio::test]
async fn no_option_leads_to_a_network_in_memory() {
    let config = json!({ "serviceId": "a", "network": "one" });
    let error = MeshConfig::parse(&config, |_| None).unwrap_err();
    assert!(error.to_string().contains("network is not an option"), "{error}");
    let anything = |_: &str| Some("1".repeat(32));
    let config = MeshConfig::parse(&json!({ "serviceId": "a", "port": 1 }), anything);
    assert!(config.is_err() || config.unwrap().network.is_none());
}

#[tokio::test]
async fn a_port_is_one_mesh_s_until_it_closes() {
    let options = json!({ "network": "ports", "port": 7 });
    let first = Node::server(options.clone(), echo()).await;
    let second = Node::try_start("server", options.clone(), echo()).await;
    assert!(second.is_err_and(|error| error.reason() == Reason::Listen));
    first.mesh.close(Duration::ZERO).await;
    Node::server(options, echo()).await;
}

#[tokio::test]
async fn a_severed_connection_ends_its_calls_and_nothing_else() {
    let (server, client) = on_network("severed").await;
    client.call("echo", b"").await.unwrap();
    let (_, pending) = client.begin("never", b"", 10_000, false);
    eventually(async || server.stats().await.requests_in_flight == 1).await;
    server.mesh.sever();
    let error = pending.await.unwrap().unwrap_err();
    assert_eq!((error.code, &*error.reason), (Code::Unavailable, "SESSION_LOST"));
    assert_eq!(client.call("echo", b"again").await.unwrap(), b"again");
}

#[tokio::test]
async fn keys_in_memory_stay_there() {
    let directory = directory();
    let options = json!({ "network": "keys", "paths": { "keysDir": directory } });
    let first = Node::server(options.clone(), echo()).await;
    let key = first.mesh.public_key().to_pem();
    first.mesh.close(Duration::ZERO).await;
    let second = Node::server(options, echo()).await;
    assert_eq!(second.mesh.public_key().to_pem(), key, "made once for the process");
    assert!(!directory.exists());
}
