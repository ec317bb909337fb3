//! The limits of sessions hold, also for sessions that begin at once.

use super::{
    hostile::{dial, local, local_as, raw_key},
    *,
};
use crate::{
    clock::Timestamp,
    crypto::rsa::KeyPair,
    handshake::{AwaitFinish, Expectation, Initiator, Local},
    transport::{Duplex, TransportError},
};

/// A handshake up to M3, which is not sent yet.
async fn up_to_m3(server: &Node, local: Arc<Local>) -> (Duplex, Vec<u8>, AwaitFinish) {
    let now = Timestamp::now();
    let mut duplex = dial(server).await;
    let name = "server".parse().unwrap();
    let (m1, state) = Initiator::start(local, name, Expectation::Unknown, None, now).unwrap();
    duplex.outgoing.send(m1.into()).await;
    let m2 = duplex.receive().await.unwrap().unwrap();
    let (m3, state) = state.on_hello(&m2, now).unwrap().prove(now).unwrap();
    (duplex, m3, state)
}

/// Sends all M3 at once; returns the sessions, and the number of `BUSY` refusals.
async fn all_at_once(begun: Vec<(Duplex, Vec<u8>, AwaitFinish)>) -> (Vec<Duplex>, usize) {
    for (duplex, m3, _) in &begun {
        duplex.outgoing.send(m3.clone().into()).await;
    }
    let (mut open, mut busy) = (Vec::new(), 0);
    for (mut duplex, _, state) in begun {
        match duplex.receive().await {
            Ok(m4) => {
                state.on_finish(&m4.unwrap(), Timestamp::now()).unwrap();
                open.push(duplex);
            }
            Err(TransportError::Status(status)) => {
                assert_eq!(status.code(), tonic::Code::ResourceExhausted);
                busy += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    (open, busy)
}

#[tokio::test]
async fn handshakes_at_once_get_no_more_sessions_than_one_peer_may_have() {
    let server = Node::server(json!({ "limits": { "maxSessionsPerPeer": 2 } }), echo()).await;
    for _ in 0..2 {
        let mut begun = Vec::new();
        for _ in 0..64 {
            begun.push(up_to_m3(&server, local(raw_key())).await);
        }
        let operations = server.stats().await.private_operations;
        let (open, busy) = all_at_once(begun).await;
        assert_eq!((open.len(), busy), (2, 62));
        let stats = server.stats().await;
        assert_eq!(stats.private_operations - operations, 2, "none for those without a seat");
        assert_eq!(stats.inbound_sessions, 2);
        // The end of the sessions releases both seats.
        drop(open);
        eventually(async || server.mesh.gauges().await.unwrap() == Gauges::default()).await;
    }
}

#[tokio::test]
async fn handshakes_at_once_get_no_more_sessions_than_there_may_be() {
    let server = Node::server(json!({ "limits": { "maxSessions": 3 } }), echo()).await;
    let mut begun = Vec::new();
    for n in 0..8 {
        let peer = local_as(&format!("peer-{n}"), KeyPair::generate(2048).unwrap());
        begun.push(up_to_m3(&server, peer).await);
    }
    let (open, busy) = all_at_once(begun).await;
    assert_eq!((open.len(), busy), (3, 5));
    drop(open);
    eventually(async || server.mesh.gauges().await.unwrap() == Gauges::default()).await;
}
