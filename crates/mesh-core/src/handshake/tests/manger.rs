//! Ciphertexts with each fault that OAEP distinguishes (Manger, 2001). The peer
//! sees one outcome for all, at the cost of one operation.

use rsa::{BoxedUint, pkcs8::DecodePublicKey, traits::PublicKeyParts};

use super::*;
use crate::crypto::mac::sha256;

const SIZE: usize = 256;
const HASH: usize = 32;

/// MGF1 with SHA-256 (RFC 8017, B.2.1).
fn mask(seed: &[u8], onto: &mut [u8]) {
    for (counter, part) in (0_u32..).zip(onto.chunks_mut(HASH)) {
        let block = sha256(&[seed, &counter.to_be_bytes()]);
        part.iter_mut().zip(block).for_each(|(byte, mask)| *byte ^= mask);
    }
}

/// EME-OAEP (RFC 8017, 7.1.1): `change` has the first byte and the data block
/// before it is masked.
fn encode(label: &[u8], message: &[u8], change: impl FnOnce(&mut u8, &mut [u8])) -> Vec<u8> {
    let mut seed = [9; HASH];
    let mut block = vec![0; SIZE - HASH - 1];
    block[..HASH].copy_from_slice(&sha256(&[label]));
    let end = block.len() - message.len();
    block[end - 1] = 1;
    block[end..].copy_from_slice(message);
    let mut first = 0;
    change(&mut first, &mut block);
    mask(&seed, &mut block);
    mask(&block, &mut seed);
    [&[first], &seed[..], &block].concat()
}

/// The RSA operation without padding: `encoded` to the power of e.
fn encrypt(key: &KeyPair, encoded: &[u8]) -> Vec<u8> {
    let key = rsa::PublicKey::from_public_key_der(key.public_key().spki_der()).unwrap();
    let modulus = key.n().as_ref().to_odd().unwrap();
    let bits = modulus.bits_precision();
    let exponent = BoxedUint::from(65_537_u64);
    let number = BoxedUint::from_be_slice(encoded, bits).unwrap();
    number.pow_mod(&exponent, &modulus).to_be_bytes()[..].to_vec()
}

fn modulus(key: &KeyPair) -> Vec<u8> {
    let key = rsa::PublicKey::from_public_key_der(key.public_key().spki_der()).unwrap();
    key.n().as_ref().to_be_bytes()[..].to_vec()
}

/// The number after `number`, which has a bit that is not set.
fn increment(number: &[u8]) -> Vec<u8> {
    let mut next = number.to_vec();
    let last = next.iter().rposition(|byte| *byte != 0xff).unwrap();
    next[last] += 1;
    next[last + 1..].fill(0);
    next
}

/// Probes for the holder of `key`, which expects 32 bytes under `label`.
fn probes(key: &KeyPair, label: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let with = |change: fn(&mut u8, &mut [u8])| encrypt(key, &encode(label, &[5; 32], change));
    let good = with(|_, _| {});
    let n = modulus(key);
    let above = increment(&n);
    vec![
        ("the first byte is 1", with(|first, _| *first = 1)),
        ("the first byte is 127", with(|first, _| *first = 127)),
        ("another label", encrypt(key, &encode(b"other", &[5; 32], |_, _| {}))),
        ("one bit of the label's hash", with(|_, block| block[0] ^= 1)),
        ("no separator", with(|_, block| block[HASH..].fill(0))),
        ("another separator", with(|_, block| block[SIZE - 2 * HASH - 2] = 2)),
        ("padding that is not zero", with(|_, block| block[HASH] = 3)),
        ("31 bytes", encrypt(key, &encode(label, &[5; 31], |_, _| {}))),
        ("33 bytes", encrypt(key, &encode(label, &[5; 33], |_, _| {}))),
        ("no bytes", encrypt(key, &encode(label, &[], |_, _| {}))),
        ("0", vec![0; SIZE]),
        ("1", [&[0; SIZE - 1][..], &[1]].concat()),
        ("n", n),
        ("n + 1", above),
        ("the largest number", vec![0xff; SIZE]),
        ("a byte short", good[1..].to_vec()),
        ("a byte long", [&[0], &good[..]].concat()),
        ("nothing", Vec::new()),
    ]
}

fn begin() -> (Vec<u8>, Unproved, AwaitProof) {
    let name = "server".parse().unwrap();
    let (m1, state) = Initiator::start(Arc::new(client()), name, Expectation::Unknown, None, NOW).unwrap();
    let (m2, proof) = Responder::on_hello(Arc::new(server()), &m1, |_| Expectation::Unknown, NOW).unwrap();
    ([&m1[..], &m2].concat(), state.on_hello(&m2, NOW).unwrap(), proof)
}

#[test]
fn probes_of_the_padding_are_as_good_as_what_opens() {
    let good = encrypt(&key(1), &encode(b"label", &[5; 32], |_, _| {}));
    assert_eq!(key(1).oaep_decrypt(&good, b"label").unwrap().as_bytes(), [5; 32], "the encoding is right");
    for (name, probe) in probes(&key(1), b"label") {
        let before = key(1).private_ops();
        let secret = unwrap_secret(&key(1), &probe, b"label").unwrap();
        assert_ne!(secret.as_bytes(), &[5; 32], "{name}");
        assert_eq!(key(1).private_ops() - before, 1, "{name}");
    }
}

#[test]
fn a_server_answers_every_probe_alike() {
    let (_, unproved, proof) = begin();
    let (m3, finish) = unproved.prove(NOW).unwrap();
    let before = key(1).private_ops();
    let (m4, _) = proof.on_finish(&m3, NOW).unwrap().accept(NOW).unwrap();
    let (length, operations) = (m4.len(), key(1).private_ops() - before);
    finish.on_finish(&m4, NOW).unwrap();
    for index in 0..probes(&key(1), b"").len() {
        let (messages, unproved, proof) = begin();
        let (name, probe) = probes(&key(1), &sha256(&[&messages])).swap_remove(index);
        let (m3, finish) = unproved.prove(NOW).unwrap();
        let mut proved = proof.on_finish(&m3, NOW).unwrap();
        proved.wrapped = probe;
        let before = key(1).private_ops();
        let (m4, _) = proved.accept(NOW).unwrap();
        assert_eq!((m4.len(), key(1).private_ops() - before), (length, operations), "{name}");
        assert_eq!(finish.on_finish(&m4, NOW).unwrap_err().reason(), Reason::Finished, "{name}");
    }
}

#[test]
fn a_client_answers_every_probe_alike() {
    let (_, unproved, proof) = begin();
    let before = key(0).private_ops();
    let (m3, _) = unproved.prove(NOW).unwrap();
    let (length, operations) = (m3.len(), key(0).private_ops() - before);
    proof.on_finish(&m3, NOW).unwrap();
    for index in 0..probes(&key(0), b"").len() {
        let (_, mut unproved, proof) = begin();
        let initiator::Proof::Key { label, wrapped } = &mut unproved.proof else { unreachable!() };
        let (name, probe) = probes(&key(0), label).swap_remove(index);
        *wrapped = probe;
        let before = key(0).private_ops();
        let (m3, _) = unproved.prove(NOW).unwrap();
        assert_eq!((m3.len(), key(0).private_ops() - before), (length, operations), "{name}");
        assert_eq!(proof.on_finish(&m3, NOW).unwrap_err().reason(), Reason::Finished, "{name}");
    }
}
