use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;

fn policy(file: &Value) -> Policy {
    Policy::new(PolicyRules::of_file("policy.json".as_ref(), file.to_string().as_bytes()).unwrap())
}

fn service(id: &str) -> Caller<'_> {
    Caller { service_id: id, spiffe_id: None }
}

/// The decision and the rule that made it.
fn decide<'p>(policy: &'p Policy, caller: Caller<'_>, method: &str) -> (bool, &'p str) {
    let decision = policy.decide(caller, method, b"");
    (decision.allowed, decision.rule_name())
}

#[test]
fn a_rule_permits_what_it_names_and_the_default_denies_the_rest() {
    let policy = policy(&json!({ "rules": [
        { "from": ["gateway", "web"], "to": ["orders.*", "ping"], "except": ["orders.delete", "orders.admin.*"] },
        { "from": ["*"], "to": ["health.check"], "name": "health" },
    ] }));
    assert_eq!(decide(&policy, service("gateway"), "orders.get"), (true, "rules[0]"));
    assert_eq!(decide(&policy, service("web"), "ping"), (true, "rules[0]"));
    assert_eq!(decide(&policy, service("x"), "health.check"), (true, "health"));
    for (caller, method) in [
        ("gateway", "orders.delete"),
        ("gateway", "orders.admin.purge"),
        ("gateway", "orders"),
        ("gateway", "ping.pong"),
        ("gateway2", "orders.get"),
        ("x", "health.check2"),
        ("x", "securestack.stats"),
        ("x", "ca.enrol"),
    ] {
        assert_eq!(decide(&policy, service(caller), method), (false, "(default)"), "{caller} {method}");
    }
}

#[test]
fn an_exception_only_stops_its_own_rule() {
    let policy = policy(&json!({ "rules": [
        { "from": ["*"], "to": ["orders.*"], "except": ["orders.delete"] },
        { "from": ["admin"], "to": ["orders.delete"] },
    ] }));
    assert_eq!(decide(&policy, service("admin"), "orders.delete"), (true, "rules[1]"));
    assert_eq!(decide(&policy, service("web"), "orders.delete"), (false, "(default)"));
}

#[test]
fn a_denial_outweighs_every_permission_wherever_it_stands() {
    let policy = policy(&json!({ "default": "allow", "rules": [
        { "from": ["*"], "to": ["*"] },
        { "from": ["batch"], "to": ["*"], "except": ["orders.export"], "deny": true, "name": "batch exports only" },
        { "from": ["batch"], "to": ["orders.export"] },
    ] }));
    assert_eq!(decide(&policy, service("batch"), "orders.get"), (false, "batch exports only"));
    assert_eq!(decide(&policy, service("batch"), "orders.export"), (true, "rules[0]"));
    assert_eq!(decide(&policy, service("web"), "orders.get"), (true, "rules[0]"));
}

#[test]
fn built_in_methods_are_covered() {
    let policy = policy(&json!({ "default": "allow", "rules": [
        { "from": ["*"], "to": ["securestack.*", "ca.*"], "deny": true },
        { "from": ["dashboard"], "to": ["*"] },
    ] }));
    for method in ["securestack.stats", "ca.enrol"] {
        assert!(!decide(&policy, service("dashboard"), method).0);
    }
    assert!(decide(&policy, service("dashboard"), "orders.get").0);
}

#[test]
fn a_spiffe_id_matches_whole_parts_of_its_path() {
    let policy = policy(&json!({ "rules": [
        { "from": ["spiffe://shop.example/ns/prod/*"], "to": ["orders.*"] },
        { "from": ["spiffe://shop.example/ns/dev/sa/batch"], "to": ["orders.export"] },
    ] }));
    let of = |id| Caller { service_id: "x", spiffe_id: Some(id) };
    for (id, method, expected) in [
        ("spiffe://shop.example/ns/prod/sa/web", "orders.get", true),
        ("spiffe://shop.example/ns/prod/x", "orders.get", true),
        ("spiffe://shop.example/ns/prod", "orders.get", false),
        ("spiffe://shop.example/ns/prod2/sa/web", "orders.get", false),
        ("spiffe://shop.example.evil/ns/prod/sa/web", "orders.get", false),
        ("spiffe://evil/spiffe://shop.example/ns/prod/x", "orders.get", false),
        ("spiffe://shop.example/ns/dev/sa/batch", "orders.export", true),
        ("spiffe://shop.example/ns/dev/sa/batch", "orders.get", false),
        ("spiffe://shop.example/ns/dev/sa/batch/x", "orders.export", false),
    ] {
        assert_eq!(decide(&policy, of(id), method).0, expected, "{id} {method}");
    }
    assert!(!decide(&policy, service("x"), "orders.get").0, "without a certificate");
}

#[test]
fn conditions_must_all_hold_and_are_read_as_javascript_reads_them() {
    let policy = policy(&json!({ "rules": [{
        "from": ["*"], "to": ["orders.export"], "when": { "metadata": { "tenant": "internal", "job": "é" } },
    }] }));
    let allowed =
        |metadata: &str| policy.decide(service("batch"), "orders.export", metadata.as_bytes()).allowed;
    assert!(allowed(r#"{"tenant":"internal","job":"é","more":"x"}"#));
    assert!(allowed(r#"{"tenant":"intern\u0061l","job":"\u00e9"}"#), "escapes are the same string");
    assert!(allowed(r#"{"tenant":"x","job":"é","tenant":"internal"}"#), "the last member counts");
    for metadata in [
        "",
        "{}",
        r#"{"tenant":"internal"}"#,
        r#"{"tenant":"internal","job":"e"}"#,
        r#"{"tenant":"internal","job":"é","tenant":"x"}"#,
        r#"{"tenant":"internal","job":"é""#,
        r#"{"tenant":["internal"],"job":"é"}"#,
    ] {
        assert!(!allowed(metadata), "{metadata}");
    }
}

#[test]
fn a_denial_whose_conditions_cannot_be_read_denies() {
    let policy = policy(&json!({ "default": "allow", "rules": [
        { "from": ["*"], "to": ["*"], "deny": true, "when": { "metadata": { "test": "yes" } } },
    ] }));
    let allowed = |metadata: &[u8]| policy.decide(service("a"), "b", metadata).allowed;
    assert!(allowed(b"") && allowed(br#"{"test":"no"}"#));
    assert!(!allowed(br#"{"test":"yes"}"#) && !allowed(br#"{"test":"no""#) && !allowed(b"\xff"));
}

#[test]
fn an_explanation_names_the_rule_and_the_one_that_nearly_matched() {
    let policy = policy(&json!({ "rules": [
        { "from": ["gateway"], "to": ["orders.*"], "except": ["orders.delete"] },
        { "from": ["batch"], "to": ["orders.export"], "when": { "metadata": { "tenant": "internal" } } },
        { "from": ["guest"], "to": ["*"], "deny": true, "name": "no guests" },
    ] }));
    let explain = |caller, method| policy.explain(service(caller), method, b"");
    let why = |caller, method| explain(caller, method).why;
    assert_eq!(
        explain("gateway", "orders.get"),
        Explanation {
            allowed: true,
            rule: Some("rules[0]".to_owned()),
            why: "rules[0] permits orders.get to gateway".to_owned()
        }
    );
    assert_eq!(
        why("gateway", "orders.delete"),
        "no rule matches orders.delete of gateway; the default is 'deny'; rules[0] does not match because its \
         except names the method"
    );
    assert_eq!(
        why("batch", "orders.export"),
        "no rule matches orders.export of batch; the default is 'deny'; rules[1] does not match because the \
         request lacks the metadata tenant=internal"
    );
    assert_eq!(why("guest", "orders.get"), "no guests denies orders.get to guest");
    assert_eq!(explain("stranger", "x").rule, None);
}

/// 10,000 rules as a large fleet has them. The bench `authz` measures the time.
#[test]
fn a_decision_looks_at_no_rule_of_other_callers_or_methods() {
    let policy = policy(&json!({ "rules": fleet(10_000) }));
    for (caller, method, expected) in [
        ("service-77", "m-77.get", 1),
        ("service-77", "health-77", 1),
        ("service-9999", "m-77.get", 0),
        ("service-9999", "unknown", 0),
        ("stranger", "m-77.get", 0),
    ] {
        let candidates = policy.index.candidates(service(caller), method);
        let rules: usize = candidates.iter().map(|list| list.of(Effect::Allow).len()).sum();
        assert_eq!(rules, expected, "{caller} {method}");
    }
}

/// A method of many parts costs no more than the rules that have as many.
#[test]
fn the_name_of_a_method_cannot_make_a_decision_slow() {
    let policy = policy(&json!({ "rules": fleet(10_000) }));
    let name = "m-1.".repeat(50);
    let mut visited = 0;
    policy.index.candidates(service("service-1"), &name).iter().for_each(|_| visited += 1);
    assert!(visited <= 2, "{visited}");
}

fn fleet(count: usize) -> Vec<Value> {
    let rule = |number: usize| {
        json!({
            "from": [format!("service-{number}"), format!("spiffe://shop.example/ns/{number}/*")],
            "to": [format!("m-{number}.*"), format!("health-{number}")],
            "except": [format!("m-{number}.delete")],
        })
    };
    (0..count).map(rule).collect()
}

/// The policy as its documentation describes it, on the text of the rules.
fn naive(
    policy: &Value,
    service: &str,
    spiffe: Option<&str>,
    method: &str,
    metadata: &Value,
) -> (bool, String) {
    let below = |pattern: &str, text: &str, separator: &str| {
        let star = format!("{separator}*");
        pattern.strip_suffix(&star).is_some_and(|above| {
            let parts = format!("{above}{separator}");
            text.len() > parts.len() && text.starts_with(&parts)
        })
    };
    let from = |pattern: &str| {
        pattern == "*"
            || pattern == service
            || spiffe.is_some_and(|id| pattern == id || below(pattern, id, "/"))
    };
    let to = |pattern: &str| pattern == "*" || pattern == method || below(pattern, method, ".");
    let any = |rule: &Value, key: &str, matches: &dyn Fn(&str) -> bool| {
        rule[key].as_array().into_iter().flatten().any(|pattern| matches(pattern.as_str().unwrap()))
    };
    let rules = policy["rules"].as_array().unwrap();
    let matching = rules.iter().enumerate().filter(|(_, rule)| {
        let when = rule["when"]["metadata"].as_object();
        any(rule, "from", &from)
            && any(rule, "to", &to)
            && !any(rule, "except", &to)
            && when.into_iter().flatten().all(|(name, value)| metadata[name] == *value)
    });
    let matching: Vec<_> = matching.collect();
    let first = |deny: bool| matching.iter().find(|(_, rule)| (rule["deny"] == true) == deny);
    match (first(true), first(false)) {
        (Some((number, _)), _) => (false, format!("rules[{number}]")),
        (None, Some((number, _))) => (true, format!("rules[{number}]")),
        (None, None) => (policy["default"] == "allow", "(default)".to_owned()),
    }
}

fn callers() -> impl Strategy<Value = &'static str> {
    select(vec![
        "*",
        "a",
        "b",
        "c.d",
        "spiffe://t/a",
        "spiffe://t/a/b",
        "spiffe://t/a/*",
        "spiffe://t/*",
        "spiffe://u/*",
    ])
}

fn methods() -> impl Strategy<Value = &'static str> {
    select(vec!["*", "x", "x.y", "x.y.z", "x.*", "x.y.*", "z.*", "z", "xy.*"])
}

prop_compose! {
    fn rule()(
        from in vec(callers(), 1..4),
        to in vec(methods(), 1..4),
        except in vec(methods(), 0..3),
        when in option::weighted(0.3, select(vec!["1", "2"])),
        deny in prop::bool::weighted(0.3),
    ) -> Value {
        let mut rule = json!({ "from": from, "to": to, "except": except, "deny": deny });
        if let Some(value) = when {
            rule["when"] = json!({ "metadata": { "k": value } });
        }
        rule
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_index_decides_as_the_documentation_does(
        rules in vec(rule(), 0..12),
        default in select(vec!["allow", "deny"]),
        requests in vec((
            select(vec!["a", "b", "c.d", "e"]),
            option::of(select(vec!["spiffe://t/a", "spiffe://t/a/b", "spiffe://t/a/b/c", "spiffe://tt/a", "spiffe://u/a"])),
            select(vec!["x", "x.y", "x.y.z", "x.y.z.w", "x.", "x..", "z", "z.x", "xy", "xy.z", "q"]),
            option::of(select(vec!["1", "2", "3"])),
        ), 1..30),
    ) {
        let file = json!({ "default": default, "rules": rules });
        let policy = policy(&file);
        for (service_id, spiffe_id, method, value) in requests {
            let metadata = value.map_or(json!({}), |value| json!({ "k": value }));
            let caller = Caller { service_id, spiffe_id };
            let decision = policy.decide(caller, method, metadata.to_string().as_bytes());
            let expected = naive(&file, service_id, spiffe_id, method, &metadata);
            prop_assert_eq!((decision.allowed, decision.rule_name().to_owned()), expected, "{:?} {}", caller, method);
            let explained = policy.explain(caller, method, metadata.to_string().as_bytes());
            prop_assert_eq!(explained.allowed, decision.allowed);
            prop_assert!(explained.why.contains(method));
        }
    }
}
