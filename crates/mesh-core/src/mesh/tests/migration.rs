//! From a shared secret to certificates, service by service: `security.accept`.

use std::path::Path;

use rcgen::date_time_ymd;

use super::{
    certificates::{clock, inline, root},
    *,
};
use crate::{clock::Timestamp, identity::tests::Authority};

fn accepting(root: &Authority, id: &str, until: &str, directory: &Path) -> Value {
    let mut options = inline(root, id);
    merge(
        &mut options,
        json!({
            "security": { "jwtSecret": SECRET, "accept": [{ "trust": "shared-secret", "until": until }] },
            "paths": { "keysDir": directory },
        }),
    );
    options
}

fn trusts(node: &Node) -> Vec<&'static str> {
    node.app.opened.lock().unwrap().iter().map(|info| info.trust_name()).collect()
}

#[tokio::test]
async fn a_service_with_a_certificate_answers_those_without_until_they_have_one() {
    let (root, keys) = (root(), directory());
    let server = Node::server(accepting(&root, "server", "2999-01-01", &keys), echo()).await;
    let until = server.stats().await.accepts.unwrap().until;
    assert_eq!(until, Timestamp::from_secs(32_472_144_000));
    let former = Node::client_of(&server, json!({})).await;
    former.call("echo", b"1").await.unwrap();
    assert_eq!(trusts(&server), ["shared-secret"]);
    let renewed = Node::client_of(&server, inline(&root, "client")).await;
    renewed.call("echo", b"2").await.unwrap();
    assert_eq!(trusts(&server), ["shared-secret", "certificate"]);
    // From now on a holder of the secret cannot claim this id, also after a restart.
    let thief = Node::client_of(&server, json!({})).await;
    assert_eq!(thief.reason("echo").await, "HANDSHAKE_REFUSED");
    assert!(server.logged(Reason::TrustDowngrade));
    drop(server);
    let server = Node::server(accepting(&root, "server", "2999-01-01", &keys), echo()).await;
    let thief = Node::client_of(&server, json!({})).await;
    assert_eq!(thief.reason("echo").await, "HANDSHAKE_REFUSED");
    assert!(server.logged(Reason::TrustDowngrade));
    // Other services still use the secret.
    let port = server.mesh.address().unwrap().port();
    let other = Node::client_at(port, json!({ "serviceId": "other" })).await;
    other.call("echo", b"3").await.unwrap();
}

#[tokio::test]
async fn a_service_with_a_certificate_calls_those_without_until_they_have_one() {
    let (root, keys) = (root(), directory());
    let former = Node::server(json!({}), echo()).await;
    let client = Node::client_of(&former, accepting(&root, "client", "2999-01-01", &keys)).await;
    client.call("echo", b"1").await.unwrap();
    assert_eq!(trusts(&client), ["shared-secret"]);
    let renewed = Node::server(accepting(&root, "server", "2999-01-01", &directory()), echo()).await;
    let client = Node::client_of(&renewed, accepting(&root, "client", "2999-01-01", &keys)).await;
    client.call("echo", b"2").await.unwrap();
    assert_eq!(trusts(&client), ["certificate"]);
    // The service has proved a certificate, so a peer with the secret alone is an impostor.
    let client = Node::client_of(&former, accepting(&root, "client", "2999-01-01", &keys)).await;
    assert_eq!(client.reason("echo").await, "TLS_REQUIRED");
    assert!(trusts(&client).is_empty());
}

#[tokio::test]
async fn without_accept_nothing_less_is_accepted_or_offered() {
    let root = root();
    let server = Node::server(inline(&root, "server"), echo()).await;
    assert_eq!(Node::client_of(&server, json!({})).await.reason("echo").await, "TLS_REQUIRED");
    let server = Node::server(json!({}), echo()).await;
    assert_eq!(Node::client_of(&server, inline(&root, "client")).await.reason("echo").await, "TLS_REQUIRED");
}

#[tokio::test]
async fn the_weaker_trust_ends_on_its_day() {
    let (root, (ahead, platform)) = (root(), clock());
    let day =
        (date_time_ymd(1970, 1, 1) + Duration::from_secs(Timestamp::now().as_secs() + 2 * 86_400)).date();
    let mut options = accepting(&root, "server", &day.to_string(), &directory());
    merge(&mut options, json!({ "port": 0 }));
    let server = Node::try_start_on(platform, "server", options, echo()).await.unwrap();
    let client = Node::client_of(&server, json!({})).await;
    client.call("echo", b"1").await.unwrap();
    ahead.store(2 * 24 * 3600 * 1000, Ordering::SeqCst);
    eventually(async || server.stats().await.active_sessions == 0).await;
    assert_eq!(server.stats().await.accepts, None);
    assert_eq!(client.reason("echo").await, "TLS_REQUIRED");
    let logs = server.app.logs.lock().unwrap().iter().filter(|line| line.event == "accept.ended").count();
    assert_eq!(logs, 1);
}

#[tokio::test]
async fn accept_says_exactly_what_is_accepted() {
    let root = root();
    let start = async |change: Value| {
        let mut options = accepting(&root, "server", "2999-01-01", &directory());
        merge(&mut options, change);
        Node::try_start("server", options, echo()).await.err().unwrap().to_string()
    };
    let text =
        start(json!({ "security": { "accept": [{ "trust": "anything", "until": "2999-01-01" }] } })).await;
    assert!(text.starts_with("security.accept[0].trust must be 'shared-secret' or 'pinned'"), "{text}");
    for until in ["2999-02-29", "2999-13-01", "2999-1-1", "tomorrow", "2999-01-01T00:00:00Z", "1969-12-31"] {
        let text =
            start(json!({ "security": { "accept": [{ "trust": "shared-secret", "until": until }] } })).await;
        assert!(text.starts_with("security.accept[0].until must be a date"), "{text}");
    }
    assert!(
        start(json!({ "security": { "accept": [{ "trust": "shared-secret" }] } })).await.contains("until")
    );
    assert!(start(json!({ "security": { "jwtSecret": null } })).await.contains("security.jwtSecret"));
    let pinned = json!([{ "trust": "pinned", "until": "2999-01-01" }]);
    assert!(start(json!({ "security": { "accept": pinned } })).await.contains("security.jwtSecret"));
    let both = json!({ "security": { "jwtSecret": null, "accept": pinned } });
    assert!(start(both).await.contains("discovery.services"));
    let alone =
        json!({ "port": 0, "security": { "accept": [{ "trust": "shared-secret", "until": "2999-01-01" }] } });
    let text = Node::try_start("server", alone, echo()).await.err().unwrap().to_string();
    assert!(text.contains("security.accept") && text.contains("security.certificate"), "{text}");
}
