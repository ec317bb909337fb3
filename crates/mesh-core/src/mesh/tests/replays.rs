//! First messages that were recorded, or that are never followed by another: what
//! they cost is bounded, and is no cost of the I/O thread.

use std::collections::VecDeque;

use tokio::time::timeout;

use super::{
    hostile::{Raw, dial, is_healthy, local, raw_key, stage},
    *,
};
use crate::{
    clock::Timestamp,
    handshake::{Expectation, Initiator},
    transport::{Duplex, TransportError},
};

fn hello() -> Vec<u8> {
    let name = "server".parse().unwrap();
    Initiator::start(local(raw_key()), name, Expectation::Unknown, None, Timestamp::now()).unwrap().0
}

async fn send(server: &Node, m1: &[u8]) -> Duplex {
    let duplex = dial(server).await;
    duplex.outgoing.send(m1.to_vec().into()).await;
    duplex
}

async fn is_busy(mut duplex: Duplex) -> bool {
    match timeout(Duration::from_secs(5), duplex.receive()).await.expect("an answer") {
        Err(TransportError::Status(status)) => status.code() == tonic::Code::ResourceExhausted,
        _ => false,
    }
}

#[tokio::test]
async fn a_recorded_first_message_is_answered_once() {
    let (server, raw, healthy) = stage(json!({})).await;
    let m1 = hello();
    let mut first = send(&server, &m1).await;
    first.receive().await.unwrap().expect("M2");
    for n in 1..=100 {
        assert!(is_busy(send(&server, &m1).await).await);
        assert_eq!(server.stats().await.hellos_replayed, n);
    }
    assert!(server.logged(Reason::Replay));
    // One that is changed is refused as any other that is wrong.
    let mut changed = m1.clone();
    changed[60] ^= 1;
    let error = send(&server, &changed).await.receive().await.unwrap_err();
    assert_eq!(error.to_string(), "handshake refused");
    // Once more is also what its own sender is told, and a new one is answered.
    Raw::connect(&server).await.works().await;
    drop(raw);
    is_healthy(&server, &healthy).await;
}

#[tokio::test]
async fn who_leaves_too_many_handshakes_unfinished_is_not_answered() {
    let (server, raw, healthy) = stage(json!({})).await;
    let core = server.core().await;
    let later = Instant::now() + Duration::from_hours(1);
    let owed = core.server.admission().owe(local_address(), later);
    assert_eq!(owed, 1024, "what is finished is not owed");
    assert!(is_busy(send(&server, &hello()).await).await);
    assert_eq!(server.stats().await.hellos_over_budget, 1);
    assert_eq!(Gauges::of(&core).handshakes, 0);
    // When it is forgotten, it is answered again.
    core.server.admission().forgive();
    Raw::connect(&server).await.works().await;
    drop(raw);
    is_healthy(&server, &healthy).await;
}

fn local_address() -> std::net::IpAddr {
    [127, 0, 0, 1].into()
}

#[tokio::test]
async fn answers_to_first_messages_are_not_made_on_the_io_thread() {
    type Work = Box<dyn FnOnce() + Send>;
    // A pool that can be stopped.
    let (stopped, works) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(VecDeque::<Work>::new())));
    let (is_stopped, queue) = (Arc::clone(&stopped), Arc::clone(&works));
    let pool = move |work: Work| {
        if is_stopped.load(Ordering::SeqCst) {
            queue.lock().unwrap().push_back(work);
        } else {
            drop(tokio::task::spawn_blocking(work));
        }
    };
    let platform = Platform { pool: Arc::new(pool), cores: 2, ..Platform::system() };
    let server = Node::try_start_on(platform, "server", json!({ "port": 0 }), echo()).await.unwrap();
    let healthy = Node::client_of(&server, json!({})).await;
    healthy.call("echo", b"before").await.unwrap();
    stopped.store(true, Ordering::SeqCst);
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(send(&server, &hello()).await);
        healthy.call("echo", b"meanwhile").await.unwrap();
    }
    for duplex in &mut waiting {
        assert!(timeout(Duration::from_millis(5), duplex.receive()).await.is_err(), "nobody works");
    }
    assert_eq!(works.lock().unwrap().len(), 2, "as many at once as cores");
    stopped.store(false, Ordering::SeqCst);
    let begun: Vec<_> = works.lock().unwrap().drain(..).collect();
    for work in begun {
        work();
    }
    for duplex in &mut waiting {
        timeout(Duration::from_secs(5), duplex.receive()).await.unwrap().unwrap().expect("M2");
    }
    is_healthy(&server, &healthy).await;
}

#[tokio::test]
async fn many_honest_clients_of_one_address_come_at_once() {
    let server = Arc::new(Node::server(json!({ "limits": { "maxSessionsPerPeer": 1000 } }), echo()).await);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let server = Arc::clone(&server);
        clients.spawn(async move {
            // As clients do: once more after a moment, if it is busy.
            for _ in 0..50 {
                if let Some(raw) = Raw::try_connect(&server).await {
                    return raw;
                }
                sleep(Duration::from_millis(200)).await;
            }
            panic!("never served")
        });
    }
    let begun = Instant::now();
    let mut held = Vec::new();
    while let Some(raw) = clients.join_next().await {
        held.push(raw.unwrap());
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let stats = server.stats().await;
    assert_eq!((stats.inbound_sessions, stats.hellos_replayed, stats.hellos_over_budget), (300, 0, 0));
    held[0].works().await;
    held[299].works().await;
}
