//! Requests and calls where there is too little time or too much to do.

use super::*;

/// The requests of a handler that answers when the test says so.
type Held = Arc<Mutex<Vec<RequestId>>>;

/// A handler that holds `hold` and answers everything else.
fn holding(held: &Held) -> Handler {
    let held = Arc::clone(held);
    Box::new(move |request| {
        if request.method == "hold" {
            held.lock().unwrap().push(request.id);
            return None;
        }
        Some(Ok(request.payload.bytes.to_vec()))
    })
}

fn release(node: &Node, held: &Held) {
    for id in held.lock().unwrap().drain(..) {
        node.mesh.post(move |io| io.respond(id, b"", Payload::EMPTY));
    }
}

fn count(held: &Held) -> usize {
    held.lock().unwrap().len()
}

fn handled(node: &Node) -> usize {
    node.app.handled.load(Ordering::SeqCst)
}

fn refused(answer: Answer) -> (Code, String, bool) {
    let error = answer.unwrap_err();
    (error.code, error.reason.into_owned(), error.remote)
}

fn shed() -> (Code, String, bool) {
    (Code::ResourceExhausted, "SHED".to_owned(), true)
}

#[tokio::test]
async fn a_request_that_cannot_be_answered_in_its_time_never_reaches_the_application() {
    let held = Held::default();
    let server = Node::server(json!({}), holding(&held)).await;
    let client = Node::client_of(&server, json!({})).await;
    let calls: Vec<_> = (0..25).map(|_| client.begin("hold", b"", 30_000, false).1).collect();
    eventually(async || count(&held) == 25).await;
    sleep(Duration::from_millis(600)).await;
    release(&server, &held);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    // One is let through, to see whether it is still so.
    let probe = client.begin("hold", b"", 400, false).1;
    eventually(async || count(&held) == 1).await;
    let before = handled(&server);
    let calls: Vec<_> = (0..40).map(|_| client.begin("hold", b"", 400, false).1).collect();
    let mut lucky = 0;
    for call in calls {
        let answer = refused(call.await.unwrap());
        lucky += usize::from(answer != shed());
        assert!(answer == shed() || answer.1 == "DEADLINE", "{answer:?}");
    }
    // One in twenty is let through by chance.
    assert!(lucky <= 12, "{lucky}");
    assert_eq!(handled(&server), before + lucky);
    assert_eq!(server.stats().await.shed, [40 - lucky as u64, 0, 0, 0]);
    client.begin("hold", b"", 30_000, false);
    eventually(async || count(&held) == 2 + lucky).await;
    client.call("echo", b"x").await.unwrap();
    assert_eq!(probe.await.unwrap().unwrap_err().reason, "DEADLINE");
    let core = server.core().await;
    figures::note_moment(&core);
    let shed = core.shared.sight.moment().shed;
    assert!(shed.contains(&("deadline", 40 - lucky as u64)), "{shed:?}");
}

#[tokio::test]
async fn a_handler_cannot_say_that_it_did_not_run() {
    let (keys, held) = (directory(), Held::default());
    let paths = json!({ "keysDir": keys });
    let first = Node::server(json!({ "paths": paths }), holding(&held)).await;
    let second = Node::server(json!({ "paths": paths }), holding(&held)).await;
    let at = |node: &Node| json!({ "id": "server", "host": "127.0.0.1", "port": node.mesh.address().unwrap().port() });
    let options = json!({
        "paths": { "keysDir": keys.join("client") },
        "discovery": { "services": [at(&first), at(&second)] },
    });
    let client = Node::try_start("client", options, echo()).await.unwrap();
    let call = client.begin("hold", b"", 5_000, false).1;
    eventually(async || count(&held) == 1).await;
    let id = held.lock().unwrap()[0];
    let node = if handled(&first) == 1 { &first } else { &second };
    node.mesh.post(move |io| {
        let failure = Failure {
            retryable: true,
            ..Failure::new(Code::ResourceExhausted, Reason::Shed, "half of the work is done")
        };
        io.fail(id, &failure);
    });
    let error = call.await.unwrap().unwrap_err();
    assert_eq!((&*error.reason, error.remote), ("HANDLER_SHED", true));
    assert_eq!(handled(&first) + handled(&second), 1);
}

#[tokio::test]
async fn streams_neither_count_nor_are_refused_where_requests_are_limited() {
    let held = Held::default();
    let concurrency = json!({ "min": 1, "max": 1 });
    let server = Node::server(json!({ "resilience": { "concurrency": concurrency } }), holding(&held)).await;
    let client = Node::client_of(&server, json!({})).await;
    for streams in 1..=3 {
        client.begin_kind(CallKind::ServerStream, "hold", b"", None, false);
        eventually(async || count(&held) == streams).await;
    }
    client.call("echo", b"").await.unwrap();
}

#[tokio::test]
async fn a_call_that_one_instance_is_too_busy_for_goes_to_another_one() {
    let (keys, held) = (directory(), Held::default());
    let paths = json!({ "keysDir": keys });
    let concurrency = json!({ "min": 1, "max": 1 });
    let options = json!({ "paths": paths, "resilience": { "concurrency": concurrency } });
    let busy = Node::server(options, holding(&held)).await;
    let address = json!({ "id": "server", "host": "127.0.0.1", "port": busy.mesh.address().unwrap().port() });
    let options =
        json!({ "paths": { "keysDir": keys.join("alone") }, "discovery": { "services": [address] } });
    let alone = Node::try_start("alone", options, echo()).await.unwrap();
    alone.begin("hold", b"", 30_000, false);
    eventually(async || count(&held) == 1).await;
    let text = alone.call("echo", b"").await.unwrap_err();
    assert!(text.message.starts_with("1 requests of its priority are the most"), "{text:?}");
    let other = Node::server(json!({ "paths": paths }), echo()).await;
    let at = |node: &Node| json!({ "id": "server", "host": "127.0.0.1", "port": node.mesh.address().unwrap().port() });
    let options = json!({
        "paths": { "keysDir": keys.join("client") },
        "discovery": { "services": [at(&busy), at(&other)] },
        "balancing": { "policy": "round-robin" },
    });
    let client = Node::try_start("client", options, echo()).await.unwrap();
    for _ in 0..20 {
        client.call("echo", b"x").await.unwrap();
    }
    assert_eq!((handled(&busy), handled(&other)), (1, 20));
    let elsewhere = client.stats().await.calls_elsewhere;
    assert!((5..=20).contains(&elsewhere), "{elsewhere}");
    assert_eq!(busy.stats().await.concurrency_limit, Some(1));
    assert_eq!(client.mesh.gauges().await.unwrap().timers, 0);
}

#[tokio::test]
async fn sheddable_requests_go_first() {
    let held = Held::default();
    let server = Node::server(json!({}), holding(&held)).await;
    let client = Node::client_of(&server, json!({})).await;
    let call = |priority| client.begin_class(priority, "echo", 5_000);
    call(Priority::Sheddable).await.unwrap().unwrap();
    *server.app.delay.lock().unwrap() = Duration::from_millis(80);
    assert_eq!(refused(call(Priority::Sheddable).await.unwrap()), shed());
    for priority in [Priority::Normal, Priority::Critical] {
        call(priority).await.unwrap().unwrap();
    }
    assert_eq!(server.stats().await.shed, [0, 0, 1, 0]);
}

#[tokio::test]
async fn calls_on_behalf_of_a_request_have_its_priority() {
    let held = Held::default();
    let server = Node::server(json!({}), holding(&held)).await;
    let client = Node::client_of(&server, json!({})).await;
    for priority in Priority::ALL {
        client.begin_class(priority, "hold", 5_000);
    }
    eventually(async || count(&held) == 3).await;
    let core = server.core().await;
    let ids = held.lock().unwrap().clone();
    let inherited: Vec<_> =
        ids.into_iter().map(|id| core.server.inherited_from(id).unwrap().priority).collect();
    assert_eq!(inherited, Priority::ALL);
}

#[tokio::test]
async fn a_request_whose_time_is_over_when_it_is_taken_is_answered_and_counted() {
    let held = Held::default();
    let server = Node::server(json!({}), holding(&held)).await;
    let client = Node::client_of(&server, json!({})).await;
    let call = client.begin("hold", b"", 30_000, false).1;
    eventually(async || count(&held) == 1).await;
    let id = held.lock().unwrap()[0];
    server.mesh.post(move |io| io.late(id));
    assert_eq!(refused(call.await.unwrap()), (Code::DeadlineExceeded, "DEADLINE".to_owned(), true));
    assert_eq!(server.stats().await.shed, [0, 1, 0, 0]);
    assert_eq!(server.stats().await.requests_in_flight, 0);
}

#[tokio::test]
async fn a_slow_service_has_as_many_calls_as_its_bulkhead_permits_and_a_queue() {
    let held = Held::default();
    let server = Node::server(json!({}), holding(&held)).await;
    let bulkhead = json!({ "maxCalls": 2, "maxQueue": 2 });
    let client =
        Node::client_of(&server, json!({ "resilience": { "bulkhead": bulkhead, "queueMs": "1m" } })).await;
    client.call("echo", b"").await.unwrap();
    let running: Vec<_> = (0..2).map(|_| client.begin("hold", b"", 30_000, false).1).collect();
    eventually(async || count(&held) == 2).await;
    let shed = client.begin_class(Priority::Sheddable, "hold", 30_000);
    let normal = client.begin_class(Priority::Normal, "hold", 30_000);
    eventually(async || client.stats().await.calls_queued == 2).await;
    // A sheddable call does not push out another one; a critical one does.
    let full = client.begin_class(Priority::Sheddable, "hold", 30_000).await.unwrap().unwrap_err();
    assert_eq!((full.code, &*full.reason, full.remote), (Code::ResourceExhausted, "CALL_LIMIT", false));
    assert!(full.message.ends_with("and resilience.bulkhead.maxQueue calls wait already"), "{full:?}");
    let critical = client.begin_class(Priority::Critical, "hold", 30_000);
    let gave_way = shed.await.unwrap().unwrap_err();
    assert!(gave_way.message.ends_with("the call gave way to one that is not sheddable"), "{gave_way:?}");
    assert_eq!(
        client.begin_class(Priority::Normal, "hold", 30_000).await.unwrap().unwrap_err().reason,
        "CALL_LIMIT"
    );
    assert_eq!((handled(&server), client.stats().await.calls_queue_full), (3, 3));
    release(&server, &held);
    for call in running {
        call.await.unwrap().unwrap();
    }
    eventually(async || count(&held) == 2).await;
    release(&server, &held);
    critical.await.unwrap().unwrap();
    normal.await.unwrap().unwrap();
    let stats = client.stats().await;
    assert_eq!((stats.calls_queued, stats.calls_in_flight), (0, 0));
    assert_eq!(client.mesh.gauges().await.unwrap().timers, 0);
    // Room that is given back is used.
    client.call("echo", b"").await.unwrap();
}
