//! A peer whose messages the simulation makes, within the protocol or not.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};

use super::{
    app::metadata,
    ledger::{Method, Uid},
    node::{SECRET, key_of},
};
use crate::{
    auth::{TokenIssuer, TokenType},
    clock::{Clock, Timestamp},
    config::NetworkName,
    crypto::{aead::AesKeySize, rsa::KeyPair},
    discovery::Address,
    handshake::{
        AwaitFinish, AwaitHello, Established, Expectation, Initiator, Local, MeshSecret, Parameters, Suite,
        Ticket, Tickets,
    },
    record::{
        Opened, Opener, Sealer,
        message::{CallKind, Encoded, Encoding, Messages, Payload, RequestFields},
    },
    transport::{Duplex, connect},
};

/// A way to a service, with everything that a peer needs for it.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) network: NetworkName,
    /// The port of a link.
    pub(super) port: u16,
    /// The service behind it.
    pub(super) service: &'static str,
    pub(super) pinned: bool,
    pub(super) clock: Clock,
}

/// The result of a hostile act, none of which has to succeed.
pub(super) type Tried<T> = Result<T, ()>;

impl Door {
    /// One stream, on a connection of its own.
    pub(super) async fn open(&self) -> Tried<Duplex> {
        let address = Address::new("127.0.0.1", self.port).map_err(drop)?;
        connect(Some(&self.network), &address, 1 << 20).await.map_err(drop)
    }

    /// The secrets of the mesh, which its members know.
    pub(super) fn secrets(&self) -> Vec<MeshSecret> {
        if self.pinned { Vec::new() } else { vec![MeshSecret::new(SECRET.as_bytes())] }
    }

    /// The identity of a member of the mesh.
    fn local(&self, service: &str, key: KeyPair) -> Arc<Local> {
        let id = service.parse().unwrap();
        let secrets = self.secrets();
        Arc::new(Local {
            handshake_timeout: Duration::from_secs(10),
            retired: crate::handshake::Retired::default(),
            succession: None,
            certificate: None,
            tickets: Arc::new(Tickets::new(&id, &key, &secrets).unwrap()),
            holders: Arc::default(),
            id,
            key,
            secrets,
            suites: vec![Suite::X25519],
            aes: AesKeySize::Aes128,
            token_lifetime: Duration::from_hours(1),
            parameters: Parameters { max_message: 1 << 20, max_calls: 100 },
        })
    }

    /// The first message of the service `own`, which has `key`.
    pub(super) fn hello(
        &self,
        own: &str,
        key: KeyPair,
        ticket: Option<Ticket>,
    ) -> Tried<(Vec<u8>, AwaitHello)> {
        let expected = key_of(self.service).public_key().thumbprint();
        let expectation =
            if self.pinned { Expectation::Pinned(expected) } else { Expectation::Known(expected) };
        let name = self.service.parse().unwrap();
        Initiator::start(self.local(own, key), name, expectation, ticket, self.clock.now()).map_err(drop)
    }
}

/// Sends M1 and M3, as far as the service lets it.
pub(super) async fn prove(
    door: &Door,
    duplex: &mut Duplex,
    hello: (Vec<u8>, AwaitHello),
) -> Tried<AwaitFinish> {
    let (m1, state) = hello;
    let m2 = ask(duplex, m1).await?;
    let state = state.on_hello(&m2, door.clock.now()).map_err(drop)?;
    let (m3, state) = state.prove(door.clock.now()).map_err(drop)?;
    if duplex.outgoing.send(m3.into()).await { Ok(state) } else { Err(()) }
}

/// Sends a message and waits for the next.
pub(super) async fn ask(duplex: &mut Duplex, message: Vec<u8>) -> Tried<Bytes> {
    duplex.outgoing.send(message.into()).await;
    duplex.receive().await.map_err(drop)?.ok_or(())
}

/// A peer with a session.
pub(super) struct Peer {
    pub(super) duplex: Duplex,
    pub(super) session: Established,
    door: Door,
    own: &'static str,
    sealer: Sealer,
    opener: Opener,
    pub(super) calls: u32,
}

impl Peer {
    /// A session of the service `own`, with its key.
    pub(super) async fn join(door: &Door, own: &'static str, ticket: Option<Ticket>) -> Tried<Self> {
        let mut duplex = door.open().await?;
        let state = prove(door, &mut duplex, door.hello(own, key_of(own), ticket)?).await?;
        Self::finish(door, own, duplex, state).await
    }

    /// The session of a handshake that waits for M4.
    pub(super) async fn finish(
        door: &Door,
        own: &'static str,
        mut duplex: Duplex,
        state: AwaitFinish,
    ) -> Tried<Self> {
        let m4 = duplex.receive().await.map_err(drop)?.ok_or(())?;
        let now = door.clock.now();
        let session = state.on_finish(&m4, now).map_err(drop)?;
        let sealer = Sealer::new(session.seal.clone(), session.aes, now).map_err(drop)?;
        let opener = Opener::new(session.open.clone(), session.aes, 1 << 21, now).map_err(drop)?;
        duplex.incoming.open(&crate::budget::Budget::new(1 << 40).session(&session.peer));
        Ok(Self { duplex, session, door: door.clone(), own, sealer, opener, calls: 0 })
    }

    fn now(&self) -> Timestamp {
        self.door.clock.now()
    }

    fn token(&self) -> String {
        TokenIssuer::new(
            self.sealer.token_key().as_bytes(),
            TokenType::Request,
            &self.own.parse().unwrap(),
            &self.door.service.parse().unwrap(),
            &self.session.session,
            self.session.own_thumbprint,
            Duration::from_mins(1),
        )
        .issue(self.now())
        .unwrap()
    }

    /// A record with a request whose metadata names `origin`.
    pub(super) fn request(&mut self, method: Method, uid: Uid, origin: &str) -> Vec<u8> {
        self.calls += 1;
        let kind = match method {
            Method::Items | Method::Flood => CallKind::ServerStream,
            Method::Collect => CallKind::ClientStream,
            Method::Chat => CallKind::BidiStream,
            _ => CallKind::Unary,
        };
        let metadata = metadata(uid, origin);
        let fields = RequestFields { kind, metadata: &metadata, ..RequestFields::FIRST };
        let payload = if kind.streams_input() {
            Payload::EMPTY
        } else {
            Payload { encoding: Encoding::Raw, bytes: b"hostile" }
        };
        let request = Encoded::request(method.name(), None, fields, payload).unwrap().with_call(self.calls);
        self.record(&request)
    }

    pub(super) fn record(&mut self, message: &Encoded) -> Vec<u8> {
        let token = self.token();
        let now = tokio::time::Instant::now().into_std();
        let mut out = BytesMut::new();
        self.sealer.seal(&mut out, |out| message.put(out, &token, now)).unwrap();
        out.to_vec()
    }

    pub(super) async fn send(&mut self, bytes: Vec<u8>) {
        self.duplex.outgoing.send(bytes.into()).await;
    }

    /// Reads one frame; how many messages it held.
    pub(super) async fn read(&mut self) -> Tried<usize> {
        let frame = self.duplex.receive().await.map_err(drop)?.ok_or(())?;
        let mut frame = frame.to_vec();
        let mut input = &mut frame[..];
        let mut messages = 0;
        while !input.is_empty() {
            match self.opener.open(&mut input, self.door.clock.now()) {
                Ok(Opened::Messages(text)) => messages += Messages::new(text).count(),
                Ok(Opened::Rekeyed) => {}
                // A link corrupts bytes now and then.
                Err(_) => return Err(()),
            }
        }
        Ok(messages)
    }
}
