//! Peers that know the secret and break the protocol, and strangers without the
//! secret. After each of them a healthy session completes a call.

mod records;

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::*;
use crate::{
    auth::{TokenIssuer, TokenType},
    clock::Timestamp,
    crypto::{aead::AesKeySize, rsa::KeyPair},
    discovery::Address,
    handshake::{Established, Expectation, Initiator, Local, MeshSecret, Parameters, Suite, Tickets},
    record::{
        Opened, Opener, Sealer,
        message::{Encoded, Message, Messages, RequestFields},
    },
    transport::{Duplex, TransportError, connect},
};

#[tokio::test]
async fn of_two_first_contacts_with_two_keys_one_is_accepted() {
    let server = Node::server(json!({}), echo()).await;
    let now = Timestamp::now();
    let mut begun = Vec::new();
    for key in [raw_key(), KeyPair::generate(2048).unwrap()] {
        let mut duplex = dial(&server).await;
        let name = "server".parse().unwrap();
        let (m1, state) = Initiator::start(local(key), name, Expectation::Unknown, None, now).unwrap();
        duplex.outgoing.send(m1.into()).await;
        let m2 = duplex.receive().await.unwrap().unwrap();
        begun.push((duplex, state.on_hello(&m2, now).unwrap().prove(now).unwrap()));
    }
    let mut answers = Vec::new();
    for (mut duplex, (m3, state)) in begun {
        duplex.outgoing.send(m3.into()).await;
        let m4 = duplex.receive().await;
        answers.push(m4.is_ok_and(|m4| m4.is_some_and(|m4| state.on_finish(&m4, now).is_ok())));
    }
    assert_eq!(answers, [true, false]);
    assert!(server.logged(Reason::PeerKeyChanged));
}

/// A peer whose messages the test makes.
pub(super) struct Raw {
    duplex: Duplex,
    pub(super) session: Established,
    sealer: Sealer,
    opener: Opener,
    pub(super) calls: u32,
}

pub(super) fn local(key: KeyPair) -> Arc<Local> {
    local_as("raw", key)
}

pub(super) fn local_as(id: &str, key: KeyPair) -> Arc<Local> {
    let id = id.parse().unwrap();
    let secrets = vec![MeshSecret::new(SECRET.as_bytes())];
    Arc::new(Local {
        retired: crate::handshake::Retired::default(),
        succession: None,
        certificate: None,
        tickets: Arc::new(Tickets::new(&id, &key, &secrets).unwrap()),
        holders: Arc::default(),
        handshake_timeout: Duration::from_secs(10),
        id,
        key,
        secrets,
        suites: vec![Suite::X25519],
        aes: AesKeySize::Aes256,
        token_lifetime: Duration::from_hours(1),
        parameters: Parameters { max_message: 1 << 20, max_calls: 100 },
    })
}

pub(super) fn raw_key() -> KeyPair {
    static KEY: std::sync::OnceLock<KeyPair> = std::sync::OnceLock::new();
    KEY.get_or_init(|| KeyPair::generate(2048).unwrap()).clone()
}

pub(super) async fn dial(server: &Node) -> Duplex {
    let address = Address::new("127.0.0.1", server.mesh.address().unwrap().port()).unwrap();
    connect(None, &address, 1 << 20).await.unwrap()
}

impl Raw {
    pub(super) async fn connect(server: &Node) -> Self {
        Self::try_connect(server).await.unwrap()
    }

    /// The same; `None` if the server refuses it.
    pub(super) async fn try_connect(server: &Node) -> Option<Self> {
        let address = Address::new("127.0.0.1", server.mesh.address().unwrap().port()).unwrap();
        let mut duplex = connect(None, &address, 1 << 20).await.ok()?;
        let now = Timestamp::now();
        let name = "server".parse().unwrap();
        let (m1, state) = Initiator::start(local(raw_key()), name, Expectation::Unknown, None, now).unwrap();
        duplex.outgoing.send(m1.into()).await;
        let m2 = duplex.receive().await.ok()??;
        let (m3, state) = state.on_hello(&m2, now).unwrap().prove(now).unwrap();
        duplex.outgoing.send(m3.into()).await;
        let m4 = duplex.receive().await.ok()??;
        Some(Self::of(duplex, state.on_finish(&m4, now).unwrap()))
    }

    /// The session of a completed handshake, from either side.
    pub(super) fn of(duplex: Duplex, session: Established) -> Self {
        let now = Timestamp::now();
        let copy = |secret: &crate::crypto::secret::Secret<32>| secret.clone();
        let sealer = Sealer::new(copy(&session.seal), session.aes, now).unwrap();
        let opener = Opener::new(copy(&session.open), session.aes, 1 << 21, now).unwrap();
        duplex.incoming.open(&Budget::new(1 << 40).session(&session.peer));
        Self { duplex, session, sealer, opener, calls: 0 }
    }

    fn token(&self, typ: TokenType, change: impl FnOnce(&mut Wrong)) -> String {
        let mut wrong = Wrong {
            key: *self.sealer.token_key().as_bytes(),
            iss: "raw".to_owned(),
            aud: "server".to_owned(),
            session: self.session.session,
            jkt: self.session.own_thumbprint.to_string(),
            issued: Timestamp::now(),
        };
        change(&mut wrong);
        let Wrong { key, iss, aud, session, jkt, issued } = wrong;
        let life = Duration::from_mins(1);
        TokenIssuer::new(&key, typ, &iss.parse().unwrap(), &aud.parse().unwrap(), &session, jkt, life)
            .issue(issued)
            .unwrap()
    }

    pub(super) fn good_token(&self) -> String {
        self.token(TokenType::Request, |_| {})
    }

    /// A record with an echo request.
    fn request(&mut self, token: &str) -> Vec<u8> {
        self.calls += 1;
        self.request_as(self.calls, token)
    }

    fn request_as(&mut self, call: u32, token: &str) -> Vec<u8> {
        let payload = Payload { encoding: Encoding::Raw, bytes: b"raw" };
        let request =
            Encoded::request("echo", None, RequestFields::default(), payload).unwrap().with_call(call);
        self.record(&request, token)
    }

    pub(super) fn record(&mut self, message: &Encoded, token: &str) -> Vec<u8> {
        self.record_of(|out| message.put(out, token, Instant::now().into_std()))
    }

    pub(super) fn record_of(&mut self, write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
        let mut out = BytesMut::new();
        self.sealer.seal(&mut out, write).unwrap();
        out.to_vec()
    }

    pub(super) async fn send(&mut self, bytes: impl Into<Bytes>) {
        self.duplex.outgoing.send(bytes.into()).await;
    }

    /// The next answer: `Ok` for a response, the reason of an error, or `None`
    /// if the session has ended.
    pub(super) async fn answer(&mut self) -> Option<Result<Vec<u8>, String>> {
        loop {
            let frame =
                timeout(Duration::from_secs(5), self.duplex.receive()).await.expect("an answer").ok()??;
            let mut frame = frame.to_vec();
            let mut input = &mut frame[..];
            let Ok(Opened::Messages(text)) = self.opener.open(&mut input, Timestamp::now()) else {
                panic!("a good record")
            };
            for message in Messages::new(text) {
                match message.unwrap() {
                    Message::Response { payload, .. } => return Some(Ok(payload.bytes.to_vec())),
                    Message::Error { failure, .. } => return Some(Err(failure.reason.to_owned())),
                    _ => {}
                }
            }
        }
    }

    /// Reads one frame and passes its messages to `each`; `None` if the session has ended.
    pub(super) async fn hear(&mut self, mut each: impl FnMut(Message<'_>)) -> Option<()> {
        let frame = timeout(Duration::from_secs(5), self.duplex.receive()).await.expect("a frame").ok()??;
        let mut frame = frame.to_vec();
        let mut input = &mut frame[..];
        while !input.is_empty() {
            if let Opened::Messages(text) = self.opener.open(&mut input, Timestamp::now()).unwrap() {
                Messages::new(text).for_each(|message| each(message.unwrap()));
            }
        }
        Some(())
    }

    pub(super) async fn works(&mut self) {
        let record = self.request(&self.good_token());
        self.send(record).await;
        assert_eq!(self.answer().await, Some(Ok(b"raw".to_vec())));
    }

    /// Sends a request, with no input and no deadline.
    pub(super) async fn asks(&mut self, method: &'static str) {
        self.calls += 1;
        let fields = RequestFields::default();
        let request = Encoded::request(method, None, fields, Payload::EMPTY).unwrap().with_call(self.calls);
        let record = self.record(&request, &self.good_token());
        self.send(record).await;
    }

    /// Ends this side's half of the stream.
    pub(super) fn into_incoming(self) -> crate::transport::Incoming {
        self.duplex.incoming
    }

    pub(super) async fn is_over(&mut self) {
        assert_eq!(self.answer().await, None);
    }
}

struct Wrong {
    key: [u8; 32],
    iss: String,
    aud: String,
    session: crate::id::SessionId,
    jkt: String,
    issued: Timestamp,
}

/// A server, a hostile peer, and a healthy client beside it.
pub(super) async fn stage(options: Value) -> (Node, Raw, Node) {
    let server = Node::server(options, echo()).await;
    let raw = Raw::connect(&server).await;
    let healthy = Node::client_of(&server, json!({})).await;
    healthy.call("echo", b"before").await.unwrap();
    (server, raw, healthy)
}

pub(super) async fn is_healthy(server: &Node, healthy: &Node) {
    assert_eq!(healthy.call("echo", b"after").await.unwrap(), b"after");
    assert_eq!(healthy.stats().await.handshakes_ok, 1, "on the session it had");
    assert_eq!(server.stats().await.requests_in_flight, 0);
}

#[tokio::test]
async fn handshake_messages_out_of_place_are_refused_alike() {
    let (server, raw, healthy) = stage(json!({})).await;
    let before = server.stats().await;
    let (m1, _) = Initiator::start(
        local(raw_key()),
        "server".parse().unwrap(),
        Expectation::Unknown,
        None,
        Timestamp::now(),
    )
    .unwrap();
    let mut flipped = m1.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut old = m1.clone();
    old[0] = 9;
    let mut answers = Vec::new();
    for first in [vec![], vec![2, 3, 0, 0, 0, 0], flipped, m1[..m1.len() - 1].to_vec(), vec![0; 20_000]] {
        let mut duplex = dial(&server).await;
        duplex.outgoing.send(first.into()).await;
        answers.push(duplex.receive().await.unwrap_err().to_string());
    }
    answers.dedup();
    assert_eq!(answers, ["handshake refused"], "one answer for all");
    // M1 is sent twice, the second time in the place of M3.
    let mut duplex = dial(&server).await;
    duplex.outgoing.send(m1.clone().into()).await;
    duplex.receive().await.unwrap();
    duplex.outgoing.send(m1.into()).await;
    assert_eq!(duplex.receive().await.unwrap_err().to_string(), "handshake refused");
    let mut duplex = dial(&server).await;
    duplex.outgoing.send(old.into()).await;
    let Err(TransportError::Status(status)) = duplex.receive().await else { panic!("refused") };
    assert_eq!(status.message(), "supported protocol versions: 2");

    let after = server.stats().await;
    assert_eq!(after.private_operations, before.private_operations);
    assert_eq!((after.active_sessions, after.handshakes_failed), (2, 7));
    drop(raw);
    is_healthy(&server, &healthy).await;
}

#[tokio::test]
async fn half_open_handshakes_are_bounded_and_expire() {
    let options = json!({ "limits": { "maxPendingHandshakes": 2, "handshakeTimeoutMs": 1500 } });
    let (server, raw, healthy) = stage(options).await;
    let mut held = Vec::new();
    for _ in 0..40 {
        held.push(dial(&server).await);
        assert!(server.mesh.gauges().await.unwrap().handshakes <= 8);
        healthy.call("echo", b"").await.unwrap();
    }
    // The last eight remain. All others were displaced, and received the status.
    let mut last = held.split_off(32);
    for displaced in &mut held {
        let error = timeout(Duration::from_secs(1), displaced.receive()).await.unwrap().unwrap_err();
        assert_eq!(crate::error::Coded::reason(&error), Reason::Busy);
    }
    let error = timeout(Duration::from_secs(3), last[7].receive()).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "handshake refused");
    eventually(async || server.logged(Reason::HandshakeExpired)).await;
    drop((held, last));
    drop(raw);
    is_healthy(&server, &healthy).await;
}

/// Opens a plain TCP connection and writes `bytes`. Returns the time after
/// which the server closes it.
async fn closed_after(server: &Node, bytes: &[u8], drip: Option<Duration>) -> Duration {
    let began = Instant::now();
    let mut stream = TcpStream::connect(server.mesh.address().unwrap()).await.unwrap();
    let mut sink = [0; 4096];
    match drip {
        None => {
            let _ = stream.write_all(bytes).await;
        }
        Some(pause) => {
            for byte in bytes {
                if stream.write_all(&[*byte]).await.is_err() {
                    return began.elapsed();
                }
                sleep(pause).await;
            }
        }
    }
    while !matches!(
        timeout(Duration::from_secs(8), stream.read(&mut sink)).await.expect("closed"),
        Ok(0) | Err(_)
    ) {}
    began.elapsed()
}

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[tokio::test]
async fn silent_and_dripping_connections_are_closed() {
    let (server, raw, healthy) = stage(json!({ "limits": { "handshakeTimeoutMs": 600 } })).await;
    let drip = Some(Duration::from_millis(100));
    let settings = [PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    for (bytes, drip) in [(&b""[..], None), (&settings[..], None), (PREFACE, drip)] {
        let elapsed = closed_after(&server, bytes, drip).await;
        assert!(elapsed < Duration::from_secs(4), "{elapsed:?}");
    }
    // Sessions outlive that patience, idle or not.
    sleep(Duration::from_millis(700)).await;
    drop(raw);
    is_healthy(&server, &healthy).await;
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

#[tokio::test]
async fn http2_abuse_closes_its_connection_only() {
    let (server, raw, healthy) = stage(json!({ "limits": { "handshakeTimeoutMs": 1000 } })).await;
    let start = [PREFACE, &frame(4, 0, 0, &[])].concat();
    // A minimal header block: POST, http, /.
    let headers = [0x83, 0x86, 0x84];
    let continuation_flood = {
        let mut out = start.clone();
        out.extend(frame(1, 0, 1, &headers));
        (0..2000).for_each(|_| out.extend(frame(9, 0, 1, &[0x40, 1, b'a', 1, b'b'])));
        out
    };
    let rapid_reset = {
        let mut out = start.clone();
        (0..2000u32).for_each(|n| {
            out.extend(frame(1, 4 | 1, 2 * n + 1, &headers));
            out.extend(frame(3, 0, 2 * n + 1, &[0, 0, 0, 8]));
        });
        out
    };
    let giant_header = {
        let mut out = start.clone();
        let mut block = headers.to_vec();
        for _ in 0..600 {
            block.extend([0x40, 1, b'a', 24]);
            block.extend([b'x'; 24]);
        }
        out.extend(frame(1, 4, 1, &block));
        out
    };
    let empty_data = {
        let mut out = start;
        out.extend(frame(1, 4, 1, &headers));
        (0..20_000).for_each(|_| out.extend(frame(0, 0, 1, &[])));
        out
    };
    for attack in [continuation_flood, rapid_reset, giant_header, empty_data] {
        let elapsed = closed_after(&server, &attack, None).await;
        assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
        healthy.call("echo", b"").await.unwrap();
    }
    drop(raw);
    is_healthy(&server, &healthy).await;
}

#[tokio::test]
async fn health_and_reflection_are_served_to_ordinary_tools() {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    let (server, ..) = stage(json!({})).await;
    let url = format!("http://{}", server.mesh.address().unwrap());
    let channel = tonic::transport::Endpoint::from_shared(url).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(channel);
    for service in ["", "securestack.mesh.v1.Mesh"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        assert_eq!(health.check(request).await.unwrap().into_inner().status, 1, "SERVING");
    }
}

#[tokio::test]
async fn strangers_cannot_make_the_server_buffer_much() {
    let (server, raw, healthy) = stage(json!({})).await;
    let mut duplex = dial(&server).await;
    let sending = async {
        for _ in 0..64 {
            if !duplex.outgoing.send(vec![0; 256 * 1024].into()).await {
                break;
            }
        }
    };
    let _ = timeout(Duration::from_secs(2), sending).await;
    let received = timeout(Duration::from_secs(2), duplex.receive()).await.expect("closed at once");
    assert!(matches!(received, Err(_) | Ok(None)), "{received:?}");
    drop(raw);
    is_healthy(&server, &healthy).await;
}

#[tokio::test]
async fn cancelling_does_not_free_the_place_of_a_handler_that_runs() {
    let server = Node::server(json!({ "limits": { "maxConcurrentCalls": 4 } }), echo()).await;
    server.app.stubborn.store(true, Ordering::SeqCst);
    let client = Node::client_of(&server, json!({})).await;
    client.call("echo", b"").await.unwrap();
    for _ in 0..20 {
        let _ = client.begin("never", b"", 20, false).1.await;
    }
    assert_eq!(server.app.handled.load(Ordering::SeqCst), 1 + 4);
    assert_eq!(client.reason("echo").await, "CALL_LIMIT");
}

#[tokio::test]
async fn metadata_that_is_no_object_of_strings_fails_its_request() {
    let (server, mut raw, healthy) = stage(json!({})).await;
    for metadata in [&b"[1]"[..], b"{\"a\":1}", b"x"] {
        raw.calls += 1;
        let fields = RequestFields { attempt: 1, metadata, ..RequestFields::default() };
        let request = Encoded::request("echo", None, fields, Payload::EMPTY).unwrap().with_call(raw.calls);
        let record = raw.record(&request, &raw.good_token());
        raw.send(record).await;
        assert_eq!(raw.answer().await, Some(Err("PAYLOAD".to_owned())));
    }
    raw.works().await;
    is_healthy(&server, &healthy).await;
}
