//! Sessions that take no more calls, because of a goaway, honest or not, or because their
//! numbers are used up.

use super::{hostile::Raw, raw_server::RawServer, *};
use crate::record::message::{Encoded, Message};

/// The number of the next request that the peer gets; `None` if the session has ended.
async fn next_request(peer: &mut Raw) -> Option<u32> {
    let mut number = None;
    while number.is_none() {
        peer.hear(|message| {
            if let Message::Request { call, .. } = message {
                number = Some(call);
            }
        })
        .await?;
    }
    number
}

#[tokio::test]
async fn the_word_of_a_peer_sends_a_call_once_more_and_not_twice() {
    for (idempotent, most) in [(false, 2), (true, 3)] {
        let mut server = RawServer::listen().await;
        let client = Node::client_at(server.port(), json!({})).await;
        let (_, answer) = client.begin("pay", b"100", 5000, idempotent);
        let mut peers = Vec::new();
        for _ in 0..most {
            let mut peer = server.accept().await;
            // The client must assume that the call has run.
            assert_eq!(next_request(&mut peer).await, Some(1));
            peer.say(&Encoded::go_away(0, Code::Unavailable), "").await;
            peers.push(peer);
        }
        let error = answer.await.unwrap().unwrap_err();
        assert_eq!((error.code, &*error.reason), (Code::Unavailable, "SESSION_LOST"));
        assert_eq!(error.retryable, idempotent, "{}", error.message);
        assert_eq!(error.message.contains("it may have run"), !idempotent, "{}", error.message);
        assert_eq!(u32::from(error.attempts), most);
    }
}

#[tokio::test]
async fn one_honest_word_is_believed() {
    let mut server = RawServer::listen().await;
    let client = Node::client_at(server.port(), json!({})).await;
    let (_, answer) = client.begin("pay", b"100", 5000, false);
    let mut first = server.accept().await;
    next_request(&mut first).await.unwrap();
    first.say(&Encoded::go_away(0, Code::Unavailable), "").await;
    let mut second = server.accept().await;
    next_request(&mut second).await.unwrap();
    let paid = Payload { encoding: Encoding::Raw, bytes: b"paid" };
    second.say(&Encoded::response(1, b"", paid).unwrap(), "").await;
    assert_eq!(answer.await.unwrap().unwrap(), b"paid");
}

#[tokio::test]
async fn a_peer_cannot_disown_what_it_has_begun_to_answer() {
    let mut server = RawServer::listen().await;
    let client = Node::client_at(server.port(), json!({})).await;
    let (stream, end) = client.begin_kind(CallKind::ServerStream, "watch", b"", None, false);
    let mut peer = server.accept().await;
    assert_eq!(next_request(&mut peer).await, Some(1));
    let item = Payload { encoding: Encoding::Raw, bytes: b"first" };
    peer.say(&Encoded::item(1, item), "").await;
    eventually(async || client.app.items_of(StreamId::Call(stream)).len() == 1).await;
    peer.say(&Encoded::go_away(0, Code::Unavailable), "").await;
    // The session ends as that of a faulty peer, and the stream does not begin again.
    let error = end.await.unwrap().unwrap_err();
    assert_eq!(&*error.reason, "RECORD_FORMAT");
    assert!(!error.retryable);
    assert!(next_request(&mut peer).await.is_none());
    assert_eq!(client.stats().await.handshakes_ok, 1);
}

#[tokio::test]
async fn a_session_is_replaced_before_its_numbers_are_used_up() {
    let (server, client) = pair().await;
    client.call("echo", b"first").await.unwrap();
    let core = client.core().await;
    for session in core.client.sessions().list() {
        session.use_up(u32::MAX - 2);
    }
    for (call, sessions) in [(1_u8, 1), (2, 1), (3, 2), (4, 2)] {
        assert_eq!(client.call("echo", &[call]).await.unwrap(), [call]);
        assert_eq!(client.stats().await.handshakes_ok, sessions, "after call {call}");
    }
    // Both applications receive the end of the previous session.
    eventually(async || client.stats().await.active_sessions == 1).await;
    eventually(async || server.stats().await.active_sessions == 1).await;
}

#[tokio::test]
async fn calls_under_way_keep_the_last_numbers_of_their_session() {
    let (server, client) = pair().await;
    client.call("echo", b"first").await.unwrap();
    let core = client.core().await;
    for session in core.client.sessions().list() {
        session.use_up(u32::MAX - 1);
    }
    let (id, mut waiting) = client.begin("never", b"", 60_000, false);
    eventually(async || server.stats().await.requests_in_flight == 1).await;
    assert_eq!(client.call("echo", b"next").await.unwrap(), b"next");
    assert_eq!(client.stats().await.active_sessions, 2);
    assert!(waiting.try_recv().is_err(), "it goes on");
    client.mesh.post(move |io| io.cancel(id));
    eventually(async || client.stats().await.active_sessions == 1).await;
}
