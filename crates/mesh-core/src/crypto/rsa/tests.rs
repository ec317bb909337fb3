use std::sync::OnceLock;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rsa::{
    BoxedUint,
    pkcs1::{EncodeRsaPrivateKey, EncodeRsaPublicKey},
    pkcs8::{DecodePrivateKey, EncodePublicKey, LineEnding},
    traits::PublicKeyParts,
};

use super::*;
use crate::crypto::CryptoError;

fn pair() -> &'static KeyPair {
    static PAIR: OnceLock<KeyPair> = OnceLock::new();
    PAIR.get_or_init(|| KeyPair::generate(2048).unwrap())
}

/// Encodes a DER element with its length.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let mut out = vec![tag];
    match len {
        0..128 => out.push(len as u8),
        128..256 => out.extend([0x81, len as u8]),
        _ => out.extend([0x82, (len >> 8) as u8, len as u8]),
    }
    out.extend(content);
    out
}

/// `AlgorithmIdentifier { rsaEncryption, NULL }`
const RSA_ENCRYPTION: &[u8] = &[0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];

fn spki(algorithm: &[u8], n: &[u8], e: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| der(2, &[if bytes[0] < 0x80 { &[][..] } else { &[0] }, bytes].concat());
    let key = der(0x30, &[integer(n), integer(e)].concat());
    der(0x30, &[algorithm, &der(3, &[&[0], &key[..]].concat())].concat())
}

/// A modulus of `bits` bits, all ones, so odd.
fn modulus(bits: usize) -> Vec<u8> {
    let mut n = vec![0xff; bits.div_ceil(8)];
    n[0] >>= (8 - bits % 8) % 8;
    n
}

fn bad(der: &[u8]) -> &'static str {
    match PublicKey::from_spki_der(der) {
        Err(CryptoError::BadKey(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn oaep_roundtrip_binds_the_label() {
    let pair = pair();
    let ciphertext = pair.public_key().oaep_encrypt(b"secret", b"label").unwrap();
    assert_eq!(pair.oaep_decrypt(&ciphertext, b"label").unwrap().as_bytes(), b"secret");
    assert_eq!(pair.oaep_decrypt(&ciphertext, b"other").err(), Some(CryptoError::Open));
    let unlabelled = pair.public_key().oaep_encrypt(b"", b"").unwrap();
    assert_eq!(pair.oaep_decrypt(&unlabelled, b"").unwrap().as_bytes(), b"");
}

#[test]
fn every_bad_ciphertext_is_the_same_error() {
    let pair = pair();
    let good = pair.public_key().oaep_encrypt(b"secret", b"").unwrap();
    let mut flipped = good.clone();
    flipped[200] ^= 1;
    for ciphertext in [&b""[..], &good[1..], &[&good[..], &[0]].concat(), &flipped, &[0xff; 256], &[0; 256]] {
        assert_eq!(pair.oaep_decrypt(ciphertext, b"").err(), Some(CryptoError::Open));
    }
}

#[test]
fn oaep_refuses_what_does_not_fit() {
    let key = pair().public_key();
    assert!(key.oaep_encrypt(&[1; 190], b"").is_ok());
    assert_eq!(key.oaep_encrypt(&[1; 191], b""), Err(CryptoError::TooLong { len: 191, max: 190 }));
}

#[test]
fn a_signature_holds_for_its_message_and_domain_only() {
    let pair = pair();
    let (data, envelope) = (SignatureDomain::Data, SignatureDomain::Envelope);
    let signature = pair.pss_sign(data, b"message").unwrap();
    let key = pair.public_key();
    assert!(key.pss_verify(data, b"message", &signature));
    assert!(!key.pss_verify(envelope, b"message", &signature));
    assert!(!key.pss_verify(data, b"other", &signature));
    assert!(!key.pss_verify(data, b"message", &signature[1..]));
    assert!(!key.pss_verify(data, b"message", b""));
}

#[test]
fn signing_never_mints_a_jwt() {
    use jsonwebtoken::{Algorithm, DecodingKey, crypto::verify};
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"PS256"}"#);
    let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"admin"}"#);
    let signing_input = format!("{header}.{claims}");
    let signature = pair().pss_sign(SignatureDomain::Data, signing_input.as_bytes()).unwrap();
    let key = DecodingKey::from_rsa_pem(pair().public_key().to_pem().as_bytes()).unwrap();
    for algorithm in [Algorithm::PS256, Algorithm::RS256] {
        let signature = URL_SAFE_NO_PAD.encode(&signature);
        assert!(!verify(&signature, signing_input.as_bytes(), &key, algorithm).unwrap());
    }
}

#[test]
fn private_operations_are_counted() {
    let pair = KeyPair::from_pkcs8_pem(&pair().to_pkcs8_pem().unwrap()).unwrap();
    let ciphertext = pair.public_key().oaep_encrypt(b"x", b"").unwrap();
    assert_eq!(pair.private_ops(), 0);
    pair.oaep_decrypt(&ciphertext, b"").unwrap();
    assert!(pair.oaep_decrypt(b"junk", b"").is_err());
    pair.clone().pss_sign(SignatureDomain::Data, b"x").unwrap();
    assert_eq!(pair.private_ops(), 3);
}

#[test]
fn keys_survive_pem() {
    let pair = pair();
    let again = KeyPair::from_pkcs8_pem(&pair.to_pkcs8_pem().unwrap()).unwrap();
    assert_eq!(again.public_key(), pair.public_key());
    let public = PublicKey::from_pem(&pair.public_key().to_pem()).unwrap();
    assert_eq!(
        (public.bits(), public.size(), public.thumbprint()),
        (2048, 256, pair.public_key().thumbprint())
    );
}

#[test]
fn pkcs1_is_read_too() {
    let pem = pair().to_pkcs8_pem().unwrap();
    let inner = rsa::PrivateKey::from_pkcs8_pem(&pem).unwrap();
    let private = KeyPair::from_pkcs8_pem(&inner.to_pkcs1_pem(LineEnding::CRLF).unwrap()).unwrap();
    assert_eq!(private.public_key(), pair().public_key());
    let public = inner.as_public_key().to_pkcs1_pem(LineEnding::LF).unwrap();
    assert_eq!(&PublicKey::from_pem(&public).unwrap(), pair().public_key());
    let spki = inner.as_public_key().to_public_key_pem(LineEnding::LF).unwrap();
    assert_eq!(spki, pair().public_key().to_pem());
}

#[test]
fn the_wrong_pem_is_told_apart() {
    let private = pair().to_pkcs8_pem().unwrap();
    let public = pair().public_key().to_pem();
    let why = |result: Result<(), CryptoError>| result.unwrap_err().to_string();
    assert!(why(PublicKey::from_pem(&private).map(drop)).contains("give the public one"));
    assert!(why(KeyPair::from_pkcs8_pem(&public).map(drop)).contains("give the private one"));
    for junk in ["", "<RSA-PUBLIC-KEY>", "-----BEGIN PUBLIC KEY-----", &public[..200]] {
        assert!(why(PublicKey::from_pem(junk).map(drop)).contains("BEGIN PUBLIC KEY"), "{junk}");
        assert!(why(KeyPair::from_pkcs8_pem(junk).map(drop)).contains("BEGIN PRIVATE KEY"), "{junk}");
    }
    assert!(why(PublicKey::from_pem(&"A".repeat(1 << 20)).map(drop)).contains("larger"));
    assert!(why(KeyPair::from_pkcs8_pem(&"A".repeat(1 << 20)).map(drop)).contains("larger"));
}

#[test]
fn only_sizes_within_bounds_are_keys() {
    for bits in [2048, 2056, 3072, 4095, 4096] {
        let key = PublicKey::from_spki_der(&spki(RSA_ENCRYPTION, &modulus(bits), &[1, 0, 1])).unwrap();
        assert_eq!(key.bits() as usize, bits);
    }
    for bits in [512, 1024, 2047] {
        bad(&spki(RSA_ENCRYPTION, &modulus(bits), &[1, 0, 1]));
    }
    for bits in [4097, 8192, 16384] {
        assert!(bad(&spki(RSA_ENCRYPTION, &modulus(bits), &[1, 0, 1])).contains("4096"));
    }
}

#[test]
fn only_65537_is_an_exponent() {
    let huge = [&[1][..], &[0; 32], &[1]].concat();
    for e in [&[1][..], &[2], &[3], &[17], &[1, 0, 0], &[1, 0, 3], &[0xff; 5], &huge, &modulus(2048)] {
        bad(&spki(RSA_ENCRYPTION, &modulus(2048), e));
    }
}

#[test]
fn an_even_modulus_is_no_key() {
    let mut even = modulus(2048);
    even[255] = 0xfe;
    bad(&spki(RSA_ENCRYPTION, &even, &[1, 0, 1]));
    let zero = [0; 256];
    bad(&spki(RSA_ENCRYPTION, &zero, &[1, 0, 1]));
}

#[test]
fn only_the_canonical_encoding_is_a_key() {
    let good = pair().public_key().spki_der().to_vec();
    let n = pair_modulus();
    assert_eq!(spki(RSA_ENCRYPTION, &n, &[1, 0, 1]), good);
    // Trailing bytes, outside and inside.
    bad(&[&good[..], &[0]].concat());
    let body = &good[4..];
    bad(&der(0x30, &[body, &[5, 0]].concat()));
    // Truncation, at every length.
    for len in 0..good.len() {
        bad(&good[..len]);
    }
    // BER: a length in more bytes than needed, and an indefinite one.
    bad(&[&[0x30, 0x83, 0][..], &good[2..]].concat());
    bad(&[&[0x30, 0x80][..], body, &[0, 0]].concat());
    // An integer with a superfluous leading zero.
    bad(&spki(RSA_ENCRYPTION, &[&[0, 0], &n[..]].concat(), &[1, 0, 1]));
    bad(&spki(RSA_ENCRYPTION, &n, &[0, 1, 0, 1]));
    // Other algorithms: RSASSA-PSS, an EC key's identifier around an RSA key,
    // rsaEncryption without its NULL.
    let pss = hex::decode("300b06092a864886f70d01010a").unwrap();
    let ec = hex::decode("301306072a8648ce3d020106082a8648ce3d030107").unwrap();
    let without_null = hex::decode("300b06092a864886f70d010101").unwrap();
    for algorithm in [&pss, &ec, &without_null] {
        bad(&spki(algorithm, &n, &[1, 0, 1]));
    }
    // An EC point labelled RSA.
    let point = der(3, &[&[0, 4][..], &[7; 64]].concat());
    bad(&der(0x30, &[RSA_ENCRYPTION, &point].concat()));
    // Unused bits in the bit string.
    let mut unused = good.clone();
    let at = 4 + RSA_ENCRYPTION.len() + 4;
    assert_eq!(good[at], 0);
    unused[at] = 1;
    bad(&unused);
}

fn pair_modulus() -> Vec<u8> {
    let inner = rsa::PrivateKey::from_pkcs8_pem(&pair().to_pkcs8_pem().unwrap()).unwrap();
    inner.n_bytes().into_vec()
}

#[test]
fn no_single_flipped_bit_gives_the_same_key() {
    let good = pair().public_key().spki_der().to_vec();
    for byte in (0..40).chain(good.len() - 8..good.len()) {
        for bit in 0..8 {
            let mut other = good.clone();
            other[byte] ^= 1 << bit;
            if let Ok(key) = PublicKey::from_spki_der(&other) {
                assert_ne!(&key, pair().public_key());
                assert_ne!(key.thumbprint(), pair().public_key().thumbprint());
            }
        }
    }
}

#[test]
fn a_private_key_of_two_halves_is_refused() {
    let pem = KeyPair::generate(2048).unwrap().to_pkcs8_pem().unwrap();
    let one = rsa::PrivateKey::from_pkcs8_pem(&pem).unwrap();
    let two = rsa::PrivateKey::from_pkcs8_pem(&pair().to_pkcs8_pem().unwrap()).unwrap();
    // The modulus of one key with the private numbers of another.
    let one_der = one.to_pkcs1_der().unwrap();
    let n = two.n_bytes();
    let at = one_der.as_bytes().windows(n.len()).position(|window| *window == *one.n_bytes()).unwrap();
    let mut mixed = one_der.as_bytes().to_vec();
    mixed[at..at + n.len()].copy_from_slice(&n);
    let mixed = rsa::pkcs8::SecretDocument::try_from(&mixed[..]).unwrap();
    let mixed = mixed.to_pem("RSA PRIVATE KEY", LineEnding::LF).unwrap();
    assert!(matches!(KeyPair::from_pkcs8_pem(&mixed), Err(CryptoError::BadKey(_))));
}

#[test]
fn private_keys_of_other_sizes_are_refused() {
    assert!(matches!(KeyPair::generate(1024), Err(CryptoError::BadKey(_))));
    assert!(matches!(KeyPair::generate(8192), Err(CryptoError::BadKey(_))));
    let small = include_str!("../../../tests/data/rsa-1024.pem");
    assert!(matches!(KeyPair::from_pkcs8_pem(small), Err(CryptoError::BadKey(_))));
    let e3 = include_str!("../../../tests/data/rsa-2048-e3.pem");
    assert_eq!(
        KeyPair::from_pkcs8_pem(e3).err(),
        Some(CryptoError::BadKey("the public exponent must be 65537"))
    );
}

#[test]
fn thumbprint_is_that_of_rfc_7638() {
    // Section 3.1 of the RFC.
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP\
             ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY\
             368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f\
             M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let n = BoxedUint::from_be_slice(&URL_SAFE_NO_PAD.decode(n).unwrap(), 2048).unwrap();
    let key = rsa::PublicKey::new(n, 65537_u64.into()).unwrap();
    let key = PublicKey::from_spki_der(key.to_public_key_der().unwrap().as_bytes()).unwrap();
    let text = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    assert_eq!(key.thumbprint().to_string(), text);
    assert_eq!(Thumbprint::parse(text), Some(key.thumbprint()));
    for other in ["", "NzbL", &format!("{text}="), &text.replace('s', "!"), &format!("{}t", &text[..42])] {
        assert_eq!(Thumbprint::parse(other), None, "{other}");
    }
}

#[test]
fn debug_redacts_the_private_half() {
    let text = format!("{:?}", pair());
    assert!(text.contains("redacted") && text.len() < 120, "{text}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_panic_and_no_key_has_two_encodings(
        edits in proptest::collection::vec((0..600_usize, proptest::num::u8::ANY), 0..6),
        cut in 0..600_usize,
    ) {
        let mut bytes = pair().public_key().spki_der().to_vec();
        for (at, byte) in edits {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(cut.max(280));
        if let Ok(key) = PublicKey::from_spki_der(&bytes) {
            proptest::prop_assert_eq!(key.spki_der(), &bytes[..]);
        }
    }

    #[test]
    fn no_damaged_private_key_panics_or_loads(
        edits in proptest::collection::vec((26..1190_usize, 1..=u8::MAX), 1..4),
    ) {
        let pem = pair().to_pkcs8_pem().unwrap();
        let mut bytes = rsa::pkcs8::SecretDocument::from_pem(&pem).unwrap().1.as_bytes().to_vec();
        for (at, change) in &edits {
            bytes[*at] ^= change;
        }
        let whole = pair().to_pkcs8_pem().unwrap();
        if let Ok(key) = KeyPair::from_pkcs8_der(&bytes) {
            // Edits can undo each other.
            proptest::prop_assert_eq!(&key.to_pkcs8_pem().unwrap(), &whole);
        }
    }
}
