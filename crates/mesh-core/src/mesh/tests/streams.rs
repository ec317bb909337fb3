//! Streams: items, windows, ends, and peers that break their rules.

use bytes::BytesMut;

use super::{
    hostile::{Raw, is_healthy, stage},
    *,
};
use crate::record::{
    ITEM_COST,
    message::{Encoded, RequestFields},
};

const ITEM: [u8; 1000] = [5; 1000];

fn raw(bytes: &[u8]) -> Payload<'_> {
    Payload { encoding: Encoding::Raw, bytes }
}

/// A server whose streams the test drives; it records their requests.
async fn server() -> (Node, Arc<Mutex<Vec<RequestId>>>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let handler: Handler = Box::new(move |request| {
        if request.kind == CallKind::Unary {
            return Some(Ok(request.payload.bytes.to_vec()));
        }
        seen.lock().unwrap().push(request.id);
        None
    });
    (Node::server(json!({}), handler).await, requests)
}

async fn first(requests: &Mutex<Vec<RequestId>>) -> StreamId {
    eventually(async || !requests.lock().unwrap().is_empty()).await;
    StreamId::Request(requests.lock().unwrap()[0])
}

async fn is_idle(node: &Node) {
    eventually(async || {
        let stats = node.stats().await;
        stats.calls_in_flight == 0 && stats.requests_in_flight == 0
    })
    .await;
}

#[tokio::test]
async fn a_service_streams_its_answer() {
    let (server, requests) = server().await;
    let client = Node::client_of(&server, json!({})).await;
    let (id, end) = client.begin_kind(CallKind::ServerStream, "watch", b"from", None, false);
    let stream = first(&requests).await;
    server.mesh.post(move |io| {
        for number in 0..1000u32 {
            io.item(stream, raw(&number.to_be_bytes()));
        }
        io.end(stream, b"{\"a\":\"b\"}");
    });
    assert_eq!(end.await.unwrap().unwrap(), b"");
    let items = client.app.items_of(StreamId::Call(id));
    assert!(items.iter().map(Vec::as_slice).eq((0..1000u32).map(u32::to_be_bytes).collect::<Vec<_>>()));
    is_idle(&server).await;
    assert_eq!(server.stats().await.requests_ok, 1);
}

#[tokio::test]
async fn a_client_streams_its_inputs() {
    let (server, _) = server().await;
    let client = Node::client_of(&server, json!({})).await;
    let (id, end) = client.begin_kind(CallKind::ClientStream, "upload", b"", None, false);
    client.mesh.post(move |io| {
        for _ in 0..1000 {
            io.item(StreamId::Call(id), raw(&ITEM));
        }
        io.end(StreamId::Call(id), b"");
    });
    assert_eq!(end.await.unwrap().unwrap(), ITEM.repeat(1000));
    assert_eq!(client.app.sent.load(Ordering::SeqCst), 1000 * (1000 + ITEM_COST));
    is_idle(&client).await;
}

#[tokio::test]
async fn a_consumer_that_stops_holds_its_producer_and_nobody_else() {
    let (server, requests) = server().await;
    let client = Node::client_of(&server, json!({})).await;
    client.app.hoarding.store(true, Ordering::SeqCst);
    let (id, end) = client.begin_kind(CallKind::ServerStream, "watch", b"", None, false);
    let stream = first(&requests).await;
    server.mesh.post(move |io| {
        for _ in 0..1000 {
            io.item(stream, raw(&ITEM));
        }
        io.fail(
            id_of(stream),
            &Failure {
                code: Code::DataLoss,
                reason: "LATE",
                message: "after the items",
                retryable: false,
                retry_after_ms: None,
                error_id: "",
                data: Payload::EMPTY,
            },
        );
    });
    for _ in 0..20 {
        client.call("echo", b"others go on").await.unwrap();
    }
    let sent = server.app.sent.load(Ordering::SeqCst);
    assert!((64 * 1024..66 * 1024).contains(&sent), "{sent}");
    // Now it continues to read, and gets everything in order, the failure last.
    client.app.hoarding.store(false, Ordering::SeqCst);
    client.mesh.post(move |io| io.consumed(StreamId::Call(id), sent));
    assert_eq!(end.await.unwrap().unwrap_err().reason, "LATE");
    assert_eq!(client.app.items_of(StreamId::Call(id)).len(), 1000);
    is_idle(&server).await;
}

fn id_of(stream: StreamId) -> RequestId {
    match stream {
        StreamId::Request(id) => id,
        StreamId::Call(_) => unreachable!("a server's"),
    }
}

#[tokio::test]
async fn a_stream_that_nobody_reads_cannot_keep_the_others_waiting() {
    let (server, requests) = server().await;
    let client = Node::client_of(&server, json!({})).await;
    client.app.hoarding.store(true, Ordering::SeqCst);
    let ends: Vec<_> =
        (0..100).map(|_| client.begin_kind(CallKind::ServerStream, "watch", b"", None, false)).collect();
    eventually(async || requests.lock().unwrap().len() == 100).await;
    let ids = requests.lock().unwrap().clone();
    server.mesh.post(move |io| {
        for id in ids {
            for _ in 0..200 {
                io.item(StreamId::Request(id), raw(&ITEM));
            }
        }
    });
    eventually(async || server.app.sent.load(Ordering::SeqCst) >= 100 * 64 * 1024).await;
    // One more stream proceeds while a hundred are stalled.
    client.app.hoarding.store(false, Ordering::SeqCst);
    let (id, end) = client.begin_kind(CallKind::ClientStream, "upload", b"", None, false);
    client.mesh.post(move |io| {
        io.item(StreamId::Call(id), raw(&ITEM));
        io.end(StreamId::Call(id), b"");
    });
    assert_eq!(end.await.unwrap().unwrap(), ITEM);
    for (id, _) in &ends {
        let id = *id;
        client.mesh.post(move |io| io.cancel(id));
    }
    is_idle(&client).await;
    is_idle(&server).await;
    eventually(async || server.app.aborted.lock().unwrap().len() == 100).await;
}

#[tokio::test]
async fn a_stream_has_no_time_limit_unless_it_is_given_one() {
    let (server, requests) = server().await;
    let options = json!({ "limits": { "callTimeoutMs": 100 } });
    let client = Node::client_of(&server, options).await;
    let (_, end) = client.begin_kind(CallKind::ServerStream, "watch", b"", Some(150), false);
    let (id, _open) = client.begin_kind(CallKind::ServerStream, "watch", b"", None, false);
    assert_eq!(end.await.unwrap().unwrap_err().reason, "DEADLINE");
    sleep(Duration::from_millis(200)).await;
    assert_eq!(client.stats().await.calls_in_flight, 1);
    client.mesh.post(move |io| io.cancel(id));
    eventually(async || server.app.aborted.lock().unwrap().len() == 2).await;
    drop(requests);
    is_idle(&server).await;
}

#[tokio::test]
async fn a_lost_session_ends_both_sides_once() {
    let (server, requests) = server().await;
    let client = Node::client_of(&server, json!({})).await;
    let (_, end) = client.begin_kind(CallKind::BidiStream, "chat", b"", None, false);
    first(&requests).await;
    client.mesh.close(Duration::ZERO).await;
    assert_eq!(end.await.unwrap().unwrap_err().reason, "CLOSED");
    eventually(async || server.app.aborted.lock().unwrap().len() == 1).await;
    is_idle(&server).await;
}

#[tokio::test]
async fn what_does_not_fit_an_item_is_refused_before_it_is_sent() {
    let limits = json!({ "limits": { "maxMessageBytes": 2048 } });
    let server = Node::server(limits.clone(), Box::new(|_| None)).await;
    let client = Node::client_of(&server, limits).await;
    let (id, end) = client.begin_kind(CallKind::ClientStream, "upload", b"", None, false);
    client.mesh.post(move |io| io.item(StreamId::Call(id), raw(&[0; 2049])));
    assert_eq!(end.await.unwrap().unwrap_err().reason, "TOO_LARGE");
    is_idle(&client).await;
}

impl Raw {
    pub(super) async fn open(&mut self, kind: CallKind) -> u32 {
        self.calls += 1;
        let fields = RequestFields { kind, attempt: 1, ..RequestFields::default() };
        let request = Encoded::request("stream", None, fields, Payload::EMPTY).unwrap().with_call(self.calls);
        let token = self.good_token();
        self.say(&request, &token).await;
        self.calls
    }

    pub(super) async fn say(&mut self, message: &Encoded, token: &str) {
        let record = self.record(message, token);
        self.send(record).await;
    }

    async fn say_bytes(&mut self, kind: u8, flags: u8, call: u32, body: &[u8]) {
        let record = self.record_of(|out: &mut BytesMut| {
            out.extend_from_slice(&[kind, flags]);
            out.extend_from_slice(&call.to_be_bytes());
            out.extend_from_slice(&(body.len() as u32).to_be_bytes());
            out.extend_from_slice(body);
        });
        self.send(record).await;
    }
}

#[tokio::test]
async fn who_breaks_the_rules_of_a_stream_loses_that_stream() {
    let (server, mut raw_peer, healthy) = stage(json!({ "limits": { "maxMessageBytes": 128 * 1024 } })).await;
    server.app.hoarding.store(true, Ordering::SeqCst);
    let broken = Some(Err("STREAM_PROTOCOL".to_owned()));
    let peer = &mut raw_peer;
    let other = peer.open(CallKind::ClientStream).await;

    let call = peer.open(CallKind::ClientStream).await;
    peer.say_bytes(8, 0x80, call, b"x").await;
    assert_eq!(peer.answer().await, broken, "malformed");

    let call = peer.open(CallKind::ClientStream).await;
    peer.say(&Encoded::item(call, raw(&vec![0; 100_000])), "").await;
    peer.say(&Encoded::item(call, raw(b"one too many")), "").await;
    assert_eq!(peer.answer().await, broken, "beyond its window");

    let call = peer.open(CallKind::ClientStream).await;
    peer.say(&Encoded::item(call, raw(&vec![0; 128 * 1024 + 1])), "").await;
    assert_eq!(peer.answer().await, Some(Err("TOO_LARGE".to_owned())));

    let call = peer.open(CallKind::ServerStream).await;
    peer.say(&Encoded::item(call, raw(b"not asked for")), "").await;
    assert_eq!(peer.answer().await, broken, "an item where none belongs");

    let call = peer.open(CallKind::ServerStream).await;
    peer.say(&Encoded::window(call, u32::MAX), "").await;
    assert_eq!(peer.answer().await, broken, "credit without bounds");

    // These messages belong to no open stream, and are only dropped.
    peer.say(&Encoded::item(call, raw(b"late")), "").await;
    peer.say(&Encoded::end(call, b"").unwrap(), "").await;
    peer.say(&Encoded::window(call, 1), "").await;
    peer.say(&Encoded::item(9999, raw(b"never")), "").await;
    peer.say_bytes(9, 0, 9999, b"").await;

    // The first stream of the session is not affected.
    server.app.hoarding.store(false, Ordering::SeqCst);
    peer.say(&Encoded::item(other, raw(b"still ")), "").await;
    peer.say(&Encoded::item(other, raw(b"here")), "").await;
    peer.say(&Encoded::end(other, b"").unwrap(), "").await;
    assert_eq!(peer.answer().await, Some(Ok(b"still here".to_vec())));
    is_healthy(&server, &healthy).await;
    is_idle(&server).await;
}

#[tokio::test]
async fn an_item_after_the_end_ends_the_stream() {
    let (server, mut peer, healthy) = stage(json!({})).await;
    let call = peer.open(CallKind::BidiStream).await;
    peer.say(&Encoded::item(call, raw(b"a")), "").await;
    peer.say(&Encoded::end(call, b"").unwrap(), "").await;
    peer.say(&Encoded::end(call, b"").unwrap(), "").await;
    assert_eq!(peer.answer().await, Some(Err("STREAM_PROTOCOL".to_owned())));
    is_healthy(&server, &healthy).await;
}

#[tokio::test]
async fn more_than_all_streams_may_share_closes_the_session() {
    let (server, mut peer, healthy) = stage(json!({})).await;
    server.app.hoarding.store(true, Ordering::SeqCst);
    let large = vec![0; 1 << 20];
    // Each takes 960 KiB of the shared window, the last one more than is left.
    for _ in 0..19 {
        let call = peer.open(CallKind::ClientStream).await;
        peer.say(&Encoded::item(call, raw(&large)), "").await;
    }
    peer.is_over().await;
    is_healthy(&server, &healthy).await;
    is_idle(&server).await;
}

#[tokio::test]
async fn what_was_refused_is_not_given_back_twice() {
    let (server, mut peer, healthy) = stage(json!({ "limits": { "maxMessageBytes": 1 << 20 } })).await;
    server.app.hoarding.store(true, Ordering::SeqCst);
    let large = vec![0; 1 << 20];
    let too_large = vec![0; (1 << 20) + 1];
    for _ in 0..6 {
        let call = peer.open(CallKind::ClientStream).await;
        peer.say(&Encoded::item(call, raw(&large)), "").await;
    }
    for _ in 0..12 {
        let call = peer.open(CallKind::ClientStream).await;
        peer.say(&Encoded::item(call, raw(&too_large)), "").await;
        assert_eq!(peer.answer().await, Some(Err("TOO_LARGE".to_owned())));
    }
    // Of the shared window's sixteen MiB 5.6 are held, and less than half is owed.
    for _ in 0..12 {
        let call = peer.open(CallKind::ClientStream).await;
        peer.say(&Encoded::item(call, raw(&large)), "").await;
    }
    peer.is_over().await;
    is_healthy(&server, &healthy).await;
}

#[tokio::test]
async fn large_items_wait_for_the_window_that_all_share_and_go_on_in_turn() {
    const LARGE: usize = 500_000;
    let (server, requests) = server().await;
    let client = Node::client_of(&server, json!({})).await;
    client.app.hoarding.store(true, Ordering::SeqCst);
    let ends: Vec<_> =
        (0..60).map(|_| client.begin_kind(CallKind::ServerStream, "watch", b"", None, false)).collect();
    eventually(async || requests.lock().unwrap().len() == 60).await;
    let ids = requests.lock().unwrap().clone();
    server.mesh.post(move |io| {
        for id in ids {
            for size in [LARGE, LARGE, 10] {
                io.item(StreamId::Request(id), raw(&vec![7; size]));
            }
            io.end(StreamId::Request(id), b"");
        }
    });
    let arrived = || -> usize { client.app.items.lock().unwrap().values().flatten().map(Vec::len).sum() };
    eventually(async || arrived() >= 16 << 20).await;
    client.call("echo", b"calls are no items").await.unwrap();
    // The shared window, and the part of each item in its stream's own window.
    let most = (16 << 20) + LARGE + 60 * 64 * 1024;
    assert!(arrived() < most, "{}", arrived());
    // Small items do not wait for it.
    let (_, small) = client.begin_kind(CallKind::ClientStream, "upload", b"", None, false);
    eventually(async || requests.lock().unwrap().len() == 61).await;
    let (watched, _end) = client.begin_kind(CallKind::ServerStream, "watch", b"", None, false);
    eventually(async || requests.lock().unwrap().len() == 62).await;
    let id = requests.lock().unwrap()[61];
    server.mesh.post(move |io| io.item(StreamId::Request(id), raw(&ITEM)));
    eventually(async || client.app.items_of(StreamId::Call(watched)).len() == 1).await;
    drop(small);

    client.app.hoarding.store(false, Ordering::SeqCst);
    for (id, _) in &ends {
        let stream = StreamId::Call(*id);
        let held = client.app.items_of(stream).iter().map(|item| item.len() + ITEM_COST).sum();
        client.mesh.post(move |io| io.consumed(stream, held));
    }
    for (id, end) in ends {
        assert_eq!(end.await.unwrap().unwrap(), b"");
        let sizes = client.app.items_of(StreamId::Call(id)).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes, [LARGE, LARGE, 10]);
    }
}

#[tokio::test]
async fn ten_thousand_streams_opened_and_cancelled_leave_nothing() {
    let (server, _) = server().await;
    let client = Node::client_of(&server, json!({})).await;
    for round in 0..100u32 {
        for number in 0..100u32 {
            let kind = CallKind::from_number(1 + (number % 3) as u8).unwrap();
            let (id, _end) = client.begin_kind(kind, "watch", b"", None, false);
            client.app.calls.lock().unwrap().remove(&id);
            let wait = (round * 7 + number * 13) % 5;
            client.mesh.post(move |io| {
                io.item(StreamId::Call(id), raw(b"x"));
                if wait == 0 {
                    io.cancel(id);
                }
            });
            if wait > 0 {
                client.mesh.post(move |io| io.cancel(id));
            }
        }
        client.call("echo", b"goes on").await.unwrap();
    }
    is_idle(&client).await;
    is_idle(&server).await;
    eventually(async || server.stats().await.active_sessions == 1).await;
}
