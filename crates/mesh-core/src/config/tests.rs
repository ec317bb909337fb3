use serde_json::json;

use super::*;
use crate::error::{Coded as _, Reason};

const SECRET: &str = "a secret of the tests, 32 bytes and more";

fn parse(config: &Value) -> Result<MeshConfig, ConfigError> {
    MeshConfig::parse(config, |_| None)
}

fn message(config: &Value) -> String {
    parse(config).unwrap_err().to_string()
}

#[test]
fn the_quick_start_is_accepted_with_the_documented_defaults() {
    let config = parse(&json!({
        "serviceId": "my-service", "port": 50051,
        "security": { "rsaKeySize": 4096, "aesKeySize": 256 },
        "discovery": { "services": [{ "id": "other-service", "host": "localhost", "port": 50052 }] },
    }))
    .unwrap();
    assert_eq!((config.rsa_bits, config.aes_bits, config.port), (4096, 256, Some(50051)));
    assert_eq!((config.token_lifetime, config.session_timeout), (section::HOUR, section::HOUR));
    assert!(config.is_embedded() && config.enforce_peer_keys);
}

#[test]
fn errors_name_the_path_and_the_repair() {
    let service = |port: Value| json!({ "id": "b", "host": "h", "port": port });
    let with = |services: Value| json!({ "serviceId": "a", "discovery": { "services": services } });
    assert_eq!(
        message(&with(json!([service(json!(1)), service(json!("x"))]))),
        "discovery.services[1].port must be 1…65535, got \"x\""
    );
    assert!(
        message(&with(json!([{ "id": "b", "host": "a/b", "port": 1 }])))
            .starts_with("discovery.services[0].host")
    );
    assert_eq!(
        message(&json!({ "serviceId": "a", "security": { "rsaKeySiz": 2048 } })),
        "security.rsaKeySiz is not an option; did you mean security.rsaKeySize?"
    );
    assert_eq!(
        message(&json!({ "serviceId": "a", "security": { "rsaKeySize": 1024 } })),
        "security.rsaKeySize must be 2048 or 4096, got 1024"
    );
    assert_eq!(message(&json!({})), "serviceId must be a service id, got nothing");
    assert_eq!(message(&json!([])), "the configuration must be an object, got an array");
    assert!(
        message(&json!({ "serviceId": "a", "security": { "sessionTimeout": "soon" } })).contains("'15m'")
    );
    assert!(message(&json!({ "serviceId": "a", "port": 70000 })).starts_with("port must be 0…65535"));
}

#[test]
fn every_documented_option_is_honoured() {
    let config = parse(&json!({
        "serviceId": "a", "host": "127.0.0.1",
        "security": {
            "rsaKeySize": 2048, "aesKeySize": 192, "jwtSecret": SECRET, "jwtExpiration": "15m",
            "sessionTimeout": 60_000, "peerKeys": "ignore", "keysDir": "/old",
        },
        "paths": { "keysDir": "/new", "protoFile": "x.proto" },
        "limits": { "maxMessageBytes": 2048, "callTimeoutMs": 5 },
    }))
    .unwrap();
    assert_eq!((config.rsa_bits, config.aes_bits, config.port), (2048, 192, None));
    assert_eq!(config.secret.unwrap().as_bytes(), SECRET.as_bytes());
    assert_eq!(config.token_lifetime, Duration::from_mins(15));
    assert_eq!(config.session_timeout, Duration::from_mins(1));
    assert!(!config.enforce_peer_keys);
    assert_eq!(config.keys_dir, Some(PathBuf::from("/new")));
    assert_eq!((config.limits.max_message, config.limits.call_timeout), (2048, Duration::from_millis(5)));
    assert_eq!(config.warnings.len(), 1);
}

#[test]
fn the_memory_budget_has_room_for_several_of_the_largest_messages() {
    let with = |limits: Value| parse(&json!({ "serviceId": "a", "limits": limits }));
    let memory = |limits| with(limits).unwrap().limits.memory();
    assert_eq!(memory(json!({})), 256 << 20);
    assert_eq!(memory(json!({ "maxMessageBytes": 64 << 20 })), 1 << 30);
    assert_eq!(memory(json!({ "maxMemoryBytes": 64 << 20 })), 64 << 20);
    assert_eq!(memory(json!({ "maxMemoryBytes": 4 << 20, "maxMessageBytes": 1024 })), 4 << 20);
    for limits in [
        json!({ "maxMemoryBytes": (64 << 20) - 1 }),
        json!({ "maxMemoryBytes": 256 << 20, "maxMessageBytes": (16 << 20) + 1 }),
        json!({ "maxMemoryBytes": (4 << 20) - 1, "maxMessageBytes": 1024 }),
        json!({ "maxMemoryBytes": "much" }),
    ] {
        let text = with(limits).unwrap_err().to_string();
        assert!(text.starts_with("limits.maxMemoryBytes must be"), "{text}");
        assert!(text.contains("16 times limits.maxMessageBytes"), "{text}");
    }
}

#[test]
fn a_weak_secret_is_refused_with_the_command_that_makes_one_and_never_repeated() {
    for secret in ["secret", &"y".repeat(31), ""] {
        let error = parse(&json!({ "serviceId": "a", "security": { "jwtSecret": secret } })).unwrap_err();
        assert_eq!(error.reason(), Reason::WeakSecret);
        let text = error.to_string();
        assert!(text.contains("randomBytes(32)"));
        assert!(
            secret.is_empty() || !text.contains(secret) || secret == "secret" && !text.contains("\"secret\"")
        );
    }
    let config = parse(&json!({ "serviceId": "a", "security": { "jwtSecret": SECRET } })).unwrap();
    assert!(!format!("{config:?}").contains("secret of"));
    assert!(!message(&json!({ "serviceId": "a", "security": { "jwtSecret": 123_456 } })).contains("123456"));
}

#[test]
fn a_secret_that_is_long_and_not_random_is_refused() {
    let reason = |secret: &str| {
        let parsed = parse(&json!({ "serviceId": "a", "security": { "jwtSecret": secret } }));
        parsed.err().map(|error| (error.reason(), error.to_string()))
    };
    for (secret, what) in [
        ("x".repeat(64), "different bytes"),
        ("abcdefg".repeat(9), "different bytes"),
        ("1111111122222222333333334444444455556666".to_owned(), "different bytes"),
        ("password".repeat(8), "different bytes"),
        ("abcdefgh".repeat(8), "pattern"),
        ("correct-horse".repeat(3), "pattern"),
        ("0123456789abcdef".repeat(2), "pattern"),
        ("0123456789abcdef0123456789abcdef0123".to_owned(), "pattern"),
    ] {
        let (reason, text) = reason(&secret).expect(&secret);
        assert_eq!(reason, Reason::WeakSecret);
        assert!(text.contains(what) && text.contains("randomBytes(32)") && !text.contains(&secret), "{text}");
    }
    for secret in ["27182818284590452353602874713526624", "3f8a0c51d2e94b7786a1c0ff3e5d2b190f7c"] {
        assert_eq!(reason(secret), None, "random digits, and random hexadecimal ones");
    }
}

#[test]
fn a_service_that_only_calls_is_known_by_its_key() {
    let with = |entry: Value| parse(&json!({ "serviceId": "a", "discovery": { "services": [entry] } }));
    let config = with(json!({ "id": "b", "publicKey": "pem" })).unwrap();
    assert_eq!(config.services[0].address, None);
    assert!(!config.is_embedded());
    for (entry, path) in [
        (json!({ "id": "b" }), "host"),
        (json!({ "id": "b", "publicKey": "pem", "host": "h" }), "port"),
        (json!({ "id": "b", "publicKey": "pem", "port": 1 }), "host"),
    ] {
        let text = with(entry).unwrap_err().to_string();
        assert!(text.starts_with(&format!("discovery.services[0].{path} must be")), "{text}");
    }
}

#[test]
fn variables_stand_in_for_absent_options_only() {
    let env = |name: &str| match name {
        "SECURE_MESH_JWT_SECRET" => Some(SECRET.to_owned()),
        "SECURE_MESH_PORT" => Some("7000".to_owned()),
        _ => None,
    };
    let config = MeshConfig::parse(&json!({ "serviceId": "a" }), env).unwrap();
    assert_eq!((config.port, config.is_embedded()), (Some(7000), false));
    let config = MeshConfig::parse(&json!({ "serviceId": "a", "port": 1 }), env).unwrap();
    assert_eq!(config.port, Some(1));
    let weak = |name: &str| (name == "SECURE_MESH_JWT_SECRET").then(|| "short".to_owned());
    let error = MeshConfig::parse(&json!({ "serviceId": "a" }), weak).unwrap_err();
    assert!(error.to_string().starts_with("SECURE_MESH_JWT_SECRET"));
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    for value in ["", " "] {
        let config = MeshConfig::parse(&json!({ "serviceId": "a" }), |_| Some(value.to_owned())).unwrap();
        assert_eq!((config.port, config.host, config.keys_dir), (None, None, None));
        assert!(config.secret.is_none() && config.warnings.is_empty());
    }
}

#[test]
fn a_service_link_of_kubernetes_is_no_port() {
    let env = |name: &str| (name == "SECURE_MESH_PORT").then(|| "tcp://10.0.0.1:50051".to_owned());
    let config = MeshConfig::parse(&json!({ "serviceId": "a" }), env).unwrap();
    assert_eq!(config.port, None);
    assert!(config.warnings[0].contains("enableServiceLinks"), "{:?}", config.warnings);
    let config = MeshConfig::parse(&json!({ "serviceId": "a", "port": 1 }), env).unwrap();
    assert!(config.port == Some(1) && config.warnings.is_empty());
    let env = |name: &str| (name == "SECURE_MESH_PORT").then(|| "http".to_owned());
    let error = MeshConfig::parse(&json!({ "serviceId": "a" }), env).unwrap_err();
    assert_eq!(error.to_string(), "SECURE_MESH_PORT must be 0…65535, got \"http\"");
}

#[test]
fn a_port_may_be_a_string_of_digits() {
    assert_eq!(parse(&json!({ "serviceId": "a", "port": "50051" })).unwrap().port, Some(50051));
    for wrong in ["", "70000", "-1", "5e4", "0x10", " 1", "1.0"] {
        let text = message(&json!({ "serviceId": "a", "port": wrong }));
        assert!(text.starts_with("port must be 0…65535"), "{text}");
    }
    let services = json!([{ "id": "b", "host": "h", "port": "8080" }]);
    let config = parse(&json!({ "serviceId": "a", "discovery": { "services": services } })).unwrap();
    assert_eq!(config.services[0].address, Some(("h".to_owned(), 8080)));
}

#[test]
fn first_mistakes_are_named() {
    let with = |host: &str| message(&json!({ "serviceId": "a", "host": host }));
    assert_eq!(with("[::1]"), "host must be an address without brackets, as in '::1', got \"[::1]\"");
    assert!(with("http://h:1").contains("without a scheme, port or path"));
    assert_eq!(
        message(&json!({ "serviceId": "" })),
        "serviceId must be a string that is not empty, got \"\""
    );
    let text = message(&json!({ "serviceId": "my service" }));
    assert!(text.starts_with("serviceId must be 1 to 128 ASCII letters"), "{text}");
    assert!(text.ends_with(", as in 'my-service', got \"my service\""), "{text}");
    let services = json!([{ "id": "b", "host": "[fe80::1]", "port": 1 }]);
    let text = message(&json!({ "serviceId": "a", "discovery": { "services": services } }));
    assert!(text.starts_with("discovery.services[0].host must be an address without brackets"), "{text}");
    let env = |name: &str| (name == "SECURE_MESH_HOST").then(|| "[::1]".to_owned());
    let error = MeshConfig::parse(&json!({ "serviceId": "a" }), env).unwrap_err().to_string();
    assert!(error.starts_with("SECURE_MESH_HOST must be"), "{error}");
}

#[test]
fn pins_end_the_embedded_default() {
    let services = json!([{ "id": "b", "host": "h", "port": 1, "publicKey": "pem" }]);
    assert!(
        !parse(&json!({ "serviceId": "a", "discovery": { "services": services } })).unwrap().is_embedded()
    );
}

#[test]
fn the_quota_is_read_and_its_options_are_named() {
    let with = |rate_limit: Value| json!({ "serviceId": "a", "resilience": { "rateLimit": rate_limit } });
    let parsed = parse(&with(json!({ "maxRequests": 3, "windowMs": "1m" }))).unwrap();
    let limit =
        RateLimit { requests: 3, window: Duration::from_mins(1), block: Duration::ZERO, keys: 10_000 };
    assert_eq!(parsed.resilience.rate_limit, Some(limit));
    assert_eq!(parse(&json!({ "serviceId": "a" })).unwrap().resilience, Resilience::default());
    for (rate_limit, start) in [
        (json!({ "maxRequests": 0, "windowMs": 1 }), "resilience.rateLimit.maxRequests must be 1…"),
        (
            json!({ "windowMs": 1 }),
            "resilience.rateLimit.maxRequests must be a whole number from 1, got nothing",
        ),
        (json!({ "maxRequests": 1 }), "resilience.rateLimit.windowMs must be a duration"),
        (json!({ "maxRequests": 1, "windowMs": 0 }), "resilience.rateLimit.windowMs must be a duration"),
        (json!({ "maxRequest": 1 }), "resilience.rateLimit.maxRequest is not an option; did you mean"),
        (json!(5), "resilience.rateLimit must be an object, got 5"),
    ] {
        let text = message(&with(rate_limit));
        assert!(text.starts_with(start), "{text}");
    }
}

#[test]
fn breakers_and_retries_are_read_with_their_defaults() {
    let with = |name: &str, value: Value| json!({ "serviceId": "a", "resilience": { name: value } });
    let required = json!({ "failureThreshold": 5, "successThreshold": 2, "timeout": "30s" });
    let parsed = parse(&with("circuitBreaker", required)).unwrap().resilience.circuit_breaker.unwrap();
    assert_eq!((parsed.failures, parsed.probes, parsed.open_for.as_secs()), (5, 2, 30));
    assert_eq!((parsed.window, parsed.failure_rate), (Duration::from_mins(1), 0.5));
    let parsed = parse(&with("retry", json!({ "maxAttempts": 3, "initialDelay": "1m" }))).unwrap();
    let retry = parsed.resilience.retry.unwrap();
    assert_eq!((retry.max_attempts, retry.max_delay), (3, Duration::from_mins(1)));
    assert_eq!((retry.multiplier, retry.jitter), (2.0, true));
    assert_eq!((retry.budget_ratio, retry.budget_reserve), (0.2, 10));
    for (name, value, start) in [
        ("retry", json!({ "maxAttempts": 500 }), "maxAttempts must be 1…100, got 500"),
        ("retry", json!({}), "maxAttempts must be 1…100, got nothing"),
        (
            "retry",
            json!({ "maxAttempts": 2, "maxDelay": 5 }),
            "maxDelay must be no shorter than initialDelay",
        ),
        ("retry", json!({ "maxAttempts": 2, "jitter": 1 }), "jitter must be true or false, got 1"),
        ("retry", json!({ "maxAttempts": 2, "budget": { "ratio": -1 } }), "budget.ratio must be a number"),
        ("circuitBreaker", json!({ "failureRate": 2 }), "failureThreshold must be a whole number from 1"),
    ] {
        let text = message(&with(name, value));
        assert!(text.starts_with(&format!("resilience.{name}.{start}")), "{text}");
    }
}

fn certificate() -> Value {
    let block = "-----BEGIN X-----";
    json!({ "cert": block, "key": "/run/tls.key", "ca": block })
}

#[test]
fn certificates_are_read_from_options_and_variables() {
    let config = parse(&json!({ "serviceId": "a", "security": { "certificate": certificate() } })).unwrap();
    assert!(!config.is_embedded() && config.needs_no_directory());
    let found = config.certificate.unwrap();
    assert!(matches!(found.cert.source, KeySource::Pem(_)) && matches!(found.key.source, KeySource::File(_)));
    assert!(!found.crl_warns && !found.dns && found.crl.is_none());
    let variables = |name: &str| match name {
        "SECURE_MESH_CERT" => Some("-----BEGIN X-----\\nx\\n".to_owned()),
        "SECURE_MESH_KEY" => Some("/run/tls.key".to_owned()),
        "SECURE_MESH_CA" => Some("/run/ca.crt".to_owned()),
        _ => None,
    };
    let found = MeshConfig::parse(&json!({ "serviceId": "a" }), variables).unwrap().certificate.unwrap();
    let KeySource::Pem(cert) = found.cert.source else { panic!("not PEM") };
    assert_eq!(*cert, "-----BEGIN X-----\nx\n");
    assert!(parse(&json!({ "serviceId": "a" })).unwrap().certificate.is_none());
}

#[test]
fn a_certificate_is_whole_and_the_only_trust() {
    let with = |security: Value| message(&json!({ "serviceId": "a", "security": security }));
    let mut part = certificate();
    part.as_object_mut().unwrap().remove("ca");
    assert!(with(json!({ "certificate": part })).starts_with("security.certificate.ca must be PEM"));
    assert!(with(json!({ "certificate": {} })).starts_with("security.certificate.cert must be PEM"));
    let text = with(json!({ "certificate": { "cert": "relative.crt", "key": "k", "ca": "c" } }));
    assert!(text.starts_with("security.certificate.cert") && !text.contains("relative"), "{text}");
    assert!(with(json!({ "certificate": { "crt": "x" } })).contains("security.certificate.cert?"));
    let text = with(json!({ "certificate": certificate(), "jwtSecret": SECRET }));
    assert!(text.contains("security.jwtSecret") && text.contains("beside security.certificate"), "{text}");
    let key = json!({ "certificate": certificate(), "privateKey": "-----BEGIN PRIVATE KEY-----" });
    assert!(with(key).starts_with("security.privateKey"));
    let pinned = json!({
        "serviceId": "a",
        "security": { "certificate": certificate() },
        "discovery": { "services": [{ "id": "b", "publicKey": "-----BEGIN PUBLIC KEY-----" }] },
    });
    assert!(message(&pinned).starts_with("discovery.services[0].publicKey"));
    // A leftover variable counts as well: the mesh never ignores one of two statements about trust.
    let variables = |name: &str| (name == "SECURE_MESH_CERT").then(|| "/run/tls.crt".to_owned());
    let left_over = json!({ "serviceId": "a", "security": { "jwtSecret": SECRET } });
    assert!(MeshConfig::parse(&left_over, variables).is_err());
}

#[test]
fn authorization_names_the_path_of_what_is_wrong() {
    let with = |authorization: Value| message(&json!({ "serviceId": "a", "authorization": authorization }));
    let rule = |extra: Value| {
        let mut rule = json!({ "from": ["a"], "to": ["b"] });
        rule.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        with(json!({ "rules": [{ "from": ["a"], "to": ["b"] }, rule] }))
    };
    for (message, part) in [
        (with(json!([])), "authorization must be an object, got an array"),
        (
            with(json!({ "rule": [] })),
            "authorization.rule is not an option; did you mean authorization.rules?",
        ),
        (
            with(json!({ "default": "permit" })),
            "authorization.default must be 'deny' or 'allow', got \"permit\"",
        ),
        (with(json!({ "mode": true })), "authorization.mode must be a string"),
        (with(json!({ "rules": {} })), "authorization.rules must be an array, got an object"),
        (
            with(json!({ "rules": [{ "from": ["a"] }] })),
            "authorization.rules[0].to must be an array of methods",
        ),
        (
            rule(json!({ "From": ["a"] })),
            "authorization.rules[1].From is not an option; did you mean authorization.rules[1].from?",
        ),
        (
            rule(json!({ "from": [] })),
            "authorization.rules[1].from must be an array with at least one element",
        ),
        (rule(json!({ "from": "a" })), "authorization.rules[1].from must be an array of strings, got \"a\""),
        (rule(json!({ "to": ["b", 7] })), "authorization.rules[1].to[1] must be '*', the name of a method"),
        (rule(json!({ "except": ["b*"] })), "authorization.rules[1].except[0] must be '*', the name"),
        (
            rule(json!({ "from": ["spiffe://x"] })),
            "authorization.rules[1].from[0] must be '*', a service id, or a SPIFFE id",
        ),
        (
            rule(json!({ "when": {} })),
            "authorization.rules[1].when.metadata must be an object of strings, got nothing",
        ),
        (
            rule(json!({ "when": { "metadata": { "k": 1 } } })),
            "authorization.rules[1].when.metadata.k must be a string, got 1",
        ),
        (rule(json!({ "deny": "yes" })), "authorization.rules[1].deny must be true or false"),
        (rule(json!({ "name": "a\nb" })), "authorization.rules[1].name must be 1 to 128"),
        (rule(json!({ "name": "rules[0]" })), "authorization.rules[1].name must be 1 to 128"),
        (with(json!({ "file": "policy.json" })), "authorization.file must be the absolute path of a file"),
        (
            with(json!({ "file": "/p.json", "mode": "audit" })),
            "authorization.mode must be in the file that authorization.file names, not here",
        ),
    ] {
        assert!(message.starts_with(part), "{message}\n{part}");
    }
    let twice =
        json!([{ "name": "x", "from": ["a"], "to": ["b"] }, { "name": "x", "from": ["a"], "to": ["c"] }]);
    assert_eq!(
        with(json!({ "rules": twice })),
        "authorization.rules[1].name must be a name that no other rule has, got \"x\""
    );
}

#[test]
fn a_policy_has_limits() {
    let with = |rules: Vec<Value>| parse(&json!({ "serviceId": "a", "authorization": { "rules": rules } }));
    let small = json!({ "from": ["a"], "to": ["b"] });
    assert!(with(vec![small.clone(); MAX_RULES]).is_ok());
    let error = with(vec![small; MAX_RULES + 1]).unwrap_err().to_string();
    assert_eq!(error, "authorization.rules must be an array of at most 10000 elements, got 10001 of them");
    let names = |count: usize| (0..count).map(|number| format!("n{number}")).collect::<Vec<_>>();
    let wide = |from: usize, to: usize| json!({ "from": names(from), "to": names(to) });
    assert!(with(vec![wide(500, 1_000)]).is_ok());
    assert!(with(vec![wide(501, 1_000)]).unwrap_err().to_string().contains("500000 pairs"));
    assert!(with(vec![wide(1_001, 1)]).unwrap_err().to_string().contains("at most 1000 elements"));
    assert!(with(vec![json!({ "from": ["a"], "to": ["b".repeat(201)] })]).is_err());
}

#[test]
fn the_default_is_to_deny_once_there_is_a_rule_or_a_file() {
    let source = |authorization: Value| {
        parse(&json!({ "serviceId": "a", "authorization": authorization })).unwrap().authorization.unwrap()
    };
    let default = |authorization: Value| match source(authorization) {
        PolicySource::Options(rules) => rules.default,
        PolicySource::File(_) => panic!("a file"),
    };
    let rules = json!([{ "from": ["a"], "to": ["b"] }]);
    assert_eq!(default(json!({})), Effect::Allow);
    assert_eq!(default(json!({ "rules": rules })), Effect::Deny);
    assert_eq!(default(json!({ "rules": rules, "default": "allow" })), Effect::Allow);
    assert_eq!(default(json!({ "default": "deny" })), Effect::Deny);
    let of_file = |text: &str| PolicyRules::of_file("p".as_ref(), text.as_bytes()).unwrap().default;
    assert_eq!(of_file(r#"{ "$schema": "x", "rules": [] }"#), Effect::Deny);
    assert_eq!(of_file(r#"{ "default": "allow", "rules": [] }"#), Effect::Allow);
    for twice in [
        r#"{ "rules": [{ "from": ["a"], "to": ["b"] }], "rules": [] }"#,
        r#"{ "rules": [{ "from": ["a"], "to": ["b"], "\u0074o": ["*"] }] }"#,
    ] {
        let text = PolicyRules::of_file("p".as_ref(), twice.as_bytes()).unwrap_err().to_string();
        assert!(text.contains("a member occurs twice"), "{text}");
    }
    assert!(parse(&json!({ "serviceId": "a" })).unwrap().authorization.is_none());
}
