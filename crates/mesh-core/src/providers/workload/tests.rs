#![cfg(unix)]

use std::{
    io::Write as _,
    os::unix::net::UnixListener,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use bytes::Bytes;

use super::{generated::X509svid, *};
use crate::{crypto::keystore::tests::TempDir, error::Coded};

/// Certificates that nobody checks here.
fn der(name: &str) -> Bytes {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = rcgen::KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec().into()
}

fn identity(name: &str) -> X509svid {
    X509svid {
        spiffe_id: format!("spiffe://shop.example/{name}"),
        x509_svid: [der("leaf"), der("issuer")].concat().into(),
        x509_svid_key: Bytes::from_static(b"the private key"),
        bundle: der("root"),
    }
}

fn of(svids: Vec<X509svid>) -> X509svidResponse {
    X509svidResponse { svids, crl: Vec::new() }
}

fn blocks(part: &[u8]) -> usize {
    String::from_utf8_lossy(part).matches("-----BEGIN").count()
}

fn fault(answer: &X509svidResponse) -> &'static str {
    answer::read(answer, &|_| false).unwrap_err()
}

#[test]
fn an_answer_becomes_a_chain_a_key_anchors_and_lists() {
    let mut answer = of(vec![identity("sidecar"), identity("orders")]);
    answer.crl = vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")];
    let contents = answer::read(&answer, &|id| id.ends_with("/orders")).unwrap();
    let counts: Vec<usize> = contents.files().iter().map(|part| blocks(part)).collect();
    assert_eq!(counts, [2, 1, 1, 2]);
    let orders = answer::read(&of(vec![answer.svids[1].clone()]), &|_| false).unwrap();
    assert_eq!(contents.files()[..3], orders.files()[..3]);
    assert!(orders.files()[3].is_empty());
    // The first one is the default.
    let other = answer::read(&answer, &|id| id.ends_with("/stock")).unwrap();
    assert_eq!(other.files()[0], answer::read(&answer, &|id| id.ends_with("car")).unwrap().files()[0]);
}

#[test]
fn an_answer_in_another_form_is_refused() {
    assert_eq!(fault(&of(Vec::new())), "no identity");
    let changed = |change: &dyn Fn(&mut X509svid)| {
        let mut identity = identity("orders");
        change(&mut identity);
        fault(&of(vec![identity]))
    };
    assert!(changed(&|identity| identity.spiffe_id.clear()).contains("lacks"));
    assert!(changed(&|identity| identity.x509_svid.clear()).contains("lacks"));
    assert!(changed(&|identity| identity.x509_svid_key.clear()).contains("lacks"));
    assert!(changed(&|identity| identity.bundle.clear()).contains("lacks"));
    let cut = |whole: &Bytes| whole.slice(..whole.len() - 1);
    assert!(changed(&|identity| identity.x509_svid = cut(&identity.x509_svid)).contains("certificate"));
    assert!(changed(&|identity| identity.bundle = cut(&identity.bundle)).contains("bundle"));
    let many: Bytes = der("root").repeat(257).into();
    assert!(changed(&|identity| identity.bundle = many.clone()).contains("bundle"));
    let mut lists = of(vec![identity("orders")]);
    lists.crl = vec![Bytes::from_static(b"list"); 257];
    assert!(fault(&lists).contains("256"));
}

#[test]
fn a_key_is_in_no_debug_text() {
    let answer = of(vec![identity("orders")]);
    let contents = answer::read(&answer, &|_| true).unwrap();
    for text in [format!("{answer:?}"), format!("{contents:?}")] {
        assert!(!text.contains("private key") && !text.contains("112, 114, 105"), "{text}");
    }
}

const PACE: Pace = Pace {
    patience: Duration::from_millis(600),
    answer: Duration::from_millis(100),
    first_delay: Duration::from_millis(10),
    longest_delay: Duration::from_millis(40),
    quiet: Duration::from_millis(1),
};

#[tokio::test]
async fn a_start_without_an_answer_ends_in_time_and_the_attempts_become_rare() {
    let temp = TempDir::new();
    let socket = temp.0.join("agent.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let connections = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&connections);
    thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let error = Followed::begin(&socket, Box::new(|_| true), PACE).await.unwrap_err();
    assert_eq!(error.reason(), crate::error::Reason::WorkloadApi);
    // The connection fails while it is made, or right after.
    assert!(matches!(error, WorkloadError::Failed { .. } | WorkloadError::Away { .. }), "{error}");
    let made = connections.load(Ordering::Relaxed);
    assert!((2..=30).contains(&made), "{made}");
    let nowhere = Followed::begin(&temp.0.join("nowhere.sock"), Box::new(|_| true), PACE).await.unwrap_err();
    assert!(matches!(nowhere, WorkloadError::Away { .. }), "{nowhere}");
}

#[tokio::test]
async fn a_socket_that_stays_silent_is_given_up() {
    let temp = TempDir::new();
    let socket = temp.0.join("agent.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let error = Followed::begin(&socket, Box::new(|_| true), PACE).await.unwrap_err();
    assert!(matches!(error, WorkloadError::Silent { .. }), "{error}");
}
