//! Refusals in the log, and in the answers to refused peers.

use super::*;
use crate::{discovery::Address, transport::connect};

#[tokio::test]
async fn refusals_of_one_address_are_logged_a_few_times_and_then_counted() {
    let server = Node::server(json!({}), echo()).await;
    let address = Address::new("127.0.0.1", server.mesh.address().unwrap().port()).unwrap();
    for _ in 0..40 {
        let mut duplex = connect(None, &address, 1 << 20).await.unwrap();
        duplex.outgoing.send(Vec::new().into()).await;
        assert_eq!(duplex.receive().await.unwrap_err().to_string(), "handshake refused");
    }
    assert_eq!(server.stats().await.handshakes_failed, 40, "the figures count each of them");
    let lines = |app: &App| -> Vec<LogEvent> {
        let logs = app.logs.lock().unwrap();
        logs.iter().filter(|line| line.event == "handshake.refused").cloned().collect()
    };
    assert_eq!(lines(&server.app).len(), 10);
    server.mesh.close(Duration::ZERO).await;
    let last = lines(&server.app).pop().unwrap();
    assert_eq!(last.message, "30 more of the same within a minute");
    for field in [("subject", "127.0.0.1"), ("reason", "HANDSHAKE_FORMAT"), ("count", "30")] {
        assert!(last.fields.contains(&(field.0, field.1.to_owned())), "{:?}", last.fields);
    }
}

#[tokio::test]
async fn a_failure_is_retryable_when_the_service_says_so() {
    // The application of the tests marks only this code as retryable.
    let codes = [Code::Unavailable, Code::ResourceExhausted, Code::Aborted];
    let fails: Handler = Box::new(move |request| {
        let index: usize = request.payload.bytes[0].into();
        Some(Err(codes[index]))
    });
    let server = Node::server(json!({}), fails).await;
    let client = Node::client_of(&server, json!({})).await;
    for (index, code) in (0..).zip(codes) {
        let error = client.call("fail", &[index]).await.unwrap_err();
        assert_eq!((error.code, error.remote), (code, true));
        assert_eq!(error.retryable, code == Code::Aborted, "{code}");
    }
    assert_eq!(server.app.handled.load(Ordering::SeqCst), 3, "and none was tried again");
}
