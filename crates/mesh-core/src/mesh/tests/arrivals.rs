//! Instances that are reported while the mesh runs.

use tokio::net::TcpListener;

use super::*;
use crate::{discovery::instances, id::ServiceId};

async fn client(limits: Value) -> Node {
    let options = json!({ "discovery": { "provider": "application" }, "limits": limits });
    Node::try_start("client", options, echo()).await.unwrap()
}

fn report(client: &Node, ports: &[u16]) {
    let list: Vec<_> = ports.iter().map(|port| json!({ "host": "127.0.0.1", "port": port })).collect();
    let service: ServiceId = "server".parse().unwrap();
    let list = instances(&service, &Value::Array(list)).unwrap();
    client.mesh.post(move |io| io.set_instances(&service, list));
}

fn port(node: &Node) -> u16 {
    node.mesh.address().unwrap().port()
}

#[tokio::test]
async fn calls_wait_for_the_first_report_and_those_under_way_outlive_the_last() {
    let keys = directory();
    let options = || json!({ "paths": { "keysDir": keys } });
    let (a, b) = (Node::server(options(), echo()).await, Node::server(options(), echo()).await);
    let client = client(json!({})).await;
    let waiting: Vec<_> = (0..10).map(|_| client.begin("echo", b"x", 5000, false).1).collect();
    eventually(async || *client.app.wanted.lock().unwrap() == ["server"]).await;
    report(&client, &[port(&a)]);
    for answer in waiting {
        assert_eq!(answer.await.unwrap().unwrap(), b"x");
    }
    let (id, held) = client.begin("never", b"", 5000, false);
    eventually(async || a.app.handled.load(Ordering::SeqCst) == 11).await;
    report(&client, &[port(&b)]);
    for _ in 0..10 {
        client.call("echo", b"").await.unwrap();
    }
    assert_eq!(b.app.handled.load(Ordering::SeqCst), 10, "all of them");
    // The session with the removed instance lives as long as its call.
    assert_eq!(client.stats().await.active_sessions, 2);
    client.mesh.post(move |io| io.cancel(id));
    drop(held);
    eventually(async || client.stats().await.active_sessions == 1).await;
    report(&client, &[]);
    assert_eq!(client.reason("echo").await, "NO_INSTANCE");
}

#[tokio::test]
async fn calls_that_wait_for_an_instance_that_goes_try_another_at_once() {
    let server = Node::server(json!({}), echo()).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(json!({})).await;
    let waiting = client.begin("echo", b"x", 5000, false).1;
    report(&client, &[silent.local_addr().unwrap().port()]);
    silent.accept().await.unwrap();
    report(&client, &[port(&server)]);
    let begun = Instant::now();
    assert_eq!(waiting.await.unwrap().unwrap(), b"x");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn nothing_waits_for_ever_for_a_report() {
    let client = client(json!({ "callTimeoutMs": 200 })).await;
    let error = client.begin("echo", b"", 100, false).1.await.unwrap().unwrap_err();
    assert_eq!((error.code, &*error.reason), (Code::Unavailable, "NO_INSTANCE"));
    // A stream has no deadline by itself.
    let stream = client.begin_kind(CallKind::ServerStream, "down", b"", None, false).1;
    let error = stream.await.unwrap().unwrap_err();
    assert_eq!((error.code, &*error.reason), (Code::Unavailable, "NO_INSTANCE"));
    assert_eq!(client.app.wanted.lock().unwrap().len(), 1, "asked for once");
}
