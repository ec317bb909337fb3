//! TLS 1.3 beneath: in certificate mode, and beneath a secret.

use std::{fs, net::SocketAddr, sync::OnceLock};

use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{
    certificates::{files, inline, root, texts, without_tls, write},
    *,
};
use crate::{
    clock::Timestamp,
    discovery::Address,
    identity::{
        Anchors, Credential, CrlPolicy, NameRule, Verifier,
        tests::{Authority, revocations::numbered},
        tls::{client_config, server_config},
    },
    transport::connect,
};

/// Certificates of `root` for TLS only, beneath the secret of the tests.
fn beneath(root: &Authority, id: &str) -> Value {
    let [cert, key, ca] = texts(root, id, &|_| ());
    json!({ "security": { "tls": { "cert": cert, "key": key, "ca": ca } } })
}

fn events(node: &Node, event: &str) -> usize {
    node.app.logs.lock().unwrap().iter().filter(|line| line.event == event).count()
}

#[tokio::test]
async fn sessions_lie_on_tls_where_there_is_a_certificate_to_carry_it() {
    let root = root();
    for of in [inline, beneath] {
        let server = Node::server(of(&root, "server"), echo()).await;
        let client = Node::client_of(&server, of(&root, "client")).await;
        let large = vec![7; 300_000];
        assert_eq!(client.call("echo", &large).await.unwrap(), large);
        let stats = server.stats().await;
        assert_eq!((stats.leaf_signatures, stats.private_operations), (1, 1));
        // Another session, which resumes the first one on its own connection.
        let core = client.core().await;
        for session in core.client.sessions().list() {
            core.client.leave(&session, u32::MAX);
        }
        assert_eq!(client.call("echo", b"1").await.unwrap(), b"1");
        let stats = server.stats().await;
        assert_eq!((stats.leaf_signatures, stats.sessions_resumed, stats.private_operations), (2, 1, 1));
    }
}

#[tokio::test]
async fn a_side_without_tls_is_told_so_and_not_tried_again() {
    let root = root();
    for (of, server_tls, client_tls) in [
        (inline as fn(&Authority, &str) -> Value, true, false),
        (inline, false, true),
        (beneath, true, false),
    ] {
        let off = |options: Value, tls: bool| if tls { options } else { without_tls(options) };
        let server = Node::server(off(of(&root, "server"), server_tls), echo()).await;
        let client = Node::client_of(&server, off(of(&root, "client"), client_tls)).await;
        let error = client.call("echo", b"x").await.unwrap_err();
        assert_eq!(
            (error.code, &*error.reason),
            (Code::FailedPrecondition, "TLS_REQUIRED"),
            "{server_tls} {client_tls}: {}",
            error.message
        );
        assert!(
            !error.retryable && error.attempts == 1 && error.message.contains("security.tls"),
            "{}",
            error.message
        );
        assert_eq!(server.stats().await.private_operations, 0);
    }
}

#[tokio::test]
async fn a_certificate_that_is_refused_is_unauthenticated_on_both_sides() {
    let (root, other) = (root(), root());
    for of in [inline, beneath] {
        let server = Node::server(of(&root, "server"), echo()).await;
        let client = Node::client_of(&server, of(&other, "client")).await;
        let error = client.call("echo", b"x").await.unwrap_err();
        assert_eq!(
            (error.code, &*error.reason),
            (Code::Unauthenticated, "CERT_UNTRUSTED"),
            "{}",
            error.message
        );
        assert!(!error.retryable);
        eventually(async || events(&server, "tls.refused") == 1).await;
        assert!(server.logged(Reason::HandshakeRefused));
        // The certificate of another service of the same authority.
        let impostor = Node::try_start(
            "other",
            {
                let mut all = of(&root, "other");
                merge(&mut all, json!({ "port": 0 }));
                all
            },
            echo(),
        )
        .await
        .unwrap();
        let client = Node::client_of(&impostor, of(&root, "client")).await;
        let error = client.call("echo", b"x").await.unwrap_err();
        assert_eq!((error.code, &*error.reason), (Code::Unauthenticated, "CERT_NAME"), "{}", error.message);
    }
}

#[tokio::test]
async fn plain_connections_get_nothing_else_from_a_port_with_tls() {
    let root = root();
    let server = Node::server(inline(&root, "server"), echo()).await;
    let address = Address::new("127.0.0.1", server.mesh.address().unwrap().port()).unwrap();
    let mut duplex = connect(None, &address, 1 << 20).await;
    let error = match &mut duplex {
        Ok(duplex) => duplex.receive().await.unwrap_err(),
        Err(_) => duplex.unwrap_err(),
    };
    assert_eq!(crate::error::Coded::reason(&error), Reason::TlsRequired, "{error}");
}

/// The credential and the checks of a thief of the PEM.
fn thief([cert, key, ca]: &[String; 3]) -> (Arc<Credential>, Arc<Verifier>) {
    let credential = Credential::new(cert.as_bytes(), key.as_bytes()).unwrap();
    let anchors = Anchors::new(ca.as_bytes(), None, CrlPolicy::Refuse).unwrap();
    let verifier = Verifier::new(anchors, &NameRule::default(), &credential, Arc::default(), Arc::default());
    (Arc::new(credential), Arc::new(verifier))
}

/// Relays connections to `target`. With the server's stolen certificate it ends TLS, and begins another.
async fn relay(target: SocketAddr, stolen: Option<[String; 3]>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let stolen = stolen.clone();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(target).await.unwrap();
                let mut near = near;
                let Some(stolen) = stolen else {
                    return copy_bidirectional(&mut near, &mut far).await.map(drop);
                };
                let (credential, verifier) = thief(&stolen);
                let acceptor = TlsAcceptor::from(server_config(&credential, &Arc::default()).unwrap());
                let mut near = acceptor.accept(near).await?;
                let mut far = outer(verifier, far).await?;
                copy_bidirectional(&mut near, &mut far).await.map(drop)
            });
        }
    });
    port
}

async fn outer(
    verifier: Arc<Verifier>,
    far: TcpStream,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let refusal = Arc::new(OnceLock::new());
    let config = client_config(verifier, "server".parse().unwrap(), Timestamp::now(), refusal).unwrap();
    TlsConnector::from(config).connect(ServerName::try_from("mesh").unwrap(), far).await
}

#[tokio::test]
async fn the_handshake_of_one_connection_does_not_fit_another() {
    let root = root();
    let of_server = texts(&root, "server", &|_| ());
    let [cert, key, ca] = &of_server;
    let given = json!({ "cert": cert, "key": key, "ca": ca });
    for (server, of) in [
        (
            json!({ "security": { "jwtSecret": null, "certificate": given } }),
            inline as fn(&Authority, &str) -> Value,
        ),
        (json!({ "security": { "tls": given } }), beneath),
    ] {
        let server = Node::server(server, echo()).await;
        let target = server.mesh.address().unwrap();
        let through = relay(target, None).await;
        let client = Node::client_at(through, of(&root, "client")).await;
        client.call("echo", b"1").await.unwrap();
        let operations = server.stats().await.private_operations;
        let through = relay(target, Some(of_server.clone())).await;
        let client = Node::client_at(through, of(&root, "client")).await;
        let error = client.call("echo", b"2").await.unwrap_err();
        assert_eq!(error.code, Code::Unauthenticated, "{} {}", error.reason, error.message);
        let after = server.stats().await;
        assert_eq!(after.private_operations, operations, "the server did nothing for it");
        assert_eq!(server.app.opened.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn signatures_that_strangers_cause_are_counted() {
    let root = root();
    let server = Node::server(inline(&root, "server"), echo()).await;
    let target = server.mesh.address().unwrap();
    let (_, verifier) = thief(&texts(&root, "other", &|_| ()));
    for _ in 0..5 {
        let far = TcpStream::connect(target).await.unwrap();
        outer(Arc::clone(&verifier), far).await.unwrap();
    }
    // A connection without TLS, and one that is no TLS after its first byte, cause no signature.
    TcpStream::connect(target).await.unwrap().write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    TcpStream::connect(target).await.unwrap().write_all(&[0x16; 64]).await.unwrap();
    let client = Node::client_of(&server, inline(&root, "client")).await;
    client.call("echo", b"1").await.unwrap();
    let stats = server.stats().await;
    assert_eq!((stats.leaf_signatures, stats.private_operations), (6, 1));
}

#[tokio::test]
async fn an_address_beyond_its_account_has_the_turns_that_others_leave() {
    let root = root();
    let server = Node::server(inline(&root, "server"), echo()).await;
    let target = server.mesh.address().unwrap();
    let (_, verifier) = thief(&texts(&root, "other", &|_| ()));
    let core = server.core().await;
    let turns = core.server.admission().hold_turns(core.shared.platform.cores).await;
    core.server
        .admission()
        .begin_connections("127.0.0.1".parse().unwrap(), Instant::now() + Duration::from_mins(1));
    let handshakes: Vec<_> = (0..40)
        .map(|_| {
            let verifier = Arc::clone(&verifier);
            tokio::spawn(async move { outer(verifier, TcpStream::connect(target).await?).await })
        })
        .collect();
    // As many connections wait as there is room for; the others are closed without a signature.
    eventually(async || core.server.admission().waiting().1 == 32).await;
    eventually(async || server.stats().await.hellos_over_budget == 8).await;
    assert_eq!(server.stats().await.leaf_signatures, 0);
    drop(turns);
    let mut done = 0;
    for handshake in handshakes {
        done += usize::from(handshake.await.unwrap().is_ok());
    }
    assert_eq!((done, server.stats().await.leaf_signatures), (32, 32));
}

#[tokio::test]
async fn connections_that_say_nothing_end_and_hold_nobody_up() {
    let root = root();
    let mut options = inline(&root, "server");
    merge(&mut options, json!({ "limits": { "handshakeTimeoutMs": 300 } }));
    let server = Node::server(options, echo()).await;
    let target = server.mesh.address().unwrap();
    for first in [&b""[..], &[0x16], &[0x16, 3, 1, 0, 200, 1]] {
        let mut silent = TcpStream::connect(target).await.unwrap();
        silent.write_all(first).await.unwrap();
        let client = Node::client_of(&server, inline(&root, "client")).await;
        client.call("echo", b"1").await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(3), silent.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{first:?}");
    }
}

#[tokio::test]
async fn certificates_that_only_carry_tls_follow_their_files() {
    let root = root();
    let directory = directory();
    write(&directory, texts(&root, "server", &numbered(0x51)));
    let Value::Object(given) = files(&directory)["security"]["certificate"].take() else { panic!() };
    let server = Node::server(json!({ "security": { "tls": given } }), echo()).await;
    let client = Node::client_of(&server, beneath(&root, "client")).await;
    client.call("echo", b"1").await.unwrap();
    let (_, verifier) = thief(&texts(&root, "other", &|_| ()));
    let shown = async || {
        let far = TcpStream::connect(server.mesh.address().unwrap()).await.unwrap();
        let stream = outer(Arc::clone(&verifier), far).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    };
    let first = shown().await;
    write(&directory, texts(&root, "server", &numbered(0x52)));
    eventually(async || shown().await != first).await;
    client.call("echo", b"2").await.unwrap();
    fs::write(directory.join("tls.crt"), "no certificate").unwrap();
    eventually(async || server.stats().await.certificate_problem.is_some()).await;
    let text = server.stats().await.certificate_problem.unwrap();
    assert!(text.starts_with("security.tls.cert has no PEM block"), "{text}");
    client.call("echo", b"3").await.unwrap();
}

#[tokio::test]
async fn tls_on_a_network_in_memory() {
    let root = root();
    let network = "tls in memory";
    let on = |options: Value| {
        let mut all = options;
        merge(&mut all, json!({ "network": network }));
        all
    };
    let server = Node::server(on(inline(&root, "server")), echo()).await;
    let client = Node::client_of(&server, on(inline(&root, "client"))).await;
    client.call("echo", b"1").await.unwrap();
    assert_eq!(server.stats().await.leaf_signatures, 1);
    let plain = Node::client_of(&server, on(without_tls(inline(&root, "client")))).await;
    assert_eq!(plain.reason("echo").await, "TLS_REQUIRED");
    let off = Node::server(on(without_tls(inline(&root, "server"))), echo()).await;
    let client = Node::client_of(&off, on(inline(&root, "client"))).await;
    assert_eq!(client.reason("echo").await, "TLS_REQUIRED");
}

#[tokio::test]
async fn tls_without_a_usable_certificate_refuses_the_start() {
    let root = root();
    let start = async |tls: Value| {
        Node::try_start("server", json!({ "port": 0, "security": { "tls": tls } }), echo())
            .await
            .err()
            .unwrap()
            .to_string()
    };
    let text = start(json!("required")).await;
    assert!(text.contains("security.tls must be an object with cert, key and ca"), "{text}");
    assert!(start(json!("maybe")).await.contains("'auto', 'required', 'off'"));
    let [cert, key, ca] = texts(&root, "server", &|_| ());
    assert!(start(json!({ "cert": cert, "key": key })).await.contains("security.tls.ca"));
    let [_, other, foreign] = texts(&Authority::root_with("x", &|_| ()), "server", &|_| ());
    let text = start(json!({ "cert": cert, "key": other, "ca": ca })).await;
    assert!(
        text.contains("security.tls.key belongs to another certificate than security.tls.cert"),
        "{text}"
    );
    let text = start(json!({ "cert": cert, "key": key, "ca": foreign })).await;
    assert!(text.contains("this service's own identity would be refused by its peers"), "{text}");
    let beside = json!({ "port": 0, "security": { "jwtSecret": null, "certificate": { "cert": cert, "key": key, "ca": ca },
        "tls": { "cert": cert, "key": key, "ca": ca } } });
    let text = Node::try_start("server", beside, echo()).await.err().unwrap().to_string();
    assert!(text.contains("beside security.certificate"), "{text}");
}
