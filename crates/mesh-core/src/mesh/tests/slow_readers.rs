//! Readers that stop. Each stalls its own stream and no other.

use tokio::time::timeout;

use super::{
    backpressure::{produce_sized, stream_number, streaming_server},
    *,
};
use crate::record::ITEM_COST;

const SIZE: usize = 16 * 1024;

/// Waits for so many sweeps.
async fn after_sweeps(node: &Node, sweeps: usize) {
    let (sender, receiver) = oneshot::channel();
    node.mesh.post(move |io| {
        (0..sweeps).for_each(|_| io.0.sweep_streams());
        let _ = sender.send(());
    });
    receiver.await.unwrap();
}

fn stalls(node: &Node) -> Vec<LogEvent> {
    let logs = node.app.logs.lock().unwrap();
    logs.iter().filter(|event| event.event == "stall").cloned().collect()
}

fn field<'a>(event: &'a LogEvent, name: &str) -> &'a str {
    &event.fields.iter().find(|(found, _)| *found == name).unwrap().1
}

/// The bytes of items that arrived and were not consumed.
fn held(node: &Node) -> usize {
    let appetite = node.app.appetite.load(Ordering::SeqCst);
    let items = node.app.items.lock().unwrap();
    items.values().flat_map(|items| items.iter().skip(appetite)).map(|item| item.len() + ITEM_COST).sum()
}

/// Waits until nothing more arrives during many calls.
async fn quiet(receiver: &Node, caller: &Node) {
    let mut count = 0;
    eventually(async || {
        let before = std::mem::replace(&mut count, held(receiver));
        for _ in 0..20 {
            caller.call("echo", b"").await.unwrap();
        }
        before == count
    })
    .await;
}

async fn soon(end: oneshot::Receiver<Answer>) -> Answer {
    timeout(Duration::from_secs(10), end).await.expect("an end").unwrap()
}

#[tokio::test]
async fn answers_that_nobody_reads_any_more_do_not_hold_the_next() {
    let (server, requests) = streaming_server().await;
    let client = Node::client_of(&server, json!({})).await;
    client.app.appetite.store(400, Ordering::SeqCst);
    let mut open = Vec::new();
    for number in 0..20 {
        open.push(client.begin_kind(CallKind::ServerStream, "watch", b"", None, false));
        produce_sized(&server, stream_number(&requests, number).await, 1000, SIZE);
    }
    eventually(async || client.app.items.lock().unwrap().values().all(|items| items.len() > 400)).await;
    quiet(&client, &client).await;
    // Each has its own window, some of them have grown.
    let most = (8 << 20) + 20 * (64 * 1024 + SIZE + ITEM_COST);
    assert!(held(&client) <= most, "{}", held(&client));
    client.app.appetite.store(usize::MAX, Ordering::SeqCst);
    let (id, end) = client.begin_kind(CallKind::ServerStream, "watch", b"", None, false);
    produce_sized(&server, stream_number(&requests, 20).await, 500, SIZE);
    assert_eq!(soon(end).await.unwrap(), b"");
    assert_eq!(client.app.items_of(StreamId::Call(id)).len(), 500);
}

#[tokio::test]
async fn inputs_that_nobody_reads_any_more_do_not_hold_the_next() {
    let (server, _) = streaming_server().await;
    let client = Node::client_of(&server, json!({})).await;
    server.app.appetite.store(400, Ordering::SeqCst);
    let mut open = Vec::new();
    for _ in 0..20 {
        let (id, end) = client.begin_kind(CallKind::ClientStream, "upload", b"", None, false);
        produce_sized(&client, StreamId::Call(id), 1000, SIZE);
        open.push(end);
    }
    eventually(async || {
        let items = server.app.items.lock().unwrap();
        items.len() == 20 && items.values().all(|items| items.len() > 400)
    })
    .await;
    quiet(&server, &client).await;
    server.app.appetite.store(usize::MAX, Ordering::SeqCst);
    let (id, end) = client.begin_kind(CallKind::ClientStream, "upload", b"", None, false);
    produce_sized(&client, StreamId::Call(id), 100, SIZE);
    assert_eq!(soon(end).await.unwrap().len(), 100 * SIZE);
}

#[tokio::test]
async fn large_items_that_nobody_reads_are_set_aside_and_then_given_up() {
    const LARGE: usize = 4 << 20;
    let (server, requests) = streaming_server().await;
    let client = Node::client_of(&server, json!({})).await;
    client.app.appetite.store(0, Ordering::SeqCst);
    let mut open = Vec::new();
    for number in 0..6 {
        open.push(client.begin_kind(CallKind::ServerStream, "watch", b"", None, false).1);
        produce_sized(&server, stream_number(&requests, number).await, 2, LARGE);
    }
    // Five items are more than the window that all streams share.
    eventually(async || held(&client) >= 5 * LARGE).await;
    client.app.appetite.store(usize::MAX, Ordering::SeqCst);
    let (id, end) = client.begin_kind(CallKind::ServerStream, "watch", b"", None, false);
    produce_sized(&server, stream_number(&requests, 6).await, 8, 1 << 20);
    quiet(&client, &client).await;
    assert_eq!(client.app.items_of(StreamId::Call(id)).len(), 0, "it waits");

    after_sweeps(&client, 2).await;
    assert_eq!(soon(end).await.unwrap(), b"");
    assert_eq!(client.app.items_of(StreamId::Call(id)).len(), 8);
    assert!(open.iter_mut().all(|end| !matches!(end.try_recv(), Ok(Err(_)))), "no stream failed");

    // Now there are more stalled streams than can be set aside.
    client.app.appetite.store(0, Ordering::SeqCst);
    for number in 7..20 {
        open.push(client.begin_kind(CallKind::ServerStream, "watch", b"", None, false).1);
        produce_sized(&server, stream_number(&requests, number).await, 2, LARGE);
    }
    quiet(&client, &client).await;
    client.app.appetite.store(usize::MAX, Ordering::SeqCst);
    let (_, end) = client.begin_kind(CallKind::ServerStream, "watch", b"", None, false);
    produce_sized(&server, stream_number(&requests, 20).await, 8, 1 << 20);
    let reading = soon(end);
    let sweeping = async {
        loop {
            after_sweeps(&client, 1).await;
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        outcome = reading => assert_eq!(outcome.unwrap(), b""),
        () = sweeping => {}
    }
    // The items in transit decide whether a stream had to be ended; if so, it was for this reason.
    let failed: Vec<_> = open.iter_mut().filter_map(|end| end.try_recv().ok()?.err()).collect();
    assert!(failed.iter().all(|error| error.reason == "MEMORY_LIMIT"), "{failed:?}");
}

#[tokio::test]
async fn the_window_of_a_stream_that_is_not_read_does_not_stay_large() {
    let (server, requests) = streaming_server().await;
    let client = Node::client_of(&server, json!({})).await;
    client.app.appetite.store(400, Ordering::SeqCst);
    let (id, _end) = client.begin_kind(CallKind::ServerStream, "watch", b"", None, false);
    let stream = StreamId::Call(id);
    produce_sized(&server, stream_number(&requests, 0).await, 1000, SIZE);
    eventually(async || client.app.items_of(stream).len() > 400).await;
    quiet(&client, &client).await;
    let large = held(&client);
    assert!(large > 512 * 1024, "{large}");
    client.app.hoarding.store(true, Ordering::SeqCst);
    after_sweeps(&client, 2).await;
    let arrived = client.app.items_of(stream).len();
    client.mesh.post(move |io| io.consumed(stream, large));
    quiet(&client, &client).await;
    let more = (client.app.items_of(stream).len() - arrived) * (SIZE + ITEM_COST);
    // The initial window, and the first step of its growth.
    assert!((64 * 1024..=2 * 64 * 1024 + SIZE + ITEM_COST).contains(&more), "{more}");
}

#[tokio::test]
async fn a_stream_that_stands_still_is_counted_and_logged_once_on_both_sides() {
    let (server, requests) = streaming_server().await;
    let client = Node::client_of(&server, json!({})).await;
    client.app.hoarding.store(true, Ordering::SeqCst);
    let (id, _end) = client.begin_kind(CallKind::ServerStream, "watch", b"", None, false);
    let (_, quiet_end) = client.begin_kind(CallKind::BidiStream, "chat", b"", None, false);
    produce_sized(&server, stream_number(&requests, 0).await, 100, SIZE);
    eventually(async || held(&client) == 0 && client.app.items_of(StreamId::Call(id)).len() == 4).await;
    for node in [&client, &server] {
        after_sweeps(node, 9).await;
        assert_eq!((stalls(node).len(), node.stats().await.streams_stalled), (0, 0));
        after_sweeps(node, 3).await;
        assert_eq!(node.stats().await.streams_stalled, 1, "the quiet stream is not stalled");
    }
    let [here, there] = [&client, &server].map(|node| {
        let [line] = stalls(node).try_into().unwrap();
        line
    });
    assert_eq!(
        ["reason", "peer", "method"].map(|name| field(&here, name)),
        ["application", "server", "watch"]
    );
    assert_eq!(["reason", "peer", "method"].map(|name| field(&there, name)), ["peer", "client", "watch"]);
    assert!(field(&there, "bytes").parse::<usize>().unwrap() >= SIZE);
    let cost = 4 * (SIZE + ITEM_COST);
    assert_eq!(field(&here, "bytes"), cost.to_string());

    client.app.hoarding.store(false, Ordering::SeqCst);
    client.mesh.post(move |io| io.consumed(StreamId::Call(id), cost));
    eventually(async || client.app.items_of(StreamId::Call(id)).len() == 100).await;
    for node in [&client, &server] {
        after_sweeps(node, 1).await;
        assert_eq!(node.stats().await.streams_stalled, 0);
    }
    drop(quiet_end);
}
