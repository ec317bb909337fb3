//! Paths: who has issued what to whom, for how long and for what.

use rcgen::{GeneralSubtree, NameConstraints};

use super::*;

#[test]
fn a_chain_to_an_anchor_is_accepted() {
    let root = Authority::root("root");
    let direct = judged(&verifier(&[&root]), &root.issue("orders", &|_| ())).unwrap();
    assert_eq!((direct.service.as_str(), &*direct.name), ("orders", &*format!("{PATH}orders")));
    assert_eq!((&*direct.subject, &*direct.issuer), ("CN=orders", "CN=root"));
    assert_eq!(direct.mesh_key, *mesh_key(0).public_key());
    assert_eq!(direct.expires, NOW + 12 * HOUR, "the delegation ends first");

    let middle = root.below("middle", &|_| ());
    let low = middle.below("low", &|_| ());
    let chain = low.issue("orders", &|_| ()).then(&low).then(&middle);
    assert!(judged(&verifier(&[&root]), &chain).is_ok());
    // With its anchor behind it: own files often have it, and it is left out.
    let with_root = low.issue("orders", &|_| ()).then(&low).then(&middle).then(&root);
    assert!(judged(&verifier(&[&root]), &with_root).is_ok());
}

#[test]
fn another_anchor_is_not_trusted() {
    let (root, other, same_name) =
        (Authority::root("root"), Authority::root("other"), Authority::root("root"));
    assert_eq!(refused(&verifier(&[&root]), &other.issue("orders", &|_| ())), Reason::CertUntrusted);
    assert_eq!(refused(&verifier(&[&root]), &same_name.issue("orders", &|_| ())), Reason::CertUntrusted);
    // Old and new anchors together, during a rotation; also under one name.
    let both = verifier(&[&root, &same_name]);
    assert!(judged(&both, &root.issue("orders", &|_| ())).is_ok());
    assert!(judged(&both, &same_name.issue("orders", &|_| ())).is_ok());
}

#[test]
fn a_missing_intermediate_is_not_guessed() {
    let root = Authority::root("root");
    let middle = root.below("middle", &|_| ());
    let text = why(&verifier(&[&root]), &middle.issue("orders", &|_| ()));
    assert!(text.contains("intermediate may be missing"), "{text}");
}

#[test]
fn validity_is_that_of_each_certificate() {
    let root = Authority::root("root");
    let verifier = verifier(&[&root]);
    let early = |params: &mut CertificateParams| valid(params, NOW + HOUR, NOW + 48 * HOUR);
    let late = |params: &mut CertificateParams| valid(params, before(NOW, 48 * HOUR), before(NOW, HOUR));
    for change in [&early as Change<'_>, &late] {
        assert_eq!(refused(&verifier, &root.issue("orders", change)), Reason::CertExpired);
        let middle = root.below("middle", change);
        let chain = middle.issue("orders", &|_| ()).then(&middle);
        assert_eq!(refused(&verifier, &chain), Reason::CertExpired);
    }
    let text = why(&verifier, &root.issue("orders", &late));
    assert!(text.contains("orders ended at") && text.contains("clocks"), "{text}");
}

#[test]
fn an_anchor_that_has_ended_is_no_anchor() {
    let late = |params: &mut CertificateParams| valid(params, before(NOW, 48 * HOUR), before(NOW, HOUR));
    let ended = Authority::root_with("old", &late);
    let root = Authority::root("root");
    let text = why(&verifier(&[&root, &ended]), &ended.issue("orders", &|_| ()));
    assert!(text.contains("has ended"), "{text}");
}

#[test]
fn a_clock_that_is_a_day_off_is_told() {
    let root = Authority::root("root");
    let (verifier, orders) = (verifier(&[&root]), root.issue("orders", &|_| ()));
    let identity = orders.credential().delegate(&service("orders"), mesh_key(0).public_key(), NOW).unwrap();
    let day = Duration::from_hours(24);
    for (now, accepted) in [
        (before(NOW, Duration::from_mins(4)), true),
        (NOW + 23 * HOUR, true),
        (before(NOW, day), false),
        (NOW + day, false),
    ] {
        let judged = verifier.verify(&identity.bytes, &service("orders"), now);
        assert_eq!(judged.is_ok(), accepted);
        if let Err(error) = judged {
            assert_eq!(error.reason(), Reason::CertExpired);
            assert!(error.to_string().contains("clocks of both sides"), "{error}");
        }
    }
}

#[test]
fn only_authorities_issue_and_only_leaves_are_services() {
    let root = Authority::root("root");
    let verifier = verifier(&[&root]);
    let leaf = |params: &mut CertificateParams| params.is_ca = IsCa::NoCa;
    let with_names = |params: &mut CertificateParams| {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.subject_alt_names = vec![uri(&format!("{PATH}orders"))];
    };
    // An authority as a service, whatever its key usage.
    let authority = root.issue("orders", &|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    assert!(why(&verifier, &authority).contains("is an authority"));
    // A leaf that has issued a leaf: with the bit of authorities, and without.
    let sibling = root.below("sibling", &|params| {
        leaf(params);
        with_names(params);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    });
    let text = why(&verifier, &sibling.issue("orders", &|_| ()).then(&sibling));
    assert!(text.contains("no authority has issued"), "{text}");
    let sibling = root.below("sibling", &|params| {
        leaf(params);
        with_names(params);
    });
    assert_eq!(refused(&verifier, &sibling.issue("orders", &|_| ()).then(&sibling)), Reason::CertInvalid);
    // An intermediate whose key usage lets it sign no certificates.
    let crippled = root.below("crippled", &|params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    let text = why(&verifier, &crippled.issue("orders", &|_| ()).then(&crippled));
    assert!(text.contains("keyCertSign"), "{text}");
}

#[test]
fn usages_are_those_of_a_service() {
    let root = Authority::root("root");
    let verifier = verifier(&[&root]);
    let usage = |usages: &[KeyUsagePurpose]| {
        let usages = usages.to_vec();
        judged(&verifier, &root.issue("orders", &move |params| params.key_usages.clone_from(&usages)))
    };
    assert!(usage(&[KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment]).is_ok());
    for wrong in [
        &[][..],
        &[KeyUsagePurpose::KeyEncipherment],
        &[KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign],
        &[KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign],
    ] {
        let error = usage(wrong).unwrap_err();
        assert!(error.reason() == Reason::CertInvalid && error.to_string().contains("key usage"), "{error}");
    }
    let extended = |usages: &[ExtendedKeyUsagePurpose]| {
        let usages = usages.to_vec();
        judged(
            &verifier,
            &root.issue("orders", &move |params| params.extended_key_usages.clone_from(&usages)),
        )
    };
    assert!(extended(&[]).is_ok(), "the extension may be absent");
    for wrong in [
        &[ExtendedKeyUsagePurpose::ServerAuth][..],
        &[ExtendedKeyUsagePurpose::ClientAuth],
        &[ExtendedKeyUsagePurpose::CodeSigning, ExtendedKeyUsagePurpose::Any],
    ] {
        let error = extended(wrong).unwrap_err();
        assert!(error.to_string().contains("extended key usage"), "{error}");
    }
}

#[test]
fn constraints_of_authorities_hold() {
    let root = Authority::root("root");
    let verifier = verifier(&[&root]);
    let last = root.below("last", &|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    assert!(judged(&verifier, &last.issue("orders", &|_| ()).then(&last)).is_ok());
    let beyond = last.below("beyond", &|_| ());
    let text = why(&verifier, &beyond.issue("orders", &|_| ()).then(&beyond).then(&last));
    assert!(text.contains("so many below it"), "{text}");

    let constrained = |permitted: Vec<GeneralSubtree>, excluded: Vec<GeneralSubtree>| {
        let middle = root.below("middle", &move |params| {
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: permitted.clone(),
                excluded_subtrees: excluded.clone(),
            });
        });
        let orders = middle.issue("orders", &|params| {
            params.subject_alt_names.push(dns("orders.shop.example"));
        });
        judged(&verifier, &orders.then(&middle))
    };
    let name = |text: &str| GeneralSubtree::DnsName(text.to_owned());
    assert!(constrained(vec![name("shop.example")], vec![]).is_ok());
    for (permitted, excluded) in [(vec![name("bank.example")], vec![]), (vec![], vec![name("shop.example")])]
    {
        let error = constrained(permitted, excluded).unwrap_err();
        assert!(error.to_string().contains("may not issue that name"), "{error}");
    }
}
