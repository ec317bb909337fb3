//! This service's own certificate and key.

use super::*;

fn fault(cert: &[u8], key: &[u8]) -> String {
    let error = Credential::new(cert, key).unwrap_err();
    assert_eq!((error.code(), error.reason()), (crate::error::Code::InvalidArgument, Reason::CertMaterial));
    error.to_string()
}

#[test]
fn a_pair_in_pem_or_der_is_read_and_delegates() {
    let root = Authority::root("root");
    let orders = root.issue("orders", &|_| ());
    let (cert, key) = (orders.pem(), pem("PRIVATE KEY", &[orders.key.serialize_der()]));
    let der = (orders.chain[0].to_vec(), orders.key.serialize_der());
    for (cert, key) in
        [(cert.as_bytes(), key.as_bytes()), (&der.0[..], &der.1[..]), (cert.as_bytes(), &der.1[..])]
    {
        let credential = Credential::new(cert, key).unwrap();
        let made = credential.delegate(&service("orders"), mesh_key(0).public_key(), NOW).unwrap();
        assert!(verifier(&[&root]).verify(&made.bytes, &service("orders"), NOW).is_ok());
        assert_eq!(made.expires, before(NOW, Duration::from_mins(5)) + MAX_DELEGATION);
    }
    // Text around the blocks, as openssl writes it.
    let verbose = format!("subject=CN = orders\n\n{cert}\nissuer=CN = root\n");
    assert!(Credential::new(verbose.as_bytes(), key.as_bytes()).is_ok());
}

#[test]
fn an_anchor_behind_the_leaf_is_left_out() {
    let root = Authority::root("root");
    let middle = root.below("middle", &|_| ());
    let orders = middle.issue("orders", &|_| ()).then(&middle).then(&root);
    let made = identity(&orders, "orders");
    assert_eq!(Delegation::decode(&made).unwrap().chain.len(), 2);
}

#[test]
fn a_pair_that_does_not_match_is_told() {
    let root = Authority::root("root");
    let (orders, other) = (root.issue("orders", &|_| ()), root.issue("orders", &|_| ()));
    let text = fault(orders.pem().as_bytes(), &other.key.serialize_der());
    assert!(text.contains("certificate.key belongs to another certificate"), "{text}");
    let rsa = mesh_key(0).to_pkcs8_pem().unwrap();
    assert!(fault(orders.pem().as_bytes(), rsa.as_bytes()).contains("not of the kind"));
}

#[test]
fn what_is_no_pair_is_told_and_not_shown() {
    let root = Authority::root("root");
    let orders = root.issue("orders", &|_| ());
    let (cert, key) = (orders.pem(), pem("PRIVATE KEY", &[orders.key.serialize_der()]));
    for (bad_cert, text) in [
        ("", "no PEM block"),
        ("c2VjcmV0", "no PEM block"),
        (&key, "no PEM block"),
        (&cert[..cert.len() / 2], "cut short"),
        ("-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n", "not an X.509 certificate"),
    ] {
        let found = fault(bad_cert.as_bytes(), key.as_bytes());
        assert!(found.starts_with("security.certificate.cert") && found.contains(text), "{found}");
        assert!(!found.contains("c2VjcmV0"));
    }
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let legacy = key.replace("KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\n");
    for (bad_key, text) in [
        ("", "no whole PEM block"),
        ("c2VjcmV0", "no whole PEM block"),
        (&cert, "is a certificate"),
        (&key[..key.len() / 2], "no whole PEM block"),
        (&encrypted, "openssl pkey"),
        (&legacy, "openssl pkey"),
        ("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n", "is damaged"),
    ] {
        let found = fault(cert.as_bytes(), bad_key.as_bytes());
        assert!(found.starts_with("security.certificate.key") && found.contains(text), "{found}");
        assert!(!found.contains("c2VjcmV0"));
    }
    let shown = format!("{:?}", orders.credential());
    assert!(shown.contains("LeafKey(..)"), "{shown}");
}

#[test]
fn a_chain_that_peers_would_not_read_is_told() {
    let root = Authority::root("root");
    let mut authorities = vec![root.below("0", &|_| ())];
    for index in 1..8 {
        let next = authorities[index - 1].below(&index.to_string(), &|_| ());
        authorities.push(next);
    }
    let issued = authorities[7].issue("orders", &|_| ());
    let issued = authorities.iter().rev().fold(issued, Issued::then);
    assert!(fault(issued.pem().as_bytes(), &issued.key.serialize_der()).contains("more than 8"));
    let large = root.issue("orders", &|params| {
        params.subject_alt_names.push(dns(&format!("{}x", "a.".repeat(5100))));
    });
    assert!(fault(large.pem().as_bytes(), &large.key.serialize_der()).contains("10 KiB"));
}

#[test]
fn only_authorities_are_anchors() {
    let root = Authority::root("root");
    let refused = |ca: &[u8], text: &str| {
        let error = Anchors::new(ca, None, CrlPolicy::Refuse).unwrap_err().to_string();
        assert!(error.starts_with("security.certificate.ca") && error.contains(text), "{error}");
    };
    let leaf = root.issue("orders", &|_| ());
    let good = pem("CERTIFICATE", &[root.der()]);
    assert!(Anchors::new(good.as_bytes(), None, CrlPolicy::Refuse).is_ok());
    assert!(Anchors::new(&root.der(), None, CrlPolicy::Refuse).is_ok(), "DER is read too");
    // An anchor could issue certificates for everybody.
    refused(format!("{good}{}", leaf.pem()).as_bytes(), "certificate 2 is no authority");
    let signs_nothing =
        Authority::root_with("root", &|params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    refused(&signs_nothing.der(), "no authority");
    refused(b"", "no PEM block");
    refused(&good.as_bytes()[..200], "cut short");
    refused(good.repeat(257).as_bytes(), "more than 256");
}
