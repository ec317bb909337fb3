//! Sizes and shapes: what a stranger sends is small before it is looked at, and
//! costs a bounded number of signatures.

use super::*;
use crate::{identity::delegation::encode, wire::Write};

/// An identity with these certificates as they are; its delegation is not signed.
fn raw(chain: &[CertificateDer<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for der in chain {
        bytes.put_vec16(der).unwrap();
    }
    let mut out = Vec::new();
    out.put_vec16(&bytes).unwrap();
    out.put_vec16(mesh_key(0).public_key().spki_der()).unwrap();
    out.put(&NOW.as_millis().to_be_bytes());
    out.put(&(NOW + HOUR).as_millis().to_be_bytes());
    out.put_vec16(&[7; 70]).unwrap();
    out
}

fn judge(verifier: &Verifier, identity: &[u8]) -> Reason {
    verifier.verify(identity, &service("orders"), NOW).unwrap_err().reason()
}

#[test]
fn identities_of_any_other_form_are_malformed() {
    let root = Authority::root("root");
    let verifier = verifier(&[&root]);
    let good = identity(&root.issue("orders", &|_| ()), "orders");
    assert!(verifier.verify(&good, &service("orders"), NOW).is_ok());
    for end in 0..good.len() {
        assert_eq!(judge(&verifier, &good[..end]), Reason::HandshakeFormat, "{end} bytes");
    }
    assert_eq!(judge(&verifier, &[&good[..], &[0]].concat()), Reason::HandshakeFormat);
    assert_eq!(judge(&verifier, &raw(&[])), Reason::HandshakeFormat, "no certificate");
    // A signature longer than that of any leaf.
    let long =
        encode(&root.issue("orders", &|_| ()).chain, mesh_key(0).public_key(), (NOW, NOW + HOUR), &[0; 513]);
    assert_eq!(judge(&verifier, &long.unwrap()), Reason::HandshakeFormat);
    // An EC key in the place of the mesh key.
    let mut out = Vec::new();
    out.put_vec16(&good[2..2 + usize::from(u16::from_be_bytes([good[0], good[1]]))]).unwrap();
    out.put_vec16(IssuedKey::generate().unwrap().public_key_raw()).unwrap();
    out.put(&good[good.len() - 90..][..16]);
    out.put_vec16(&[7; 70]).unwrap();
    assert_eq!(judge(&verifier, &out), Reason::BadPeerKey);
    assert_eq!(verifier.signatures(), 2, "of the one that is good: the chain's and the delegation's");
}

#[test]
fn twenty_intermediates_and_large_chains_cost_no_signature() {
    let root = Authority::root("root");
    let mut authority = root.below("0", &|_| ());
    let mut chain = Vec::new();
    for index in 1..=20 {
        let next = authority.below(&index.to_string(), &|_| ());
        chain.insert(0, authority.der());
        authority = next;
    }
    chain.insert(0, authority.issue("orders", &|_| ()).chain[0].clone());
    let verifier = verifier(&[&root]);
    assert_eq!(judge(&verifier, &raw(&chain)), Reason::HandshakeFormat);
    // Nine are too many, eight of them are not.
    let nine = [&chain[..1], &chain[chain.len() - 8..]].concat();
    assert_eq!(judge(&verifier, &raw(&nine)), Reason::HandshakeFormat);
    assert_eq!(judge(&verifier, &raw(&nine[..8])), Reason::CertInvalid, "read, and not in order");
    // More than 10 KiB, in few certificates; a megabyte does not fit a length at all.
    let large = CertificateDer::from(vec![0x30; 10_239]);
    assert_eq!(judge(&verifier, &raw(&[large])), Reason::HandshakeFormat);
    assert!(Vec::new().put_vec16(&vec![0; 1 << 20]).is_err());
    assert_eq!(verifier.signatures(), 0);
}

#[test]
fn seven_intermediates_cost_a_signature_each() {
    let root = Authority::root("root");
    let mut authorities = vec![root.below("0", &|_| ())];
    for index in 1..6 {
        let next = authorities[index - 1].below(&index.to_string(), &|_| ());
        authorities.push(next);
    }
    let issued = authorities[5].issue("orders", &|_| ());
    let issued = authorities.iter().rev().fold(issued, Issued::then);
    let verifier = verifier(&[&root]);
    judged(&verifier, &issued).unwrap();
    assert_eq!(verifier.signatures(), 8, "seven certificates and the delegation");
    for _ in 0..100 {
        let again = verifier.verify(&identity(&issued, "orders"), &service("orders"), NOW);
        assert!(again.is_ok());
    }
    // ECDSA signatures differ each time, so these were other delegations.
    assert_eq!(verifier.cached(), 8);
}

#[test]
fn loops_and_shuffled_chains_are_refused_before_any_signature() {
    let root = Authority::root("root");
    let middle = root.below("middle", &|_| ());
    let low = middle.below("low", &|_| ());
    let leaf = low.issue("orders", &|_| ()).chain[0].clone();
    let verifier = verifier(&[&root]);
    // Two authorities that have issued each other.
    let back = low.below("middle", &|_| ());
    for chain in [
        vec![leaf.clone(), low.der(), back.der(), low.der(), middle.der()],
        vec![leaf.clone(), low.der(), back.der(), middle.der()],
        vec![leaf.clone(), middle.der(), low.der()],
        vec![low.der(), leaf.clone()],
        vec![leaf.clone(), low.der(), low.der(), middle.der()],
    ] {
        assert_eq!(judge(&verifier, &raw(&chain)), Reason::CertInvalid);
    }
    assert_eq!(verifier.signatures(), 0);
}

#[test]
fn certificates_in_ber_or_with_trailing_bytes_are_malformed() {
    let root = Authority::root("root");
    let verifier = verifier(&[&root]);
    let good = root.issue("orders", &|_| ()).chain[0].to_vec();
    assert_eq!(good[1], 0x82);
    let trailing = [&good[..], &[0]].concat();
    let long_length = [&[0x30, 0x83, 0][..], &good[2..]].concat();
    let indefinite = [&[0x30, 0x80][..], &good[4..], &[0, 0]].concat();
    // Version 1 has no extensions, so names and usages would be those of nobody.
    for der in [trailing, long_length, indefinite, Vec::new(), vec![0x30, 0], good[..good.len() - 1].to_vec()]
    {
        assert_eq!(judge(&verifier, &raw(&[CertificateDer::from(der)])), Reason::CertInvalid);
    }
    assert_eq!(verifier.signatures(), 0);
}

#[test]
fn a_stranger_that_repeats_a_public_chain_costs_a_few_signatures_each_time() {
    let root = Authority::root("root");
    let middle = root.below("middle", &|_| ());
    let orders = middle.issue("orders", &|_| ()).then(&middle);
    let verifier = verifier(&[&root]);
    for _ in 0..10 {
        assert_eq!(judge(&verifier, &raw(&orders.chain)), Reason::CertDelegation);
    }
    assert_eq!(verifier.signatures(), 30, "two certificates and a delegation");
    assert_eq!(verifier.cached(), 0, "a failure is not kept");
}
