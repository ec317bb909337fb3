//! Mesh keys that an option gives.

use super::*;
use crate::crypto::rsa::KeyPair;

fn pem(pair: &KeyPair) -> String {
    pair.to_pkcs8_pem().unwrap().to_string()
}

#[tokio::test]
async fn replicas_with_one_key_are_one_service_on_any_disk() {
    let server = Node::server(json!({}), echo()).await;
    let key = KeyPair::generate(2048).unwrap();
    for _ in 0..2 {
        // Each start has its own key directory, as a new pod does.
        let keys = directory();
        let options = json!({ "security": { "privateKey": pem(&key) }, "paths": { "keysDir": keys } });
        let client = Node::client_of(&server, options).await;
        assert_eq!(client.call("echo", b"x").await.unwrap(), b"x");
        assert_eq!(client.mesh.public_key(), *key.public_key());
        // No file of this side contains the key.
        for file in std::fs::read_dir(&keys).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            assert!(!text.contains("PRIVATE"), "{text}");
        }
    }
    // A client with its own key is refused, and the server's log names the repair.
    let client = Node::client_of(&server, json!({})).await;
    assert_eq!(client.reason("echo").await, "HANDSHAKE_REFUSED");
    assert!(server.logged(Reason::PeerKeyChanged));
    let logs = server.app.logs.lock().unwrap();
    let text = logs
        .iter()
        .find(|log| log.message.contains("differs from its remembered key"))
        .unwrap()
        .message
        .clone();
    for part in
        ["its own key directory", "run here: rm /", "SECURE_MESH_PRIVATE_KEY at client", "'ignore' here"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn a_service_that_keeps_nothing_needs_no_directory() {
    let key = pem(&KeyPair::generate(2048).unwrap());
    let nowhere = json!({
        "security": { "privateKey": key, "peerKeys": "ignore" },
        "paths": { "keysDir": "/proc/no/such/place" },
        "port": 0,
    });
    let server = Node::server(nowhere.clone(), echo()).await;
    let client = Node::client_of(&server, json!({})).await;
    assert_eq!(client.call("echo", b"x").await.unwrap(), b"x");
    let mut keeps = nowhere;
    keeps["security"]["peerKeys"] = json!("enforce");
    let error = Node::try_start("server", keeps, echo()).await.err().unwrap();
    assert!(error.to_string().contains("/proc/no/such/place"), "{error}");
}

#[tokio::test]
async fn a_given_key_is_not_replaced_here() {
    let key = pem(&KeyPair::generate(2048).unwrap());
    let node = Node::server(json!({ "security": { "privateKey": key } }), echo()).await;
    let before = node.mesh.public_key();
    let error = node.mesh.rotate_key().await.unwrap_err().to_string();
    assert!(error.contains("security.privateKey") && error.contains("and restart"), "{error}");
    assert_eq!(node.mesh.public_key(), before);
}

#[tokio::test]
async fn what_is_no_key_is_refused_without_being_shown() {
    for (given, text) in [
        (
            "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n",
            "must be an RSA private key in PEM",
        ),
        ("c2VjcmV0LXNlY3JldC1zZWNyZXQ=", "must be an RSA private key in PEM"),
        ("   ", "got an empty string"),
        ("/no/such/key.pem", "/no/such/key.pem cannot be read"),
    ] {
        let options = json!({ "port": 0, "security": { "privateKey": given } });
        let error = Node::try_start("server", options, echo()).await.err().unwrap().to_string();
        assert!(error.contains(text) && error.contains("security.privateKey"), "{error}");
        assert!(!error.contains("c2Vj"), "{error}");
    }
}

#[test]
fn the_variable_stands_in_and_may_be_one_line() {
    let key = KeyPair::generate(2048).unwrap();
    let parse = |config: Value, variable: &str| {
        let variable = variable.to_owned();
        MeshConfig::parse(&config, move |name| (name == "SECURE_MESH_PRIVATE_KEY").then(|| variable.clone()))
    };
    let source = |config: Result<MeshConfig, crate::config::ConfigError>| {
        let given = config.unwrap().private_key?;
        Some((
            given.option,
            match given.source {
                crate::config::KeySource::Pem(pem) => pem.to_string(),
                crate::config::KeySource::File(path) => path.display().to_string(),
            },
        ))
    };
    let own = json!({ "serviceId": "a" });
    let variable = "SECURE_MESH_PRIVATE_KEY";
    let one_line = pem(&key).trim().replace('\n', "\\n");
    let (option, text) = source(parse(own.clone(), &one_line)).unwrap();
    assert_eq!((option, text.trim()), (variable, pem(&key).trim()));
    assert_eq!(source(parse(own.clone(), " /run/key.pem ")), Some((variable, "/run/key.pem".to_owned())));
    assert_eq!(source(parse(own.clone(), "")), None, "an empty variable is an unset one");
    let option = json!({ "serviceId": "a", "security": { "privateKey": "/option.pem" } });
    assert_eq!(source(parse(option, &one_line)), Some(("security.privateKey", "/option.pem".to_owned())));
    // `Debug` does not show the key.
    let config = parse(own.clone(), &one_line).unwrap();
    assert!(!format!("{config:?}").contains("BEGIN"));
    let error = parse(own, "relative/key.pem").unwrap_err().to_string();
    assert!(error.contains(variable) && !error.contains("relative"), "{error}");
    let misspelt = json!({ "serviceId": "a", "security": { "privatekey": "x" } });
    assert!(parse(misspelt, "").unwrap_err().to_string().ends_with("did you mean security.privateKey?"));
}
