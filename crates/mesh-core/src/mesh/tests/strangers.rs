//! Strangers that hold as much as they can, and newcomers that are served nevertheless.

use std::net::IpAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time::timeout,
};

use super::{
    hostile::{PREFACE, Raw, dial, frame, is_healthy, stage},
    *,
};

/// The time within which a newcomer must be served.
const SOON: Duration = Duration::from_secs(1);

async fn connect_from(from: IpAddr, server: &Node) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(server.mesh.address().unwrap()).await
}

/// The bytes that open `count` streams of the mesh's service, and send nothing on them.
fn streams(count: u32) -> Vec<u8> {
    let mut headers = vec![0x83, 0x86];
    let mut put = |name: &[u8], value: &[u8]| {
        headers.extend_from_slice(name);
        headers.push(value.len() as u8);
        headers.extend_from_slice(value);
    };
    put(&[0x04], b"/securestack.mesh.v1.Mesh/Session");
    put(&[0x01], b"localhost");
    put(&[0x0f, 0x10], b"application/grpc");
    put(&[0, 2, b't', b'e'], b"trailers");
    let mut out = [PREFACE, &frame(4, 0, 0, &[])].concat();
    (0..count).for_each(|n| out.extend(frame(1, 4, 2 * n + 1, &headers)));
    out
}

/// A port whose connections reach the server from another address.
pub(super) async fn way_from(from: IpAddr, server: &Node) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = server.mesh.address().unwrap();
    tokio::spawn(async move {
        let mut lines = JoinSet::new();
        while let Ok((mut near, _)) = listener.accept().await {
            lines.spawn(async move {
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind((from, 0).into()).unwrap();
                if let Ok(mut far) = socket.connect(target).await {
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    });
    port
}

/// New services, one behind each address.
async fn newcomers(server: &Node, addresses: &[IpAddr]) -> Vec<Node> {
    let mut newcomers = Vec::new();
    for (n, from) in addresses.iter().enumerate() {
        let port = way_from(*from, server).await;
        newcomers.push(Node::client_at(port, json!({ "serviceId": format!("newcomer-{n}") })).await);
    }
    newcomers
}

async fn are_served(newcomers: &[Node]) {
    for newcomer in newcomers {
        let begun = Instant::now();
        newcomer.call("echo", b"new").await.unwrap();
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    }
}

async fn nothing_is_left(server: &Node) {
    eventually(async || server.mesh.gauges().await.unwrap() == Gauges::default()).await;
}

fn local_address(last: u8) -> IpAddr {
    [127, 0, 0, last].into()
}

#[cfg(target_os = "linux")] // As its test.
/// Holds `count` connections from an address, with `streams` open on each, and
/// replaces closed ones for ever.
async fn hold(from: IpAddr, server: Arc<Node>, count: usize, streams: Vec<u8>) {
    let mut held = JoinSet::new();
    loop {
        if held.len() >= count {
            held.join_next().await;
        }
        let (server, streams) = (Arc::clone(&server), streams.clone());
        held.spawn(async move {
            let Ok(mut stream) = connect_from(from, &server).await else { return };
            // A connection whose streams were all displaced counts as closed.
            if stream.write_all(&streams).await.is_ok() {
                let mut sink = [0; 4096];
                while !matches!(stream.read(&mut sink).await, Ok(0) | Err(_)) {}
            }
        });
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_one_address_holds_keeps_no_newcomer_out() {
    let server = Node::server(json!({}), echo()).await;
    let newcomers = newcomers(&server, &[local_address(1)]).await;
    let mut idle = Vec::new();
    for _ in 0..128 {
        idle.push(dial(&server).await);
    }
    let mut silent = Vec::new();
    for _ in 0..256 {
        silent.push(connect_from(local_address(1), &server).await.unwrap());
    }
    are_served(&newcomers).await;
    drop((idle, silent, newcomers));
    nothing_is_left(&server).await;
}

#[tokio::test]
async fn strangers_that_hold_every_place_give_way() {
    let limits = json!({ "limits": { "maxConnections": 64, "maxPendingHandshakes": 8 } });
    let (server, raw, healthy) = stage(limits).await;
    let newcomers = newcomers(&server, &[local_address(1)]).await;
    // 16 connections may be unproven, and 32 streams wait for M1.
    let mut held = Vec::new();
    for round in 0..40 {
        let mut stream = connect_from(local_address(1), &server).await.unwrap();
        stream.write_all(&streams(if round % 2 == 0 { 32 } else { 0 })).await.unwrap();
        held.push(stream);
    }
    eventually(async || {
        let gauges = server.mesh.gauges().await.unwrap();
        (gauges.unproven, gauges.unproven_addresses, gauges.handshakes, gauges.inbound_sessions)
            == (16, 1, 32, 2)
    })
    .await;
    // Streams of the remaining connections may still be in transit.
    eventually(async || server.stats().await.strangers_displaced >= 24 + 8).await;
    // The oldest connections are closed at once.
    for stream in &mut held[..20] {
        let mut sink = [0; 4096];
        let closed = async { while !matches!(stream.read(&mut sink).await, Ok(0) | Err(_)) {} };
        timeout(SOON, closed).await.expect("closed");
    }
    are_served(&newcomers).await;
    is_healthy(&server, &healthy).await;
    drop((held, newcomers, raw, healthy));
    nothing_is_left(&server).await;
}

#[tokio::test]
async fn one_connection_full_of_idle_streams_loses_them_one_by_one() {
    let server = Node::server(json!({ "limits": { "maxPendingHandshakes": 2 } }), echo()).await;
    let mut stream = connect_from(local_address(1), &server).await.unwrap();
    stream.write_all(&streams(32)).await.unwrap();
    // The last 8 of 32 streams displace the first 24, and the connection stays.
    eventually(async || server.stats().await.strangers_displaced == 24).await;
    let gauges = server.mesh.gauges().await.unwrap();
    assert_eq!((gauges.connections, gauges.unproven, gauges.handshakes), (1, 1, 8));
    Raw::connect(&server).await.works().await;
    drop(stream);
    nothing_is_left(&server).await;
}

#[cfg(target_os = "linux")] // Other systems have one address on the loopback interface.
#[tokio::test]
async fn a_newcomer_is_served_whatever_sixteen_addresses_hold_and_replace() {
    let limits = json!({ "limits": { "maxConnections": 2048, "maxPendingHandshakes": 64 } });
    let server = Arc::new(Node::server(limits, echo()).await);
    let healthy = Node::client_of(&server, json!({})).await;
    healthy.call("echo", b"").await.unwrap();
    let newcomers = newcomers(&server, &[local_address(17), local_address(16), local_address(1)]).await;
    let p99 = async || {
        let mut times = Vec::new();
        for _ in 0..300 {
            let begun = Instant::now();
            healthy.call("echo", b"").await.unwrap();
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        times[times.len() * 99 / 100]
    };
    let before = p99().await;
    let mut attackers = JoinSet::new();
    for last in 1..=16 {
        for streams in [Vec::new(), streams(4)] {
            attackers.spawn(hold(local_address(last), Arc::clone(&server), 20, streams));
        }
    }
    // The strangers have taken everything, several times over.
    eventually(async || {
        let gauges = server.mesh.gauges().await.unwrap();
        gauges.unproven == 512 && gauges.handshakes == 256 && server.stats().await.strangers_displaced > 1000
    })
    .await;
    are_served(&newcomers).await;
    let during = p99().await;
    // The limit is loose, because attackers and server share the cores here. `addresses.test.ts` compares
    // separate processes.
    assert!(during <= 2 * before + Duration::from_millis(200), "{before:?}, then {during:?}");
    is_healthy(&server, &healthy).await;
    attackers.shutdown().await;
    drop((newcomers, healthy));
    nothing_is_left(&server).await;
}
