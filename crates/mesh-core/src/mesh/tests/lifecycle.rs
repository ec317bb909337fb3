//! Peers that vanish, return and leave.

use super::*;

#[tokio::test]
async fn a_lost_server_ends_each_call_once_and_a_new_one_is_found() {
    let (server, client) = pair().await;
    client.call("echo", b"").await.unwrap();
    let port = server.mesh.address().unwrap().port();
    let pending: Vec<_> = (0..10).map(|_| client.begin("never", b"", 5000, false).1).collect();
    eventually(async || server.app.handled.load(Ordering::SeqCst) == 11).await;
    drop(server); // as a crash: no goodbye
    for answer in pending {
        let error = answer.await.unwrap().unwrap_err();
        assert_eq!((error.code, &*error.reason), (Code::Unavailable, "SESSION_LOST"));
        assert!(!error.retryable, "it may have run");
    }
    let error = client.call("echo", b"").await.unwrap_err();
    assert_eq!((&*error.reason, error.retryable), ("CONNECT_FAILED", true));
    // The restarted service has another key, so the client refuses it and names
    // the repair.
    let reborn = Node::server(json!({ "port": port }), echo()).await;
    eventually(async || client.reason("echo").await == "PEER_KEY_CHANGED").await;
    drop(reborn);
}

#[tokio::test]
async fn a_restarted_server_is_reconnected_to() {
    let keys = directory();
    let server = Node::server(json!({ "paths": { "keysDir": keys } }), echo()).await;
    let client = Node::client_of(&server, json!({})).await;
    client.call("echo", b"").await.unwrap();
    let port = server.mesh.address().unwrap().port();
    server.mesh.close(Duration::from_secs(1)).await;
    drop(server);
    eventually(async || client.stats().await.active_sessions == 0).await;
    let _server = Node::server(json!({ "paths": { "keysDir": keys }, "port": port }), echo()).await;
    assert_eq!(client.call("echo", b"again").await.unwrap(), b"again");
}

#[tokio::test]
async fn closing_answers_what_is_under_way_and_refuses_the_rest() {
    let slow: Handler = Box::new(|request| {
        std::thread::sleep(Duration::from_millis(30));
        Some(Ok(request.payload.bytes.to_vec()))
    });
    let server = Node::server(json!({}), slow).await;
    let client = Node::client_of(&server, json!({})).await;
    client.call("echo", b"").await.unwrap();
    let under_way = client.begin("echo", b"under way", 5000, false).1;
    eventually(async || server.app.handled.load(Ordering::SeqCst) == 2).await;
    server.mesh.close(Duration::from_secs(2)).await;
    assert_eq!(under_way.await.unwrap().unwrap(), b"under way");
    assert!(client.call("echo", b"").await.is_err());
    assert!(server.mesh.stats().await.is_none());
    server.mesh.close(Duration::from_secs(2)).await; // twice is fine
}

#[tokio::test]
async fn closing_a_client_ends_its_calls() {
    let (_server, client) = pair().await;
    client.call("echo", b"").await.unwrap();
    let pending = client.begin("never", b"", 5000, false).1;
    client.mesh.close(Duration::ZERO).await;
    assert_eq!(pending.await.unwrap().unwrap_err().reason, "CLOSED");
}

#[tokio::test]
async fn idle_sessions_are_replaced_without_a_lost_call() {
    let short = json!({ "security": { "sessionTimeout": 1000 } });
    let server = Node::server(short, echo()).await;
    let client = Node::client_of(&server, json!({})).await;
    for _ in 0..3 {
        client.call("echo", b"").await.unwrap();
        eventually(async || server.stats().await.active_sessions == 0).await;
    }
    assert_eq!(server.stats().await.handshakes_ok, 3);
}

#[tokio::test]
async fn several_instances_share_the_calls_and_stand_in_for_each_other() {
    let keys = directory();
    let options = || json!({ "paths": { "keysDir": keys } });
    let a = Node::server(options(), echo()).await;
    let b = Node::server(options(), echo()).await;
    let at = |node: &Node| json!({ "id": "server", "host": "127.0.0.1", "port": node.mesh.address().unwrap().port() });
    let services = json!({ "discovery": { "services": [at(&a), at(&b)] } });
    let client = Node::try_start("client", services, echo()).await.unwrap();
    for _ in 0..40 {
        client.call("echo", b"").await.unwrap();
    }
    let handled = |node: &Node| node.app.handled.load(Ordering::SeqCst);
    assert_eq!(handled(&a) + handled(&b), 40);
    // The shares depend on latency on one busy machine, so only a minimum is asserted.
    assert!(handled(&a) >= 1 && handled(&b) >= 1, "{} and {}", handled(&a), handled(&b));
    let before = handled(&b);
    a.mesh.close(Duration::from_secs(1)).await;
    drop(a);
    for _ in 0..6 {
        client.call("echo", b"").await.unwrap();
    }
    assert_eq!(handled(&b), before + 6);
}

#[tokio::test]
async fn a_job_that_panics_does_not_take_the_mesh_down() {
    let (server, client) = pair().await;
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    client.mesh.post(|_| panic!("injected"));
    assert_eq!(client.call("echo", b"alive").await.unwrap(), b"alive");
    std::panic::set_hook(hook);
    drop(server);
}

#[tokio::test]
async fn an_occupied_port_is_told_and_nothing_is_written() {
    let server = Node::server(json!({}), echo()).await;
    let keys = directory();
    let options = json!({ "port": server.mesh.address().unwrap().port(), "paths": { "keysDir": keys } });
    let error = Node::try_start("other", options, echo()).await.err().unwrap();
    assert_eq!(crate::error::Coded::reason(&error), Reason::Listen);
    assert!(!keys.exists());
}

#[tokio::test]
async fn a_closed_mesh_has_left_its_port() {
    let (server, client) = pair().await;
    client.call("echo", b"").await.unwrap();
    let port = server.mesh.address().unwrap().port();
    server.mesh.close(Duration::ZERO).await;
    tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
}
