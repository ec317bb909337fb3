//! Retries of calls, and breakers of instances.

use super::*;

/// An instance of a service, with the service's key.
async fn instance(keys: &std::path::Path, handler: Handler) -> Node {
    Node::server(json!({ "paths": { "keysDir": keys } }), handler).await
}

fn failing(code: Code) -> Handler {
    Box::new(move |_| Some(Err(code)))
}

async fn client_of(servers: &[&Node], resilience: Value) -> Node {
    let services: Vec<_> = servers
        .iter()
        .map(|server| {
            let port = server.mesh.address().unwrap().port();
            json!({ "id": "server", "host": "127.0.0.1", "port": port })
        })
        .collect();
    // The calls go round-robin, so that each instance gets some.
    let balancing = json!({ "policy": "round-robin", "ejection": false });
    let options =
        json!({ "discovery": { "services": services }, "resilience": resilience, "balancing": balancing });
    Node::try_start("client", options, echo()).await.unwrap()
}

fn handled(node: &Node) -> usize {
    node.app.handled.load(Ordering::SeqCst)
}

fn changes(node: &Node) -> Vec<(String, String)> {
    let logs = node.app.logs.lock().unwrap();
    let field =
        |line: &LogEvent, name| line.fields.iter().find(|(field, _)| *field == name).unwrap().1.clone();
    let lines = logs.iter().filter(|line| line.event == "circuit.changed");
    lines.map(|line| (field(line, "target"), field(line, "state"))).collect()
}

#[tokio::test]
async fn an_instance_that_fails_is_passed_over_for_the_others() {
    let keys = directory();
    let (bad, good) = (instance(&keys, failing(Code::Internal)).await, instance(&keys, echo()).await);
    let breaker = json!({ "failureThreshold": 2, "successThreshold": 1, "timeout": "1h", "failureRate": 0 });
    let client = client_of(&[&bad, &good], json!({ "circuitBreaker": breaker })).await;
    let mut failed = 0;
    for _ in 0..30 {
        failed += usize::from(client.call("echo", b"x").await.is_err());
    }
    assert_eq!((failed, handled(&bad), handled(&good)), (2, 2, 28));
    let target = format!("127.0.0.1:{}", bad.mesh.address().unwrap().port());
    assert_eq!(changes(&client), [(target, "open".to_owned())]);
}

#[tokio::test]
async fn a_call_fails_at_once_when_every_instance_is_left_alone() {
    let keys = directory();
    let servers =
        [instance(&keys, failing(Code::Internal)).await, instance(&keys, failing(Code::Internal)).await];
    let resilience = json!({
        "circuitBreaker": { "failureThreshold": 1, "successThreshold": 1, "timeout": "1m" },
        "retry": { "maxAttempts": 5 },
    });
    let client = client_of(&[&servers[0], &servers[1]], resilience).await;
    for _ in 0..2 {
        assert_eq!(client.call("echo", b"x").await.unwrap_err().code, Code::Internal);
    }
    for idempotent in [false, true] {
        let error = client.begin("echo", b"x", 5000, idempotent).1.await.unwrap().unwrap_err();
        assert_eq!((error.code, &*error.reason), (Code::Unavailable, "CIRCUIT_OPEN"));
        assert!(error.retry_after.unwrap() > Duration::from_secs(50));
        assert!(!error.remote);
    }
    assert_eq!(handled(&servers[0]) + handled(&servers[1]), 2);
}

#[tokio::test]
async fn a_call_that_does_no_harm_is_tried_again_as_another_attempt() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let handler: Handler = Box::new(move |request| {
        told.lock().unwrap().push((request.attempt, request.payload.bytes.to_vec()));
        Some(if request.attempt < 3 { Err(Code::Unavailable) } else { Ok(b"done".to_vec()) })
    });
    let server = Node::server(json!({}), handler).await;
    let client = client_of(&[&server], json!({ "retry": { "maxAttempts": 3, "initialDelay": 1 } })).await;
    let answer = client.begin("m", b"input", 5000, true).1.await.unwrap();
    assert_eq!(answer.unwrap(), b"done");
    let tries: Vec<_> = (1..=3).map(|attempt| (attempt, b"input".to_vec())).collect();
    assert_eq!(*seen.lock().unwrap(), tries);
    let error = client.begin("m", b"", 5000, false).1.await.unwrap().unwrap_err();
    assert_eq!((error.code, error.attempts), (Code::Unavailable, 1), "it may have run");
}

#[tokio::test]
async fn a_call_that_waits_for_its_next_try_can_be_cancelled_and_ends_in_time() {
    let server = Node::server(json!({}), failing(Code::Unavailable)).await;
    let retry =
        json!({ "maxAttempts": 3, "initialDelay": 3_600_000, "maxDelay": 3_600_000, "jitter": false });
    let client = client_of(&[&server], json!({ "retry": retry })).await;
    let (id, _never) = client.begin("m", b"", 7_200_000, true);
    eventually(async || client.mesh.gauges().await.unwrap().timers == 2).await;
    assert_eq!(handled(&server), 1);
    client.mesh.post(move |io| io.cancel(id));
    eventually(async || client.mesh.gauges().await.unwrap().timers == 0).await;
    assert_eq!(client.mesh.gauges().await.unwrap().calls, 0);
    let error = client.begin("m", b"", 5000, true).1.await.unwrap().unwrap_err();
    assert_eq!((error.code, error.attempts), (Code::Unavailable, 1), "no time is left for another try");
}
