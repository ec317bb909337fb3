//! Certificates that follow their files while a mesh runs.

use std::{fs, path::Path};

use super::{
    certificates::{files, inline, root, texts, write},
    *,
};
use crate::{
    clock::Timestamp,
    identity::tests::{
        Authority, HOUR, before, pem,
        revocations::{list, numbered},
    },
};

/// Replaces a file in one step, as careful tools do.
fn put(directory: &Path, name: &str, text: &str) {
    let fresh = directory.join(format!(".{name}"));
    fs::write(&fresh, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::rename(fresh, directory.join(name)).unwrap();
}

fn count(node: &Node, event: &str) -> usize {
    node.app.logs.lock().unwrap().iter().filter(|line| line.event == event).count()
}

async fn problem(node: &Node) -> Option<String> {
    node.stats().await.certificate_problem
}

async fn serial(node: &Node) -> String {
    node.mesh.certificates().await.unwrap().own.serial_hex()
}

/// A server with its certificate in files, and a client with a fixed one.
async fn watched() -> (Authority, PathBuf, Node, Node) {
    let (root, directory) = (root(), directory());
    write(&directory, texts(&root, "server", &|_| ()));
    let server = Node::server(files(&directory), echo()).await;
    let client = Node::client_of(&server, inline(&root, "client")).await;
    client.call("echo", b"1").await.unwrap();
    (root, directory, server, client)
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_word_and_without_a_lost_call() {
    let (root, directory, server, client) = watched().await;
    for number in [0x1001, 0x1002] {
        let [cert, key, _] = texts(&root, "server", &numbered(number));
        // The key comes first, as some tools write it.
        put(&directory, "tls.key", &key);
        sleep(Duration::from_millis(400)).await;
        client.call("echo", b"2").await.unwrap();
        put(&directory, "tls.crt", &cert);
        let wanted = format!("{number:x}");
        eventually(async || {
            client.call("echo", b"3").await.unwrap();
            serial(&server).await == wanted
        })
        .await;
        client.call("echo", b"4").await.unwrap();
        let peers = client.mesh.certificates().await.unwrap().peers;
        assert!(peers.iter().any(|peer| peer.serial_hex() == wanted), "new sessions use it at once");
    }
    assert_eq!(count(&server, "certificate.broken"), 0, "a short mismatch of the pair is no fault");
    assert_eq!(problem(&server).await, None);
}

#[tokio::test]
async fn files_that_stay_no_good_are_reported_once_and_change_nothing() {
    let (root, directory, server, client) = watched().await;
    let former = serial(&server).await;
    let [cert, key, ca] = texts(&root, "server", &numbered(0x2001));
    put(&directory, "tls.key", &key);
    eventually(async || problem(&server).await.is_some()).await;
    let text = problem(&server).await.unwrap();
    assert!(text.contains("security.certificate.key belongs to another certificate"), "{text}");
    assert!(text.contains("the previous certificate stays in use"), "{text}");
    sleep(Duration::from_millis(500)).await;
    assert_eq!(count(&server, "certificate.broken"), 1);
    let fresh = Node::client_of(&server, inline(&root, "client")).await;
    fresh.call("echo", b"2").await.unwrap();
    client.call("echo", b"2").await.unwrap();
    assert_eq!(serial(&server).await, former);

    // The whole directory vanishes, and returns with a valid pair.
    fs::remove_dir_all(&directory).unwrap();
    eventually(async || problem(&server).await.is_some_and(|text| text.contains("cannot be read"))).await;
    client.call("echo", b"3").await.unwrap();
    write(&directory, [cert[..100].to_owned(), key.clone(), ca.clone()]);
    eventually(async || problem(&server).await.is_some_and(|text| text.contains("PEM"))).await;
    client.call("echo", b"4").await.unwrap();
    assert_eq!(serial(&server).await, former);
    write(&directory, [cert, key, ca]);
    eventually(async || problem(&server).await.is_none() && serial(&server).await == "2001").await;
    client.call("echo", b"5").await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_kubernetes_secret_is_followed_through_its_links() {
    use std::os::unix::fs::symlink;
    let (root, volume) = (root(), directory());
    let generation = |number: u64| {
        let name = format!("..2026_{number}");
        write(&volume.join(&name), texts(&root, "server", &numbered(number)));
        let link = volume.join("..data_tmp");
        symlink(&name, &link).unwrap();
        fs::rename(link, volume.join("..data")).unwrap();
    };
    generation(0x3001);
    for file in ["tls.crt", "tls.key", "ca.crt"] {
        symlink(Path::new("..data").join(file), volume.join(file)).unwrap();
    }
    let server = Node::server(files(&volume), echo()).await;
    let client = Node::client_of(&server, inline(&root, "client")).await;
    assert_eq!(serial(&server).await, "3001");
    for number in [0x3002, 0x3003] {
        generation(number);
        fs::remove_dir_all(volume.join(format!("..2026_{}", number - 1))).unwrap();
        eventually(async || {
            client.call("echo", b"1").await.unwrap();
            serial(&server).await == format!("{number:x}")
        })
        .await;
    }
    assert_eq!(problem(&server).await, None);
}

/// The PEM of a list that is valid for an hour, or ended an hour ago.
fn revoking(root: &Authority, serials: &[u64], ended: bool) -> String {
    let now = Timestamp::now();
    pem("X509 CRL", &[list(root, serials, if ended { before(now, HOUR) } else { now + HOUR })])
}

async fn with_list(root: &Authority, text: &str, policy: &str) -> (PathBuf, Node) {
    let directory = directory();
    write(&directory, texts(root, "server", &numbered(0x77)));
    put(&directory, "ca.crl", text);
    let mut config = files(&directory);
    let list = json!({ "crl": directory.join("ca.crl"), "crlPolicy": policy });
    merge(&mut config, json!({ "security": { "certificate": list } }));
    (directory, Node::server(config, echo()).await)
}

fn numbered_client(root: &Authority, number: u64) -> Value {
    let [cert, key, ca] = texts(root, "client", &numbered(number));
    json!({ "security": { "jwtSecret": null, "certificate": { "cert": cert, "key": key, "ca": ca } } })
}

#[tokio::test]
async fn a_new_revocation_list_ends_the_sessions_concerned_within_a_second() {
    let root = root();
    let (directory, server) = with_list(&root, &revoking(&root, &[], false), "refuse").await;
    let revoked = Node::client_of(&server, numbered_client(&root, 0x99)).await;
    let other = Node::client_of(&server, numbered_client(&root, 0x98)).await;
    other.call("echo", b"1").await.unwrap();
    let (_, hung) = revoked.begin("slow", b"", 5000, false);
    eventually(async || server.stats().await.requests_in_flight == 1).await;
    let key = server.mesh.public_key();
    let begun = Instant::now();
    // The list also names this service's own certificate, and is used nevertheless.
    put(&directory, "ca.crl", &revoking(&root, &[0x99, 0x77], false));
    assert_eq!(hung.await.unwrap().unwrap_err().reason, "SESSION_LOST");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(revoked.reason("echo").await, "HANDSHAKE_REFUSED");
    assert!(server.logged(Reason::Revoked));
    assert_eq!(server.app.closed.load(Ordering::SeqCst), 1, "the session of the other goes on");
    other.call("echo", b"2").await.unwrap();
    assert_eq!(server.mesh.public_key(), key);
    eventually(async || problem(&server).await.is_some_and(|text| text.contains("revoked"))).await;
}

#[tokio::test]
async fn lists_alone_need_no_other_key() {
    let root = root();
    let (directory, server) = with_list(&root, &revoking(&root, &[], false), "refuse").await;
    let key = server.mesh.public_key();
    put(&directory, "ca.crl", &revoking(&root, &[1], false));
    eventually(async || count(&server, "certificate.anchors") == 1).await;
    sleep(Duration::from_millis(200)).await;
    assert_eq!((server.mesh.public_key(), count(&server, "certificate.loaded")), (key, 0));
    assert_eq!(problem(&server).await, None);
}

#[tokio::test]
async fn a_list_that_has_ended_is_mentioned_where_it_is_let_pass() {
    let root = root();
    let (_directory, server) = with_list(&root, &revoking(&root, &[], true), "warn").await;
    let client = Node::client_of(&server, numbered_client(&root, 0x98)).await;
    client.call("echo", b"1").await.unwrap();
    assert_eq!(count(&server, "certificate.unchecked"), 1);
    assert!(server.logged(Reason::CrlUnusable));
    eventually(async || count(&server, "certificate.crl") == 1).await;
    let text = problem(&server).await.unwrap();
    assert!(text.contains("are accepted, revoked or not"), "{text}");
}
