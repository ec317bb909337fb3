//! Every kind of end of a peer, at every stage: all its resources are released.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{
    hostile::{Raw, local, raw_key},
    *,
};
use crate::{
    clock::Timestamp,
    discovery::Address,
    handshake::{Expectation, Initiator},
    transport::{Duplex, connect},
};

/// The stage of a peer at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Connected,
    Opened,
    SentM1,
    ReadM2,
    SentM3,
    ReadM4,
    Called,
    Calling,
}

const STAGES: [Stage; 8] = [
    Stage::Connected,
    Stage::Opened,
    Stage::SentM1,
    Stage::ReadM2,
    Stage::SentM3,
    Stage::ReadM4,
    Stage::Called,
    Stage::Calling,
];

/// How a peer's connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Fin,
    Reset,
}

/// Everything that a peer holds; the parts exist to be dropped.
#[derive(Default)]
struct Guest {
    socket: Option<TcpStream>,
    duplex: Option<Duplex>,
    raw: Option<Raw>,
    line: Option<oneshot::Sender<Cut>>,
}

impl Guest {
    async fn cut(mut self, cut: Cut) {
        if let Some(line) = self.line.take() {
            line.send(cut).unwrap();
        }
        if let Some(mut socket) = self.socket.take() {
            end(&mut socket, cut).await;
        }
    }
}

async fn end(socket: &mut TcpStream, cut: Cut) {
    match cut {
        Cut::Reset => socket.set_zero_linger().unwrap(),
        Cut::Fin => {
            // The socket is read to its end, because unread bytes would turn the close into a
            // reset.
            let _ = socket.shutdown().await;
            let _ = timeout(Duration::from_secs(1), tokio::io::copy(socket, &mut tokio::io::sink())).await;
        }
    }
}

/// A line to the server that the test can cut: its port, and the sender of the cut.
async fn line(server: &Node) -> (u16, oneshot::Sender<Cut>) {
    let target = server.mesh.address().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (knife, mut cut) = oneshot::channel();
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(target).await.unwrap();
        let (mut up, mut down) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
        loop {
            let over = tokio::select! {
                cut = &mut cut => return end(&mut far, cut.unwrap_or(Cut::Fin)).await,
                read = near.read(&mut up) => pass(read, &up, &mut far).await,
                read = far.read(&mut down) => pass(read, &down, &mut near).await,
            };
            if over {
                return;
            }
        }
    });
    (port, knife)
}

async fn pass(read: std::io::Result<usize>, bytes: &[u8], to: &mut TcpStream) -> bool {
    match read {
        Ok(0) | Err(_) => true,
        Ok(length) => to.write_all(&bytes[..length]).await.is_err(),
    }
}

/// A peer at a stage, on its own line.
async fn guest(server: &Node, moment: Stage) -> Guest {
    let mut guest = Guest::default();
    if moment == Stage::Connected {
        guest.socket = Some(TcpStream::connect(server.mesh.address().unwrap()).await.unwrap());
        return guest;
    }
    let (port, knife) = line(server).await;
    guest.line = Some(knife);
    let address = Address::new("127.0.0.1", port).unwrap();
    let mut duplex = connect(None, &address, 1 << 20).await.unwrap();
    let now = Timestamp::now();
    let name = "server".parse().unwrap();
    let (m1, state) = Initiator::start(local(raw_key()), name, Expectation::Unknown, None, now).unwrap();
    if moment == Stage::Opened {
        guest.duplex = Some(duplex);
        return guest;
    }
    duplex.outgoing.send(m1.into()).await;
    if moment == Stage::SentM1 {
        guest.duplex = Some(duplex);
        return guest;
    }
    let m2 = duplex.receive().await.unwrap().unwrap();
    let (m3, state) = state.on_hello(&m2, now).unwrap().prove(now).unwrap();
    if moment == Stage::ReadM2 {
        guest.duplex = Some(duplex);
        return guest;
    }
    duplex.outgoing.send(m3.into()).await;
    if moment == Stage::SentM3 {
        guest.duplex = Some(duplex);
        return guest;
    }
    let m4 = duplex.receive().await.unwrap().unwrap();
    let mut raw = Raw::of(duplex, state.on_finish(&m4, now).unwrap());
    if moment >= Stage::Called {
        raw.works().await;
    }
    if moment == Stage::Calling {
        let handled = server.app.handled.load(Ordering::SeqCst);
        raw.asks("never").await;
        eventually(async || server.app.handled.load(Ordering::SeqCst) > handled).await;
    }
    guest.raw = Some(raw);
    guest
}

/// Asserts that the server has noticed the end, and holds nothing of the peer.
async fn nothing_is_left(core: &Core, what: &str) {
    let begun = Instant::now();
    while Gauges::of(core) != Gauges::default() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}: {:?}", Gauges::of(core));
        sleep(Duration::from_millis(2)).await;
    }
}

async fn is_seen(core: &Core) {
    eventually(async || Gauges::of(core).connections > 0).await;
}

async fn a_server(options: Value) -> (Node, Arc<Core>) {
    let server = Node::server(options, echo()).await;
    let core = server.core().await;
    (server, core)
}

#[tokio::test]
async fn a_connection_that_is_cut_leaves_nothing_whatever_its_stage() {
    let (server, core) = a_server(json!({})).await;
    for stage in STAGES {
        for cut in [Cut::Fin, Cut::Reset] {
            for _ in 0..3 {
                let guest = guest(&server, stage).await;
                is_seen(&core).await;
                guest.cut(cut).await;
                nothing_is_left(&core, &format!("{cut:?} at {stage:?}")).await;
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_dropped_or_ended_leaves_nothing_whatever_its_stage() {
    let (server, core) = a_server(json!({})).await;
    for stage in STAGES {
        // The stream is reset and the connection closed after it.
        let all = guest(&server, stage).await;
        is_seen(&core).await;
        drop(all);
        nothing_is_left(&core, &format!("dropped at {stage:?}")).await;
        // This side's half ends; the server ends the other.
        let mut half = guest(&server, stage).await;
        is_seen(&core).await;
        let incoming = match (half.duplex.take(), half.raw.take()) {
            (Some(duplex), _) => Some(duplex.incoming),
            (_, Some(raw)) => Some(raw.into_incoming()),
            _ => None,
        };
        if let Some(mut incoming) = incoming {
            let rest = async { while let Ok(Some(_)) = incoming.receive().await {} };
            timeout(Duration::from_secs(5), rest).await.expect("the server ends its half");
        }
        drop(half);
        nothing_is_left(&core, &format!("half closed at {stage:?}")).await;
    }
}

#[tokio::test]
async fn a_peer_that_falls_silent_leaves_nothing_whatever_its_stage() {
    let patience = json!({
        "limits": { "handshakeTimeoutMs": 400, "callTimeoutMs": 400 },
        "security": { "sessionTimeout": 1000 },
    });
    let (server, core) = a_server(patience).await;
    let mut silent = Vec::new();
    for stage in STAGES {
        // A call without a deadline holds its session for as long as its handler runs.
        if stage != Stage::Calling {
            silent.push(guest(&server, stage).await);
        }
    }
    is_seen(&core).await;
    nothing_is_left(&core, "silence").await;
    drop(silent);
}

#[tokio::test]
async fn a_server_that_drains_leaves_nothing_whatever_the_stage_of_its_peers() {
    for patience in [Duration::ZERO, Duration::from_millis(50)] {
        let (server, core) = a_server(json!({})).await;
        let mut guests = Vec::new();
        for stage in STAGES {
            guests.push(guest(&server, stage).await);
        }
        server.mesh.close(patience).await;
        // Its runtime is dropped on its own thread, and every task with it.
        nothing_is_left(&core, &format!("closed within {patience:?}")).await;
    }
    let (server, core) = a_server(json!({})).await;
    let _guest = guest(&server, Stage::Calling).await;
    drop(server);
    nothing_is_left(&core, "dropped").await;
}

#[tokio::test]
async fn a_panic_in_a_peers_task_leaves_nothing() {
    let (server, core) = a_server(json!({})).await;
    let faults = [
        ("handshake.refused", Stage::Opened),
        ("handshake.refused", Stage::ReadM2),
        ("session_opened", Stage::SentM3),
        ("session.opened", Stage::SentM3),
        ("request", Stage::ReadM4),
        ("session_closed", Stage::Calling),
        ("session.closed", Stage::Calling),
        ("aborted", Stage::Calling),
    ];
    for (fault, stage) in faults {
        *server.app.fault.lock().unwrap() = "";
        let mut guest = guest(&server, stage).await;
        is_seen(&core).await;
        *server.app.fault.lock().unwrap() = fault;
        if let Some(duplex) = &mut guest.duplex {
            duplex.outgoing.send(vec![0; 40].into()).await;
            // M3 may have been answered before the fault was in place.
            let rest = async { while let Ok(Some(_)) = duplex.receive().await {} };
            let _ = timeout(Duration::from_secs(1), rest).await;
        }
        if let (Some(raw), "request") = (&mut guest.raw, fault) {
            raw.asks("never").await;
            raw.is_over().await;
        }
        guest.cut(Cut::Reset).await;
        if fault == "aborted" {
            // The handler did not receive the abort, so it still runs until it reports its end.
            eventually(async || Gauges::of(&core).abandoned == 1).await;
            let last = core.server.last();
            server.mesh.post(move |io| io.respond(last, b"", Payload::EMPTY));
        }
        nothing_is_left(&core, &format!("a panic at {fault}, {stage:?}")).await;
    }
    *server.app.fault.lock().unwrap() = "";
    assert!(core.shared.private_operation::<()>(false, || panic!("injected")).await.is_err());
    nothing_is_left(&core, "a panic in an RSA operation").await;
    Raw::connect(&server).await.works().await;
}

#[tokio::test]
async fn any_number_of_killed_peers_locks_nobody_out() {
    let (server, core) = a_server(json!({})).await;
    for n in 0..300 {
        let killed = guest(&server, Stage::Called).await;
        killed.cut(if n % 2 == 0 { Cut::Reset } else { Cut::Fin }).await;
    }
    let begun = Instant::now();
    Raw::connect(&server).await.works().await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    nothing_is_left(&core, "300 killed peers").await;
}

#[tokio::test]
async fn a_session_whose_task_panics_ends_its_calls_on_the_side_that_called() {
    let (server, client) = pair().await;
    client.call("echo", b"").await.unwrap();
    let core = client.core().await;
    *client.app.fault.lock().unwrap() = "session_closed";
    let pending = client.begin("never", b"", 60_000, false).1;
    eventually(async || server.app.handled.load(Ordering::SeqCst) == 2).await;
    drop(server);
    assert_eq!(pending.await.unwrap().unwrap_err().reason, "SESSION_LOST");
    nothing_is_left(&core, "a client").await;
}
