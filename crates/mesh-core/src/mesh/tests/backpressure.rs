//! Peers that grant all credit and do not read. This side holds no more than
//! its limits, and other peers are served.

use tokio::time::timeout;

use super::{
    hostile::{Raw, is_healthy},
    raw_server::RawServer,
    *,
};
use crate::record::{
    ITEM_COST,
    message::{Encoded, Message},
};

/// The most bytes that wait for the connection of one session.
const BUDGET: usize = 256 * 1024;
/// The most bytes that HTTP/2 and the system hold beyond that: windows, and a few frames.
const ON_THE_WAY: usize = 4 << 20;
/// The bytes that an application leaves unsent, as `js/frames/outflow.ts` does.
const HIGH_WATER: usize = 64 * 1024;
const SIZE: usize = 16 * 1024;
/// More items than fit into the budget and in transit.
const ITEMS: u32 = 768;

const STREAM_CREDIT: u32 = (16 << 20) - 64 * 1024;
const SESSION_CREDIT: u32 = (64 - 16) << 20;

fn item(number: u32) -> Vec<u8> {
    item_of(number, SIZE)
}

fn item_of(number: u32, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes
}

fn produce(node: &Node, stream: StreamId, items: u32) {
    produce_sized(node, stream, items, SIZE);
}

/// Sends items one by one while little is unsent, and then the end.
pub(super) fn produce_sized(node: &Node, stream: StreamId, items: u32, size: usize) {
    let (mesh, app) = (Arc::clone(&node.mesh), Arc::clone(&node.app));
    tokio::spawn(async move {
        for number in 0..items {
            let offered = number as usize * (size + ITEM_COST);
            let sent = || app.sent_of.lock().unwrap().get(&stream).copied().unwrap_or(0);
            while offered - sent() >= HIGH_WATER {
                sleep(Duration::from_millis(1)).await;
            }
            mesh.post(move |io| {
                io.item(stream, Payload { encoding: Encoding::Raw, bytes: &item_of(number, size) });
            });
        }
        mesh.post(move |io| io.end(stream, b""));
    });
}

/// The bytes that wait for the connection of the fullest session.
async fn unsent(node: &Node) -> usize {
    let (sender, receiver) = oneshot::channel();
    node.mesh.post(move |io| {
        let calling = io.0.client.sessions().list().iter().map(|session| session.unsent()).max();
        let answering = io.0.server.sessions().list().iter().map(|session| session.unsent()).max();
        let _ = sender.send(calling.max(answering));
    });
    receiver.await.unwrap().unwrap_or(0)
}

/// Waits until a producer stalls: nothing was sent during many turns of its I/O
/// thread. Returns the bytes that were sent.
async fn standstill(node: &Node) -> usize {
    let mut sent = 0;
    eventually(async || {
        let before = std::mem::replace(&mut sent, node.app.sent.load(Ordering::SeqCst));
        for _ in 0..20 {
            assert!(unsent(node).await < BUDGET + 2 * SIZE, "{} bytes", unsent(node).await);
        }
        sent > 0 && before == sent
    })
    .await;
    sent
}

/// Reads items to the end of each of these calls; returns the calls in the
/// order of their ends.
async fn drain(peer: &mut Raw, calls: &[u32]) -> Vec<u32> {
    let mut next: HashMap<u32, u32> = calls.iter().map(|call| (*call, 0)).collect();
    let mut ended = Vec::new();
    while ended.len() < calls.len() {
        let heard = |message: Message<'_>| match message {
            Message::Item { call, payload } => {
                let next = next.get_mut(&call).unwrap();
                assert_eq!(payload.bytes, item(*next), "in order and whole");
                *next += 1;
            }
            Message::End { call, .. } => ended.push(call),
            _ => {}
        };
        peer.hear(heard).await.expect("the session goes on");
    }
    ended
}

/// The end of a call, which must come soon.
async fn soon(end: oneshot::Receiver<Answer>) -> Answer {
    timeout(Duration::from_secs(5), end).await.expect("an end").unwrap()
}

/// A server whose streams the test drives.
pub(super) async fn streaming_server() -> (Node, Arc<Mutex<Vec<RequestId>>>) {
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

pub(super) async fn stream_number(requests: &Mutex<Vec<RequestId>>, number: usize) -> StreamId {
    eventually(async || requests.lock().unwrap().len() > number).await;
    StreamId::Request(requests.lock().unwrap()[number])
}

#[tokio::test]
async fn a_peer_that_grants_all_and_reads_nothing_holds_a_bounded_part_of_its_answer() {
    let (server, requests) = streaming_server().await;
    let mut peer = Raw::connect(&server).await;
    let healthy = Node::client_of(&server, json!({})).await;
    healthy.call("echo", b"before").await.unwrap();

    let first = peer.open(CallKind::ServerStream).await;
    peer.say(&Encoded::window(0, SESSION_CREDIT), "").await;
    peer.say(&Encoded::window(first, STREAM_CREDIT), "").await;
    produce(&server, stream_number(&requests, 0).await, ITEMS);
    let sent = standstill(&server).await;
    assert!((BUDGET..ON_THE_WAY).contains(&sent), "{sent}");
    let streamed = healthy.begin_kind(CallKind::ServerStream, "watch", b"", None, false);
    produce(&server, stream_number(&requests, 1).await, 50);
    assert_eq!(soon(streamed.1).await.unwrap(), b"");
    assert_eq!(healthy.app.items_of(StreamId::Call(streamed.0)).len(), 50);

    // A second stream of the same session waits beside the first, not behind it.
    let second = peer.open(CallKind::ServerStream).await;
    peer.say(&Encoded::window(second, STREAM_CREDIT), "").await;
    produce(&server, stream_number(&requests, 2).await, 64);
    standstill(&server).await;
    assert_eq!(drain(&mut peer, &[first, second]).await, [second, first]);
    is_healthy(&server, &healthy).await;
}

#[tokio::test]
async fn a_server_that_grants_all_and_reads_nothing_holds_a_bounded_part_of_an_upload() {
    let mut raw_server = RawServer::listen().await;
    let other = Node::try_start("other", json!({ "port": 0 }), echo()).await.unwrap();
    let services = json!([
        { "id": "server", "host": "127.0.0.1", "port": raw_server.port() },
        { "id": "other", "host": "127.0.0.1", "port": other.mesh.address().unwrap().port() },
    ]);
    let client = Node::client_at(1, json!({ "discovery": { "services": services } })).await;
    let (first, end) = client.begin_kind(CallKind::ClientStream, "upload", b"", None, false);
    let mut peer = raw_server.accept().await;
    peer.say(&Encoded::window(0, SESSION_CREDIT), "").await;
    peer.say(&Encoded::window(1, STREAM_CREDIT), "").await;
    produce(&client, StreamId::Call(first), ITEMS);
    let sent = standstill(&client).await;
    assert!((BUDGET..ON_THE_WAY).contains(&sent), "{sent}");
    for _ in 0..20 {
        let (_, answer) = client.begin_at("other", CallKind::Unary, "echo", b"goes on", Some(5000), false);
        assert_eq!(answer.await.unwrap().unwrap(), b"goes on");
    }

    let (second, other_end) = client.begin_kind(CallKind::ClientStream, "upload", b"", None, false);
    assert_eq!(client.stats().await.calls_in_flight, 2, "the credit comes after the request");
    peer.say(&Encoded::window(2, STREAM_CREDIT), "").await;
    produce(&client, StreamId::Call(second), 64);
    standstill(&client).await;
    assert_eq!(drain(&mut peer, &[1, 2]).await, [2, 1]);
    for (call, end) in [(1, end), (2, other_end)] {
        peer.say(&Encoded::response(call, b"", Payload::EMPTY).unwrap(), "").await;
        assert_eq!(soon(end).await.unwrap(), b"");
    }
}

#[tokio::test]
async fn more_credit_than_any_receiver_needs_ends_the_stream() {
    let (server, requests) = streaming_server().await;
    let mut peer = Raw::connect(&server).await;
    let healthy = Node::client_of(&server, json!({})).await;
    healthy.call("echo", b"before").await.unwrap();
    let other = peer.open(CallKind::ServerStream).await;
    let call = peer.open(CallKind::ServerStream).await;
    peer.say(&Encoded::window(call, STREAM_CREDIT), "").await;
    peer.say(&Encoded::window(call, 1), "").await;
    assert_eq!(peer.answer().await, Some(Err("STREAM_PROTOCOL".to_owned())));
    produce(&server, stream_number(&requests, 0).await, 1);
    assert_eq!(drain(&mut peer, &[other]).await, [other]);
    is_healthy(&server, &healthy).await;
}

#[tokio::test]
async fn more_credit_than_all_streams_need_ends_the_session() {
    let (server, _) = streaming_server().await;
    let mut peer = Raw::connect(&server).await;
    let healthy = Node::client_of(&server, json!({})).await;
    healthy.call("echo", b"before").await.unwrap();
    peer.say(&Encoded::window(0, SESSION_CREDIT), "").await;
    peer.works().await;
    peer.say(&Encoded::window(0, 1), "").await;
    peer.is_over().await;
    is_healthy(&server, &healthy).await;
}

#[tokio::test]
async fn an_application_that_does_not_wait_loses_the_stream_and_nothing_else() {
    let (server, requests) = streaming_server().await;
    let client = Node::client_of(&server, json!({})).await;
    client.app.hoarding.store(true, Ordering::SeqCst);
    let (_, end) = client.begin_kind(CallKind::ServerStream, "watch", b"", None, false);
    let stream = stream_number(&requests, 0).await;
    server.mesh.post(move |io| {
        for number in 0..2 * ITEMS {
            io.item(stream, Payload { encoding: Encoding::Raw, bytes: &item(number) });
        }
    });
    assert_eq!(soon(end).await.unwrap_err().reason, "MEMORY_LIMIT");
    client.call("echo", b"goes on").await.unwrap();
    assert_eq!(server.app.aborted.lock().unwrap().len(), 1);

    client.app.hoarding.store(false, Ordering::SeqCst);
    let (id, end) = client.begin_kind(CallKind::ClientStream, "upload", b"", None, false);
    client.mesh.post(move |io| {
        for number in 0..2 * ITEMS {
            io.item(StreamId::Call(id), Payload { encoding: Encoding::Raw, bytes: &item(number) });
        }
    });
    assert_eq!(soon(end).await.unwrap_err().reason, "MEMORY_LIMIT");
    client.call("echo", b"goes on").await.unwrap();
}
