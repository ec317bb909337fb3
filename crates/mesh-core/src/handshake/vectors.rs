//! The recorded handshakes of `tests/vectors/`: whoever follows
//! `docs/protocol.md` finds the same keys. With `MESH_WRITE_VECTORS=1` those
//! that are missing are recorded.

use std::{fs, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    initiator::Proof,
    messages::{ClientFinish, ClientHello, SERVER_FINISH, Sealed, ServerHello, body, split_mac},
    schedule::{ClientStage, transcript},
    *,
};
use crate::crypto::mac::sha256;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Bytes in hexadecimal, keys in PEM, time in seconds since 1970.
#[derive(Debug, Deserialize, Serialize)]
struct Run {
    now: u64,
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
fn vector<T: DeserializeOwned + Serialize>(file: &str, record: fn() -> T) -> T {
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
        MeshSecret::new(&bytes(&self.mesh_secret))
    }

    /// Follows the key schedule from what proves the client and the server.
    fn follows(&self, client_proof: &[&Secret<32>], server_proof: &Secret<32>) {
        assert_eq!(self.now, NOW.as_secs());
        let [m1, m2, m3, m4] = self.messages();
        let root = self.root();
        let (covered, mac) = split_mac(&m1).unwrap();
        assert!(root.hello_key("client hello").verify(&[covered], mac));
        let (covered, mac) = split_mac(&m2).unwrap();
        assert!(root.hello_key("server hello").verify(&[&sha256(&[&m1]), covered], mac));

        let th2 = transcript(&[&m1, &m2]);
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
        assert!(holder.unwrap().verify(&client.server, &client.public_key().unwrap()));

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
    let Full { run, k_s, k_c } = vector("handshake.json", record);
    let [m1, m2, m3, _] = run.messages();
    let (_, wrapped, prefix) = ServerHello::decode(&m2).unwrap();
    let label = transcript(&[&m1, &m2[..prefix]]);
    let unwrapped = unwrap_secret(&key(&run.client_key), wrapped, &label).unwrap();
    assert_eq!(hex::encode(unwrapped.as_bytes()), k_s);
    let wrapped = ClientFinish::decode(&m3).unwrap().wrapped.to_vec();
    let unwrapped = unwrap_secret(&key(&run.server_key), &wrapped, &transcript(&[&m1, &m2])).unwrap();
    assert_eq!(hex::encode(unwrapped.as_bytes()), k_c);
    run.follows(&[&secret(&k_s)], &secret(&k_c));
}

#[test]
fn resumption_vectors_follow_the_document() {
    let Resumed { run, psk, held } = vector("resumption.json", record_resumption);
    let [m1, m2, m3, _] = run.messages();
    let hello = ClientHello::decode(&m1).unwrap().shares;
    let (answer, wrapped, _) = ServerHello::decode(&m2).unwrap();
    assert_eq!(answer.shares.resumption, Some(Vec::new()));
    assert!(wrapped.is_empty() && ClientFinish::decode(&m3).unwrap().wrapped.is_empty());
    let tickets = Tickets::new(&hello.server, &key(&run.server_key), &[run.root()]).unwrap();
    let shown = hello.public_key().unwrap();
    let note = tickets.take(&hello.resumption.unwrap(), &hello.client, &shown, NOW).unwrap();
    assert_eq!(hex::encode(note.psk.as_bytes()), psk);
    run.follows(&[&secret(&psk), &secret(&held)], &secret(&psk));
}

/// Two services that have never met.
fn strangers() -> (Arc<Local>, Arc<Local>) {
    let local = |id| Arc::new(tests::local(id, KeyPair::generate(2048).unwrap(), &[&[0x5e; 32]]));
    (local("client"), local("server"))
}

/// What a run shows of its proofs: the client's, and `k_c` encrypted.
struct Witness {
    proof: Proof,
    wrapped: Vec<u8>,
}

fn play(client: &Arc<Local>, server: &Arc<Local>, start: Option<Ticket>) -> (Run, Witness, Option<Ticket>) {
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

fn record() -> Full {
    let (client, server) = strangers();
    let (run, witness, _) = play(&client, &server, None);
    let Proof::Key { label, wrapped } = &witness.proof else { panic!("a full handshake") };
    let k_s = unwrap_secret(&client.key, wrapped, label).unwrap();
    let [m1, m2, ..] = run.messages();
    let k_c = unwrap_secret(&server.key, &witness.wrapped, &transcript(&[&m1, &m2])).unwrap();
    Full { run, k_s: hex::encode(k_s.as_bytes()), k_c: hex::encode(k_c.as_bytes()) }
}

fn record_resumption() -> Resumed {
    let (client, server) = strangers();
    let (_, _, ticket) = play(&client, &server, None);
    let (run, witness, _) = play(&client, &server, ticket);
    let Proof::Ticket { psk, held, .. } = &witness.proof else { panic!("a resumption") };
    Resumed { run, psk: hex::encode(psk.as_bytes()), held: hex::encode(held.as_bytes()) }
}
