//! Meshes with certificates as their trust.

use std::{fs, path::Path, sync::atomic::AtomicU64};

use rcgen::CertificateParams;

use super::*;
use crate::{
    clock::{Clock, Timestamp},
    error::Coded,
    handshake::Trust,
    identity::{
        Revocation,
        tests::{Authority, HOUR, PATH, before, pem, valid},
    },
};

/// Certificates of these tests are valid now, and for thirty days.
fn now_valid(params: &mut CertificateParams) {
    let now = Timestamp::now();
    valid(params, before(now, HOUR), now + 30 * 24 * HOUR);
}

pub(super) fn root() -> Authority {
    Authority::root_with("root", &now_valid)
}

/// The PEM of the three options.
pub(super) fn texts(root: &Authority, id: &str, change: &dyn Fn(&mut CertificateParams)) -> [String; 3] {
    let issued = root.issue(id, &|params| {
        now_valid(params);
        change(params);
    });
    [issued.pem(), pem("PRIVATE KEY", &[issued.key.serialize_der()]), pem("CERTIFICATE", &[root.der()])]
}

pub(super) fn inline(root: &Authority, id: &str) -> Value {
    let [cert, key, ca] = texts(root, id, &|_| ());
    json!({ "security": { "jwtSecret": null, "certificate": { "cert": cert, "key": key, "ca": ca } } })
}

pub(super) fn without_tls(mut options: Value) -> Value {
    merge(&mut options, json!({ "security": { "tls": "off" } }));
    options
}

/// Writes them into files.
pub(super) fn write(directory: &Path, [cert, key, ca]: [String; 3]) {
    fs::create_dir_all(directory).unwrap();
    let key_file = directory.join("tls.key");
    fs::write(&key_file, key).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::write(directory.join("tls.crt"), cert).unwrap();
    fs::write(directory.join("ca.crt"), ca).unwrap();
}

pub(super) fn files(directory: &Path) -> Value {
    let file = |name: &str| directory.join(name);
    json!({ "security": { "jwtSecret": null, "certificate": {
        "cert": file("tls.crt"), "key": file("tls.key"), "ca": file("ca.crt"),
    } } })
}

async fn certified_pair() -> (Authority, Node, Node) {
    let root = root();
    let server = Node::server(inline(&root, "server"), echo()).await;
    let client = Node::client_of(&server, inline(&root, "client")).await;
    (root, server, client)
}

pub(super) fn name(id: &str) -> Revocation {
    Revocation::Name(format!("{PATH}{id}"))
}

#[tokio::test]
async fn services_know_each_other_by_certificates() {
    let (_, server, client) = certified_pair().await;
    assert_eq!(client.call("echo", b"1").await.unwrap(), b"1");
    for (node, peer) in [(&server, "client"), (&client, "server")] {
        let info = Arc::clone(node.app.opened.lock().unwrap().first().unwrap());
        assert_eq!((info.trust, info.trust_name()), (Trust::Certificate, "certificate"));
        assert_eq!(info.certified.as_ref().unwrap().spiffe_id(), Some(&*format!("{PATH}{peer}")));
        let stats = node.mesh.certificates().await.unwrap();
        assert_eq!(stats.peers.iter().map(|peer| &*peer.subject).collect::<Vec<_>>(), [format!("CN={peer}")]);
        assert!(stats.verifications > 0);
    }
    assert_eq!(server.stats().await.private_operations, 1, "the one of the handshake");
}

#[tokio::test]
async fn what_is_not_certified_is_refused_with_the_same_answer() {
    let (root, server, client) = certified_pair().await;
    client.call("echo", b"1").await.unwrap();
    let mut impostor = inline(&root, "client");
    merge(
        &mut impostor,
        json!({ "serviceId": "admin", "security": { "certificate": {
        "id": format!("{PATH}{{service}}"),
    } } }),
    );
    assert_eq!(
        Node::try_start("admin", impostor, echo()).await.err().unwrap().reason(),
        Reason::CertName,
        "its own checks find it first"
    );
    let other = Authority::root_with("root", &now_valid);
    for (options, reason) in [(inline(&other, "client"), Reason::CertUntrusted), (json!({}), Reason::Mode)] {
        // Without TLS, because over TLS the client would be the side that refuses.
        let server = Node::server(without_tls(inline(&root, "server")), echo()).await;
        let port = server.mesh.address().unwrap().port();
        let stranger = Node::client_at(port, without_tls(options)).await;
        assert_eq!(stranger.reason("echo").await, "HANDSHAKE_REFUSED");
        assert!(server.logged(reason), "{reason}");
        assert_eq!(server.stats().await.private_operations, 0);
    }
    assert_eq!(server.stats().await.private_operations, 1);
    client.call("echo", b"2").await.unwrap();
}

#[tokio::test]
async fn a_revocation_ends_the_session_at_once_and_refuses_the_next() {
    let (root, server, client) = certified_pair().await;
    let port = server.mesh.address().unwrap().port();
    let mut other = inline(&root, "other");
    merge(&mut other, json!({ "serviceId": "other" }));
    let other = Node::client_at(port, other).await;
    for node in [&client, &other] {
        node.call("echo", b"1").await.unwrap();
    }
    let (_, hung) = client.begin("slow", b"", 5000, false);
    eventually(async || server.stats().await.requests_in_flight == 1).await;
    assert_eq!(server.mesh.revoke(name("nobody")).await.unwrap(), 0);
    let begun = Instant::now();
    assert_eq!(server.mesh.revoke(name("client")).await.unwrap(), 1);
    // The call in flight has one outcome, which does not make it run again.
    assert_eq!(hung.await.unwrap().unwrap_err().reason, "SESSION_LOST");
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(client.reason("echo").await, "HANDSHAKE_REFUSED");
    assert!(server.logged(Reason::Revoked));
    assert_eq!(server.app.aborted.lock().unwrap().len(), 1);
    other.call("echo", b"2").await.unwrap();
    assert_eq!(server.app.closed.load(Ordering::SeqCst), 1, "the session of the other goes on");
}

#[tokio::test]
async fn a_client_ends_its_session_with_a_revoked_service() {
    let (_, _server, client) = certified_pair().await;
    client.call("echo", b"1").await.unwrap();
    let (_, hung) = client.begin("slow", b"", 5000, false);
    eventually(async || client.stats().await.calls_in_flight == 1).await;
    assert_eq!(client.mesh.revoke(name("server")).await.unwrap(), 1);
    let error = hung.await.unwrap().unwrap_err();
    assert_eq!((error.code, &*error.reason, error.retryable), (Code::Unauthenticated, "REVOKED", false));
    assert_eq!(client.reason("echo").await, "REVOKED");
}

#[tokio::test]
async fn a_session_that_was_revoked_during_its_handshake_is_refused() {
    let (_, server, client) = certified_pair().await;
    client.call("echo", b"1").await.unwrap();
    let info = Arc::clone(server.app.opened.lock().unwrap().first().unwrap());
    let core = server.core().await;
    let local = core.identity.local();
    assert!(core.identity.refuses(&local, &info).is_none());
    core.identity.revoke(name("client")).unwrap();
    assert_eq!(core.identity.refuses(&local, &info).unwrap().reason(), Reason::Revoked);
}

#[tokio::test]
async fn a_certificate_and_its_anchor_are_replaced_without_a_lost_call() {
    let (old, new) = (root(), Authority::root_with("new root", &now_valid));
    let (of_server, of_client) = (directory(), directory());
    write(&of_server, texts(&old, "server", &|_| ()));
    write(&of_client, texts(&old, "client", &|_| ()));
    let server = Node::server(files(&of_server), echo()).await;
    let client = Node::client_of(&server, files(&of_client)).await;
    client.call("echo", b"1").await.unwrap();
    // The rotation installs both anchors first, then the certificates, and then the new anchor
    // alone.
    let both = pem("CERTIFICATE", &[old.der(), new.der()]);
    for (directory, node) in [(&of_server, &server), (&of_client, &client)] {
        fs::write(directory.join("ca.crt"), &both).unwrap();
        let (_, under_way) = client.begin("echo", b"2", 5000, false);
        let before = node.mesh.public_key();
        let after = node.mesh.reload_identity().await.unwrap();
        assert!(before != after && node.mesh.public_key() == after, "a mesh key for each delegation");
        under_way.await.unwrap().unwrap();
        client.call("echo", b"3").await.unwrap();
    }
    for (directory, node, id) in [(&of_server, &server, "server"), (&of_client, &client, "client")] {
        let [cert, key, _] = texts(&new, id, &|_| ());
        write(directory, [cert, key, both.clone()]);
        node.mesh.reload_identity().await.unwrap();
        client.call("echo", b"4").await.unwrap();
    }
    for (directory, node) in [(&of_server, &server), (&of_client, &client)] {
        fs::write(directory.join("ca.crt"), pem("CERTIFICATE", &[new.der()])).unwrap();
        node.mesh.reload_identity().await.unwrap();
        client.call("echo", b"5").await.unwrap();
    }
    let stats = client.mesh.certificates().await.unwrap();
    assert_eq!(stats.peers[0].issuer, "CN=new root");
    // A service that still has only the old anchor is refused.
    let straggler = Node::client_of(&server, inline(&old, "client")).await;
    assert_eq!(straggler.reason("echo").await, "CERT_UNTRUSTED");
}

#[tokio::test]
async fn files_that_are_no_good_leave_the_certificate_as_it_was() {
    let (root, directory) = (root(), directory());
    write(&directory, texts(&root, "server", &|_| ()));
    let server = Node::server(files(&directory), echo()).await;
    let client = Node::client_of(&server, inline(&root, "client")).await;
    client.call("echo", b"1").await.unwrap();
    let good = texts(&root, "server", &|_| ());
    let [_, other_key, _] = texts(&root, "server", &|_| ());
    let [foreign, foreign_key, _] = texts(&Authority::root_with("x", &now_valid), "server", &|_| ());
    let [cert, key, ca] = good.clone();
    for (bad, reason) in [
        ([cert.clone(), other_key, ca.clone()], Reason::CertMaterial),
        ([cert[..200].to_owned(), key.clone(), ca.clone()], Reason::CertMaterial),
        ([cert.clone(), key.clone(), String::new()], Reason::CertMaterial),
        ([foreign, foreign_key, ca.clone()], Reason::CertUntrusted),
        (texts(&root, "other", &|_| ()), Reason::CertName),
    ] {
        write(&directory, bad);
        let error = server.mesh.reload_identity().await.unwrap_err();
        assert_eq!((error.code(), error.reason()), (Code::InvalidArgument, reason), "{error}");
        client.call("echo", b"2").await.unwrap();
    }
    fs::remove_dir_all(&directory).unwrap();
    assert!(server.mesh.reload_identity().await.is_err());
    let fresh = Node::client_of(&server, inline(&root, "client")).await;
    fresh.call("echo", b"3").await.unwrap();
    write(&directory, good);
    server.mesh.reload_identity().await.unwrap();
}

#[tokio::test]
async fn other_anchors_end_the_sessions_that_rest_on_the_former() {
    let (root, directory) = (root(), directory());
    write(&directory, texts(&root, "server", &|_| ()));
    let server = Node::server(files(&directory), echo()).await;
    let client = Node::client_of(&server, inline(&root, "client")).await;
    let (_, hung) = client.begin("slow", b"", 5000, false);
    eventually(async || server.stats().await.requests_in_flight == 1).await;
    write(&directory, texts(&Authority::root_with("next", &now_valid), "server", &|_| ()));
    server.mesh.reload_identity().await.unwrap();
    assert_eq!(hung.await.unwrap().unwrap_err().reason, "SESSION_LOST");
}

/// A clock that a test moves ahead of the system's.
pub(super) fn clock() -> (Arc<AtomicU64>, Platform) {
    let ahead = Arc::new(AtomicU64::new(0));
    let moved = Arc::clone(&ahead);
    let time = move || Timestamp::now() + Duration::from_millis(moved.load(Ordering::SeqCst));
    (ahead, Platform { clock: Clock::new(time), ..Platform::system() })
}

#[tokio::test]
async fn a_delegation_is_renewed_before_its_end_without_a_lost_call() {
    let root = root();
    let (ahead, platform) = clock();
    let mut config = inline(&root, "server");
    merge(&mut config, json!({ "port": 0 }));
    let server = Node::try_start_on(platform.clone(), "server", config, echo()).await.unwrap();
    let port = server.mesh.address().unwrap().port();
    let mut config = inline(&root, "client");
    merge(
        &mut config,
        json!({ "discovery": { "services": [{ "id": "server", "host": "127.0.0.1", "port": port }] } }),
    );
    let client = Node::try_start_on(platform, "client", config, echo()).await.unwrap();
    client.call("echo", b"1").await.unwrap();
    let mut keys = vec![server.mesh.public_key()];
    for _ in 0..3 {
        let (_, under_way) = client.begin("echo", b"2", 5000, false);
        ahead.fetch_add(13 * 3600 * 1000, Ordering::SeqCst);
        under_way.await.unwrap().unwrap();
        let former = server.mesh.public_key();
        eventually(async || server.mesh.public_key() != former).await;
        client.call("echo", b"3").await.unwrap();
        keys.push(server.mesh.public_key());
    }
    assert!((1..keys.len()).all(|at| !keys[..at].contains(&keys[at])), "each delegation names a fresh key");
    // This is long after the first delegations of both sides, which no session outlives.
    assert!(server.app.opened.lock().unwrap().len() > 1);
    assert!(!server.logged(Reason::CertExpired));
}

#[tokio::test]
async fn a_call_that_lasts_for_ever_does_not_prolong_an_identity() {
    let root = root();
    let (ahead, platform) = clock();
    let mut config = inline(&root, "server");
    merge(&mut config, json!({ "port": 0 }));
    let server = Node::try_start_on(platform, "server", config, echo()).await.unwrap();
    let client = Node::client_of(&server, inline(&root, "client")).await;
    let (_, mut hung) = client.begin("slow", b"", 60_000, false);
    eventually(async || server.stats().await.requests_in_flight == 1).await;
    ahead.store(24 * 3600 * 1000, Ordering::SeqCst);
    sleep(Duration::from_millis(1500)).await;
    assert!(hung.try_recv().is_err(), "calls in flight have an hour");
    ahead.store(26 * 3600 * 1000, Ordering::SeqCst);
    assert_eq!(hung.await.unwrap().unwrap_err().reason, "SESSION_LOST");
}

#[tokio::test]
async fn the_end_of_a_certificate_is_announced_and_then_refused() {
    let root = root();
    let (ahead, platform) = clock();
    let mut config = inline(&root, "server");
    merge(&mut config, json!({ "port": 0 }));
    let server = Node::try_start_on(platform, "server", config, echo()).await.unwrap();
    let warned = || {
        let logs = server.app.logs.lock().unwrap();
        logs.iter().filter(|event| event.event == "certificate.expiring").count()
    };
    sleep(Duration::from_millis(1200)).await;
    assert_eq!(warned(), 0);
    let day = 24 * 3600 * 1000;
    ahead.store(21 * day, Ordering::SeqCst);
    eventually(async || warned() == 1).await;
    sleep(Duration::from_millis(1200)).await;
    assert_eq!(warned(), 1, "once a day");
    ahead.store(22 * day, Ordering::SeqCst);
    eventually(async || warned() == 2).await;
    ahead.store(31 * day, Ordering::SeqCst);
    eventually(async || {
        let logs = server.app.logs.lock().unwrap();
        logs.iter()
            .any(|event| event.event == "certificate.renewal.failed" && event.message.contains("ended at"))
    })
    .await;
    let client = Node::client_of(&server, inline(&root, "client")).await;
    // The clock of the client is right, so it refuses the certificate later than the server with
    // its fast clock.
    assert_eq!(client.reason("echo").await, "HANDSHAKE_REFUSED");
    assert!(server.logged(Reason::CertExpired));
}

#[tokio::test]
async fn a_certificate_that_is_no_good_refuses_the_start_and_says_how_to_mend_it() {
    let root = root();
    let start = async |id: &'static str, change: &dyn Fn(&mut CertificateParams), more: Value| {
        let [cert, key, ca] = texts(&root, id, change);
        let mut config = json!({ "security": { "jwtSecret": null, "certificate": { "cert": cert, "key": key, "ca": ca } } });
        merge(&mut config, more);
        let error = Node::try_start("server", config, echo()).await.err().unwrap();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        (error.reason(), error.to_string())
    };
    let past = |params: &mut CertificateParams| {
        let now = Timestamp::now();
        valid(params, before(now, 48 * HOUR), before(now, HOUR));
    };
    let (reason, text) = start("server", &past, json!({})).await;
    assert!(reason == Reason::CertExpired && text.contains("server ended at"), "{text}");
    let (reason, text) = start("other", &|_| (), json!({})).await;
    assert!(reason == Reason::CertName && text.contains("serviceId"), "{text}");
    let unusable = |params: &mut CertificateParams| params.key_usages.clear();
    let (reason, text) = start("server", &unusable, json!({})).await;
    assert!(reason == Reason::CertInvalid && text.contains("digitalSignature"), "{text}");
    let foreign = pem("CERTIFICATE", &[Authority::root_with("root", &now_valid).der()]);
    let (reason, text) =
        start("server", &|_| (), json!({ "security": { "certificate": { "ca": foreign } } })).await;
    assert!(reason == Reason::CertUntrusted && text.contains("security.certificate.ca"), "{text}");
    let missing = json!({ "security": { "certificate": { "ca": "/nowhere/ca.crt" } } });
    let (reason, text) = start("server", &|_| (), missing).await;
    assert!(reason == Reason::CertMaterial && text.contains("/nowhere/ca.crt"), "{text}");
    let template = json!({ "security": { "certificate": { "id": "spiffe://shop.example/x" } } });
    let (reason, text) = start("server", &|_| (), template).await;
    assert!(reason == Reason::Config && text.starts_with("security.certificate.id must be"), "{text}");
}

#[tokio::test]
async fn meshes_without_certificates_have_nothing_to_reload_or_revoke() {
    let (server, _client) = pair().await;
    let error = server.mesh.reload_identity().await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::FailedPrecondition, Reason::Argument));
    assert_eq!(server.mesh.revoke(name("client")).await.unwrap_err().reason(), Reason::Argument);
    assert!(server.mesh.certificates().await.is_none());
}
