//! Hostile tokens, one test for each way a token can lie.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    jws::{Alg, Parts},
    testing::{HOUR, JKT, KEY, NOW, OTHER_KEY, SID, at, claims, encode, forge, header, id, with},
    *,
};
use crate::id::SessionId;

fn sid() -> SessionId {
    SessionId::from_bytes(std::array::from_fn(|i| i as u8))
}

fn verifier(typ: TokenType) -> TokenVerifier {
    TokenVerifier::new(KEY, typ, &id("orders"), &id("billing"), &sid(), JKT, HOUR)
}

fn issuer(typ: TokenType) -> TokenIssuer {
    TokenIssuer::new(KEY, typ, &id("orders"), &id("billing"), &sid(), JKT, HOUR)
}

/// Verifies `token` as a request token at the time of its issue.
fn reason(token: &str) -> Result<(), Reason> {
    verifier(TokenType::Request).verify(token.as_bytes(), at(NOW)).map(drop).map_err(|error| {
        assert_eq!(error.code(), Code::Unauthenticated);
        error.reason()
    })
}

fn reason_of_header(header: &Value) -> Result<(), Reason> {
    reason(&forge(&header.to_string(), &claims().to_string(), KEY))
}

fn reason_of_claims(claims: &Value) -> Result<(), Reason> {
    reason_of_payload(&claims.to_string())
}

fn reason_of_payload(payload: &str) -> Result<(), Reason> {
    reason(&forge(&header().to_string(), payload, KEY))
}

proptest! {
    #[test]
    fn nothing_random_is_a_token(bytes in prop::collection::vec(any::<u8>(), 0..600), text in "[!-~]*\\.[!-~]*\\.[!-~]*") {
        prop_assert!(verifier(TokenType::Request).verify(&bytes, at(NOW)).is_err());
        prop_assert!(verifier(TokenType::Request).verify(text.as_bytes(), at(NOW)).is_err());
    }

    #[test]
    fn nothing_random_is_a_token_even_when_signed(header_text in any::<String>(), payload in any::<String>()) {
        prop_assert!(reason(&forge(&header_text, &claims().to_string(), KEY)).is_err());
        prop_assert!(reason(&forge(&header().to_string(), &payload, KEY)).is_err());
    }
}

/// Each test below changes one thing about this token.
#[test]
fn the_token_by_hand_is_good_unchanged() {
    assert_eq!(reason_of_claims(&claims()), Ok(()));
    assert_eq!(reason_of_claims(&with(claims(), "nbf", None)), Ok(()));
    assert_eq!(
        reason_of_claims(&with(claims(), "tenant", json!("t1"))),
        Ok(()),
        "unknown claims are ignored"
    );
}

#[test]
fn what_is_issued_verifies_and_names_both_sides() {
    for typ in [TokenType::Handshake, TokenType::Request] {
        let token = issuer(typ).issue(at(NOW)).unwrap();
        let claims = verifier(typ).verify(token.as_bytes(), at(NOW)).unwrap();
        assert_eq!((&*claims.iss, &*claims.sub, &*claims.aud), ("orders", "orders", "billing"));
        assert_eq!((claims.sid.as_deref(), claims.jkt.as_deref()), (Some(SID), Some(JKT)));
        assert_eq!((claims.iat, claims.nbf, claims.exp), (NOW, NOW, NOW + 3600));
        assert_eq!(claims.jti.len(), 22);
        assert!(token.len() < 600, "{}", token.len());
    }
}

#[test]
fn each_token_has_a_name_of_its_own() {
    let issuer = issuer(TokenType::Request);
    assert_ne!(issuer.issue(at(NOW)).unwrap(), issuer.issue(at(NOW)).unwrap());
}

#[test]
fn another_algorithm_is_refused() {
    for alg in
        ["none", "None", "nOnE", "HS384", "HS512", "hs256", "RS256", "PS256", "ES256", "EdDSA", "", "HS256 "]
    {
        assert_eq!(reason_of_header(&with(header(), "alg", json!(alg))), Err(Reason::JwtAlg), "{alg}");
    }
    for alg in [json!(null), json!(["HS256"]), json!({ "a": 1 }), json!(256)] {
        assert_eq!(reason_of_header(&with(header(), "alg", alg)), Err(Reason::JwtAlg));
    }
    assert_eq!(reason_of_header(&with(header(), "alg", None)), Err(Reason::JwtAlg));
}

#[test]
fn an_unsigned_token_is_refused() {
    let unsigned = with(header(), "alg", json!("none"));
    let token = format!("{}.{}.", encode(unsigned.to_string()), encode(claims().to_string()));
    assert_eq!(reason(&token), Err(Reason::JwtAlg));
    let token = format!("{}.{}.", encode(header().to_string()), encode(claims().to_string()));
    assert_eq!(reason(&token), Err(Reason::JwtSig));
    // RFC 7519, 6.1
    let example = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                   cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
    assert_eq!(reason(example), Err(Reason::JwtAlg));
}

#[test]
fn the_example_of_rfc_7515_is_read_as_the_rfc_says() {
    let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA\
                 6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let key = DecodingKey::from_secret(&URL_SAFE_NO_PAD.decode(key).unwrap());
    let read = |token: &str| {
        Parts::parse(token.as_bytes()).and_then(|parts| parts.verify(Alg::Hs256, TokenType::Service, &key))
    };
    // The signature is valid, so the claims are checked, and they name no subject.
    assert_eq!(read(token), Err(AuthError::Iss));
    assert_eq!(read(&token.replace(".dB", ".dA")), Err(AuthError::Sig));
}

#[test]
fn another_type_is_refused() {
    for typ in ["JWT", "jwt", "ssm-handshake+jwt", "application/ssm-request+jwt", "SSM-REQUEST+JWT", ""] {
        assert_eq!(reason_of_header(&with(header(), "typ", json!(typ))), Err(Reason::JwtTyp), "{typ}");
    }
    assert_eq!(reason_of_header(&with(header(), "typ", None)), Err(Reason::JwtTyp));
    assert_eq!(reason_of_header(&with(header(), "typ", json!(["ssm-request+jwt"]))), Err(Reason::JwtTyp));
    let handshake = issuer(TokenType::Handshake).issue(at(NOW)).unwrap();
    assert_eq!(reason(&handshake), Err(Reason::JwtTyp));
}

#[test]
fn another_audience_is_refused() {
    for aud in [
        json!("orders"),
        json!(["billing"]),
        json!(["billing", "x"]),
        json!(""),
        json!(null),
        json!("Billing"),
    ] {
        assert_eq!(reason_of_claims(&with(claims(), "aud", aud)), Err(Reason::JwtAud));
    }
    assert_eq!(reason_of_claims(&with(claims(), "aud", None)), Err(Reason::JwtAud));
}

#[test]
fn another_issuer_is_refused() {
    for name in ["iss", "sub"] {
        for value in [json!("billing"), json!(["orders"]), json!("orders "), json!(null), json!(7)] {
            assert_eq!(reason_of_claims(&with(claims(), name, value)), Err(Reason::JwtIss));
        }
        assert_eq!(reason_of_claims(&with(claims(), name, None)), Err(Reason::JwtIss));
    }
    let both = with(with(claims(), "iss", json!("mallory")), "sub", json!("mallory"));
    assert_eq!(reason_of_claims(&both), Err(Reason::JwtIss));
}

#[test]
fn another_session_is_refused() {
    for sid in
        [json!("ff0102030405060708090a0b0c0d0e0f"), json!(SID.to_uppercase()), json!([SID]), json!(null)]
    {
        assert_eq!(reason_of_claims(&with(claims(), "sid", sid)), Err(Reason::JwtSid));
    }
    assert_eq!(reason_of_claims(&with(claims(), "sid", None)), Err(Reason::JwtSid));
}

#[test]
fn another_key_is_refused() {
    for cnf in [
        json!({ "jkt": "AAbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" }),
        json!({ "jkt": [JKT] }),
        json!({ "jwk": { "kty": "RSA" } }),
        json!({ "jkt": JKT, "jku": "https://example.com/key" }),
        json!({}),
        json!(JKT),
        json!(null),
    ] {
        assert_eq!(reason_of_claims(&with(claims(), "cnf", cnf)), Err(Reason::JwtCnf));
    }
    assert_eq!(reason_of_claims(&with(claims(), "cnf", None)), Err(Reason::JwtCnf));
}

#[test]
fn an_unacceptable_lifetime_is_refused() {
    for exp in [
        json!(1u64 << 63),
        json!(u64::MAX),
        json!(-1),
        json!(i64::MIN),
        json!(NOW.to_string()),
        json!(1_800_003_600.0),
        json!(1_800_003_600.5),
        json!("NaN"),
        json!(f64::NAN), // null, as JavaScript writes it too
        json!(null),
        json!([NOW + 3600]),
        json!(NOW + 3602),
        json!(NOW - 1),
        json!(0),
    ] {
        assert_eq!(reason_of_claims(&with(claims(), "exp", exp.clone())), Err(Reason::JwtExp), "{exp}");
    }
    assert_eq!(reason_of_claims(&with(claims(), "exp", None)), Err(Reason::JwtExp));
    for iat in [json!(null), json!("1"), json!(-1), json!(NOW - 2)] {
        assert_eq!(reason_of_claims(&with(claims(), "iat", iat)), Err(Reason::JwtExp));
    }
    assert_eq!(reason_of_claims(&with(claims(), "nbf", json!("0"))), Err(Reason::JwtExp));
    let payload = |exp: &str| claims().to_string().replace("1800003600", exp);
    for exp in ["1e300", "1.8e9", "99999999999999999999999999", "-0"] {
        assert_eq!(reason_of_payload(&payload(exp)), Err(Reason::JwtExp), "{exp}");
    }
    // These are not JSON at all.
    for exp in ["NaN", "Infinity", "1e999", "0x10", "01800003600"] {
        assert_eq!(reason_of_payload(&payload(exp)), Err(Reason::JwtFormat), "{exp}");
    }
}

#[test]
fn a_token_expires_when_it_says_and_the_leeway_is_over() {
    let token = issuer(TokenType::Request).issue(at(NOW)).unwrap();
    let verifier = verifier(TokenType::Request);
    assert!(verifier.verify(token.as_bytes(), at(NOW + 3600 + 29)).is_ok());
    let late = verifier.verify(token.as_bytes(), at(NOW + 3600 + 30));
    assert_eq!(late, Err(AuthError::Expired(30)));
    assert_eq!(late.unwrap_err().reason(), Reason::JwtExp);
}

#[test]
fn a_postdated_token_is_not_valid_yet() {
    let postdated = with(claims(), "nbf", json!(NOW + 600));
    assert_eq!(reason_of_claims(&postdated), Err(Reason::JwtNbf));
    assert_eq!(reason_of_claims(&with(claims(), "nbf", json!(u64::MAX))), Err(Reason::JwtNbf));
    let token = forge(&header().to_string(), &postdated.to_string(), KEY);
    assert!(verifier(TokenType::Request).verify(token.as_bytes(), at(NOW + 600)).is_ok());
}

#[test]
fn clocks_too_far_apart_are_told_with_the_difference() {
    let token = issuer(TokenType::Handshake).issue(at(NOW)).unwrap();
    let check = |now| verifier(TokenType::Handshake).verify(token.as_bytes(), at(now));
    assert_eq!(check(NOW - 3600), Err(AuthError::ClockSkew(3600)));
    assert_eq!(check(NOW + 3600), Err(AuthError::ClockSkew(-3600)));
    assert!(check(NOW - 30).is_ok() && check(NOW + 30).is_ok());
    let message = check(NOW + 3600).unwrap_err();
    assert!(message.to_string().contains("-3600 s") && message.reason() == Reason::ClockSkew);

    let token = issuer(TokenType::Request).issue(at(NOW)).unwrap();
    let early = verifier(TokenType::Request).verify(token.as_bytes(), at(NOW - 3600));
    assert_eq!(early, Err(AuthError::ClockSkew(3600)));
}

#[test]
fn headers_that_point_somewhere_are_never_followed() {
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("jku", json!("https://example.com/keys")),
        ("x5u", json!("file:///etc/passwd")),
        ("jwk", json!({ "kty": "oct", "k": encode(OTHER_KEY) })),
        ("x5c", json!(["MII"])),
        ("x5t", json!("x")),
        ("x5t#S256", json!("x")),
        ("kid", json!("../../dev/null")),
        ("kid", json!("")),
        ("kid", json!(null)),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("something", json!(1)),
    ] {
        assert_eq!(reason_of_header(&with(header(), name, value)), Err(Reason::JwtHeader), "{name}");
    }
    let named = with(header(), "x5u", json!("x")).to_string();
    let token = forge(&named, &claims().to_string(), KEY);
    assert_eq!(verifier(TokenType::Request).verify(token.as_bytes(), at(NOW)), Err(AuthError::Header("x5u")));
}

#[test]
fn what_is_not_exactly_a_jwt_is_refused() {
    let good = forge(&header().to_string(), &claims().to_string(), KEY);
    let [head, payload, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let claims = claims().to_string();
    let huge = forge(&with(header(), "something", json!("x".repeat(1 << 20))).to_string(), &claims, KEY);
    let deep = forge(&format!(r#"{{"alg":{}1{}}}"#, "[".repeat(800), "]".repeat(800)), &claims, KEY);
    let one_bit_more = {
        // The last character of 32 bytes in base64 carries two bits that must be zero.
        let mut text = signature.to_owned();
        let last = text.pop().unwrap();
        text.push(char::from(last as u8 + 1));
        text
    };
    for token in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        format!("{head}.{payload}"),
        format!("{good}.{payload}"),
        format!("{head}=.{payload}.{signature}"),
        format!("{head}.{payload}=.{signature}"),
        format!("{good}="),
        format!("{good}\n"),
        format!(" {good}"),
        format!("{head}.{payload}.{one_bit_more}"),
        format!("{head}.{payload}.{}", signature.replacen(|_| true, "+", 1)),
        format!("{}.{payload}.{signature}", &head[..head.len() - 1]),
        huge,
        deep,
        forge("[]", &claims, KEY),
        forge("null", &claims, KEY),
        forge("", &claims, KEY),
        forge("{\"alg\":\"HS256\",\"typ\":\"ssm-request+jwt\",\"alg\":\"HS256\"}", &claims, KEY),
        forge("{\"alg\":\"HS256\",\"typ\":\"ssm-request+jwt\"} ,", &claims, KEY),
    ] {
        let shown = token.chars().take(80).collect::<String>();
        assert_eq!(reason(&token), Err(Reason::JwtFormat), "{shown}");
    }
    assert_eq!(
        verifier(TokenType::Request).verify(b"\xff.\xff.\xff", at(NOW)).map_err(|e| e.reason()),
        Err(Reason::JwtFormat)
    );
}

#[test]
fn claims_that_say_two_things_are_refused() {
    let claims = claims().to_string();
    for twice in [
        claims.replacen('{', r#"{"iss":"orders","#, 1),
        claims.replacen('{', r#"{"aud":"other","#, 1),
        claims.replacen('{', r#"{"\u0065xp":1,"#, 1),
        claims.replacen(r#"{"jkt""#, r#"{"jkt":"x","jkt""#, 1),
        claims.replacen('{', r#"{"deep":[[[[[[1]]]]]],"#, 1),
        format!("[{claims}]"),
        format!("{claims}{claims}"),
    ] {
        assert_ne!(twice, claims);
        assert_eq!(reason_of_payload(&twice), Err(Reason::JwtFormat), "{twice}");
    }
}

#[test]
fn a_missing_or_endless_name_is_refused() {
    for jti in [json!(null), json!(1), json!(""), json!("x".repeat(257))] {
        assert_eq!(reason_of_claims(&with(claims(), "jti", jti)), Err(Reason::JwtFormat));
    }
    assert_eq!(reason_of_claims(&with(claims(), "jti", None)), Err(Reason::JwtFormat));
}

#[test]
fn another_directions_key_is_refused() {
    assert_eq!(reason(&forge(&header().to_string(), &claims().to_string(), OTHER_KEY)), Err(Reason::JwtSig));
    assert_eq!(reason(&forge(&header().to_string(), &claims().to_string(), b"")), Err(Reason::JwtSig));
}

#[test]
fn no_bit_of_a_token_can_be_changed() {
    let good = issuer(TokenType::Request).issue(at(NOW)).unwrap().into_bytes();
    let verifier = verifier(TokenType::Request);
    for at_byte in 0..good.len() {
        for bit in 0..8 {
            let mut token = good.clone();
            token[at_byte] ^= 1 << bit;
            assert!(verifier.verify(&token, at(NOW)).is_err(), "byte {at_byte}, bit {bit}");
        }
    }
}

#[test]
fn the_signature_is_checked_before_the_claims_are() {
    let hostile = with(with(claims(), "aud", json!("x")), "exp", json!("x")).to_string();
    assert_eq!(reason(&forge(&header().to_string(), &hostile, OTHER_KEY)), Err(Reason::JwtSig));
}

#[test]
fn the_current_token_is_reused_until_half_of_its_life() {
    let mut issuer = issuer(TokenType::Request);
    let first = issuer.current(at(NOW)).unwrap().to_owned();
    assert_eq!(issuer.current(at(NOW + 1799)).unwrap(), first);
    let second = issuer.current(at(NOW + 1800)).unwrap().to_owned();
    assert_ne!(second, first);
    assert_eq!(issuer.current(at(NOW + 1801)).unwrap(), second);
}

#[test]
fn a_clock_that_is_set_back_makes_a_new_token() {
    let mut issuer = issuer(TokenType::Request);
    let ahead = issuer.current(at(NOW + 90)).unwrap().to_owned();
    let verifier = verifier(TokenType::Request);
    assert_eq!(verifier.verify(ahead.as_bytes(), at(NOW)).unwrap_err().reason(), Reason::ClockSkew);
    let anew = issuer.current(at(NOW)).unwrap().to_owned();
    assert!(verifier.verify(anew.as_bytes(), at(NOW)).is_ok());
    assert_eq!(issuer.current(at(NOW + 1)).unwrap(), anew, "and keeps that one");
}

#[test]
fn a_known_token_is_still_checked_for_its_time() {
    let token = issuer(TokenType::Request).issue(at(NOW)).unwrap();
    let mut cached = CachedVerifier::new(verifier(TokenType::Request));
    assert!(cached.check(token.as_bytes(), at(NOW)).is_ok());
    assert_eq!(cached.check(token.as_bytes(), at(NOW + 10)).unwrap().aud, "billing");
    assert_eq!(cached.check(token.as_bytes(), at(NOW + 3630)), Err(AuthError::Expired(30)));
    assert_eq!(cached.check(token.as_bytes(), at(NOW - 31)), Err(AuthError::ClockSkew(31)));
}

#[test]
fn a_refused_token_does_not_displace_the_known_one() {
    let token = issuer(TokenType::Request).issue(at(NOW)).unwrap();
    let forged = forge(&header().to_string(), &claims().to_string(), OTHER_KEY);
    let mut cached = CachedVerifier::new(verifier(TokenType::Request));
    for _ in 0..2 {
        assert!(cached.check(token.as_bytes(), at(NOW)).is_ok());
        assert_eq!(cached.check(forged.as_bytes(), at(NOW)), Err(AuthError::Sig));
        assert_eq!(cached.check(b"", at(NOW)).map_err(|e| e.reason()), Err(Reason::JwtFormat));
        assert_eq!(
            cached.check(&token.as_bytes()[1..], at(NOW)).map_err(|e| e.reason()),
            Err(Reason::JwtFormat)
        );
    }
    let next = issuer(TokenType::Request).issue(at(NOW + 5)).unwrap();
    assert_eq!(cached.check(next.as_bytes(), at(NOW + 5)).unwrap().iat, NOW + 5);
}

#[test]
fn no_secret_shows_in_debug_output() {
    let ring = SecretRing::new(KEY).unwrap();
    let mut cached = CachedVerifier::new(verifier(TokenType::Request));
    let mut issuer = issuer(TokenType::Request);
    let token = issuer.current(at(NOW)).unwrap().to_owned();
    cached.check(token.as_bytes(), at(NOW)).unwrap();
    let shown = format!("{ring:?}{cached:?}{issuer:?}");
    assert!(!shown.contains("direction") && !shown.contains(&token[..40]), "{shown}");
}
