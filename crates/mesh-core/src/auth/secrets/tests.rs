use serde_json::{Value, json};

use super::{
    super::testing::{HOUR, KEY, NOW, OTHER_KEY, at, claims, forge, id, with},
    *,
};
use crate::error::{Code, Coded, Reason};

fn expected() -> Expected {
    Expected {
        typ: TokenType::Service,
        issuer: None,
        audience: "everyone".into(),
        session: None,
        jkt: None,
        max_lifetime: duration::MAX,
        grace: Duration::ZERO,
    }
}

#[test]
fn a_rotated_secret_counts_until_its_grace_is_over() {
    let mut ring = SecretRing::new(KEY).unwrap();
    let issue = |ring: &SecretRing| ring.issue(&id("orders"), "everyone", "s-1", HOUR, at(NOW)).unwrap();
    let old = issue(&ring);
    ring.rotate(Some(OTHER_KEY), Duration::from_mins(1), at(NOW)).unwrap();
    let new = issue(&ring);

    assert_eq!(ring.verify(old.as_bytes(), &expected(), at(NOW + 59)).unwrap().sid.as_deref(), Some("s-1"));
    assert!(ring.verify(new.as_bytes(), &expected(), at(NOW + 59)).is_ok());
    let after = ring.verify(old.as_bytes(), &expected(), at(NOW + 60)).unwrap_err();
    assert_eq!((after.code(), after.reason()), (Code::Unauthenticated, Reason::SecretRetired));
    assert!(ring.verify(new.as_bytes(), &expected(), at(NOW + 60)).is_ok());

    // Retired by name only: its own secret does not bring it back.
    let back = ring.rotate(Some(KEY), Duration::ZERO, at(NOW + 60));
    assert_eq!(back.unwrap_err().reason(), Reason::Argument);
    assert_eq!(ring.rotate(Some(OTHER_KEY), Duration::ZERO, at(NOW)).unwrap_err().reason(), Reason::Argument);
    ring.rotate(None, Duration::ZERO, at(NOW + 60)).unwrap();
    assert_eq!(ring.verify(new.as_bytes(), &expected(), at(NOW + 60)), Err(AuthError::SecretRetired));
}

#[test]
fn a_former_secret_cannot_sign_under_the_name_of_the_new_one() {
    let mut ring = SecretRing::new(KEY).unwrap();
    ring.rotate(Some(OTHER_KEY), Duration::ZERO, at(NOW)).unwrap();
    let new = ring.issue(&id("orders"), "everyone", "s", HOUR, at(NOW)).unwrap();
    let head: Vec<u8> = URL_SAFE_NO_PAD.decode(new.split('.').next().unwrap()).unwrap();
    let claims = with(claims(), "aud", json!("everyone")).to_string();
    let forged = forge(std::str::from_utf8(&head).unwrap(), &claims, KEY);
    assert_eq!(ring.verify(forged.as_bytes(), &expected(), at(NOW)), Err(AuthError::Sig));
    let signed = forge(std::str::from_utf8(&head).unwrap(), &claims, OTHER_KEY);
    assert!(ring.verify(signed.as_bytes(), &expected(), at(NOW)).is_ok());
}

#[test]
fn a_ring_takes_tokens_without_kid_and_follows_no_other() {
    let mut ring = SecretRing::new(KEY).unwrap();
    let claims = with(claims(), "aud", json!("everyone")).to_string();
    let mut reason = |header: &Value| {
        let token = forge(&header.to_string(), &claims, KEY);
        ring.verify(token.as_bytes(), &expected(), at(NOW)).map(drop).map_err(|error| error.reason())
    };
    let plain = json!({ "alg": "HS256", "typ": "JWT" });
    assert_eq!(reason(&plain), Ok(()));
    assert_eq!(reason(&with(plain.clone(), "kid", json!("../../dev/null"))), Err(Reason::JwtHeader));
    assert_eq!(reason(&with(plain.clone(), "kid", json!(["x"]))), Err(Reason::JwtHeader));
    assert_eq!(reason(&with(plain.clone(), "kid", json!("A".repeat(22)))), Err(Reason::JwtSig));
    assert_eq!(reason(&with(plain.clone(), "typ", json!("ssm-request+jwt"))), Err(Reason::JwtTyp));
    assert_eq!(reason(&with(plain, "alg", json!("HS512"))), Err(Reason::JwtAlg));
}

#[test]
fn a_ring_remembers_a_bounded_number_of_secrets() {
    let mut ring = SecretRing::random().unwrap();
    let first = ring.issue(&id("a"), "everyone", "s", HOUR, at(NOW)).unwrap();
    for _ in 0..9 {
        ring.rotate(None, HOUR, at(NOW)).unwrap();
    }
    assert_eq!(ring.verify(first.as_bytes(), &expected(), at(NOW)), Err(AuthError::SecretRetired));
    for _ in 0..100 {
        ring.rotate(None, HOUR, at(NOW)).unwrap();
    }
    assert_eq!(ring.verify(first.as_bytes(), &expected(), at(NOW)), Err(AuthError::Sig));
}

#[test]
fn a_rotation_without_grace_ends_the_grace_of_every_previous_secret() {
    let mut ring = SecretRing::random().unwrap();
    let mut issued = Vec::new();
    for grace in [24 * HOUR, 24 * HOUR, Duration::ZERO] {
        issued.push(ring.issue(&id("a"), "everyone", "s", HOUR, at(NOW)).unwrap());
        ring.rotate(None, grace, at(NOW)).unwrap();
    }
    for token in issued {
        assert_eq!(ring.verify(token.as_bytes(), &expected(), at(NOW)), Err(AuthError::SecretRetired));
    }
}

#[test]
fn wrong_arguments_are_named() {
    let ring = SecretRing::new(KEY).unwrap();
    let issue =
        |sid: &str, lifetime| ring.issue(&id("a"), "b", sid, lifetime, at(NOW)).map_err(|e| e.to_string());
    assert!(issue("", HOUR).unwrap_err().contains("sessionId"));
    assert!(issue("a\nb", HOUR).unwrap_err().contains("sessionId"));
    assert!(issue(&"x".repeat(129), HOUR).unwrap_err().contains("sessionId"));
    assert!(issue("s", Duration::ZERO).unwrap_err().contains("expiresIn"));
    assert!(issue("s", Duration::MAX).unwrap_err().contains("expiresIn"));
    assert!(SecretRing::new(b"").unwrap_err().to_string().contains("secret is empty"));
}

#[test]
fn a_weak_secret_is_known_for_one() {
    for weak in [&b"my-secret"[..], &[7; 31], &[7; 64], b"0123456789abcdef0123456789abcdef"] {
        assert!(SecretRing::new(weak).unwrap().is_weak());
    }
    assert!(!SecretRing::new(KEY).unwrap().is_weak());
    assert!(!SecretRing::random().unwrap().is_weak());
}
