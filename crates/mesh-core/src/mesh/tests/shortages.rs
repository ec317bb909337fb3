//! The errors of a service whose machine lacks a resource.

use super::*;

#[tokio::test]
async fn a_key_directory_that_is_gone_is_named_on_the_side_that_has_it() {
    let keys = directory();
    let server = Node::server(json!({ "paths": { "keysDir": keys } }), echo()).await;
    let known = Node::client_of(&server, json!({})).await;
    known.call("echo", b"x").await.unwrap();
    std::fs::remove_dir_all(&keys).unwrap();
    let config = json!({ "serviceId": "newcomer" });
    let newcomer = Node::client_of(&server, config).await;
    let error = newcomer.call("echo", b"x").await.unwrap_err();
    assert_eq!((error.code, &*error.reason), (Code::Unavailable, "SESSION_LOST"));
    assert!(
        error.message.contains("accepts no sessions at present; its own log has the reason"),
        "{}",
        error.message
    );
    assert!(server.logged(Reason::KeydirIo));
    {
        let logs = server.app.logs.lock().unwrap();
        let text = &logs.iter().find(|log| log.event == "handshake.refused").unwrap().message;
        assert!(text.contains(keys.to_str().unwrap()), "{text}");
    }
    // Existing sessions continue.
    known.call("echo", b"x").await.unwrap();
}
