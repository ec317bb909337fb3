//! The corpora of the fuzz targets, replayed: whatever once made a difference
//! still keeps every promise, and so do changes of it. Their seeds are real traffic,
//! taken from the vectors; with `MESH_WRITE_CORPORA=1` those that are missing are
//! written. `MESH_FUZZ_SECONDS` is how long each corpus is changed, at random, and
//! `MESH_FUZZ_SEED` repeats a run: a second and a new seed unless they are set.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files should fail")]
#![expect(clippy::print_stdout, reason = "a run says how long it was, and how to repeat it")]

use std::{fs, path::PathBuf, time::Duration};

use bytes::BytesMut;
use mesh_core::{
    auth::{TokenIssuer, TokenType},
    clock::Timestamp,
    crypto::rsa::KeyPair,
    error::{Code, Reason},
    id::SessionId,
    record::message::{CallKind, CancelCause, Encoded, Encoding, Failure, Payload, RequestFields},
};
use serde_json::Value;

#[path = "../fuzz/harness.rs"]
mod harness;
#[path = "corpora/mutator.rs"]
mod mutator;

use mutator::Mutator;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn corpus(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

fn vectors(file: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Writes what is missing of `seeds`, if that is asked for, and replays all there is.
fn replay(target: &str, seeds: Vec<(String, Vec<u8>)>, run: fn(&[u8])) {
    let folder = corpus(target);
    for (name, bytes) in seeds {
        let path = folder.join(format!("seed-{name}"));
        if std::env::var_os("MESH_WRITE_CORPORA").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        assert!(path.exists(), "{} is missing; MESH_WRITE_CORPORA=1 writes it", path.display());
    }
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut corpus = Vec::new();
    for file in files {
        let data = fs::read(&file).unwrap();
        let outcome = std::panic::catch_unwind(|| run(&data));
        assert!(outcome.is_ok(), "{}: the harness panicked", file.display());
        corpus.push(data);
    }
    changed(target, corpus, run);
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Runs the harness on random changes of what is in its corpus.
fn changed(target: &str, corpus: Vec<Vec<u8>>, run: fn(&[u8])) {
    let asked = number("MESH_FUZZ_SECONDS");
    // The same seed whenever nobody asked for more, so that a change of the code alone turns a run red.
    let seed = || if asked.is_some() { Timestamp::now().as_millis() } else { 1 };
    let seed = number("MESH_FUZZ_SEED").unwrap_or_else(seed);
    let time = Duration::from_secs(asked.unwrap_or(1));
    let (mut mutator, begun) = (Mutator::new(seed, corpus), harness::instant());
    let mut executions = 0;
    while begun.elapsed() < time {
        let data = mutator.change();
        let outcome = std::panic::catch_unwind(|| run(&data));
        assert!(outcome.is_ok(), "{target}, seed {seed}, execution {executions}: {}", hex::encode(&data));
        executions += 1;
    }
    println!("{target}: {executions} executions, seed {seed}");
}

#[test]
fn corpus_of_hello() {
    let mut seeds = Vec::new();
    for name in ["handshake", "resumption"] {
        let vector = vectors(&format!("{name}.json"));
        let bytes = |message: &str| hex::decode(vector[message].as_str().unwrap()).unwrap();
        let (m1, m3) = (bytes("m1"), bytes("m3"));
        seeds.push((format!("{name}-m1"), [&m1[..], &[16]].concat()));
        // M1 ends at the nearest sixteenth, which is rarely its end.
        let cut = (m1.len() * 16 / (m1.len() + m3.len())) as u8;
        seeds.push((format!("{name}-m1-m3"), [&m1[..], &m3, &[cut]].concat()));
    }
    replay("hello", seeds, harness::hello);
}

#[test]
fn corpus_of_record() {
    let records = |case: &Value| {
        let records = case["records"].as_array().unwrap().iter();
        records.flat_map(|record| hex::decode(record.as_str().unwrap()).unwrap()).collect::<Vec<u8>>()
    };
    let cases = vectors("records.json");
    let cases = cases.as_array().unwrap();
    let seeds = cases.iter().map(|case| (format!("aes-{}", case["aes_bits"]), records(case))).collect();
    replay("record", seeds, harness::record);
}

#[test]
fn corpus_of_messages() {
    let raw = Payload { encoding: Encoding::Raw, bytes: b"some bytes" };
    let json = Payload { encoding: Encoding::Json, bytes: br#"{"a":[1,2]}"# };
    let metadata = br#"{"x-request-id":"7"}"#;
    let now = harness::instant();
    let request = |kind: CallKind, attempt| {
        let payload = if kind.streams_input() { Payload::EMPTY } else { json };
        let fields = RequestFields { kind, attempt, metadata, ..RequestFields::FIRST };
        let deadline = Some(now + Duration::from_millis(1500));
        Encoded::request("orders.create", deadline, fields, payload).unwrap().with_call(7)
    };
    let failure = Failure {
        code: Code::NotFound,
        reason: "ORDER_UNKNOWN",
        message: "no such order",
        retryable: true,
        retry_after_ms: Some(250),
        error_id: "e1",
        data: json,
    };
    let all = [
        ("request", request(CallKind::Unary, 1)),
        ("request-again", request(CallKind::Unary, 2)),
        ("request-stream", request(CallKind::BidiStream, 2)),
        ("response", Encoded::response(7, metadata, raw).unwrap()),
        ("error", Encoded::error(7, &failure)),
        ("error-bare", Encoded::error(7, &Failure::new(Code::Internal, Reason::Internal, ""))),
        ("cancel", Encoded::cancel(7, CancelCause::Deadline)),
        ("ping", Encoded::ping([1; 8])),
        ("pong", Encoded::pong([2; 8])),
        ("goaway", Encoded::go_away(9, Code::Unavailable)),
        ("item", Encoded::item(7, raw)),
        ("end", Encoded::end(7, metadata).unwrap()),
        ("window", Encoded::window(0, 1 << 20)),
    ];
    let mut together = BytesMut::new();
    let mut seeds = Vec::new();
    for (name, message) in all {
        let mut out = BytesMut::new();
        message.put(&mut out, "a.b.c", now);
        together.extend_from_slice(&out);
        seeds.push((name.to_owned(), out.to_vec()));
    }
    seeds.push(("all".to_owned(), together.to_vec()));
    replay("messages", seeds, harness::messages);
}

#[test]
fn corpus_of_token() {
    let client = KeyPair::from_pkcs8_pem(vectors("handshake.json")["client_key"].as_str().unwrap()).unwrap();
    let claims = |change: &dyn Fn(&mut Value)| {
        let now = NOW.as_secs();
        let mut claims = serde_json::json!({
            "iss": "client", "sub": "client", "aud": "server",
            "sid": SessionId::from_bytes([3; 16]).to_string(),
            "cnf": { "jkt": client.public_key().thumbprint().to_string() },
            "iat": now, "nbf": now, "exp": now + 3600, "jti": "AAAAAAAAAAAAAAAAAAAAAA",
        });
        change(&mut claims);
        claims.to_string().into_bytes()
    };
    let header = br#"{"alg":"HS256","typ":"ssm-request+jwt"}"#;
    let issued = TokenIssuer::new(
        &[9; 32],
        TokenType::Request,
        &"client".parse().unwrap(),
        &"server".parse().unwrap(),
        &SessionId::from_bytes([3; 16]),
        client.public_key().thumbprint(),
        Duration::from_hours(1),
    );
    // A token has a random name; the one that is stored stays.
    let whole = fs::read(corpus("token").join("seed-whole"));
    let whole = whole.unwrap_or_else(|_| issued.issue(NOW).unwrap().into_bytes());
    let seeds = vec![
        ("whole".to_owned(), whole),
        ("claims".to_owned(), [b"\n", &claims(&|_| {})[..]].concat()),
        ("header-claims".to_owned(), [&header[..], b"\n", &claims(&|_| {})].concat()),
        ("expired".to_owned(), claims(&|claims| claims["exp"] = (NOW.as_secs() - 60).into())),
        ("fraction".to_owned(), claims(&|claims| claims["exp"] = 1.5e9.into())),
        ("nested".to_owned(), claims(&|claims| claims["x"] = serde_json::json!([[[{}]]]))),
        ("none".to_owned(), [br#"{"alg":"none","typ":"ssm-request+jwt"}"#, &b"\n{}"[..]].concat()),
    ];
    replay("token", seeds, harness::token);
}
