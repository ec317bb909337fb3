//! The primitives against Project Wycheproof's vectors: known answers, and
//! inputs chosen to break implementations.

use mesh_core::crypto::{
    aead::{AeadKey, Nonce, Tag},
    kdf::Prk,
    kem::{MlKemSecret, X25519Secret, encapsulate},
    mac::MacKey,
    rsa::KeyPair,
};
use wycheproof::{TestResult, aead, hkdf, mac, mlkem, rsa_oaep, xdh};

#[test]
fn aes_gcm() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let mut run = [0; 3];
    for group in set.test_groups {
        for test in &group.tests {
            let (Ok(nonce), Some(tag)) =
                (<[u8; 12]>::try_from(test.nonce.as_slice()), Tag::from_slice(&test.tag))
            else {
                // Other nonces and tags cannot even be expressed.
                continue;
            };
            run[group.key_size / 64 - 2] += 1;
            let key = AeadKey::new(&test.key).unwrap();
            let mut buf = test.ct.to_vec();
            let opened = key.open_in_place(&Nonce(nonce), &test.aad, &mut buf, &tag);
            if test.result == TestResult::Valid {
                assert_eq!(opened, Ok(()), "{}", test.tc_id);
                assert_eq!(buf, *test.pt, "{}", test.tc_id);
                let sealed = key.seal_in_place(&Nonce(nonce), &test.aad, &mut buf);
                assert_eq!(sealed, Ok(tag), "{}", test.tc_id);
                assert_eq!(buf, *test.ct, "{}", test.tc_id);
            } else {
                assert!(opened.is_err(), "{}", test.tc_id);
                assert!(buf.iter().all(|byte| *byte == 0), "{}", test.tc_id);
            }
        }
    }
    assert!(run.into_iter().all(|count| count > 30), "{run:?}");
}

#[test]
fn hmac_sha256() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let mut run = 0;
    for group in set.test_groups {
        for test in &group.tests {
            let verified = MacKey::new(&test.key).verify(&[&test.msg], &test.tag);
            // Truncated MACs are valid HMACs to Wycheproof, and none here.
            let expected = test.result == TestResult::Valid && group.tag_size == 256;
            assert_eq!(verified, expected, "{}", test.tc_id);
            run += usize::from(expected);
        }
    }
    assert!(run > 30, "{run}");
}

#[test]
fn hkdf_sha256() {
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha256).unwrap();
    let mut run = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mut okm = vec![0; test.size];
        let expanded = Prk::extract(&test.salt, &[&test.ikm]).expand_info(&test.info, &mut okm);
        assert_eq!(expanded.is_ok(), test.result != TestResult::Invalid, "{}", test.tc_id);
        if expanded.is_ok() {
            assert_eq!(okm, *test.okm, "{}", test.tc_id);
            run += 1;
        }
    }
    assert!(run > 60, "{run}");
}

#[test]
fn x25519() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let mut run = [0; 2];
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let agreed = X25519Secret::from_bytes(&test.private_key).unwrap().agree(&test.public_key);
        let zero = test.shared_secret.iter().all(|byte| *byte == 0);
        run[usize::from(zero)] += 1;
        match agreed {
            Ok(shared) => assert!(!zero && shared.ct_eq(&test.shared_secret), "{}", test.tc_id),
            Err(_) => assert!(zero || test.result != TestResult::Valid, "{}", test.tc_id),
        }
    }
    assert!(run[0] > 400 && run[1] > 10, "{run:?}");
}

#[test]
fn ml_kem_768_decapsulation() {
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem768SemiExpandedDecaps).unwrap();
    let mut run = [0; 2];
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let (key, ciphertext) = (test.decaps_key.as_ref().unwrap(), test.ct.as_ref().unwrap());
        let shared = MlKemSecret::from_bytes(key).and_then(|secret| secret.decapsulate(ciphertext));
        run[usize::from(shared.is_ok())] += 1;
        if let Ok(shared) = shared {
            assert_ne!(test.result, TestResult::Invalid, "{}", test.tc_id);
            if let Some(expected) = &test.shared_secret {
                assert!(shared.ct_eq(expected), "{}", test.tc_id);
            }
        } else {
            assert_ne!(test.result, TestResult::Valid, "{}", test.tc_id);
        }
    }
    assert!(run.into_iter().all(|count| count > 2), "{run:?}");
}

#[test]
fn ml_kem_768_encapsulation_keys() {
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem768Encaps).unwrap();
    let mut run = [0; 2];
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let accepted = encapsulate(test.encaps_key.as_ref().unwrap()).is_ok();
        assert_eq!(accepted, test.result != TestResult::Invalid, "{}", test.tc_id);
        run[usize::from(accepted)] += 1;
    }
    assert!(run[0] > 0, "{run:?}");
}

#[test]
fn rsa_oaep_sha256() {
    use rsa_oaep::TestName;
    let mut run = [0; 2];
    for name in [
        TestName::Rsa2048Sha256Mgf1Sha256,
        TestName::Rsa3072Sha256Mgf1Sha256,
        TestName::Rsa4096Sha256Mgf1Sha256,
    ] {
        for group in rsa_oaep::TestSet::load(name).unwrap().test_groups {
            let pair = KeyPair::from_pkcs8_der(&group.pkcs8).unwrap();
            assert_eq!(KeyPair::from_pkcs8_pem(&group.pem).unwrap().public_key(), pair.public_key());
            for test in &group.tests {
                let opened = pair.oaep_decrypt(&test.ct, &test.label);
                run[usize::from(opened.is_ok())] += 1;
                match opened {
                    Ok(plaintext) => {
                        assert_ne!(test.result, TestResult::Invalid, "{}", test.tc_id);
                        assert_eq!(plaintext.as_bytes(), &**test.pt, "{}", test.tc_id);
                    }
                    Err(_) => assert_ne!(test.result, TestResult::Valid, "{}", test.tc_id),
                }
            }
        }
    }
    assert!(run.into_iter().all(|count| count > 30), "{run:?}");
}
