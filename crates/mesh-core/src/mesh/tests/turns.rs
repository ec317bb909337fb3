//! The application's thread runs the mesh in turns, and nothing rests on it.

use std::{io::Write, net::TcpStream};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::task::{spawn_blocking, yield_now};

use super::*;
use crate::{
    mesh::turns::{LIGHT_BATCH, LIGHT_FRAME, Returned},
    transport::Watch,
};

const BATCH: u32 = 32;

/// A connected client whose application can take turns.
async fn pair_with_turns() -> (Node, Arc<Node>) {
    let server = Node::server(json!({}), echo()).await;
    let client = Node::client_of(&server, json!({ "turns": true })).await;
    client.call("echo", b"hello").await.unwrap();
    (server, Arc::new(client))
}

/// Runs `work` on a thread that is no runtime's, once it is the application's turn.
async fn in_turns<T: Send + 'static>(
    node: &Arc<Node>,
    work: impl Fn(&Node, &Poller) -> T + Send + 'static,
) -> T {
    let node = Arc::clone(node);
    let work = move || {
        let poller = node.mesh.poller().expect("it can take turns");
        wait_for_turn(&node);
        work(&node, &poller)
    };
    spawn_blocking(work).await.unwrap()
}

/// The I/O thread takes it back within milliseconds, so it is asked again.
fn wait_for_turn(node: &Node) {
    while !node.mesh.is_in_turns() {
        node.mesh.turns.offer();
        thread::yield_now();
    }
}

/// As an event loop waits.
fn is_readable(watch: &Watch, ms: i64) -> bool {
    let patience = Timespec { tv_sec: 0, tv_nsec: ms * 1_000_000 };
    poll(&mut [PollFd::new(watch, PollFlags::IN)], Some(&patience)).unwrap() == 1
}

/// Hands over a batch of calls, in one turn if it is one.
fn submit(node: &Node, calls: u32, input: &'static [u8]) -> Vec<oneshot::Receiver<Answer>> {
    let first = node.next.fetch_add(calls, Ordering::SeqCst);
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..calls).map(|_| oneshot::channel()).unzip();
    node.app.calls.lock().unwrap().extend((first..).zip(senders));
    let open = node.mesh.submit(input.len() * calls as usize, move |io| {
        for id in first..first + calls {
            let payload = Payload { encoding: Encoding::Raw, bytes: input };
            let spec = CallSpec {
                earlier: 0,
                service: "server",
                method: "echo",
                kind: CallKind::Unary,
                payload,
                metadata: b"",
                timeout: Some(Duration::from_secs(5)),
                idempotent: false,
            };
            io.call(id, &spec);
        }
    });
    assert!(open, "the mesh is open");
    receivers
}

/// Takes turns until all answers are there.
fn collect(node: &Node, poller: &Poller, answers: Vec<oneshot::Receiver<Answer>>) -> Vec<Vec<u8>> {
    let mut collected = Vec::new();
    for mut answer in answers {
        let answer = loop {
            if let Ok(answer) = answer.try_recv() {
                break answer;
            }
            // Once the I/O thread has it, that answers.
            if is_readable(node.mesh.turns.watch().unwrap(), 5) {
                let _ = poller.turn();
            }
        };
        collected.push(answer.unwrap());
    }
    collected
}

#[tokio::test]
async fn calls_go_and_come_in_turns() {
    let (server, client) = pair_with_turns().await;
    let turns = in_turns(&client, |client, poller| {
        for _ in 0..200 {
            wait_for_turn(client);
            let answers = submit(client, BATCH, b"payload");
            let answers = collect(client, poller, answers);
            assert!(answers.iter().all(|answer| answer == b"payload"));
            assert_eq!(answers.len(), BATCH as usize);
        }
        assert!(client.app.settled_by.lock().unwrap().contains(&thread::current().id()));
        client.mesh.turns.count()
    })
    .await;
    assert!(turns > 200, "{turns} turns for 200 batches there and back");
    let stats = client.stats().await;
    assert_eq!((stats.calls_ok, stats.calls_in_flight), (200 * u64::from(BATCH) + 1, 0));
    assert_eq!(stats.application_turns, client.mesh.turns.count());
    assert_eq!(server.stats().await.requests_ok, stats.calls_ok);
}

#[tokio::test]
async fn an_application_without_an_event_loop_is_never_asked() {
    let (_server, client) = pair().await;
    client.mesh.turns.offer();
    client.call("echo", b"x").await.unwrap();
    assert!(client.mesh.poller().is_none());
    assert!(!client.mesh.is_in_turns());
}

#[tokio::test]
async fn an_event_loop_that_does_not_come_is_not_waited_for() {
    let (server, client) = pair_with_turns().await;
    for _ in 0..20 {
        client.mesh.turns.offer();
        let before = Instant::now();
        client.call("echo", b"x").await.unwrap();
        assert!(before.elapsed() < Duration::from_secs(2));
    }
    assert_eq!(client.stats().await.application_turns, 0);
    eventually(async || !client.mesh.is_in_turns()).await;
    assert_eq!(server.stats().await.requests_ok, 21);
}

#[tokio::test]
async fn batches_stay_in_order_whoever_hands_them_over() {
    let (_server, client) = pair_with_turns().await;
    let order = in_turns(&client, |client, _| {
        let (sender, receiver) = std::sync::mpsc::channel();
        for number in 0..100 {
            let sender = sender.clone();
            let job = move |_: &Io| sender.send(number).unwrap();
            let open = if number % 3 == 0 { client.mesh.submit(0, job) } else { client.mesh.post(job) };
            assert!(open);
        }
        drop(sender);
        receiver.iter().collect::<Vec<_>>()
    })
    .await;
    assert_eq!(order, (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_large_batch_is_left_to_the_io_thread() {
    static LARGE: [u8; LIGHT_BATCH + 1] = [0; LIGHT_BATCH + 1];
    let (_server, client) = pair_with_turns().await;
    in_turns(&client, |client, poller| {
        for _ in 0..20 {
            wait_for_turn(client);
            let turns = client.mesh.turns.count();
            let answers = submit(client, 1, &LARGE);
            assert_eq!(client.mesh.turns.count(), turns);
            assert_eq!(collect(client, poller, answers)[0].len(), LARGE.len());
        }
    })
    .await;
}

#[tokio::test]
async fn a_large_answer_is_left_to_the_io_thread() {
    let size = LIGHT_FRAME + 1;
    // One of each batch.
    let answered = AtomicU32::new(0);
    let answer: Handler = Box::new(move |_| {
        let large = answered.fetch_add(1, Ordering::SeqCst).is_multiple_of(BATCH);
        Some(Ok(vec![0; if large { size } else { 1 }]))
    });
    let server = Node::server(json!({}), answer).await;
    let client = Arc::new(Node::client_of(&server, json!({ "turns": true })).await);
    for _ in 0..BATCH {
        client.call("echo", b"x").await.unwrap();
    }
    let turns = in_turns(&client, move |client, poller| {
        for _ in 0..40 {
            wait_for_turn(client);
            let answers = submit(client, BATCH, b"x");
            let answers = collect(client, poller, answers);
            assert_eq!(answers.iter().filter(|answer| answer.len() == size).count(), 1);
        }
        let large = client.app.settled_large_by.lock().unwrap();
        assert!(!large.contains(&thread::current().id()), "on the event loop's thread");
        client.mesh.turns.count()
    })
    .await;
    assert!(turns > 0);
}

#[tokio::test]
async fn a_turn_without_an_end_is_broken_off() {
    let (_server, client) = pair_with_turns().await;
    let took = in_turns(&client, |client, poller| {
        // Large enough batches for the turns to go on.
        for _ in 0..2 {
            let answers = submit(client, BATCH, b"x");
            collect(client, poller, answers);
        }
        wait_for_turn(client);
        let before = Instant::now();
        client.mesh.submit(0, |_| {
            tokio::spawn(async {
                loop {
                    yield_now().await;
                }
            });
        });
        before.elapsed()
    })
    .await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    client.call("echo", b"x").await.unwrap();
}

#[tokio::test]
async fn the_rest_of_what_takes_long_is_done_by_the_io_thread() {
    let (_server, client) = pair_with_turns().await;
    let (here, returned) = in_turns(&client, |client, _| {
        let (sender, receiver) = std::sync::mpsc::channel();
        client.mesh.submit(0, move |io| {
            let turns = Arc::clone(&io.0.turns);
            tokio::spawn(async move {
                for _ in 0..50 {
                    let began = Instant::now();
                    while began.elapsed() < Duration::from_micros(500) {}
                    sender.send(thread::current().id()).unwrap();
                    turns.pause().await;
                }
            });
        });
        let returned = client.mesh.turns.returned();
        let here = receiver.iter().filter(|id| *id == thread::current().id()).count();
        (here, returned)
    })
    .await;
    assert!(here <= 10, "{here} of 50 parts on the event loop's thread");
    assert!(here == 0 || returned == Returned::Heavy, "{returned:?}");
}

#[tokio::test]
async fn an_offer_is_taken_up_once() {
    let (_server, client) = pair_with_turns().await;
    in_turns(&client, |client, _| {
        let taken_within = |time: Duration| {
            let began = Instant::now();
            while began.elapsed() < time && !client.mesh.is_in_turns() {
                thread::yield_now();
            }
            client.mesh.is_in_turns()
        };
        let mut seen = 0;
        for _ in 0..20 {
            client.mesh.turns.give_back(Returned::Heavy);
            assert!(!taken_within(Duration::from_millis(10)), "nobody has offered it again");
            // As by several batches at once, before the I/O thread is told.
            client.mesh.post(|io| (0..3).for_each(|_| io.offer_turns()));
            seen += u32::from(taken_within(Duration::from_millis(10)));
        }
        assert!(seen > 0);
    })
    .await;
}

#[tokio::test]
async fn turns_that_find_nothing_end() {
    let (_server, client) = pair_with_turns().await;
    let turns = in_turns(&client, |_, poller| (1..1000).find(|_| !poller.turn())).await;
    assert!(turns.is_some_and(|turns| turns <= 128), "{turns:?}");
}

#[tokio::test]
async fn a_mesh_closes_in_the_middle_of_turns() {
    let (_server, client) = pair_with_turns().await;
    let (closing, in_mid_call) = in_turns(&client, |client, _| {
        let calls = submit(client, BATCH, b"x");
        let mesh = Arc::clone(&client.mesh);
        (tokio::spawn(async move { mesh.close(Duration::ZERO).await }), calls)
    })
    .await;
    closing.await.unwrap();
    // Each had its one outcome.
    for call in in_mid_call {
        let _ = call.await.unwrap();
    }
    eventually(async || {
        let client = Arc::clone(&client);
        spawn_blocking(move || !client.mesh.submit(0, |_| {})).await.unwrap()
    })
    .await;
}

#[tokio::test]
async fn strangers_are_not_watched() {
    let server = Node::server(json!({ "turns": true }), echo()).await;
    let address = server.mesh.address().unwrap();
    let mut stranger = TcpStream::connect(address).unwrap();
    stranger.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    sleep(Duration::from_millis(100)).await;
    // The server waits for a SETTINGS frame: what is sent lies in the socket only while nobody reads it.
    let watch = server.mesh.turns.watch().unwrap().clone();
    let seen = spawn_blocking(move || {
        (0..200).any(|_| {
            stranger.write_all(b"\0").unwrap();
            is_readable(&watch, 1)
        })
    });
    assert!(!seen.await.unwrap_or(false));

    let client = Node::client_of(&server, json!({})).await;
    client.call("echo", b"x").await.unwrap();
    let watch = server.mesh.turns.watch().unwrap().clone();
    let (done, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (seen, over) = (Arc::clone(&done), Arc::clone(&stop));
    let looking = spawn_blocking(move || {
        while !over.load(Ordering::SeqCst) {
            if is_readable(&watch, 1) {
                seen.store(true, Ordering::SeqCst);
            }
        }
    });
    for _ in 0..500 {
        client.call("echo", b"x").await.unwrap();
        if done.load(Ordering::SeqCst) {
            break;
        }
    }
    stop.store(true, Ordering::SeqCst);
    looking.await.unwrap();
    assert!(done.load(Ordering::SeqCst), "a peer with a session is watched");
}
