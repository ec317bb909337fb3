//! Replayed first messages, and first messages without a second one. Their cost
//! is limited, and does not burden the I/O thread.

use std::collections::VecDeque;

use tokio::time::timeout;

use super::{
    hostile::{Raw, dial, is_healthy, local, raw_key, stage},
    strangers::way_from,
    *,
};
use crate::{
    clock::Timestamp,
    discovery::Address,
    handshake::{Expectation, Initiator},
    transport::{Duplex, TransportError, connect},
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
    // A changed replay is refused like any other wrong message.
    let mut changed = m1.clone();
    changed[60] ^= 1;
    let error = send(&server, &changed).await.receive().await.unwrap_err();
    assert_eq!(error.to_string(), "handshake refused");
    // The original sender of a replayed message is refused too, and its new one is answered.
    Raw::connect(&server).await.works().await;
    drop(raw);
    is_healthy(&server, &healthy).await;
}

#[tokio::test]
async fn an_address_that_left_too_many_handshakes_unfinished_is_answered_all_the_same() {
    let (server, raw, healthy) = stage(json!({})).await;
    let core = server.core().await;
    let later = Instant::now() + Duration::from_hours(1);
    let owed = core.server.admission().owe(local_address(), later);
    assert_eq!(owed, 1024, "finished handshakes cause no debt");
    for _ in 0..20 {
        Raw::connect(&server).await.works().await;
    }
    assert_eq!(server.stats().await.hellos_over_budget, 0);
    assert_eq!(core.server.admission().owe(local_address(), later), 0, "a refund never exceeds the charge");
    drop(raw);
    is_healthy(&server, &healthy).await;
}

#[tokio::test]
async fn who_leaves_too_many_handshakes_unfinished_is_answered_after_others_or_not_at_all() {
    let pool = Pool::default();
    let platform = Platform { pool: pool.spawn(), cores: 1, ..Platform::system() };
    let server = Node::try_start_on(platform, "server", json!({ "port": 0 }), echo()).await.unwrap();
    let core = server.core().await;
    core.server.admission().owe(local_address(), Instant::now() + Duration::from_hours(1));
    pool.stop();
    let mut owing = Vec::new();
    for _ in 0..41 {
        owing.push(send(&server, &hello()).await);
    }
    // One is being answered, 32 wait, and eight were refused.
    eventually(async || server.stats().await.hellos_over_budget == 8).await;
    assert_eq!(core.server.admission().waiting(), (0, 32));
    let mut refused = 0;
    for duplex in &mut owing {
        match timeout(Duration::from_millis(5), duplex.receive()).await {
            Ok(Err(TransportError::Status(status))) => {
                assert_eq!(status.code(), tonic::Code::ResourceExhausted);
                refused += 1;
            }
            waits => assert!(waits.is_err(), "{waits:?}"),
        }
    }
    assert_eq!(refused, 8);
    // A handshake of another address without debt is next.
    let port = way_from([127, 0, 0, 9].into(), &server).await;
    let mut other = connect(None, &Address::new("127.0.0.1", port).unwrap(), 1 << 20).await.unwrap();
    other.outgoing.send(hello().into()).await;
    eventually(async || core.server.admission().waiting() == (1, 32)).await;
    pool.work_once().await;
    eventually(async || core.server.admission().waiting() == (0, 32)).await;
    pool.work_once().await;
    timeout(Duration::from_secs(5), other.receive()).await.unwrap().unwrap().expect("M2");
    pool.resume();
    eventually(async || core.server.admission().waiting() == (0, 0)).await;
    Raw::connect(&server).await.works().await;
    drop((owing, other));
    eventually(async || Gauges::of(&core).handshakes == 0).await;
}

fn local_address() -> std::net::IpAddr {
    [127, 0, 0, 1].into()
}

type Work = Box<dyn FnOnce() + Send>;

/// A blocking pool that the test can stop.
#[derive(Clone, Default)]
struct Pool {
    stopped: Arc<AtomicBool>,
    waiting: Arc<Mutex<VecDeque<Work>>>,
}

impl Pool {
    fn spawn(&self) -> Arc<dyn Fn(Work) + Send + Sync> {
        let pool = self.clone();
        Arc::new(move |work: Work| {
            if pool.stopped.load(Ordering::SeqCst) {
                pool.waiting.lock().unwrap().push_back(work);
            } else {
                drop(tokio::task::spawn_blocking(work));
            }
        })
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Does one piece of work, as soon as there is one.
    async fn work_once(&self) {
        eventually(async || !self.waiting.lock().unwrap().is_empty()).await;
        let work = self.waiting.lock().unwrap().pop_front();
        work.unwrap()();
    }

    fn resume(&self) {
        self.stopped.store(false, Ordering::SeqCst);
        let begun: Vec<_> = self.waiting.lock().unwrap().drain(..).collect();
        for work in begun {
            work();
        }
    }
}

#[tokio::test]
async fn answers_to_first_messages_are_not_made_on_the_io_thread() {
    let pool = Pool::default();
    let platform = Platform { pool: pool.spawn(), cores: 2, ..Platform::system() };
    let server = Node::try_start_on(platform, "server", json!({ "port": 0 }), echo()).await.unwrap();
    let healthy = Node::client_of(&server, json!({})).await;
    healthy.call("echo", b"before").await.unwrap();
    pool.stop();
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(send(&server, &hello()).await);
        healthy.call("echo", b"meanwhile").await.unwrap();
    }
    for duplex in &mut waiting {
        assert!(timeout(Duration::from_millis(5), duplex.receive()).await.is_err(), "nobody works");
    }
    assert_eq!(pool.waiting.lock().unwrap().len(), 2, "as many at once as cores");
    pool.resume();
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
            // It tries again after a moment if the server is busy, as clients do.
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
