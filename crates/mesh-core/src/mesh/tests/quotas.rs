//! Quotas are enforced before the application receives a request.

use super::*;

async fn limited(requests: u32) -> Node {
    let rate_limit = json!({ "maxRequests": requests, "windowMs": "1m" });
    Node::server(json!({ "resilience": { "rateLimit": rate_limit } }), echo()).await
}

fn refusals(node: &Node) -> Vec<LogEvent> {
    let logs = node.app.logs.lock().unwrap();
    logs.iter().filter(|line| line.event == "quota.refused").cloned().collect()
}

#[tokio::test]
async fn a_request_beyond_the_quota_of_its_caller_never_reaches_the_application() {
    let server = limited(3).await;
    let client = Node::client_of(&server, json!({})).await;
    for _ in 0..2 {
        client.call("echo", b"x").await.unwrap();
    }
    // Only the application knows that this method does not exist.
    let (id, _never) = client.begin("unknown", b"", 5000, false);
    client.mesh.post(move |io| io.cancel(id));
    for _ in 0..5 {
        let error = client.call("echo", b"x").await.unwrap_err();
        assert_eq!((error.code, &*error.reason), (Code::ResourceExhausted, "RATE_LIMITED"));
        assert!(error.remote && error.retryable);
        assert!(error.retry_after.unwrap() > Duration::from_secs(15));
        assert!(error.message.starts_with("too many requests; try again in "), "{}", error.message);
    }
    assert_eq!(server.app.handled.load(Ordering::SeqCst), 3);
    let lines = refusals(&server);
    assert_eq!(lines.len(), 1, "a caller cannot fill the log");
    assert!(lines[0].fields.contains(&("peer", "client".to_owned())), "{:?}", lines[0].fields);
    let services = json!([
        { "id": "server", "host": "127.0.0.1", "port": server.mesh.address().unwrap().port() },
    ]);
    let options = json!({ "discovery": { "services": services } });
    let other = Node::try_start("other", options, echo()).await.unwrap();
    other.call("echo", b"x").await.unwrap();
}
