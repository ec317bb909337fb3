//! Second copies of slow calls.

use tokio::time::Instant;

use super::*;

const USUAL: Duration = Duration::from_millis(2);

/// An instance that answers `echo` late while `late` is set.
async fn instance(keys: &std::path::Path, late: Arc<AtomicBool>, time: Duration) -> Node {
    let handler: Handler = Box::new(move |request| {
        std::thread::sleep(if late.load(Ordering::SeqCst) { time } else { USUAL });
        Some(Ok(request.payload.bytes.to_vec()))
    });
    Node::server(json!({ "paths": { "keysDir": keys } }), handler).await
}

struct Pair {
    late: Arc<AtomicBool>,
    slow: Node,
    other: Node,
    client: Node,
}

/// Two instances, one of which can become late, and a client that uses both.
async fn instances(time: Duration, resilience: Value) -> Pair {
    let keys = directory();
    let late = Arc::new(AtomicBool::new(false));
    let slow = instance(&keys, Arc::clone(&late), time).await;
    let other = instance(&keys, Arc::default(), time).await;
    let at = |node: &Node| json!({ "id": "server", "host": "127.0.0.1", "port": node.mesh.address().unwrap().port() });
    let options = json!({
        "discovery": { "services": [at(&slow), at(&other)] },
        "resilience": resilience,
        // The calls go round-robin, so that half of them go to the late instance.
        "balancing": { "policy": "round-robin", "ejection": false },
    });
    let client = Node::try_start("client", options, echo()).await.unwrap();
    for _ in 0..60 {
        client.begin("echo", b"x", 5000, true).1.await.unwrap().unwrap();
    }
    Pair { late, slow, other, client }
}

fn handled(node: &Node) -> usize {
    node.app.handled.load(Ordering::SeqCst)
}

/// The longest duration of some calls.
async fn longest(client: &Node, calls: usize, time: u64, idempotent: bool) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..calls {
        let begun = Instant::now();
        client.begin("echo", b"x", time, idempotent).1.await.unwrap().unwrap();
        longest = longest.max(begun.elapsed());
    }
    longest
}

#[tokio::test]
async fn a_call_that_takes_longer_than_most_is_hedged_within_the_budget() {
    let hedging = json!({ "hedging": { "ratio": 0.5 } });
    let Pair { late, slow, other, client } = instances(Duration::from_millis(300), hedging).await;
    late.store(true, Ordering::SeqCst);
    let before = handled(&slow) + handled(&other);
    assert!(longest(&client, 10, 5000, true).await < Duration::from_millis(200));
    let stats = client.stats().await;
    assert!(stats.spares_sent >= 3 && stats.spares_answered >= 3, "{stats:?}");
    assert!(handled(&other) > before / 2, "copies ran there");
    assert_eq!(stats.calls_in_flight, 0);
    let gauges = client.mesh.gauges().await.unwrap();
    assert_eq!((gauges.calls, gauges.timers), (0, 0));
}

#[tokio::test]
async fn what_may_run_once_only_is_never_copied() {
    let hedging = json!({ "hedging": { "ratio": 1 } });
    let Pair { late, slow, other, client } = instances(Duration::from_millis(100), hedging).await;
    late.store(true, Ordering::SeqCst);
    let (sent, before) = (client.stats().await.spares_sent, handled(&slow) + handled(&other));
    for _ in 0..6 {
        client.begin("echo", b"x", 150, false).1.await.unwrap().unwrap();
    }
    assert_eq!(handled(&slow) + handled(&other), before + 6, "each ran once");
    assert_eq!(client.stats().await.spares_sent, sent);
}

#[tokio::test]
async fn a_call_whose_time_is_half_over_is_rescued_without_any_option() {
    let Pair { late, slow: _slow, other: _other, client } =
        instances(Duration::from_secs(3), json!({})).await;
    late.store(true, Ordering::SeqCst);
    // One of two calls goes to the instance, which is now silent.
    let longest = longest(&client, 2, 1000, true).await;
    assert!((Duration::from_millis(400)..Duration::from_millis(900)).contains(&longest), "{longest:?}");
    assert!((1..=2).contains(&client.stats().await.spares_answered));
}

#[tokio::test]
async fn hedges_keep_to_their_share_of_the_calls() {
    let hedging = json!({ "hedging": { "ratio": 0.05 } });
    let Pair { late, slow: _slow, other: _other, client } =
        instances(Duration::from_millis(20), hedging).await;
    late.store(true, Ordering::SeqCst);
    let before = client.stats().await.spares_sent;
    longest(&client, 200, 10_000, true).await;
    let sent = client.stats().await.spares_sent - before;
    // The reserve, and a twentieth of the calls.
    assert!(sent <= 10 + 200 / 20 + 1, "{sent}");
    assert!(sent >= 5, "{sent}");
}

#[tokio::test]
async fn a_spare_that_fails_is_nobodys_failure() {
    let keys = directory();
    let slow = instance(&keys, Arc::new(AtomicBool::new(true)), Duration::from_millis(400)).await;
    let bad =
        Node::server(json!({ "paths": { "keysDir": keys } }), Box::new(|_| Some(Err(Code::Internal)))).await;
    let at = |node: &Node, weight: u32| json!({ "id": "server", "host": "127.0.0.1", "port": node.mesh.address().unwrap().port(), "weight": weight });
    let options = json!({
        // Nearly all calls go to the slow one, and all spares to the other.
        "discovery": { "services": [at(&slow, 65_535), at(&bad, 1)] },
        "balancing": { "policy": "random", "ejection": false },
    });
    let client = Node::try_start("client", options, echo()).await.unwrap();
    client.begin("echo", b"x", 5000, true).1.await.unwrap().unwrap();
    for _ in 0..3 {
        assert_eq!(client.begin("echo", b"x", 600, true).1.await.unwrap().unwrap(), b"x");
    }
    assert!(handled(&bad) >= 2, "the spares ran");
    let stats = client.stats().await;
    assert_eq!((stats.calls_failed, stats.spares_answered), (0, 0));
}
