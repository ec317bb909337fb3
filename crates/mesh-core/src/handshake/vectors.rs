//! The recorded handshake of `tests/vectors/handshake.json`: whoever follows
//! `docs/protocol.md` finds the same keys. With `MESH_WRITE_VECTORS=1` a new
//! one is recorded.

use std::{fs, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    messages::{ClientFinish, SERVER_FINISH, ServerHello, body, decode_sealed, split_mac},
    schedule::{ClientStage, transcript},
    *,
};
use crate::crypto::mac::sha256;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Bytes in hexadecimal, keys in PEM, time in seconds since 1970.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Vector {
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
    k_s: String,
    k_c: String,
    session_id: String,
    client_traffic: String,
    server_traffic: String,
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/handshake.json")
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

#[test]
fn handshake_vectors_follow_the_document() {
    if std::env::var_os("MESH_WRITE_VECTORS").is_some() {
        fs::create_dir_all(path().parent().unwrap()).unwrap();
        fs::write(path(), serde_json::to_string_pretty(&record()).unwrap() + "\n").unwrap();
    }
    let vector: Vector = serde_json::from_str(&fs::read_to_string(path()).unwrap()).unwrap();
    assert_eq!(vector.now, NOW.as_secs());
    let [m1, m2, m3, m4] = [&vector.m1, &vector.m2, &vector.m3, &vector.m4].map(|text| bytes(text));
    let root = MeshSecret::new(&bytes(&vector.mesh_secret));

    let (covered, mac) = split_mac(&m1).unwrap();
    assert!(root.hello_key("client hello").verify(&[covered], mac));
    let (covered, mac) = split_mac(&m2).unwrap();
    assert!(root.hello_key("server hello").verify(&[&sha256(&[&m1]), covered], mac));
    let (_, wrapped, prefix) = ServerHello::decode(&m2).unwrap();
    let label = transcript(&[&m1, &m2[..prefix]]);
    let k_s = unwrap_secret(&key(&vector.client_key), wrapped, &label).unwrap();
    assert_eq!(hex::encode(k_s.as_bytes()), vector.k_s);

    let th2 = transcript(&[&m1, &m2]);
    let shared = [bytes(&vector.ml_kem_shared), bytes(&vector.x25519_shared)];
    let stage = ClientStage::new(&root, th2, &[&shared[0], &shared[1]], &secret(&vector.k_s));
    assert_eq!(stage.session_id().to_string(), vector.session_id);
    let finish = ClientFinish::decode(&m3).unwrap();
    let (covered, mac) = split_mac(&m3).unwrap();
    assert!(stage.finished().verify(&[&transcript(&[&m1, &m2, covered])], mac));
    let opened = stage.sealing().unwrap().open(&[&th2[..], finish.wrapped].concat(), finish.sealed).unwrap();
    assert_eq!(decode_sealed(&opened).unwrap().1, Parameters { max_message: 1 << 22, max_calls: 1024 });
    let k_c = unwrap_secret(&key(&vector.server_key), finish.wrapped, &th2).unwrap();
    assert_eq!(hex::encode(k_c.as_bytes()), vector.k_c);

    let th3 = transcript(&[&m1, &m2, &m3]);
    let stage = stage.server_stage(th3, &secret(&vector.k_c));
    let (covered, mac) = split_mac(&m4).unwrap();
    assert!(stage.finished().verify(&[&transcript(&[&m1, &m2, &m3, covered])], mac));
    let sealed = body(&m4, SERVER_FINISH).unwrap().vec16().unwrap();
    assert!(stage.sealing().unwrap().open(&th3, sealed).is_ok());
    let (client, server) = stage.traffic(&transcript(&[&m1, &m2, &m3, &m4]));
    assert_eq!(hex::encode(client.as_bytes()), vector.client_traffic);
    assert_eq!(hex::encode(server.as_bytes()), vector.server_traffic);
}

fn record() -> Vector {
    let pem = || KeyPair::generate(2048).unwrap().to_pkcs8_pem().unwrap().to_string();
    let (client_key, server_key, mesh_secret) = (pem(), pem(), [0x5e; 32]);
    let local = |id: &str, pem: &str| {
        Arc::new(Local {
            id: id.parse().unwrap(),
            key: key(pem),
            secrets: vec![MeshSecret::new(&mesh_secret)],
            suites: vec![Suite::Hybrid, Suite::X25519],
            aes: AesKeySize::Aes256,
            token_lifetime: Duration::from_hours(1),
            parameters: Parameters { max_message: 1 << 22, max_calls: 1024 },
        })
    };
    let (client, server) = (local("client", &client_key), local("server", &server_key));
    let (m1, state) =
        Initiator::start(Arc::clone(&client), server.id.clone(), Expectation::Unknown, NOW).unwrap();
    let (m2, proof) = Responder::on_hello(Arc::clone(&server), &m1, |_| Expectation::Unknown, NOW).unwrap();
    let unproved = state.on_hello(&m2, NOW).unwrap();
    let k_s = unwrap_secret(&client.key, &unproved.wrapped, &unproved.label).unwrap();
    let shared: Vec<_> = unproved.shared.iter().map(|secret| hex::encode(secret.as_bytes())).collect();
    let (m3, finish) = unproved.prove(NOW).unwrap();
    let proved = proof.on_finish(&m3, NOW).unwrap();
    let k_c = unwrap_secret(&server.key, &proved.wrapped, &transcript(&[&m1, &m2])).unwrap();
    let (m4, established) = proved.accept(NOW).unwrap();
    finish.on_finish(&m4, NOW).unwrap();
    let [ml_kem_shared, x25519_shared] = shared.try_into().unwrap();
    let [m1, m2, m3, m4] = [m1, m2, m3, m4].map(hex::encode);
    Vector {
        now: NOW.as_secs(),
        mesh_secret: hex::encode(mesh_secret),
        client_key,
        server_key,
        m1,
        m2,
        m3,
        m4,
        ml_kem_shared,
        x25519_shared,
        k_s: hex::encode(k_s.as_bytes()),
        k_c: hex::encode(k_c.as_bytes()),
        session_id: established.session.to_string(),
        client_traffic: hex::encode(established.open.as_bytes()),
        server_traffic: hex::encode(established.seal.as_bytes()),
    }
}
