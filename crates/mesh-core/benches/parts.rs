//! The costs of the parts of a call and of a session, one at a time, in one thread:
//!
//! ```text
//! cargo bench --bench parts [-- record]
//! ```
//!
//! `bench/micro/node-crypto.mjs` does the same with `node:crypto`, under the same names.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]

use std::{hint::black_box, sync::Arc, time::Duration};

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use mesh_core::{
    auth::{CachedVerifier, TokenIssuer, TokenType, TokenVerifier},
    authz::{Caller, Policy, PolicyRules},
    balance::{Dice, Facts, Group, Verdict, hash},
    clock::Timestamp,
    config::{Balancing, Selection},
    crypto::{aead::AesKeySize, envelope, rsa::KeyPair, secret::Secret},
    handshake::{
        Established, Expectation, Initiator, Local, MeshSecret, Parameters, Responder, Retired, Suite,
        Ticket, Tickets,
    },
    id::SessionId,
    record::{Opened, Opener, Sealer, json},
    telemetry::{Begun, Direction, FlowKind, Recorder},
};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const HOUR: Duration = Duration::from_hours(1);

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    record(&mut criterion);
    weight(&mut criterion);
    token(&mut criterion);
    authorization(&mut criterion);
    balance(&mut criterion);
    sight(&mut criterion);
    let keys = [2048, 4096].map(|bits| [(); 2].map(|()| KeyPair::generate(bits).unwrap()));
    sessions(&mut criterion, &keys);
    envelopes(&mut criterion, &keys);
    criterion.final_summary();
}

/// The record of a call: begin and end, among 100 methods, with and without a trace.
fn sight(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sight");
    let recorder = Recorder::new("me", "1.0.0", NOW, true);
    let methods: Vec<String> = (0..100).map(|number| format!("orders.get.{number}")).collect();
    let traced = br#"{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#;
    for (name, metadata) in [("call", &b""[..]), ("call+trace", &traced[..])] {
        let mut methods = methods.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let method = methods.next().unwrap();
                let call = Begun {
                    direction: Direction::Out,
                    peer: "orders",
                    method,
                    kind: FlowKind::Unary,
                    metadata,
                };
                let watched = recorder.begin(black_box(call), Duration::from_millis(1)).unwrap();
                recorder.end(&watched, None, Duration::from_millis(3));
            });
        });
    }
    group.finish();
}

/// A record of the protocol sealed, and opened again: AES-256-GCM and HMAC-SHA256.
fn record(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    for size in [100, 1024, 65_536] {
        let text = vec![7; size];
        group.throughput(Throughput::Bytes(size as u64));
        let sealer = || Sealer::new(Secret::new([7; 32]), AesKeySize::Aes256, NOW).unwrap();
        let opener = || Opener::new(Secret::new([7; 32]), AesKeySize::Aes256, size, NOW).unwrap();
        let mut out = BytesMut::with_capacity(size + 1024);
        let mut sealing = sealer();
        group.bench_function(BenchmarkId::new("seal", size), |bencher| {
            bencher.iter(|| {
                // A key is good for so many records, and seconds of this are more.
                if sealing.is_due(NOW) {
                    sealing = sealer();
                }
                out.clear();
                sealing.seal(&mut out, |out| out.extend_from_slice(black_box(&text))).unwrap();
                black_box(&out);
            });
        });
        let (mut sealing, mut opening) = (sealer(), opener());
        group.bench_function(BenchmarkId::new("seal+open", size), |bencher| {
            bencher.iter(|| {
                if sealing.is_due(NOW) {
                    (sealing, opening) = (sealer(), opener());
                }
                out.clear();
                sealing.seal(&mut out, |out| out.extend_from_slice(black_box(&text))).unwrap();
                let content = opening.open(&mut &mut out[..], NOW).unwrap();
                assert!(matches!(content, Opened::Messages(text) if text.len() == size));
            });
        });
    }
    group.finish();
}

/// The choice of an instance, and what is noted of a call there.
fn balance(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("balance");
    let policies =
        [("p2c", Selection::P2c), ("round-robin", Selection::RoundRobin), ("random", Selection::Random)];
    for (name, policy) in policies {
        for count in [10, 1000] {
            let mut instances = Group::new(Balancing { policy, subset: 1000, ..Balancing::usual() }, 1);
            let facts = |number| Facts { hash: hash(&format!("i{number}:1")), weight: 1.0, local: false };
            instances.replace(&(0..count).map(|number| (facts(number), None)).collect::<Vec<_>>(), NOW);
            let mut dice = Dice::seeded(1);
            for number in 0..10 * count {
                let visit = instances.enter(number as usize % count as usize).unwrap();
                let latency = Duration::from_micros(900 + number % 200);
                instances.leave(visit, Verdict::Good, Some(latency), NOW);
            }
            let later = NOW + Duration::from_secs(1);
            group.bench_function(BenchmarkId::new(format!("pick {name}"), count), |bencher| {
                bencher.iter(|| instances.pick(|index| index < 1000, None, black_box(later), &mut dice));
            });
            group.bench_function(BenchmarkId::new(format!("pick+enter+leave {name}"), count), |bencher| {
                bencher.iter(|| {
                    let index =
                        instances.pick(|index| index < 1000, None, black_box(later), &mut dice).unwrap();
                    let visit = instances.enter(index).unwrap();
                    instances.leave(visit, Verdict::Good, Some(Duration::from_millis(1)), later)
                });
            });
        }
    }
    group.finish();
}

/// JSON weighed before it is handed on: few members, and thousands of small ones.
fn weight(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("json");
    let row = |id: usize| format!(r#"{{"id":{id},"name":"user {id}","price":1.25,"tags":["a","b"]}}"#);
    let rows = |bytes: usize| format!("[{}]", (0..bytes / 64).map(row).collect::<Vec<_>>().join(","));
    let texts = [
        ("record", format!(r#"{{"id":1,"text":"{}"}}"#, "some words, and more of them. ".repeat(33))),
        ("rows", rows(1024)),
        ("rows", rows(65_536)),
        ("text", format!(r#""{}""#, "some words, and more of them. ".repeat(2184))),
    ];
    for (name, text) in texts {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::new(name, text.len()), |bencher| {
            bencher.iter(|| json::weigh(black_box(text.as_bytes())).unwrap());
        });
    }
    group.finish();
}

/// The token of a call: made, checked for the first time, and checked again.
fn token(criterion: &mut Criterion) {
    let (client, server) = ("client".parse().unwrap(), "server".parse().unwrap());
    let session = SessionId::from_bytes([3; 16]);
    let thumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    let key = [7; 32];
    let issuer = TokenIssuer::new(&key, TokenType::Request, &client, &server, &session, thumbprint, HOUR);
    let verifier =
        || TokenVerifier::new(&key, TokenType::Request, &client, &server, &session, thumbprint, HOUR);
    let token = issuer.issue(NOW).unwrap();

    let mut group = criterion.benchmark_group("token");
    group.bench_function("issue", |bencher| bencher.iter(|| issuer.issue(black_box(NOW)).unwrap()));
    let fresh = verifier();
    group.bench_function("fresh", |bencher| {
        bencher.iter(|| fresh.verify(black_box(token.as_bytes()), NOW).unwrap());
    });
    let mut cached = CachedVerifier::new(verifier());
    group.bench_function("cached", |bencher| {
        bencher.iter(|| {
            black_box(cached.check(black_box(token.as_bytes()), NOW).unwrap());
        });
    });
    group.finish();
}

/// The decision of a policy about a request: with one rule, and with 10,000 as a large fleet has them.
fn authorization(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("authz");
    for rules in [1, 10_000] {
        let rule = |number: usize| {
            serde_json::json!({
                "from": [format!("service-{number}"), format!("spiffe://shop.example/ns/{number}/*")],
                "to": [format!("orders-{number}.*"), format!("health-{number}"), "shared.read"],
                "except": [format!("orders-{number}.delete")],
            })
        };
        let file = serde_json::json!({ "rules": (0..rules).map(rule).collect::<Vec<_>>() }).to_string();
        let policy = PolicyRules::of_file("policy.json".as_ref(), file.as_bytes()).map(Policy::new).unwrap();
        let last = rules - 1;
        let (service, method) = (format!("service-{last}"), format!("orders-{last}.items.get"));
        let spiffe = format!("spiffe://shop.example/ns/{last}/sa/orders");
        let by_service = Caller { service_id: &service, spiffe_id: None };
        let by_spiffe = Caller { service_id: "orders", spiffe_id: Some(&spiffe) };
        for (name, caller, method, allowed) in [
            ("permitted", by_service, method.as_str(), true),
            ("permitted by SPIFFE id", by_spiffe, method.as_str(), true),
            ("denied", by_service, "stock.items.count", false),
        ] {
            group.bench_function(BenchmarkId::new(name, rules), |bencher| {
                bencher.iter(|| {
                    let decision = policy.decide(black_box(caller), black_box(method), b"");
                    assert_eq!(decision.allowed, allowed);
                });
            });
        }
    }
    group.finish();
}

/// A whole handshake, both sides one after the other, without sockets; and one with a ticket.
fn sessions(criterion: &mut Criterion, keys: &[[KeyPair; 2]]) {
    let mut group = criterion.benchmark_group("handshake");
    group.sample_size(20).sampling_mode(SamplingMode::Flat);
    for keys in keys {
        let bits = keys[0].public_key().bits();
        for suite in [Suite::X25519, Suite::Hybrid] {
            let [client, server] = [("client", &keys[0]), ("server", &keys[1])]
                .map(|(id, key)| Arc::new(local(id, key.clone(), suite)));
            let name = if suite == Suite::Hybrid { "hybrid" } else { "x25519" };
            group.bench_function(BenchmarkId::new(name, bits), |bencher| {
                bencher.iter(|| shake(&client, &server, None));
            });
            if bits == 4096 {
                let mut ticket = shake(&client, &server, None).ticket;
                group.bench_function(BenchmarkId::new("resumption", name), |bencher| {
                    bencher.iter(|| {
                        let established = shake(&client, &server, ticket.take());
                        assert!(established.resumed);
                        ticket = established.ticket;
                    });
                });
            }
        }
    }
    group.finish();
}

fn local(id: &str, key: KeyPair, suite: Suite) -> Local {
    let id = id.parse().unwrap();
    let secrets = vec![MeshSecret::new(&[1; 32])];
    Local {
        tickets: Arc::new(Tickets::new(&id, &key, &secrets).unwrap()),
        holders: Arc::default(),
        handshake_timeout: Duration::from_secs(10),
        id,
        key,
        secrets,
        suites: vec![suite],
        aes: AesKeySize::Aes256,
        token_lifetime: HOUR,
        parameters: Parameters { max_message: 1 << 22, max_calls: 1024 },
        retired: Retired::default(),
        succession: None,
        certificate: None,
    }
}

/// The result of the client.
fn shake(client: &Arc<Local>, server: &Arc<Local>, ticket: Option<Ticket>) -> Established {
    let name = server.id.clone();
    let (m1, state) = Initiator::start(Arc::clone(client), name, Expectation::Unknown, ticket, NOW).unwrap();
    let (m2, proof) = Responder::on_hello(Arc::clone(server), &m1, |_| Expectation::Unknown, NOW).unwrap();
    let (m3, finish) = state.on_hello(&m2, NOW).unwrap().prove(NOW).unwrap();
    let (m4, _) = proof.on_finish(&m3, NOW).unwrap().accept(NOW).unwrap();
    finish.on_finish(&m4, NOW).unwrap()
}

/// An envelope of `CryptoManager`, of 1 KiB: encrypted and signed; verified and decrypted.
fn envelopes(criterion: &mut Criterion, keys: &[[KeyPair; 2]]) {
    let text = vec![7; 1024];
    let mut group = criterion.benchmark_group("envelope");
    group.sample_size(20).sampling_mode(SamplingMode::Flat);
    for [sender, recipient] in keys {
        let bits = sender.public_key().bits();
        let seal = || envelope::seal(&text, recipient.public_key(), sender, AesKeySize::Aes256).unwrap();
        group.bench_function(BenchmarkId::new("seal", bits), |bencher| bencher.iter(seal));
        let sealed = seal();
        group.bench_function(BenchmarkId::new("open", bits), |bencher| {
            bencher.iter(|| envelope::open(&sealed, recipient, Some(sender.public_key())).unwrap());
        });
    }
    group.finish();
}
