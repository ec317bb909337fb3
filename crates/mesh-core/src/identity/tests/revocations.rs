//! Revocation: by the lists of authorities, and by `revoke()`.

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};

use super::*;

/// A list of `authority` that revokes these serial numbers, valid until `until`.
pub(crate) fn list(authority: &Authority, serials: &[u64], until: Timestamp) -> Vec<u8> {
    let at = |time: Timestamp| date_time_ymd(1970, 1, 1) + Duration::from_secs(time.as_secs());
    let revoked = serials.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: at(before(NOW, HOUR)),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: at(before(NOW, 2 * HOUR)),
        next_update: at(until),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(&authority.0).unwrap().der().to_vec()
}

pub(crate) fn numbered(serial: u64) -> impl Fn(&mut CertificateParams) {
    move |params| params.serial_number = Some(SerialNumber::from(serial))
}

fn with_lists(root: &Authority, lists: &[Vec<u8>], policy: CrlPolicy) -> Verifier {
    verifier_with(&[root], Some(pem("X509 CRL", lists).as_bytes()), policy, &NameRule::default())
}

#[test]
fn a_listed_leaf_is_revoked_whatever_the_policy() {
    let root = Authority::root("root");
    let (good, bad) = (root.issue("orders", &numbered(7)), root.issue("orders", &numbered(8)));
    for policy in [CrlPolicy::Refuse, CrlPolicy::Warn] {
        for until in [NOW + HOUR, before(NOW, HOUR)] {
            let verifier = with_lists(&root, &[list(&root, &[8], until)], policy);
            assert_eq!(refused(&verifier, &bad) == Reason::Revoked, until > NOW || policy == CrlPolicy::Warn);
        }
    }
    let verifier = with_lists(&root, &[list(&root, &[8], NOW + HOUR)], CrlPolicy::Refuse);
    assert!(!judged(&verifier, &good).unwrap().is_unchecked);
}

#[test]
fn a_listed_intermediate_takes_all_below_it_along() {
    let root = Authority::root("root");
    let middle = root.below("middle", &numbered(9));
    let orders = middle.issue("orders", &numbered(1)).then(&middle);
    let lists = |serials: &[u64]| [list(&root, serials, NOW + HOUR), list(&middle, &[], NOW + HOUR)];
    assert!(judged(&with_lists(&root, &lists(&[]), CrlPolicy::Refuse), &orders).is_ok());
    assert_eq!(refused(&with_lists(&root, &lists(&[9]), CrlPolicy::Refuse), &orders), Reason::Revoked);
    assert_eq!(refused(&with_lists(&root, &lists(&[9]), CrlPolicy::Warn), &orders), Reason::Revoked);
}

#[test]
fn an_expired_or_missing_list_means_what_the_policy_says() {
    let root = Authority::root("root");
    let middle = root.below("middle", &|_| ());
    let orders = middle.issue("orders", &|_| ()).then(&middle);
    let expired = [list(&root, &[], before(NOW, HOUR)), list(&middle, &[], before(NOW, HOUR))];
    let missing = [list(&root, &[], NOW + HOUR)];
    let other = [list(&root, &[], NOW + HOUR), list(&Authority::root("other"), &[], NOW + HOUR)];
    for lists in [&expired[..], &missing, &other] {
        assert_eq!(refused(&with_lists(&root, lists, CrlPolicy::Refuse), &orders), Reason::CrlUnusable);
        assert!(judged(&with_lists(&root, lists, CrlPolicy::Warn), &orders).unwrap().is_unchecked);
    }
    // Under the name of the issuer, by another key: never accepted.
    let forged = [list(&Authority::root("root"), &[], NOW + HOUR), list(&middle, &[], NOW + HOUR)];
    for policy in [CrlPolicy::Refuse, CrlPolicy::Warn] {
        assert_eq!(refused(&with_lists(&root, &forged, policy), &orders), Reason::CrlUnusable);
    }
}

#[test]
fn a_cached_identity_does_not_outlive_the_list_that_it_was_checked_with() {
    let root = Authority::root("root");
    let orders = root.issue("orders", &|_| ());
    let verifier = with_lists(&root, &[list(&root, &[], NOW + HOUR)], CrlPolicy::Refuse);
    let identity = identity(&orders, "orders");
    assert!(verifier.verify(&identity, &service("orders"), NOW).is_ok());
    let later = verifier.verify(&identity, &service("orders"), NOW + 2 * HOUR);
    assert_eq!(later.unwrap_err().reason(), Reason::CrlUnusable);
}

#[test]
fn what_is_no_list_is_refused_at_the_start() {
    let root = Authority::root("root");
    let bundle = pem("CERTIFICATE", &[root.der()]);
    let good = list(&root, &[], NOW + HOUR);
    assert!(Anchors::new(bundle.as_bytes(), Some(&good), CrlPolicy::Refuse).is_ok(), "DER is read too");
    for wrong in [&b""[..], bundle.as_bytes(), &good[..100], &[&good[..], &[0]].concat()] {
        let error = Anchors::new(bundle.as_bytes(), Some(wrong), CrlPolicy::Refuse).unwrap_err();
        assert!(error.to_string().starts_with("security.certificate.crl"), "{error}");
    }
}

#[test]
fn each_way_to_revoke_ends_what_it_names_and_nothing_else() {
    let root = Authority::root("root");
    let middle = root.below("middle", &numbered(0x00ab));
    let orders = middle.issue("orders", &numbered(0x7f01)).then(&middle);
    let (serial, none) = (
        |text: &str, issuer: Option<&str>| Revocation::serial(text, issuer.map(str::to_owned)).unwrap(),
        None,
    );
    let fingerprint = hex::encode(orders.credential().fingerprint());
    let of_middle = hex::encode(crate::crypto::mac::sha256(&[&middle.der()]));
    let of_root = hex::encode(crate::crypto::mac::sha256(&[&root.der()]));
    let mesh = mesh_key(0).public_key().thumbprint().to_string();
    let colons = fingerprint
        .to_uppercase()
        .as_bytes()
        .chunks(2)
        .map(|two| std::str::from_utf8(two).unwrap())
        .collect::<Vec<_>>()
        .join(":");
    let thumbprint = |text: &str| Revocation::thumbprint(text).unwrap();
    for (revocation, hits) in [
        (Revocation::Name(format!("{PATH}orders")), true),
        (Revocation::Name(format!("{PATH}billing")), false),
        (serial("7f01", none), true),
        (serial("7F:01", Some("CN=middle")), true),
        (serial("7f01", Some("CN=root")), false),
        (serial("ab", Some("CN=root")), true),
        (serial("serial=00AB", none), true),
        (serial("7f02", none), false),
        (thumbprint(&fingerprint), true),
        (thumbprint(&colons), true),
        (thumbprint(&of_middle), true),
        (thumbprint(&of_root), true),
        (thumbprint(&mesh), true),
        (thumbprint(&mesh_key(1).public_key().thumbprint().to_string()), false),
    ] {
        let verifier = verifier(&[&root]);
        let certified = judged(&verifier, &orders).unwrap();
        verifier.revoke(revocation.clone()).unwrap();
        assert_eq!(verifier.is_revoked(&certified), hits, "{revocation:?}");
        let again = verifier.verify(&certified.identity, &service("orders"), NOW);
        assert_eq!(
            again.err().map(|error| error.reason()),
            hits.then_some(Reason::Revoked),
            "{revocation:?}"
        );
    }
}

#[test]
fn what_names_nothing_is_no_revocation() {
    for text in ["", "xyz", "0x12", &"11".repeat(65)] {
        assert!(Revocation::serial(text, None).is_err(), "{text}");
    }
    for text in ["", "abcd", &"11".repeat(31), &"11".repeat(33), "SHA256 Fingerprint=11:22"] {
        assert!(Revocation::thumbprint(text).is_err(), "{text}");
    }
}
