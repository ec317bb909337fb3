//! The errors of a caller whose address leads to something other than the wanted mesh.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::clock::{Clock, Timestamp};

/// A server that sends `greeting` at once, or after the first bytes of its client.
async fn other_server(greeting: &'static [u8], at_once: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut heard = [0; 16];
                if !at_once {
                    let _ = stream.read(&mut heard).await;
                }
                let _ = stream.write_all(greeting).await;
                while stream.read(&mut heard).await.is_ok_and(|count| count > 0) {}
            });
        }
    });
    port
}

#[tokio::test]
async fn another_kind_of_server_is_named_at_once_and_not_tried_again() {
    for (greeting, at_once, found) in [
        (&b"SSH-2.0-OpenSSH_9.9\r\n"[..], true, "an SSH server"),
        (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", false, "an HTTP/1.1 server"),
        (b"\x15\x03\x03\x00\x02\x02\x46", false, "a TLS server"),
        (b"220 mail.example ESMTP\r\n", true, "a mail or FTP server"),
        (b"-ERR unknown command\r\n", false, "a Redis server"),
    ] {
        let port = other_server(greeting, at_once).await;
        let client = Node::client_at(port, json!({})).await;
        let error = client.call("echo", b"x").await.unwrap_err();
        assert_eq!(
            (error.code, &*error.reason),
            (Code::FailedPrecondition, "WRONG_PORT"),
            "{}",
            error.message
        );
        assert!(error.message.contains(found), "{}", error.message);
        assert!(error.message.contains(&format!("127.0.0.1:{port}")), "{}", error.message);
        assert!(!error.retryable);
        assert_eq!(error.attempts, 1);
    }
}

/// A machine whose clock is a minute ahead.
fn ahead() -> Platform {
    let clock = Clock::new(|| Timestamp::now() + Duration::from_mins(1));
    Platform { clock, ..Platform::system() }
}

#[tokio::test]
async fn clocks_that_differ_are_the_likely_cause_of_a_late_refusal() {
    let listening = json!({ "port": 0 });
    for (server, client) in [(Platform::system(), ahead()), (ahead(), Platform::system())] {
        let server = Node::try_start_on(server, "server", listening.clone(), echo()).await.unwrap();
        let port = server.mesh.address().unwrap().port();
        let services = json!([{ "id": "server", "host": "127.0.0.1", "port": port }]);
        let options = json!({ "discovery": { "services": services } });
        let client = Node::try_start_on(client, "client", options, echo()).await.unwrap();
        let error = client.call("echo", b"x").await.unwrap_err();
        // The server notices it in the last message, after all other checks.
        assert_eq!(&*error.reason, "HANDSHAKE_REFUSED");
        assert!(error.message.contains("Most likely the two clocks differ"), "{}", error.message);
        assert!(server.logged(Reason::ClockSkew));
    }
}

#[tokio::test]
async fn another_mesh_service_at_the_address_is_among_the_likely_causes() {
    let other = Node::try_start("other", json!({ "port": 0 }), echo()).await.unwrap();
    let client = Node::client_of(&other, json!({})).await;
    let error = client.call("echo", b"x").await.unwrap_err();
    assert_eq!(&*error.reason, "HANDSHAKE_REFUSED");
    assert!(error.message.contains("another service than server listens"), "{}", error.message);
    // The log of the server names the cause.
    assert!(other.logged(Reason::WrongTarget));
    let logs = other.app.logs.lock().unwrap();
    let text = logs.iter().find(|log| log.event == "handshake.refused").unwrap().message.clone();
    assert!(text.contains("has this address under another id"), "{text}");
}

#[tokio::test]
async fn the_most_likely_cause_comes_from_what_this_side_knows() {
    let server = Node::server(json!({}), echo()).await;
    let cause = async |options: Value| {
        let client = Node::client_of(&server, options).await;
        let error = client.call("echo", b"x").await.unwrap_err();
        assert_eq!(&*error.reason, "HANDSHAKE_REFUSED");
        let (_, cause) = error.message.split_once("Most likely ").unwrap();
        cause.split("; or ").next().unwrap().to_owned()
    };
    // A replica has the secret, and its own key.
    let first = Node::client_of(&server, json!({})).await;
    assert_eq!(first.call("echo", b"x").await.unwrap(), b"x");
    let replica = cause(json!({})).await;
    assert!(replica.starts_with("this service made a new key when it started"), "{replica}");
    assert!(
        replica.contains("SECURE_MESH_PRIVATE_KEY") && replica.contains("'ignore' at server"),
        "{replica}"
    );

    // Its key is not new, so that only the secret differs.
    let known = directory();
    let wrong = json!({
        "security": { "jwtSecret": "another secret of more than 32 bytes" },
        "paths": { "keysDir": known },
    });
    cause(wrong.clone()).await;
    let secret = cause(wrong).await;
    assert_eq!(secret, "it has another mesh secret (security.jwtSecret)");

    // Without a secret there are only pins.
    let pinned = cause(json!({
        "security": { "jwtSecret": null },
        "discovery": { "services": [{
            "id": "server",
            "host": "127.0.0.1",
            "port": server.mesh.address().unwrap().port(),
            "publicKey": server.mesh.public_key().to_pem(),
        }] },
    }))
    .await;
    assert!(pinned.starts_with("server has another key of client in its discovery.services"), "{pinned}");
}
