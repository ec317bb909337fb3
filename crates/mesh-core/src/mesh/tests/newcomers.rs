//! Services at their first contact. Their cost on the disk is limited, and does not
//! burden the I/O thread.

use std::{fs, path::Path};

use super::{
    hostile::{dial, local_as, raw_key},
    strangers::way_from,
    *,
};
use crate::{
    clock::Timestamp,
    crypto::{keystore::MAX_KNOWN_PEERS, rsa::KeyPair},
    discovery::Address,
    handshake::{Expectation, Initiator},
    transport::{Duplex, TransportError, connect},
};

/// Does a handshake as the service `id`; returns the server's refusal, if there is one.
async fn shake(mut duplex: Duplex, id: &str, key: KeyPair) -> Option<tonic::Code> {
    let (now, name) = (Timestamp::now(), "server".parse().unwrap());
    let (m1, state) = Initiator::start(local_as(id, key), name, Expectation::Unknown, None, now).unwrap();
    duplex.outgoing.send(m1.into()).await;
    let m2 = match duplex.receive().await {
        Ok(m2) => m2.unwrap(),
        Err(TransportError::Status(status)) => return Some(status.code()),
        Err(other) => panic!("{other}"),
    };
    let (m3, state) = state.on_hello(&m2, now).unwrap().prove(now).unwrap();
    duplex.outgoing.send(m3.into()).await;
    match duplex.receive().await {
        Ok(m4) => {
            state.on_finish(&m4.unwrap(), now).unwrap();
            None
        }
        Err(TransportError::Status(status)) => Some(status.code()),
        Err(other) => panic!("{other}"),
    }
}

fn count(keys: &Path, prefix: &str) -> usize {
    let names = fs::read_dir(keys).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(prefix)).count()
}

fn logged(server: &Node, text: &str) -> Option<String> {
    let logs = server.app.logs.lock().unwrap();
    logs.iter().find(|log| log.message.contains(text)).map(|log| log.message.clone())
}

/// A call of a new service, with a deadline of a second.
async fn newcomer(server: &Node, id: &str) -> Result<Vec<u8>, CallError> {
    let client = Node::client_of(server, json!({ "serviceId": id })).await;
    client.begin("echo", b"new", 1000, false).1.await.unwrap()
}

#[tokio::test]
async fn one_member_with_one_key_is_one_service_whatever_it_says() {
    let keys = directory();
    let server = Node::server(json!({ "paths": { "keysDir": keys } }), echo()).await;
    assert_eq!(shake(dial(&server).await, "first", raw_key()).await, None);
    let before = (count(&keys, ""), fs::metadata(&keys).unwrap().modified().unwrap());
    for n in 0..300 {
        let refused = shake(dial(&server).await, &format!("other-{n}"), raw_key()).await;
        assert_eq!(refused, Some(tonic::Code::Unauthenticated));
    }
    assert!(server.logged(Reason::PeerKeyInUse));
    // Nothing was written, not even temporarily.
    assert_eq!((count(&keys, ""), fs::metadata(&keys).unwrap().modified().unwrap()), before);
    // Only this service is refused; others of its address are served.
    assert_eq!(newcomer(&server, "honest").await.unwrap(), b"new");
}

#[tokio::test]
async fn an_address_brings_so_many_new_services_and_others_are_served() {
    let keys = directory();
    let server = Node::server(json!({ "paths": { "keysDir": keys } }), echo()).await;
    Node::client_of(&server, json!({})).await.call("echo", b"").await.unwrap();
    let core = server.core().await;
    let brought = core.server.admission().bring([127, 0, 0, 1].into(), Instant::now());
    assert_eq!(brought, 255, "one has been");
    let key = KeyPair::generate(2048).unwrap();
    let refused = shake(dial(&server).await, "mallory", key).await;
    assert_eq!(refused, Some(tonic::Code::ResourceExhausted));
    assert!(logged(&server, "new services").is_some());
    assert_eq!(count(&keys, "peer-"), 1);
    assert_eq!(shake(dial(&server).await, "raw", raw_key()).await, Some(tonic::Code::ResourceExhausted));
    // Another address has its own account, and a known service is not new.
    let port = way_from([127, 0, 0, 9].into(), &server).await;
    let other = connect(None, &Address::new("127.0.0.1", port).unwrap(), 1 << 20).await.unwrap();
    assert_eq!(shake(other, "raw", raw_key()).await, None);
    assert_eq!(shake(dial(&server).await, "raw", raw_key()).await, None);
    assert_eq!(count(&keys, "peer-"), 2);
}

#[tokio::test]
async fn a_full_key_directory_keeps_new_services_out_and_says_so_here() {
    let keys = directory();
    let server = Node::server(json!({ "paths": { "keysDir": keys } }), echo()).await;
    let client_keys = json!({ "paths": { "keysDir": directory() } });
    let known = Node::client_of(&server, client_keys.clone()).await;
    known.call("echo", b"").await.unwrap();
    let filler: Vec<_> = (1..MAX_KNOWN_PEERS).map(|n| keys.join(format!("peer-{n}.jkt"))).collect();
    for path in &filler {
        fs::write(path, "").unwrap();
    }

    let error = newcomer(&server, "late").await.unwrap_err();
    let refused = shake(dial(&server).await, "raw", raw_key()).await;
    // The peer learns nothing else.
    assert_eq!(refused, Some(tonic::Code::Unavailable));
    assert!(!error.message.contains(keys.to_str().unwrap()), "{}", error.message);
    let fault = server.stats().await.key_directory_fault.expect("the figures say so");
    for part in [keys.to_str().unwrap(), "4096 keys", "remove those no longer needed"] {
        assert!(fault.contains(part), "{fault}");
    }
    assert!(server.logged(Reason::KeydirFull));
    assert!(!server.logged(Reason::Internal));
    assert!(logged(&server, &fault).is_some());
    // Known services are still served.
    drop(known);
    Node::client_of(&server, client_keys).await.call("echo", b"").await.unwrap();
    assert!(server.stats().await.key_directory_fault.is_some(), "it is no less full");

    for path in &filler {
        fs::remove_file(path).unwrap();
    }
    assert_eq!(newcomer(&server, "later").await.unwrap(), b"new");
    assert_eq!(server.stats().await.key_directory_fault, None);
}

#[tokio::test]
async fn a_key_directory_that_takes_no_files_keeps_new_services_out_and_says_so_here() {
    let keys = directory();
    let server = Node::server(json!({ "paths": { "keysDir": keys } }), echo()).await;
    // The directory is moved away, because root can write to any existing one.
    let away = directory();
    fs::rename(&keys, &away).unwrap();
    fs::remove_dir_all(&away).unwrap();
    let refused = shake(dial(&server).await, "raw", raw_key()).await;
    assert_eq!(refused, Some(tonic::Code::Unavailable));
    let fault = server.stats().await.key_directory_fault.expect("the figures say so");
    assert!(fault.contains(keys.to_str().unwrap()), "{fault}");
    assert!(server.logged(Reason::KeydirIo));
    assert!(!server.logged(Reason::Internal));
}

#[tokio::test]
async fn keys_are_remembered_away_from_the_io_thread() {
    // The test controls the speed of the disk.
    let (slow, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (is_slow, number) = (Arc::clone(&slow), Arc::clone(&begun));
    let pool = move |work: Box<dyn FnOnce() + Send>| {
        let (is_slow, number) = (Arc::clone(&is_slow), Arc::clone(&number));
        drop(tokio::task::spawn_blocking(move || {
            // A handshake has three pieces of blocking work: the answer, the disk, and the private
            // operation.
            if number.fetch_add(1, Ordering::SeqCst) == 2 {
                while is_slow.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            work();
        }));
    };
    let platform = Platform { pool: Arc::new(pool), ..Platform::system() };
    let keys = directory();
    let options = json!({ "port": 0, "paths": { "keysDir": keys } });
    let server = Node::try_start_on(platform, "server", options, echo()).await.unwrap();
    let healthy = Node::client_of(&server, json!({})).await;
    healthy.call("echo", b"").await.unwrap();
    slow.store(true, Ordering::SeqCst);
    begun.store(0, Ordering::SeqCst);
    let shaking = tokio::spawn(shake(dial(&server).await, "raw", raw_key()));
    eventually(async || begun.load(Ordering::SeqCst) == 3).await;
    for _ in 0..20 {
        healthy.call("echo", b"meanwhile").await.unwrap();
    }
    assert!(!shaking.is_finished(), "M4 waits for the disk");
    assert_eq!(count(&keys, "peer-"), 1);
    slow.store(false, Ordering::SeqCst);
    assert_eq!(shaking.await.unwrap(), None);
    assert_eq!(count(&keys, "peer-"), 2);
}
