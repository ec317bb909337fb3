//! Failing networks: the error of a call, its time, and the fate of the next call.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::Instant,
};

use super::*;

/// The fate of the existing connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Forward,
    /// Nothing passes and nothing is closed, as in a partition or with a vanished host.
    Stall,
    /// The direction to the client ends in order.
    HalfClose,
    /// A reset (RST).
    Reset,
}

/// A network between a client and a server.
struct Network {
    port: u16,
    fate: Mutex<watch::Sender<Fate>>,
}

impl Network {
    async fn before(server: &Node) -> Arc<Self> {
        let target = server.mesh.address().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let network = Arc::new(Self { port, fate: Mutex::new(watch::channel(Fate::Forward).0) });
        let weak = Arc::downgrade(&network);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Some(network) = weak.upgrade() else { return };
                let fate = network.fate.lock().unwrap().subscribe();
                let server = TcpStream::connect(target).await.unwrap();
                tokio::spawn(carry(client, server, fate));
            }
        });
        network
    }

    fn becomes(&self, fate: Fate) {
        self.fate.lock().unwrap().send_replace(fate);
    }

    /// Lets later connections pass; the existing ones keep their fate.
    fn heals_for_new_connections(&self) {
        let mut fate = self.fate.lock().unwrap();
        // A task whose sender is gone keeps the last fate.
        *fate = watch::channel(Fate::Forward).0;
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, mut fate: watch::Receiver<Fate>) {
    let (mut up, mut down) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    let mut told = true;
    loop {
        let now = *fate.borrow_and_update();
        match now {
            Fate::Forward | Fate::Stall => {}
            Fate::HalfClose => {
                let _ = client.shutdown().await;
                std::future::pending::<()>().await;
            }
            Fate::Reset => {
                client.set_zero_linger().unwrap();
                server.set_zero_linger().unwrap();
                return;
            }
        }
        let passes = now == Fate::Forward;
        let over = tokio::select! {
            changed = fate.changed(), if told => { told = changed.is_ok(); false }
            read = client.read(&mut up), if passes => pass(read, &up, &mut server).await,
            read = server.read(&mut down), if passes => pass(read, &down, &mut client).await,
            () = std::future::pending() => true,
        };
        if over {
            return;
        }
    }
}

/// Passes on a read; returns whether it was the last.
async fn pass(read: io::Result<usize>, bytes: &[u8], to: &mut TcpStream) -> bool {
    match read {
        Ok(0) | Err(_) => true,
        Ok(length) => to.write_all(&bytes[..length]).await.is_err(),
    }
}

async fn through_a_network() -> (Node, Arc<Network>, Node) {
    let server = Node::server(json!({}), echo()).await;
    let network = Network::before(&server).await;
    let client = Node::client_at(network.port, json!({})).await;
    client.call("echo", b"").await.unwrap();
    (server, network, client)
}

/// Asserts that a call with a deadline of half a second ends by then.
async fn deadline_holds(client: &Node) {
    let begun = Instant::now();
    let error = client.begin("echo", b"", 500, false).1.await.unwrap().unwrap_err();
    assert_eq!((error.code, &*error.reason), (Code::DeadlineExceeded, "DEADLINE"));
    // A busy machine adds some delay, but not the five seconds of other limits.
    assert!((500..3000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_stalled_network_costs_the_deadline_and_the_session_recovers() {
    let (server, network, client) = through_a_network().await;
    network.becomes(Fate::Stall);
    deadline_holds(&client).await;
    let waiting = client.begin("echo", b"late", 30_000, false).1;
    sleep(Duration::from_secs(1)).await;
    network.becomes(Fate::Forward);
    assert_eq!(waiting.await.unwrap().unwrap(), b"late");
    assert_eq!(client.stats().await.handshakes_ok, 1);
    // The requests are the cancelled call, the first and the late one; none ran twice.
    assert!(server.app.handled.load(Ordering::SeqCst) <= 3);
}

#[tokio::test]
async fn a_peer_that_vanished_is_noticed_and_replaced() {
    let (server, network, client) = through_a_network().await;
    network.becomes(Fate::Stall);
    let pending = client.begin("never", b"", 60_000, false).1;
    deadline_holds(&client).await;
    network.heals_for_new_connections();
    // Keep-alive ends the session, on both sides, long before the call's own deadline.
    let begun = Instant::now();
    let error = pending.await.unwrap().unwrap_err();
    assert_eq!((error.code, &*error.reason), (Code::Unavailable, "SESSION_LOST"));
    assert!(!error.retryable, "it may have run");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!(client.call("echo", b"again").await.unwrap(), b"again");
    eventually(async || server.stats().await.active_sessions == 1).await;
    assert_eq!(client.stats().await.handshakes_ok, 2);
}

#[tokio::test]
async fn a_reset_or_half_closed_connection_ends_each_call_once() {
    for fate in [Fate::Reset, Fate::HalfClose] {
        let (server, network, client) = through_a_network().await;
        let pending: Vec<_> = (0..10).map(|_| client.begin("never", b"", 30_000, false).1).collect();
        eventually(async || server.app.handled.load(Ordering::SeqCst) == 11).await;
        network.becomes(fate);
        for answer in pending {
            // The harness itself asserts that no call ends twice.
            let error = answer.await.unwrap().unwrap_err();
            assert_eq!((error.code, &*error.reason), (Code::Unavailable, "SESSION_LOST"), "{fate:?}");
        }
        network.heals_for_new_connections();
        assert_eq!(client.call("echo", b"again").await.unwrap(), b"again");
        assert_eq!(server.app.handled.load(Ordering::SeqCst), 12);
    }
}
