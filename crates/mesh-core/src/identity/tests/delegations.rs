//! Delegations: what the leaf signs, and what a stolen or replayed one is worth.

use super::{
    super::{
        delegation::{encode, signed_bytes},
        leaf_key::LeafKey,
    },
    *,
};
use rustls_pki_types::PrivateKeyDer;

fn judge(verifier: &Verifier, identity: &[u8], id: &str) -> Result<Arc<Certified>, Reason> {
    verifier.verify(identity, &service(id), NOW).map_err(|error| error.reason())
}

/// An identity of `issued` whose signed bytes are `text` and nothing else.
fn signing(issued: &Issued, mesh_key: &KeyPair, validity: (Timestamp, Timestamp), text: &[u8]) -> Vec<u8> {
    let der = issued.key.serialize_der();
    let der = PrivateKeyDer::try_from(&der[..]).unwrap();
    let spki = issued.credential().leaf.spki.clone();
    let signature = LeafKey::new(&der, &spki).unwrap().sign(text).unwrap();
    encode(&issued.chain, mesh_key.public_key(), validity, &signature).unwrap()
}

#[test]
fn the_signed_bytes_are_those_of_the_document() {
    let text =
        signed_bytes(&[7; 32], &service("orders"), mesh_key(0).public_key().thumbprint(), (NOW, NOW + HOUR))
            .unwrap();
    let written = [
        &[b' '; 64][..],
        b"secure-stack-mesh/delegation/v1\0",
        &[7; 32],
        b"\x06orders",
        mesh_key(0).public_key().thumbprint().as_bytes(),
        &1_700_000_000_000_u64.to_be_bytes(),
        &1_700_003_600_000_u64.to_be_bytes(),
    ]
    .concat();
    assert_eq!(text, written);
}

#[test]
fn each_part_of_a_delegation_is_signed() {
    let root = Authority::root("root");
    let (verifier, orders) = (verifier(&[&root]), root.issue("orders", &|_| ()));
    let time = (NOW, NOW + HOUR);
    let leaf = orders.credential().fingerprint();
    let (key, other) = (mesh_key(0), mesh_key(1));
    let text = |leaf: &[u8; 32], id: &str, key: &KeyPair, time| {
        signed_bytes(leaf, &service(id), key.public_key().thumbprint(), time).unwrap()
    };
    let good = text(&leaf, "orders", &key, time);
    assert!(judge(&verifier, &signing(&orders, &key, time, &good), "orders").is_ok());
    for (what, wrong) in [
        ("the certificate", text(&[7; 32], "orders", &key, time)),
        ("the id", text(&leaf, "billing", &key, time)),
        ("the mesh key", text(&leaf, "orders", &other, time)),
        ("the beginning", text(&leaf, "orders", &key, (before(NOW, HOUR), time.1))),
        ("the end", text(&leaf, "orders", &key, (NOW, NOW + 2 * HOUR))),
        ("the spaces", good[1..].to_vec()),
        ("the label", good.iter().map(|b| if *b == b'v' { b'w' } else { *b }).collect()),
    ] {
        let judged = judge(&verifier, &signing(&orders, &key, time, &wrong), "orders");
        assert_eq!(judged.unwrap_err(), Reason::CertDelegation, "{what}");
    }
}

#[test]
fn no_flipped_bit_of_an_identity_is_accepted() {
    let root = Authority::root("root");
    let (verifier, orders) = (verifier(&[&root]), root.issue("orders", &|_| ()));
    let good = identity(&orders, "orders");
    assert!(judge(&verifier, &good, "orders").is_ok());
    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(judge(&verifier, &flipped, "orders").is_err(), "bit {bit}");
    }
}

#[test]
fn a_delegation_serves_its_own_service_and_time() {
    let root = Authority::root("root");
    let (verifier, orders) = (verifier(&[&root]), root.issue("orders", &|_| ()));
    let made = |id: &str, validity| {
        orders.credential().delegate_for(&service(id), mesh_key(0).public_key(), validity).unwrap().bytes
    };
    let day = 24 * HOUR;
    for (validity, expected) in [
        ((NOW, NOW + day), None),
        ((NOW, NOW + day + Duration::from_millis(1)), Some(Reason::CertDelegation)),
        ((NOW, NOW + 25 * HOUR), Some(Reason::CertDelegation)),
        ((NOW, NOW), Some(Reason::CertDelegation)),
        ((NOW + HOUR, NOW), Some(Reason::CertDelegation)),
        ((before(NOW, HOUR), NOW), Some(Reason::CertExpired)),
        ((NOW + Duration::from_millis(1), NOW + HOUR), Some(Reason::CertExpired)),
    ] {
        let judged = judge(&verifier, &made("orders", validity), "orders");
        assert_eq!(judged.err(), expected, "{validity:?}");
    }
    // Of orders, shown by a peer that claims to be another service.
    let good = made("orders", (NOW, NOW + HOUR));
    assert_eq!(judge(&verifier, &good, "orders").err(), None);
    assert_eq!(judge(&verifier, &good, "billing").err(), Some(Reason::CertName), "from the cache or not");
    assert_eq!(
        judge(&verifier, &made("billing", (NOW, NOW + HOUR)), "orders").err(),
        Some(Reason::CertDelegation)
    );
}

#[test]
fn a_delegation_ends_with_its_chain() {
    let root = Authority::root("root");
    let verifier = verifier(&[&root]);
    let short = |params: &mut CertificateParams| valid(params, before(NOW, HOUR), NOW + HOUR);
    let middle = root.below("middle", &short);
    let orders = middle.issue("orders", &|_| ()).then(&middle);
    assert!(why(&verifier, &orders).contains("ends after its certificate"));
    let made = orders.credential().delegate(&service("orders"), mesh_key(0).public_key(), NOW).unwrap();
    // The last second of a certificate belongs to it.
    assert_eq!(made.expires, NOW + HOUR + Duration::from_secs(1));
    assert_eq!(judge(&verifier, &made.bytes, "orders").unwrap().expires, made.expires);
    let ended = made.expires;
    assert!(orders.credential().delegate(&service("orders"), mesh_key(0).public_key(), ended).is_err());
}

#[test]
fn a_sibling_signs_no_delegation() {
    let root = Authority::root("root");
    let verifier = verifier(&[&root]);
    let (orders, sibling) = (root.issue("orders", &|_| ()), root.issue("billing", &|_| ()));
    let time = (NOW, NOW + HOUR);
    let text = signed_bytes(
        &orders.credential().fingerprint(),
        &service("orders"),
        mesh_key(0).public_key().thumbprint(),
        time,
    )
    .unwrap();
    let by_sibling = signing(&sibling, &mesh_key(0), time, &text);
    // The chain of orders, with the sibling's signature over the right bytes.
    let forged = Delegation::decode(&by_sibling).unwrap().signature.to_vec();
    let forged = encode(&orders.chain, mesh_key(0).public_key(), time, &forged).unwrap();
    assert_eq!(judge(&verifier, &forged, "orders").err(), Some(Reason::CertDelegation));
    // The sibling's own chain under the name of orders.
    assert_eq!(judge(&verifier, &by_sibling, "orders").err(), Some(Reason::CertName));
}

#[test]
fn a_certificate_that_is_issued_again_over_its_key_revives_no_delegation() {
    let root = Authority::root("root");
    let verifier = verifier(&[&root]);
    let key = IssuedKey::generate().unwrap();
    let again = IssuedKey::try_from(&key.serialize_der()[..]).unwrap();
    let first = root.issue_for("orders", key, &|_| ());
    let old = identity(&first, "orders");
    let renewed = root.issue_for("orders", again, &|_| ());
    verifier.revoke(Revocation::Certificate(first.credential().fingerprint())).unwrap();
    assert_eq!(judge(&verifier, &old, "orders").err(), Some(Reason::Revoked));
    assert!(judge(&verifier, &identity(&renewed, "orders"), "orders").is_ok());
    // The thief of the former mesh key puts the new certificate before the old delegation.
    let stolen = Delegation::decode(&old).unwrap();
    let replayed =
        encode(&renewed.chain, &stolen.mesh_key, (stolen.not_before, stolen.not_after), stolen.signature);
    assert_eq!(judge(&verifier, &replayed.unwrap(), "orders").err(), Some(Reason::CertDelegation));
}

#[test]
fn what_was_verified_is_not_verified_again_until_it_ends() {
    let root = Authority::root("root");
    let (verifier, orders) = (verifier(&[&root]), root.issue("orders", &|_| ()));
    let identity =
        orders.credential().delegate_for(&service("orders"), mesh_key(0).public_key(), (NOW, NOW + HOUR));
    let identity = identity.unwrap().bytes;
    let first = judge(&verifier, &identity, "orders").unwrap();
    let spent = verifier.signatures();
    for minute in 0..60 {
        let now = NOW + Duration::from_mins(minute);
        let again = verifier.verify(&identity, &service("orders"), now).unwrap();
        assert!(Arc::ptr_eq(&again, &first));
    }
    assert_eq!(verifier.signatures(), spent);
    assert!(verifier.verify(&identity, &service("orders"), NOW + HOUR).is_err(), "to the millisecond");
    assert!(verifier.verify(&identity, &service("orders"), before(NOW, HOUR)).is_err(), "a clock set back");
}

#[test]
fn a_service_displaces_only_identities_of_its_own() {
    let root = Authority::root("root");
    let verifier = verifier(&[&root]);
    let (orders, billing) = (root.issue("orders", &|_| ()), root.issue("billing", &|_| ()));
    let billing = identity(&billing, "billing");
    judge(&verifier, &billing, "billing").unwrap();
    for _ in 0..100 {
        judge(&verifier, &identity(&orders, "orders"), "orders").unwrap();
    }
    assert_eq!(verifier.cached(), 9);
    let spent = verifier.signatures();
    judge(&verifier, &billing, "billing").unwrap();
    assert_eq!(verifier.signatures(), spent, "it is still there");
}
