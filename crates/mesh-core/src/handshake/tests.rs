pub(super) mod certificates;
mod impersonation;
mod manger;
mod negotiation;

use std::sync::{Arc, OnceLock};

use super::{messages::*, *};
use crate::{
    clock::Timestamp,
    error::{Coded, Reason},
};

pub(super) const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

pub(super) fn key(index: usize) -> KeyPair {
    static KEYS: OnceLock<Vec<KeyPair>> = OnceLock::new();
    KEYS.get_or_init(|| (0..3).map(|_| KeyPair::generate(2048).unwrap()).collect())[index].clone()
}

pub(super) fn local(id: &str, key: KeyPair, secrets: &[&[u8]]) -> Local {
    let id = id.parse().unwrap();
    let secrets: Vec<_> = secrets.iter().map(|secret| MeshSecret::new(secret)).collect();
    Local {
        retired: Retired::default(),
        succession: None,
        certificate: None,
        tickets: Arc::new(Tickets::new(&id, &key, &secrets).unwrap()),
        holders: Arc::default(),
        handshake_timeout: Duration::from_secs(10),
        id,
        key,
        secrets,
        suites: vec![Suite::Hybrid, Suite::X25519],
        aes: AesKeySize::Aes256,
        token_lifetime: Duration::from_hours(1),
        parameters: Parameters { max_message: 1 << 22, max_calls: 1024 },
    }
}

pub(super) fn client() -> Local {
    local("client", key(0), &[&[1; 32]])
}

pub(super) fn server() -> Local {
    local("server", key(1), &[&[1; 32]])
}

pub(super) fn pinned(mut local: Local) -> Local {
    local.secrets.clear();
    // The tickets are those of a service without a secret.
    local.tickets = Arc::new(Tickets::new(&local.id, &local.key, &local.secrets).unwrap());
    local
}

/// One handshake, each of whose messages a test may change in transit.
pub(super) struct Wire<'a> {
    client: Local,
    server: Local,
    /// The time of the handshake.
    pub(super) at: Timestamp,
    pub(super) client_expects: Expectation,
    pub(super) server_expects: Expectation,
    pub(super) ticket: Option<Ticket>,
    pub(super) tamper: &'a dyn Fn(usize, Vec<u8>) -> Vec<u8>,
}

impl Wire<'_> {
    pub(super) fn new(client: Local, server: Local) -> Self {
        Self {
            client,
            server,
            at: NOW,
            client_expects: Expectation::Unknown,
            server_expects: Expectation::Unknown,
            ticket: None,
            tamper: &|_, message| message,
        }
    }

    pub(super) fn pins(mut self) -> Self {
        self.client_expects = Expectation::Pinned(self.server.key.public_key().thumbprint());
        self.server_expects = Expectation::Pinned(self.client.key.public_key().thumbprint());
        self
    }

    /// The client's and the server's outcome. The server's is `None` if the
    /// client gave up before the server had to decide.
    pub(super) fn run(
        self,
    ) -> (Result<Established, HandshakeError>, Option<Result<Established, HandshakeError>>) {
        let (client, server) = (Arc::new(self.client), Arc::new(self.server));
        let (name, now) = (server.id.clone(), self.at);
        let step = |index, message| (self.tamper)(index, message);
        let (m1, state) = Initiator::start(client, name, self.client_expects, self.ticket, now).unwrap();
        let answered = Responder::on_hello(server, &step(1, m1), |_| self.server_expects, now);
        let (m2, proof) = match answered {
            Ok(answered) => answered,
            Err(error) => return (Err(HandshakeError::State), Some(Err(error))),
        };
        let proved = state.on_hello(&step(2, m2), now).and_then(|state| state.prove(now));
        let (m3, finish) = match proved {
            Ok(proved) => proved,
            Err(error) => return (Err(error), None),
        };
        let accepted = proof.on_finish(&step(3, m3), now).and_then(|proved| proved.accept(now));
        match accepted {
            Ok((m4, server)) => (finish.on_finish(&step(4, m4), now), Some(Ok(server))),
            Err(error) => (Err(HandshakeError::State), Some(Err(error))),
        }
    }

    fn client_reason(self) -> Reason {
        self.run().0.unwrap_err().reason()
    }

    fn server_reason(self) -> Reason {
        self.run().1.unwrap().unwrap_err().reason()
    }
}

pub(super) fn agree(wire: Wire<'_>) -> (Established, Established) {
    let (client, server) = wire.run();
    let (client, server) = (client.unwrap(), server.unwrap().unwrap());
    assert_eq!(client.session, server.session);
    assert_eq!(client.seal.as_bytes(), server.open.as_bytes());
    assert_eq!(client.open.as_bytes(), server.seal.as_bytes());
    assert_ne!(client.seal.as_bytes(), client.open.as_bytes());
    assert_eq!((client.suite, client.aes, client.trust), (server.suite, server.aes, server.trust));
    (client, server)
}

#[test]
fn both_sides_agree_on_identity_and_keys() {
    let (client, server) = agree(Wire::new(client(), server()));
    assert_eq!((client.peer.as_str(), server.peer.as_str()), ("server", "client"));
    assert_eq!((client.trust, client.suite), (Trust::Secret, Suite::Hybrid));
    assert_eq!(server.peer_key.thumbprint(), key(0).public_key().thumbprint());
    assert_eq!(server.claims.jkt.as_deref(), Some(&*key(0).public_key().thumbprint().to_string()));
}

#[test]
fn pins_alone_and_with_a_secret() {
    assert_eq!(agree(Wire::new(pinned(client()), pinned(server())).pins()).0.trust, Trust::Pinned);
    assert_eq!(agree(Wire::new(client(), server()).pins()).0.trust, Trust::PinnedAndSecret);
}

#[test]
fn two_handshakes_share_nothing() {
    let (a, _) = agree(Wire::new(client(), server()));
    let (b, _) = agree(Wire::new(client(), server()));
    assert_ne!(a.session, b.session);
    assert_ne!(a.seal.as_bytes(), b.seal.as_bytes());
}

#[test]
fn the_larger_aes_key_and_the_best_common_suite_are_used() {
    let mut small = client();
    small.aes = AesKeySize::Aes128;
    small.suites = vec![Suite::X25519];
    let (established, _) = agree(Wire::new(small.clone(), server()));
    assert_eq!((established.aes, established.suite), (AesKeySize::Aes256, Suite::X25519));
    let mut peer = server();
    peer.aes = AesKeySize::Aes128;
    assert_eq!(agree(Wire::new(small, peer)).0.aes, AesKeySize::Aes128);
}

#[test]
fn a_2048_bit_and_a_4096_bit_service_talk() {
    let mut large = server();
    large.key = KeyPair::generate(4096).unwrap();
    agree(Wire::new(client(), large));
}

#[test]
fn identity_confusion_is_refused() {
    let mut own = client();
    own.id = "server".parse().unwrap();
    assert_eq!(Wire::new(own, server()).server_reason(), Reason::SelfId);

    let (m1, _) =
        Initiator::start(Arc::new(client()), "other".parse().unwrap(), Expectation::Unknown, None, NOW)
            .unwrap();
    let error = Responder::on_hello(Arc::new(server()), &m1, |_| Expectation::Unknown, NOW).unwrap_err();
    assert_eq!(error.reason(), Reason::WrongTarget);
}

#[test]
fn a_message_cut_short_or_too_long_is_malformed() {
    for message in 1..=4 {
        for change in [-1_isize, 1] {
            let cut = |index, mut bytes: Vec<u8>| {
                if index == message {
                    bytes.resize(bytes.len().saturating_add_signed(change), 0);
                }
                bytes
            };
            let wire = Wire { tamper: &cut, ..Wire::new(client(), server()) };
            // M1 and M3 are read by the server, M2 and M4 by the client.
            let reason = if message % 2 == 1 { wire.server_reason() } else { wire.client_reason() };
            assert_eq!(reason, Reason::HandshakeFormat, "message {message}, {change:+} bytes");
        }
    }
}

#[test]
fn hostile_ids_are_refused_before_anything_else() {
    for id in ["../../tmp/x", "a/b", "a\0b", "", "a\nb", "\u{430}dmin"] {
        let mut body = vec![1, 1, 2, 0, 2];
        body.extend_from_slice(&[1, 0, 1, id.len() as u8]);
        body.extend_from_slice(id.as_bytes());
        body.resize(900, 0);
        let mut m1 = vec![PROTOCOL_VERSION, CLIENT_HELLO];
        m1.extend_from_slice(&(body.len() as u32).to_be_bytes());
        m1.extend_from_slice(&body);
        let error = Responder::on_hello(Arc::new(server()), &m1, |_| unreachable!(), NOW).unwrap_err();
        assert_eq!(error.reason(), Reason::IdSyntax, "{id:?}");
    }
}

#[test]
fn another_key_than_the_expected_one_is_refused() {
    let other = key(2).public_key().thumbprint();
    let mut wire = Wire::new(pinned(client()), pinned(server())).pins();
    wire.server_expects = Expectation::Pinned(other);
    assert_eq!(wire.server_reason(), Reason::KeyMismatch);

    let mut wire = Wire::new(client(), server());
    wire.server_expects = Expectation::Known(other);
    assert_eq!(wire.server_reason(), Reason::PeerKeyChanged);

    let mut wire = Wire::new(client(), server());
    wire.client_expects = Expectation::Known(other);
    assert_eq!(wire.client_reason(), Reason::PeerKeyChanged);

    let mut wire = Wire::new(client(), server());
    wire.client_expects = Expectation::Pinned(other);
    assert_eq!(wire.client_reason(), Reason::KeyMismatch, "membership alone does not satisfy a pin");

    let mut wire = Wire::new(pinned(client()), pinned(server())).pins();
    wire.server_expects = Expectation::Unknown;
    assert_eq!(wire.server_reason(), Reason::UnknownPeer);
}

#[test]
fn a_stranger_causes_no_private_operation() {
    let fresh = KeyPair::generate(2048).unwrap();
    let server = || local("server", fresh.clone(), &[&[1; 32]]);
    let mut stranger = client();
    stranger.secrets = vec![MeshSecret::new(&[2; 32])];
    assert_eq!(Wire::new(stranger, server()).server_reason(), Reason::HelloMac);

    // The thief knows the secret and shows a key that it does not hold.
    let mut thief = Wire::new(client(), server());
    thief.tamper = &|index, mut message| {
        if index == 3 {
            message.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1);
        }
        message
    };
    assert_eq!(thief.server_reason(), Reason::Finished);

    let (m1, _) =
        Initiator::start(Arc::new(client()), "server".parse().unwrap(), Expectation::Unknown, None, NOW)
            .unwrap();
    let server = Arc::new(server());
    let mut answers = std::collections::HashSet::new();
    for _ in 0..1000 {
        let (m2, _) = Responder::on_hello(Arc::clone(&server), &m1, |_| Expectation::Unknown, NOW).unwrap();
        answers.insert(m2);
    }
    assert_eq!(answers.len(), 1000, "a replayed hello gets a new answer each time, and no session");
    assert_eq!(fresh.private_ops(), 0);
}

#[test]
fn trust_never_falls_back() {
    assert_eq!(Wire::new(pinned(client()), server()).server_reason(), Reason::Mode);
    assert_eq!(Wire::new(client(), pinned(server())).server_reason(), Reason::Mode);
    let mut lower = Wire::new(client(), server());
    lower.tamper = &|index, mut message| {
        if index == 2 {
            message[11] = 2; // the mode chosen
        }
        message
    };
    assert_eq!(lower.client_reason(), Reason::Mode);
}

#[test]
fn messages_out_of_place_are_refused() {
    let (m1, state) =
        Initiator::start(Arc::new(client()), "server".parse().unwrap(), Expectation::Unknown, None, NOW)
            .unwrap();
    assert_eq!(state.on_hello(&m1, NOW).unwrap_err().reason(), Reason::HandshakeState, "reflected");
    let (m2, proof) = Responder::on_hello(Arc::new(server()), &m1, |_| Expectation::Unknown, NOW).unwrap();
    assert_eq!(proof.on_finish(&m1, NOW).unwrap_err().reason(), Reason::HandshakeState, "M1 again for M3");
    let error = Responder::on_hello(Arc::new(server()), &m2, |_| Expectation::Unknown, NOW).unwrap_err();
    assert_eq!(error.reason(), Reason::HandshakeState, "M2 before M1");
}

#[test]
fn a_late_message_is_refused() {
    let late = NOW + Duration::from_secs(10) + Duration::from_millis(1);
    let (m1, state) =
        Initiator::start(Arc::new(client()), "server".parse().unwrap(), Expectation::Unknown, None, NOW)
            .unwrap();
    let (m2, proof) = Responder::on_hello(Arc::new(server()), &m1, |_| Expectation::Unknown, NOW).unwrap();
    let (m3, _) = state.on_hello(&m2, NOW).unwrap().prove(NOW).unwrap();
    let error = proof.on_finish(&m3, late).unwrap_err();
    assert_eq!(error.reason(), Reason::HandshakeExpired);
    assert_eq!(
        error.to_string(),
        "the handshake was not complete within limits.handshakeTimeoutMs (10000 ms)"
    );
}

#[test]
fn a_longer_handshake_timeout_is_honoured() {
    let patient = |local: Local| Arc::new(Local { handshake_timeout: Duration::from_mins(1), ..local });
    let late = NOW + Duration::from_secs(59);
    let name = "server".parse().unwrap();
    let (m1, state) = Initiator::start(patient(client()), name, Expectation::Unknown, None, NOW).unwrap();
    let (m2, proof) = Responder::on_hello(patient(server()), &m1, |_| Expectation::Unknown, NOW).unwrap();
    let (m3, finish) = state.on_hello(&m2, late).unwrap().prove(late).unwrap();
    let (m4, _) = proof.on_finish(&m3, late).unwrap().accept(late).unwrap();
    assert!(finish.on_finish(&m4, late).is_ok());
}

#[test]
fn messages_of_two_handshakes_do_not_mix() {
    let begin = || {
        let name = "server".parse().unwrap();
        let (m1, state) =
            Initiator::start(Arc::new(client()), name, Expectation::Unknown, None, NOW).unwrap();
        let (m2, proof) =
            Responder::on_hello(Arc::new(server()), &m1, |_| Expectation::Unknown, NOW).unwrap();
        (state, m2, proof)
    };
    let (state_a, m2_a, proof_a) = begin();
    let (_, m2_b, proof_b) = begin();
    let (m3_a, _) = state_a.on_hello(&m2_a, NOW).unwrap().prove(NOW).unwrap();
    assert_eq!(proof_b.on_finish(&m3_a, NOW).unwrap_err().reason(), Reason::Finished);
    let (state_c, ..) = begin();
    assert_eq!(state_c.on_hello(&m2_b, NOW).unwrap_err().reason(), Reason::HelloMac);
    proof_a.on_finish(&m3_a, NOW).unwrap();
}

#[test]
fn a_server_that_does_not_hold_its_key_is_found_out() {
    let name = "server".parse().unwrap();
    let (m1, state) = Initiator::start(Arc::new(client()), name, Expectation::Unknown, None, NOW).unwrap();
    let (m2, proof) = Responder::on_hello(Arc::new(server()), &m1, |_| Expectation::Unknown, NOW).unwrap();
    let (m3, finish) = state.on_hello(&m2, NOW).unwrap().prove(NOW).unwrap();
    let mut proved = proof.on_finish(&m3, NOW).unwrap();
    proved.wrapped.fill(7); // as good as not being able to read k_c
    let (m4, _) = proved.accept(NOW).unwrap();
    assert_eq!(finish.on_finish(&m4, NOW).unwrap_err().reason(), Reason::Finished);
}

#[test]
fn a_client_that_does_not_hold_its_key_is_found_out() {
    let name = "server".parse().unwrap();
    let (m1, state) = Initiator::start(Arc::new(client()), name, Expectation::Unknown, None, NOW).unwrap();
    let (m2, proof) = Responder::on_hello(Arc::new(server()), &m1, |_| Expectation::Unknown, NOW).unwrap();
    let mut unproved = state.on_hello(&m2, NOW).unwrap();
    let initiator::Proof::Key { wrapped, .. } = &mut unproved.proof else { unreachable!() };
    wrapped.fill(7); // as good as not being able to read k_s
    let (m3, _) = unproved.prove(NOW).unwrap();
    assert_eq!(proof.on_finish(&m3, NOW).unwrap_err().reason(), Reason::Finished);
}

#[test]
fn a_wrapped_secret_that_does_not_open_fails_only_at_the_finished() {
    for forged in [vec![0; 256], vec![0xff; 256], vec![1; 255], Vec::new()] {
        let secret = unwrap_secret(&key(0), &forged, b"label").unwrap();
        assert_ne!(secret.as_bytes(), unwrap_secret(&key(0), &forged, b"label").unwrap().as_bytes());
    }
    let wrapped = key(0).public_key().oaep_encrypt(&[5; 32], b"label").unwrap();
    assert_eq!(unwrap_secret(&key(0), &wrapped, b"label").unwrap().as_bytes(), &[5; 32]);
    assert_ne!(unwrap_secret(&key(0), &wrapped, b"other").unwrap().as_bytes(), &[5; 32]);
    let short = key(0).public_key().oaep_encrypt(&[5; 31], b"label").unwrap();
    assert_ne!(unwrap_secret(&key(0), &short, b"label").unwrap().as_bytes()[..31], [5; 31]);
}

#[test]
fn a_stolen_key_does_not_pose_as_others_to_its_owner() {
    // The thief has the client's key and poses as the server to the client,
    // without the server's key.
    let mut thief = server();
    thief.key = key(2);
    let (m1, state) = Initiator::start(
        Arc::new(pinned(client())),
        "server".parse().unwrap(),
        Expectation::Pinned(key(1).public_key().thumbprint()),
        None,
        NOW,
    )
    .unwrap();
    let expect = |_: &ServiceId| Expectation::Pinned(key(0).public_key().thumbprint());
    let (m2, _) = Responder::on_hello(Arc::new(pinned(thief)), &m1, expect, NOW).unwrap();
    assert_eq!(state.on_hello(&m2, NOW).unwrap_err().reason(), Reason::KeyMismatch);
}

#[test]
fn no_flipped_bit_makes_a_session() {
    let mut lengths = [0; 5];
    for (index, slot) in lengths.iter_mut().enumerate().skip(1) {
        let length = std::cell::Cell::new(0);
        let mut wire = Wire::new(client(), server());
        let measure = |at: usize, message: Vec<u8>| {
            if at == index {
                length.set(message.len());
            }
            message
        };
        wire.tamper = &measure;
        let _ = wire.run();
        *slot = length.get();
    }
    for (index, length) in lengths.into_iter().enumerate().skip(1) {
        for bit in 0..length * 8 {
            let flip = |at: usize, mut message: Vec<u8>| {
                if at == index {
                    message[bit / 8] ^= 1 << (bit % 8);
                }
                message
            };
            let mut wire = Wire::new(client(), server());
            wire.tamper = &flip;
            let (client, server) = wire.run();
            assert!(client.is_err(), "M{index} bit {bit}: the client accepted");
            assert!(index == 4 || !matches!(server, Some(Ok(_))), "M{index} bit {bit}: the server accepted");
        }
    }
}

#[test]
fn secrets_do_not_show() {
    let (m1, state) =
        Initiator::start(Arc::new(client()), "server".parse().unwrap(), Expectation::Unknown, None, NOW)
            .unwrap();
    let shown = format!("{state:?}");
    assert!(shown.contains("(..)") && !m1.is_empty());
    let (established, _) = agree(Wire::new(client(), server()));
    let key = format!("{:?}", established.seal.as_bytes());
    assert!(!format!("{established:?}").contains(&key));
}
