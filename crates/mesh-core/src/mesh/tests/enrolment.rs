//! Services that have a join token and no certificate yet.

use zeroize::Zeroizing;

use super::{
    certificates::{inline, root, without_tls},
    *,
};

const SECRET: &str = "5b1f9a0c77d24e6683b0c1f2a4958de06b7c8d9e0f1a2b3c4d5e6f708192a3b4";

fn secret(text: &str) -> Zeroizing<String> {
    text.to_owned().into()
}

/// A service that admits a newcomer of the name `id`, and a client that knows the secret of its token.
async fn met(id: &str) -> (Node, Node) {
    // It answers every method, so that nothing but the refusal keeps a caller from one.
    let all: Handler = Box::new(|request| Some(Ok(request.payload.bytes.to_vec())));
    let server = Node::server(without_tls(inline(&root(), "server")), all).await;
    server.mesh.admit_newcomers(vec![(secret(SECRET), id.parse().unwrap())]).await.unwrap();
    let port = server.mesh.address().unwrap().port();
    let client = Node::client_at(port, json!({ "security": { "jwtSecret": SECRET } })).await;
    (server, client)
}

#[tokio::test]
async fn a_join_token_permits_one_method_alone() {
    let (server, client) = met("client").await;
    assert_eq!(client.call("ca.enrol", b"1").await.unwrap(), b"1");
    let info = Arc::clone(server.app.opened.lock().unwrap().first().unwrap());
    assert_eq!(info.trust_name(), "join-token");
    for method in ["echo", "ca.bundle", "securestack.observe", "securestack.describe"] {
        assert_eq!(client.reason(method).await, "PERMISSION_DENIED", "{method}");
    }
    assert_eq!(server.stats().await.private_operations, 1, "the one of the handshake");
}

#[tokio::test]
async fn a_join_token_is_for_one_service_and_until_it_is_used_up() {
    // The token of another service.
    let (server, client) = met("other").await;
    assert_eq!(client.reason("ca.enrol").await, "HANDSHAKE_REFUSED");
    assert!(server.logged(Reason::Mode));
    assert_eq!(server.stats().await.private_operations, 0);
    // The same name, and another secret.
    let (server, _) = met("client").await;
    let port = server.mesh.address().unwrap().port();
    let other = SECRET.replace('5', "6");
    let stranger = Node::client_at(port, json!({ "security": { "jwtSecret": other } })).await;
    assert_eq!(stranger.reason("ca.enrol").await, "HANDSHAKE_REFUSED");
    // No use is left.
    server.mesh.admit_newcomers(Vec::new()).await.unwrap();
    let late = Node::client_at(port, json!({ "security": { "jwtSecret": SECRET } })).await;
    assert_eq!(late.reason("ca.enrol").await, "HANDSHAKE_REFUSED");
    assert_eq!(server.stats().await.private_operations, 0);
}

#[tokio::test]
async fn only_a_service_with_a_certificate_admits_newcomers() {
    let server = Node::server(json!({}), echo()).await;
    let error = server.mesh.admit_newcomers(vec![(secret(SECRET), "client".parse().unwrap())]).await;
    assert!(matches!(error, Err(Error::NoCertificate)));
}
