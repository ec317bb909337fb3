use std::sync::OnceLock;

use super::*;

fn key(slot: usize) -> &'static KeyPair {
    static KEYS: [OnceLock<KeyPair>; 3] = [const { OnceLock::new() }; 3];
    KEYS[slot].get_or_init(|| KeyPair::generate(2048).unwrap())
}

fn alice() -> &'static KeyPair {
    key(0)
}

fn bob() -> &'static KeyPair {
    key(1)
}

fn eve() -> &'static KeyPair {
    key(2)
}

fn sealed() -> Envelope {
    seal(b"attack at dawn", bob().public_key(), alice(), AesKeySize::Aes256).unwrap()
}

fn from_alice(envelope: &Envelope) -> Result<Vec<u8>, EnvelopeError> {
    open(envelope, bob(), Some(alice().public_key()))
}

fn flip(text: &str, byte: usize) -> String {
    let mut bytes = STANDARD.decode(text).unwrap();
    bytes[byte] ^= 1;
    STANDARD.encode(bytes)
}

#[test]
fn opens_with_every_key_size() {
    for size in [AesKeySize::Aes128, AesKeySize::Aes192, AesKeySize::Aes256] {
        for data in [&b""[..], b"x", &vec![7; 100_000]] {
            let envelope = seal(data, bob().public_key(), alice(), size).unwrap();
            assert_eq!(from_alice(&envelope).unwrap(), data);
            assert_eq!(open(&envelope, bob(), None).unwrap(), data);
        }
    }
}

#[test]
fn survives_json() {
    let json = serde_json::to_value(sealed()).unwrap();
    let mut names: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
    names.sort();
    assert_eq!(names, ["authTag", "encryptedData", "encryptedKey", "hmac", "iv", "signature", "version"]);
    let envelope: Envelope = serde_json::from_value(json).unwrap();
    assert_eq!(from_alice(&envelope).unwrap(), b"attack at dawn");
}

#[test]
fn no_two_envelopes_are_alike() {
    let (a, b) = (sealed(), sealed());
    assert_ne!(a.iv, b.iv);
    assert_ne!(a.encrypted_data, b.encrypted_data);
    assert_ne!(a.encrypted_key, b.encrypted_key);
}

#[test]
fn every_changed_member_is_the_same_error() {
    let good = sealed();
    let other = sealed();
    let mut tampered = Vec::new();
    let mut with = |change: &dyn Fn(&mut Envelope)| {
        let mut envelope = good.clone();
        change(&mut envelope);
        tampered.push(envelope);
    };
    with(&|envelope| envelope.encrypted_data = flip(&good.encrypted_data, 3));
    with(&|envelope| envelope.encrypted_key = flip(&good.encrypted_key, 100));
    with(&|envelope| envelope.iv = flip(&good.iv, 11));
    with(&|envelope| envelope.auth_tag = flip(&good.auth_tag, 15));
    with(&|envelope| envelope.hmac = other.hmac.clone());
    with(&|envelope| envelope.encrypted_key = other.encrypted_key.clone());
    with(&|envelope| envelope.encrypted_data = String::new());
    with(&|envelope| envelope.encrypted_key = String::new());
    for envelope in &tampered {
        assert_eq!(open(envelope, bob(), None), Err(EnvelopeError::Open));
        assert_eq!(from_alice(envelope), Err(EnvelopeError::Open));
    }
    for signature in [String::new(), flip(&good.signature, 200), other.signature] {
        let envelope = Envelope { signature, ..good.clone() };
        assert_eq!(from_alice(&envelope), Err(EnvelopeError::Open));
        // Without a sender to verify, the signature does not matter.
        assert!(open(&envelope, bob(), None).is_ok());
    }
}

#[test]
fn another_recipient_or_sender_is_the_same_error() {
    let envelope = sealed();
    assert_eq!(open(&envelope, eve(), None), Err(EnvelopeError::Open));
    assert_eq!(open(&envelope, eve(), Some(alice().public_key())), Err(EnvelopeError::Open));
    assert_eq!(open(&envelope, bob(), Some(eve().public_key())), Err(EnvelopeError::Open));
}

#[test]
fn nobody_can_sign_as_theirs_what_another_sealed() {
    let envelope = sealed();
    let (encrypted_key, iv) =
        (STANDARD.decode(&envelope.encrypted_key).unwrap(), STANDARD.decode(&envelope.iv));
    let (tag, ciphertext) = (STANDARD.decode(&envelope.auth_tag), STANDARD.decode(&envelope.encrypted_data));
    let covered = Covered {
        recipient: bob().public_key().thumbprint(),
        encrypted_key: &encrypted_key,
        iv: &iv.unwrap().try_into().unwrap(),
        tag: &Tag::from_slice(&tag.unwrap()).unwrap(),
        ciphertext: &ciphertext.unwrap(),
    };
    let signed = covered.signed(&hmac(&envelope.hmac).unwrap());
    assert!(alice().public_key().pss_verify(
        SignatureDomain::Envelope,
        &signed,
        &STANDARD.decode(&envelope.signature).unwrap()
    ));
    let signature = STANDARD.encode(eve().pss_sign(SignatureDomain::Envelope, &signed).unwrap());
    let stolen = Envelope { signature, ..envelope };
    assert_eq!(open(&stolen, bob(), Some(eve().public_key())), Err(EnvelopeError::Open));
}

#[test]
fn a_truncated_tag_or_hmac_is_malformed() {
    let good = sealed();
    let cut = |text: &str, len: usize| STANDARD.encode(&STANDARD.decode(text).unwrap()[..len]);
    for len in [0, 4, 8, 12, 15] {
        let envelope = Envelope { auth_tag: cut(&good.auth_tag, len), ..good.clone() };
        let err = open(&envelope, bob(), None).unwrap_err();
        assert!(matches!(err, EnvelopeError::Format { member: "authTag", .. }));
        assert_eq!(err.reason(), Reason::EnvelopeFormat);
    }
    for len in [0, 2, 62, 63] {
        let envelope = Envelope { hmac: good.hmac[..len].into(), ..good.clone() };
        assert!(matches!(open(&envelope, bob(), None), Err(EnvelopeError::Format { member: "hmac", .. })));
    }
    for iv in [cut(&good.iv, 11), STANDARD.encode([0; 16]), "!".into()] {
        let envelope = Envelope { iv, ..good.clone() };
        assert!(matches!(open(&envelope, bob(), None), Err(EnvelopeError::Format { member: "iv", .. })));
    }
    for version in [0, 2, u32::MAX] {
        let envelope = Envelope { version, ..good.clone() };
        assert_eq!(open(&envelope, bob(), None), Err(EnvelopeError::Version(version)));
    }
}

#[test]
fn a_tampered_envelope_costs_no_private_operation_when_the_sender_is_known() {
    let bob = KeyPair::from_pkcs8_pem(&bob().to_pkcs8_pem().unwrap()).unwrap();
    let good = sealed();
    let envelope = Envelope { encrypted_data: flip(&good.encrypted_data, 0), ..good };
    assert_eq!(open(&envelope, &bob, Some(alice().public_key())), Err(EnvelopeError::Open));
    assert_eq!(bob.private_ops(), 0);
}

#[test]
fn the_vector_of_the_format_document_opens() {
    let vector: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/data/envelope-v1.json")).unwrap();
    let pair = |name: &str| KeyPair::from_pkcs8_pem(vector[name].as_str().unwrap()).unwrap();
    let (recipient, sender) = (pair("recipientPrivateKey"), pair("senderPrivateKey"));
    let envelope: Envelope = serde_json::from_value(vector["envelope"].clone()).unwrap();
    let data = open(&envelope, &recipient, Some(sender.public_key())).unwrap();
    assert_eq!(data, vector["plaintext"].as_str().unwrap().as_bytes());
    // The intermediate values, for authors of other implementations.
    let wrapped = recipient.oaep_decrypt(&STANDARD.decode(&envelope.encrypted_key).unwrap(), DOMAIN).unwrap();
    assert_eq!(hex::encode(wrapped.as_bytes()), vector["wrapped"].as_str().unwrap());
    let mut key = [0; 32];
    let prk = Prk::extract(b"", &[&wrapped.as_bytes()[..32]]);
    for (info, name) in [(AES_INFO, "aesKey"), (HMAC_INFO, "hmacKey")] {
        prk.expand_info(info, &mut key).unwrap();
        assert_eq!(hex::encode(key), vector[name].as_str().unwrap());
    }
    assert_eq!(
        recipient.public_key().thumbprint().to_string(),
        vector["recipientThumbprint"].as_str().unwrap()
    );
}

mod legacy {
    use super::*;

    fn vector() -> (KeyPair, LegacyEnvelope, String) {
        let vector: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/data/envelope-0.2.0.json")).unwrap();
        let pair = KeyPair::from_pkcs8_pem(vector["privateKey"].as_str().unwrap()).unwrap();
        let plaintext = vector["plaintext"].as_str().unwrap().to_owned();
        (pair, serde_json::from_value(vector["envelope"].clone()).unwrap(), plaintext)
    }

    #[test]
    fn what_0_2_0_wrote_is_read() {
        let (pair, envelope, plaintext) = vector();
        assert_eq!(open_legacy(&envelope, &pair).unwrap(), plaintext.as_bytes());
    }

    #[test]
    fn tampering_is_one_error_and_short_tags_are_malformed() {
        let (pair, good, _) = vector();
        for envelope in [
            LegacyEnvelope { encrypted_data: flip(&good.encrypted_data, 0), ..good.clone() },
            LegacyEnvelope { encrypted_key: flip(&good.encrypted_key, 9), ..good.clone() },
            LegacyEnvelope { auth_tag: flip(&good.auth_tag, 0), ..good.clone() },
            LegacyEnvelope { iv: flip(&good.iv, 0), ..good.clone() },
        ] {
            assert_eq!(open_legacy(&envelope, &pair), Err(EnvelopeError::Open));
        }
        let tag = STANDARD.encode(&STANDARD.decode(&good.auth_tag).unwrap()[..4]);
        let envelope = LegacyEnvelope { auth_tag: tag, ..good };
        assert!(matches!(
            open_legacy(&envelope, &pair),
            Err(EnvelopeError::Format { member: "authTag", .. })
        ));
    }

    #[test]
    fn it_is_not_read_by_default() {
        let (pair, envelope, _) = vector();
        let json = serde_json::to_value(&envelope).unwrap();
        assert!(serde_json::from_value::<Envelope>(json).is_err());
        let old = Envelope {
            version: 1,
            encrypted_data: envelope.encrypted_data,
            encrypted_key: envelope.encrypted_key,
            iv: envelope.iv,
            auth_tag: envelope.auth_tag,
            hmac: envelope.hmac,
            signature: String::new(),
        };
        assert!(open(&old, &pair, None).is_err());
    }
}
