//! The instances to which calls of a service go.

use super::*;

/// An instance of the service `server`, with the same key as the others.
async fn instance(keys: &std::path::Path, handler: Handler) -> Node {
    Node::server(json!({ "paths": { "keysDir": keys } }), handler).await
}

fn at(node: &Node) -> Value {
    json!({ "id": "server", "host": "127.0.0.1", "port": node.mesh.address().unwrap().port() })
}

/// A client with a stored key, because the servers remember it.
async fn client_of(keys: &std::path::Path, services: Vec<Value>, balancing: Value) -> Node {
    let paths = json!({ "keysDir": keys.join("client") });
    let options = json!({ "paths": paths, "discovery": { "services": services }, "balancing": balancing });
    Node::try_start("client", options, echo()).await.unwrap()
}

fn handled(node: &Node) -> usize {
    node.app.handled.load(Ordering::SeqCst)
}

fn slow(time: Duration) -> Handler {
    Box::new(move |request| {
        std::thread::sleep(time);
        Some(Ok(request.payload.bytes.to_vec()))
    })
}

#[tokio::test]
async fn a_slow_instance_gets_few_calls() {
    let keys = directory();
    let bad = instance(&keys, slow(Duration::from_millis(30))).await;
    let good = [instance(&keys, echo()).await, instance(&keys, echo()).await];
    let client = client_of(&keys, vec![at(&bad), at(&good[0]), at(&good[1])], json!({})).await;
    for _ in 0..200 {
        client.call("echo", b"").await.unwrap();
    }
    assert!((1..20).contains(&handled(&bad)), "{}", handled(&bad));
    assert_eq!(handled(&bad) + handled(&good[0]) + handled(&good[1]), 200);
    // The control: with round-robin a fixed share of the calls goes to the bad instance.
    let client = client_of(&keys, vec![at(&bad), at(&good[0])], json!({ "policy": "round-robin" })).await;
    let before = handled(&bad);
    for _ in 0..40 {
        client.call("echo", b"").await.unwrap();
    }
    assert!(handled(&bad) - before >= 10, "{}", handled(&bad) - before);
}

#[tokio::test]
async fn an_instance_that_fails_is_ejected_and_the_log_says_so() {
    let keys = directory();
    let bad = instance(&keys, Box::new(|_| Some(Err(Code::Internal)))).await;
    let good = [instance(&keys, echo()).await, instance(&keys, echo()).await];
    let balancing = json!({ "policy": "round-robin", "ejection": { "consecutiveFailures": 3 } });
    let client = client_of(&keys, vec![at(&bad), at(&good[0]), at(&good[1])], balancing).await;
    let mut failed = 0;
    for _ in 0..60 {
        failed += usize::from(client.call("echo", b"").await.is_err());
    }
    assert_eq!((failed, handled(&bad)), (3, 3));
    let logs = client.app.logs.lock().unwrap();
    let ejected: Vec<_> = logs.iter().filter(|line| line.event == "instance.ejected").collect();
    let target = format!("127.0.0.1:{}", bad.mesh.address().unwrap().port());
    assert_eq!(ejected.len(), 1);
    assert!(ejected[0].fields.contains(&("target", target)), "{ejected:?}");
}

#[tokio::test]
async fn weights_and_zones_of_the_configuration_count() {
    let keys = directory();
    let nodes = [instance(&keys, echo()).await, instance(&keys, echo()).await];
    let with = |node: &Node, key: &str, value: Value| {
        let mut service = at(node);
        service[key] = value;
        service
    };
    let services = vec![with(&nodes[0], "weight", json!(9)), at(&nodes[1])];
    let client = client_of(&keys, services, json!({ "policy": "random" })).await;
    for _ in 0..200 {
        client.call("echo", b"").await.unwrap();
    }
    assert!((1..50).contains(&handled(&nodes[1])), "{}", handled(&nodes[1]));

    let services = vec![with(&nodes[0], "zone", json!("a")), with(&nodes[1], "zone", json!("b"))];
    let client = client_of(&keys, services, json!({ "policy": "random", "zone": "b" })).await;
    let before = handled(&nodes[0]);
    for _ in 0..50 {
        client.call("echo", b"").await.unwrap();
    }
    assert_eq!(handled(&nodes[0]), before, "all in the zone");
    nodes[1].mesh.close(Duration::ZERO).await;
    for _ in 0..10 {
        client.call("echo", b"").await.unwrap();
    }
    assert_eq!(handled(&nodes[0]), before + 10, "the other zone stands in");
}

#[tokio::test]
async fn calls_with_the_same_string_go_to_the_same_instance() {
    let keys = directory();
    let nodes = [instance(&keys, echo()).await, instance(&keys, echo()).await, instance(&keys, echo()).await];
    let services: Vec<_> = nodes.iter().map(at).collect();
    let clients =
        [client_of(&keys, services.clone(), json!({})).await, client_of(&keys, services, json!({})).await];
    let counts = || nodes.each_ref().map(handled);
    // Every client opens sessions with all instances.
    for client in &clients {
        for _ in 0..60 {
            client.call("echo", b"").await.unwrap();
        }
        assert_eq!(client.stats().await.active_sessions, 3);
    }
    let mut seen = std::collections::HashSet::new();
    for key in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
        let before = counts();
        for client in &clients {
            for _ in 0..5 {
                client.begin_sticky(key).await.unwrap().unwrap();
            }
        }
        let gained: Vec<_> = counts().iter().zip(before).map(|(now, before)| now - before).collect();
        let place = gained.iter().position(|gained| *gained == 10);
        seen.insert(place.unwrap_or_else(|| panic!("{key}: {gained:?}")));
    }
    assert!(seen.len() > 1, "not all keys at one instance");
}
