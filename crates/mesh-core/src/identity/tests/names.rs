//! Which service a certificate names.

use super::{super::names::SpiffeId, *};

/// How a service whose own path is that of `gateway` reads a leaf with these names.
fn named(rule: &NameRule, names: Vec<SanType>) -> Result<String, String> {
    let root = Authority::root("root");
    let verifier = verifier_with(&[&root], None, CrlPolicy::Refuse, rule);
    let orders = root.issue("orders", &move |params| params.subject_alt_names.clone_from(&names));
    judged(&verifier, &orders).map(|certified| certified.name.clone()).map_err(|error| {
        assert_eq!(error.reason(), Reason::CertName, "{error}");
        error.to_string()
    })
}

fn own_path(text: &str) -> Result<String, String> {
    named(&NameRule::default(), vec![uri(text)])
}

#[test]
fn a_service_is_named_as_this_one_is() {
    assert_eq!(own_path("spiffe://shop.example/ns/prod/sa/orders").unwrap(), format!("{PATH}orders"));
    for other in [
        "spiffe://shop.example/ns/dev/sa/orders",
        "spiffe://bank.example/ns/prod/sa/orders",
        "spiffe://shop.example/ns/prod/sa/gateway",
        "spiffe://shop.example/ns/prod/sa/x/orders",
        "spiffe://shop.example/ns/prod/orders",
        "spiffe://shop.example/orders",
        "spiffe://shop.example/ns/prod/sa/ordersx",
        "spiffe://shop.example/ns/prod/sa/Orders",
    ] {
        assert!(own_path(other).unwrap_err().contains("another service"), "{other}");
    }
}

#[test]
fn only_spiffe_ids_are_names() {
    for other in [
        "spiffe://shop.example/ns/prod/sa/orders?x=1",
        "spiffe://shop.example/ns/prod/sa/orders#x",
        "spiffe://shop.example:443/ns/prod/sa/orders",
        "spiffe://user@shop.example/ns/prod/sa/orders",
        "spiffe://SHOP.example/ns/prod/sa/orders",
        "SPIFFE://shop.example/ns/prod/sa/orders",
        "https://shop.example/ns/prod/sa/orders",
        "spiffe://shop.example/ns/prod/sa/orders/",
        "spiffe://shop.example/ns/prod/sa//orders",
        "spiffe://shop.example/ns/prod/sa/./orders",
        "spiffe://shop.example/ns/prod/sa/../sa/orders",
        "spiffe://shop.example/ns/prod/sa/%6frders",
        "spiffe://shop.example/ns/prod/sa/*",
        "spiffe:///ns/prod/sa/orders",
    ] {
        assert!(own_path(other).unwrap_err().contains("not a SPIFFE id"), "{other}");
    }
    let long = |len: usize| format!("spiffe://shop.example/{}", "a".repeat(len - 22));
    assert!(SpiffeId::parse(&long(2048)).is_some() && SpiffeId::parse(&long(2049)).is_none());
    assert!(SpiffeId::parse(&format!("spiffe://{}", "a".repeat(256))).is_none());
    let id = SpiffeId::parse("spiffe://shop.example").unwrap();
    assert_eq!((id.trust_domain, id.path), ("shop.example", ""));
}

#[test]
fn exactly_one_uri_names_a_service() {
    let two = vec![uri(&format!("{PATH}orders")), uri(&format!("{PATH}billing"))];
    assert!(named(&NameRule::default(), two.clone()).unwrap_err().contains("more than one URI"));
    assert!(
        named(&NameRule { dns: true, ..NameRule::default() }, two).unwrap_err().contains("more than one URI")
    );
    let foreign = vec![uri(&format!("{PATH}orders")), uri("https://shop.example/orders")];
    assert!(named(&NameRule::default(), foreign).unwrap_err().contains("more than one URI"));
    // DNS names beside it are those of TLS.
    assert!(named(&NameRule::default(), vec![dns("billing"), uri(&format!("{PATH}orders"))]).is_ok());
    assert!(named(&NameRule::default(), vec![]).unwrap_err().contains("no SPIFFE id"));
}

#[test]
fn dns_names_count_where_they_are_chosen_and_never_as_patterns() {
    let chosen = NameRule { dns: true, dns_suffix: Some("prod.svc".to_owned()), ..NameRule::default() };
    assert!(named(&NameRule::default(), vec![dns("orders")]).unwrap_err().contains("names: 'dns'"));
    assert_eq!(named(&chosen, vec![dns("orders")]).unwrap(), "orders");
    assert_eq!(named(&chosen, vec![dns("other"), dns("orders.prod.svc")]).unwrap(), "orders.prod.svc");
    for other in ["*", "*.prod.svc", "orders.dev.svc", "orders.prod.svc.evil", "xorders", "Orders", "orders."]
    {
        assert!(named(&chosen, vec![dns(other)]).is_err(), "{other}");
    }
    // A URI decides alone, where there is one.
    assert!(named(&chosen, vec![dns("orders"), uri(&format!("{PATH}billing"))]).is_err());
    // The common name is that of orders in each of these.
    assert!(named(&chosen, vec![]).is_err());
}

#[test]
fn a_template_says_where_the_id_is() {
    let template = |text: &str| NameRule { template: Some(text.to_owned()), ..NameRule::default() };
    let inside = template("spiffe://shop.example/{service}/v1");
    assert!(named(&inside, vec![uri("spiffe://shop.example/orders/v1")]).is_ok());
    for other in [
        "spiffe://shop.example/orders/v2",
        "spiffe://shop.example/x/orders/v1",
        "spiffe://shop.example/orders",
    ] {
        assert!(named(&inside, vec![uri(other)]).is_err(), "{other}");
    }
    assert!(
        named(
            &template("spiffe://shop.example/svc-{service}"),
            vec![uri("spiffe://shop.example/svc-orders")]
        )
        .is_ok()
    );
    let other_domain = NameRule { trust_domain: Some("bank.example".to_owned()), ..NameRule::default() };
    assert!(named(&other_domain, vec![uri("spiffe://bank.example/ns/prod/sa/orders")]).is_ok());
    assert!(named(&other_domain, vec![uri(&format!("{PATH}orders"))]).is_err());
}

#[test]
fn rules_that_name_nobody_are_refused() {
    let fault = |rule: &NameRule| rule.fault().map(|(option, _)| option);
    let template = |text: &str| NameRule { template: Some(text.to_owned()), ..NameRule::default() };
    for wrong in [
        "spiffe://shop.example/orders",
        "spiffe://shop.example/{service}/{service}",
        "spiffe://{service}/orders",
        "spiffe://{service}.example/orders",
        "https://shop.example/{service}",
        "spiffe://shop.example/{service}?x",
        "{service}",
        "",
    ] {
        assert_eq!(fault(&template(wrong)), Some("id"), "{wrong}");
    }
    assert_eq!(fault(&template("spiffe://shop.example/{service}")), None);
    let domain = |text: &str| NameRule { trust_domain: Some(text.to_owned()), ..NameRule::default() };
    for wrong in ["", "Shop.example", "spiffe://shop.example", "shop.example/x", "shop.example:1"] {
        assert_eq!(fault(&domain(wrong)), Some("trustDomain"), "{wrong}");
    }
    assert_eq!(fault(&domain("shop.example")), None);
    let both = NameRule {
        trust_domain: Some("bank.example".to_owned()),
        ..template("spiffe://shop.example/{service}")
    };
    assert_eq!(fault(&both), Some("trustDomain"));
    let suffix = |text: &str, dns| NameRule { dns_suffix: Some(text.to_owned()), dns, ..NameRule::default() };
    assert_eq!(fault(&suffix("prod.svc", false)), Some("dnsSuffix"), "it would have no effect");
    for wrong in ["", ".svc", "svc.", "*.svc", "a..b"] {
        assert_eq!(fault(&suffix(wrong, true)), Some("dnsSuffix"), "{wrong}");
    }
    assert_eq!(fault(&suffix("prod.svc", true)), None);
}
