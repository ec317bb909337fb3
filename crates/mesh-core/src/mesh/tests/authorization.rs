//! Authorization: decided before the quota, and before the application receives a request.

use std::fs;

use super::*;
use crate::{authz::Caller, crypto::keystore::tests::TempDir, error::Coded as _};

async fn server(authorization: Value) -> Node {
    Node::server(json!({ "authorization": authorization }), echo()).await
}

fn lines(node: &Node, event: &str) -> Vec<LogEvent> {
    let logs = node.app.logs.lock().unwrap();
    logs.iter().filter(|line| line.event == event).cloned().collect()
}

async fn denied(client: &Node, method: &'static str) -> CallError {
    let error = client.call(method, b"x").await.unwrap_err();
    assert_eq!((error.code, &*error.reason), (Code::PermissionDenied, "PERMISSION_DENIED"));
    error
}

#[tokio::test]
async fn a_denied_request_never_reaches_the_application_and_its_caller_learns_nothing_else() {
    let server = server(json!({ "rules": [
        { "from": ["client"], "to": ["echo"] },
        { "from": ["other"], "to": ["*"] },
    ] }))
    .await;
    let client = Node::client_of(&server, json!({})).await;
    client.call("echo", b"x").await.unwrap();
    // The first method exists, the second does not, and the third has a built-in name.
    for method in ["fail", "unknown", "securestack.stats"] {
        let error = denied(&client, method).await;
        assert_eq!(error.message, format!("client may not call {method}"));
        assert!(error.remote && !error.retryable && error.data.is_none() && error.error_id.is_none());
    }
    assert_eq!(server.app.handled.load(Ordering::SeqCst), 1);
    let stats = server.stats().await;
    assert_eq!((stats.requests_denied, stats.denials_audited, stats.requests_failed), (3, 0, 3));
    let page = server.app.metrics.lock().unwrap().to_text();
    let series = "rule=\"(default)\",caller=\"client\",method=\"fail\",mode=\"enforce\"} 1";
    assert!(page.contains(series), "{page}");
    let lines = lines(&server, "request.denied");
    assert_eq!(lines.len(), 3);
    for field in [("peer", "client"), ("method", "fail"), ("rule", "(default)"), ("mode", "enforce")] {
        assert!(lines[0].fields.contains(&(field.0, field.1.to_owned())), "{:?}", lines[0].fields);
    }
}

#[tokio::test]
async fn streams_are_covered() {
    let server = server(json!({ "rules": [{ "from": ["*"], "to": ["echo"] }] })).await;
    let client = Node::client_of(&server, json!({})).await;
    for kind in [CallKind::ServerStream, CallKind::ClientStream, CallKind::BidiStream] {
        let (_, answer) = client.begin_kind(kind, "watch", b"", Some(5000), false);
        assert_eq!(answer.await.unwrap().unwrap_err().reason, "PERMISSION_DENIED");
    }
    assert_eq!(server.app.handled.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn audit_mode_records_and_changes_nothing() {
    let server = server(json!({ "mode": "audit", "rules": [{ "from": ["nobody"], "to": ["*"] }] })).await;
    let client = Node::client_of(&server, json!({})).await;
    for _ in 0..20 {
        assert_eq!(client.call("echo", b"x").await.unwrap(), b"x");
    }
    assert_eq!(client.reason("fail").await, "NO");
    let stats = server.stats().await;
    assert_eq!((stats.requests_denied, stats.denials_audited), (0, 21));
    let lines = lines(&server, "request.denied");
    assert_eq!(lines.len(), 10, "a caller cannot fill the log");
    assert!(lines[0].message.ends_with("the policy only audits"), "{}", lines[0].message);
}

#[tokio::test]
async fn denied_requests_do_not_use_up_the_quota_of_their_caller() {
    let rules = json!({ "rules": [{ "from": ["client"], "to": ["echo"] }] });
    let rate_limit = json!({ "maxRequests": 2, "windowMs": "1m" });
    let options = json!({ "authorization": rules, "resilience": { "rateLimit": rate_limit } });
    let server = Node::server(options, echo()).await;
    let client = Node::client_of(&server, json!({})).await;
    for _ in 0..10 {
        denied(&client, "fail").await;
    }
    client.call("echo", b"x").await.unwrap();
    client.call("echo", b"x").await.unwrap();
    assert_eq!(client.reason("echo").await, "RATE_LIMITED");
    // A caller beyond its quota still learns only the denial.
    denied(&client, "fail").await;
}

#[tokio::test]
async fn a_new_policy_counts_for_the_next_request_of_a_session_that_stays() {
    let temp = TempDir::new();
    let file = temp.0.join("policy.json");
    let put = |text: &str| {
        let new = temp.0.join("policy.new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &file).unwrap();
    };
    put(r#"{ "rules": [{ "from": ["client"], "to": ["echo", "silent"] }] }"#);
    let server = server(json!({ "file": file })).await;
    let client = Node::client_of(&server, json!({})).await;
    client.call("echo", b"x").await.unwrap();
    let status = server.mesh.policy().unwrap();
    assert_eq!((status.rules, &status.file, &status.problem), (1, &Some(file.clone()), &None));

    let (_, mut pending) = client.begin("silent", b"", 60_000, false);
    eventually(async || server.stats().await.requests_in_flight == 1).await;
    put(r#"{ "rules": [{ "from": ["client"], "to": ["fail"] }] }"#);
    eventually(async || client.call("echo", b"x").await.is_err()).await;
    denied(&client, "echo").await;
    assert_eq!(client.reason("fail").await, "NO");
    assert!(pending.try_recv().is_err(), "a request in progress continues");
    assert_eq!(server.stats().await.requests_in_flight, 1);
    assert_eq!(client.app.closed.load(Ordering::SeqCst), 0, "no session was closed");
    assert_eq!(lines(&server, "policy.changed").len(), 1);

    // A broken file leaves the previous policy in force, and is reported until it is repaired.
    put(r#"{ "rules": [{ "from": ["client"], "too": ["*"] }] }"#);
    eventually(async || server.mesh.policy().unwrap().problem.is_some()).await;
    let problem = server.mesh.policy().unwrap().problem.unwrap();
    for part in
        [file.to_str().unwrap(), "rules[0].too is not an option; did you mean rules[0].to?", "stays in force"]
    {
        assert!(problem.contains(part), "{problem}");
    }
    assert_eq!(lines(&server, "policy.broken").len(), 1);
    denied(&client, "echo").await;
    assert_eq!(client.reason("fail").await, "NO");
    fs::remove_file(&file).unwrap();
    eventually(async || server.mesh.policy().unwrap().problem.is_some_and(|text| text.contains("create it")))
        .await;
    denied(&client, "echo").await;
    put(r#"{ "rules": [{ "from": ["client"], "to": ["*"] }] }"#);
    eventually(async || server.mesh.policy().unwrap().problem.is_none()).await;
    client.call("echo", b"x").await.unwrap();
}

#[tokio::test]
async fn a_policy_file_that_is_missing_or_broken_refuses_the_start() {
    let temp = TempDir::new();
    let keys = temp.0.join("keys");
    let file = temp.0.join("policy.json");
    let options = json!({ "authorization": { "file": file }, "paths": { "keysDir": keys } });
    let start = async || {
        let error = Node::try_start("server", options.clone(), echo()).await.err().unwrap();
        assert_eq!((error.code(), error.reason()), (Code::InvalidArgument, Reason::File));
        error.to_string()
    };
    assert!(start().await.contains("policy.json cannot be read"), "{}", start().await);
    for (text, part) in [
        ("", "is not JSON"),
        ("{\"rules\": [", "is not JSON"),
        ("[]", "must be an object"),
        ("{}", "rules must be an array of rules, got nothing"),
        (r#"{"rules":[],"file":"/x"}"#, "file is not an option"),
        (
            r#"{"rules":[{"from":["a"],"to":["b"]},{"from":["a"],"to":["b","*.get"]}]}"#,
            "rules[1].to[1] must be '*', the name of a method",
        ),
    ] {
        fs::write(&file, text).unwrap();
        let message = start().await;
        assert!(message.contains(part) && message.contains("authorization.file"), "{message}");
    }
    fs::write(&file, vec![b' '; crate::config::MAX_POLICY_FILE + 1]).unwrap();
    assert!(start().await.contains("bytes; shorten it"));
    assert!(!keys.exists(), "no key was made");
}

#[tokio::test]
async fn the_mesh_explains_its_policy() {
    let server =
        server(json!({ "rules": [{ "name": "reads", "from": ["gateway"], "to": ["orders.*"] }] })).await;
    let gateway = Caller { service_id: "gateway", spiffe_id: None };
    let explanation = server.mesh.explain(gateway, "orders.get", b"");
    assert_eq!((explanation.allowed, explanation.rule.as_deref()), (true, Some("reads")));
    assert!(!server.mesh.explain(gateway, "stock.get", b"").allowed);
    let open = Node::server(json!({}), echo()).await;
    assert!(open.mesh.explain(gateway, "stock.get", b"").allowed && open.mesh.policy().is_none());
}
