//! The recorded handshakes of `tests/vectors/`. An implementation of
//! `docs/protocol.md` derives the same keys. With `MESH_WRITE_VECTORS=1`
//! missing vectors are recorded.

use std::{fs, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    initiator::Proof,
    messages::{ClientFinish, ClientHello, SERVER_FINISH, Sealed, ServerHello, Shown, body, split_mac},
    schedule::{ClientStage, transcript, transcript_of_hellos},
    *,
};
use rcgen::CertificateParams;

use crate::{
    crypto::mac::sha256,
    identity::{
        Anchors, CrlPolicy, NameRule, Verifier,
        tests::{Authority, PATH, valid},
    },
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Bytes in hexadecimal, keys in PEM, time in seconds since 1970.
#[derive(Debug, Deserialize, Serialize)]
struct Run {
    now: u64,
    /// In mode 3: the trust anchor of both sides, in DER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anchor: Option<String>,
    mesh_secret: String,
    client_key: String,
    server_key: String,
    m1: String,
    m2: String,
    m3: String,
    m4: String,
    ml_kem_shared: String,
    x25519_shared: String,
    session_id: String,
    client_traffic: String,
    server_traffic: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct Full {
    #[serde(flatten)]
    run: Run,
    k_s: String,
    k_c: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct Resumed {
    #[serde(flatten)]
    run: Run,
    psk: String,
    held: String,
}

fn key(pem: &str) -> KeyPair {
    KeyPair::from_pkcs8_pem(pem).unwrap()
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

fn secret(text: &str) -> Secret<32> {
    Secret::from_slice(&bytes(text)).unwrap()
}

/// The vector in `file`.
fn vector<T: DeserializeOwned + Serialize>(file: &str, record: impl FnOnce() -> T) -> T {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
    if std::env::var_os("MESH_WRITE_VECTORS").is_some() && !path.exists() {
        fs::write(&path, serde_json::to_string_pretty(&record()).unwrap() + "\n").unwrap();
    }
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

impl Run {
    fn messages(&self) -> [Vec<u8>; 4] {
        [&self.m1, &self.m2, &self.m3, &self.m4].map(|text| bytes(text))
    }

    fn root(&self) -> MeshSecret {
        if self.anchor.is_some() { MeshSecret::none() } else { MeshSecret::new(&bytes(&self.mesh_secret)) }
    }

    fn mode(&self) -> Mode {
        if self.anchor.is_some() { Mode::Certificate } else { Mode::Secret }
    }

    /// Mode 3: the anchor and the expected names verify the identities of both hellos.
    fn names(&self) {
        let anchors = Anchors::new(&bytes(self.anchor.as_ref().unwrap()), None, CrlPolicy::Refuse).unwrap();
        let [m1, m2, ..] = self.messages();
        let (client, server) =
            (ClientHello::decode(&m1).unwrap().shares, ServerHello::decode(&m2).unwrap().0.shares);
        let rule = NameRule { template: Some(format!("{PATH}{{service}}")), ..NameRule::default() };
        let own = Authority::root("x").issue("x", &|_| ()).credential();
        let verifier = Verifier::new(anchors, &rule, &own, Arc::default(), Arc::default());
        for (shares, id, pem) in
            [(&client, &client.client, &self.client_key), (&server, &server.server, &self.server_key)]
        {
            let Shown::Certificate(identity) = &shares.identity else { panic!("not a certificate") };
            let certified = verifier.verify(identity, id, NOW).unwrap();
            assert_eq!(certified.mesh_key, *key(pem).public_key());
            assert_eq!(certified.name, format!("{PATH}{id}"));
        }
    }

    /// Follows the key schedule from the proofs of the client and of the server.
    fn follows(&self, client_proof: &[&Secret<32>], server_proof: &Secret<32>) {
        assert_eq!(self.now, NOW.as_secs());
        let [m1, m2, m3, m4] = self.messages();
        let root = self.root();
        let (covered, mac) = split_mac(&m1).unwrap();
        assert!(root.hello_key("client hello").verify(&[covered], mac));
        let (covered, mac) = split_mac(&m2).unwrap();
        assert!(root.hello_key("server hello").verify(&[&sha256(&[&m1]), covered], mac));

        let th2 = transcript_of_hellos(&[&m1, &m2], self.mode());
        let shared = [secret(&self.ml_kem_shared), secret(&self.x25519_shared)];
        let stage = ClientStage::new(&root, th2, &shared, client_proof);
        assert_eq!(stage.session_id().to_string(), self.session_id);
        let finish = ClientFinish::decode(&m3).unwrap();
        let (covered, mac) = split_mac(&m3).unwrap();
        assert!(stage.finished().verify(&[&transcript(&[&m1, &m2, covered])], mac));
        let aad = [&th2[..], finish.wrapped].concat();
        let opened = stage.sealing().unwrap().open(&aad, finish.sealed).unwrap();
        let Sealed { parameters, holder, .. } = Sealed::decode(&opened).unwrap();
        assert_eq!(parameters, Parameters { max_message: 1 << 22, max_calls: 1024 });
        let client = ClientHello::decode(&m1).unwrap().shares;
        assert!(holder.unwrap().verify(&client.server, key(&self.client_key).public_key()));

        let th3 = transcript(&[&m1, &m2, &m3]);
        let stage = stage.server_stage(th3, server_proof);
        let (covered, mac) = split_mac(&m4).unwrap();
        assert!(stage.finished().verify(&[&transcript(&[&m1, &m2, &m3, covered])], mac));
        let sealed = body(&m4, SERVER_FINISH).unwrap().vec16().unwrap();
        assert!(stage.sealing().unwrap().open(&th3, sealed).is_ok());
        let (client, server) = stage.traffic(&transcript(&[&m1, &m2, &m3, &m4]));
        assert_eq!(hex::encode(client.as_bytes()), self.client_traffic);
        assert_eq!(hex::encode(server.as_bytes()), self.server_traffic);
    }
}

#[test]
fn handshake_vectors_follow_the_document() {
    follow_full(vector("handshake.json", || record(strangers())));
}

#[test]
fn handshake_vectors_with_certificates_follow_the_document() {
    let full: Full = vector("handshake-certificate.json", || record(certified()));
    full.run.names();
    follow_full(full);
}

fn follow_full(Full { run, k_s, k_c }: Full) {
    let [m1, m2, m3, _] = run.messages();
    let (_, wrapped, prefix) = ServerHello::decode(&m2).unwrap();
    let label = transcript_of_hellos(&[&m1, &m2[..prefix]], run.mode());
    let unwrapped = unwrap_secret(&key(&run.client_key), wrapped, &label).unwrap();
    assert_eq!(hex::encode(unwrapped.as_bytes()), k_s);
    let wrapped = ClientFinish::decode(&m3).unwrap().wrapped.to_vec();
    let th2 = transcript_of_hellos(&[&m1, &m2], run.mode());
    let unwrapped = unwrap_secret(&key(&run.server_key), &wrapped, &th2).unwrap();
    assert_eq!(hex::encode(unwrapped.as_bytes()), k_c);
    run.follows(&[&secret(&k_s)], &secret(&k_c));
}

#[test]
fn resumption_vectors_follow_the_document() {
    follow_resumed(vector("resumption.json", || record_resumption(&strangers())));
}

#[test]
fn resumption_vectors_with_certificates_follow_the_document() {
    let resumed: Resumed = vector("resumption-certificate.json", || record_resumption(&certified()));
    resumed.run.names();
    follow_resumed(resumed);
}

fn follow_resumed(Resumed { run, psk, held }: Resumed) {
    let [m1, m2, m3, _] = run.messages();
    let hello = ClientHello::decode(&m1).unwrap().shares;
    let (answer, wrapped, _) = ServerHello::decode(&m2).unwrap();
    assert_eq!(answer.shares.resumption, Some(Vec::new()));
    assert!(wrapped.is_empty() && ClientFinish::decode(&m3).unwrap().wrapped.is_empty());
    let secrets = [run.root()];
    let secrets = if run.anchor.is_some() { &[] } else { &secrets[..] };
    let tickets = Tickets::new(&hello.server, &key(&run.server_key), secrets).unwrap();
    let shown = key(&run.client_key).public_key().clone();
    let note = tickets.take(&hello.resumption.unwrap(), &hello.client, &shown, NOW).unwrap();
    assert_eq!(note.name, run.anchor.as_ref().map(|_| format!("{PATH}client")));
    assert_eq!(hex::encode(note.psk.as_bytes()), psk);
    run.follows(&[&secret(&psk), &secret(&held)], &secret(&psk));
}

/// Two services that have never met, and their anchor.
type Pair = (Arc<Local>, Arc<Local>, Option<Vec<u8>>);

fn strangers() -> Pair {
    let local = |id| Arc::new(tests::local(id, KeyPair::generate(2048).unwrap(), &[&[0x5e; 32]]));
    (local("client"), local("server"), None)
}

fn certified() -> Pair {
    let then = |params: &mut CertificateParams| valid(params, NOW, NOW + Duration::from_hours(48));
    let root = Authority::root_with("root", &then);
    let local = |id| {
        let made = KeyPair::generate(2048).unwrap();
        Arc::new(tests::certificates::certified(id, made, &root, &then, NOW))
    };
    (local("client"), local("server"), Some(root.der().to_vec()))
}

/// The proofs of a run that a vector records: the client's, and the encrypted `k_c`.
struct Witness {
    proof: Proof,
    wrapped: Vec<u8>,
}

fn play((client, server, anchor): &Pair, start: Option<Ticket>) -> (Run, Witness, Option<Ticket>) {
    let expect = |_: &ServiceId| Expectation::Unknown;
    let name = server.id.clone();
    let (m1, state) = Initiator::start(Arc::clone(client), name, Expectation::Unknown, start, NOW).unwrap();
    let (m2, proof) = Responder::on_hello(Arc::clone(server), &m1, expect, NOW).unwrap();
    let unproved = state.on_hello(&m2, NOW).unwrap();
    let shown = match &unproved.proof {
        Proof::Key { label, wrapped } => Proof::Key { label: *label, wrapped: wrapped.clone() },
        Proof::Ticket { psk, held, holder } => {
            Proof::Ticket { psk: psk.clone(), held: held.clone(), holder: Arc::clone(holder) }
        }
    };
    let shared: Vec<_> = unproved.shared.iter().map(|secret| hex::encode(secret.as_bytes())).collect();
    let (m3, finish) = unproved.prove(NOW).unwrap();
    let proved = proof.on_finish(&m3, NOW).unwrap();
    let wrapped = proved.wrapped.clone();
    let (m4, established) = proved.accept(NOW).unwrap();
    let ticket = finish.on_finish(&m4, NOW).unwrap().ticket;
    let [ml_kem_shared, x25519_shared] = shared.try_into().unwrap();
    let [m1, m2, m3, m4] = [m1, m2, m3, m4].map(hex::encode);
    let run = Run {
        now: NOW.as_secs(),
        anchor: anchor.as_ref().map(hex::encode),
        mesh_secret: hex::encode([0x5e; 32]),
        client_key: client.key.to_pkcs8_pem().unwrap().to_string(),
        server_key: server.key.to_pkcs8_pem().unwrap().to_string(),
        m1,
        m2,
        m3,
        m4,
        ml_kem_shared,
        x25519_shared,
        session_id: established.session.to_string(),
        client_traffic: hex::encode(established.open.as_bytes()),
        server_traffic: hex::encode(established.seal.as_bytes()),
    };
    (run, Witness { proof: shown, wrapped }, ticket)
}

fn record(pair: Pair) -> Full {
    let (run, witness, _) = play(&pair, None);
    let (client, server, _) = pair;
    let Proof::Key { label, wrapped } = &witness.proof else { panic!("a full handshake") };
    let k_s = unwrap_secret(&client.key, wrapped, label).unwrap();
    let [m1, m2, ..] = run.messages();
    let th2 = transcript_of_hellos(&[&m1, &m2], run.mode());
    let k_c = unwrap_secret(&server.key, &witness.wrapped, &th2).unwrap();
    Full { run, k_s: hex::encode(k_s.as_bytes()), k_c: hex::encode(k_c.as_bytes()) }
}

fn record_resumption(pair: &Pair) -> Resumed {
    let (_, _, ticket) = play(pair, None);
    let (run, witness, _) = play(pair, ticket);
    let Proof::Ticket { psk, held, .. } = &witness.proof else { panic!("a resumption") };
    Resumed { run, psk: hex::encode(psk.as_bytes()), held: hex::encode(held.as_bytes()) }
}
