use std::{
    fs,
    sync::{Arc, Barrier},
    time::Duration,
};

use super::*;
use crate::{
    clock::Timestamp,
    crypto::{keystore::tests::TempDir, rsa::KeyPair},
    error::{Coded, Reason},
    id::ServiceId,
    identity::{Anchors, Credential, CrlPolicy, NameRule, Verifier},
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn id(text: &str) -> ServiceId {
    text.parse().unwrap()
}

fn made(temp: &TempDir) -> Authority {
    let options = Establishment {
        root_directory: None,
        trust_domain: "shop.example".to_owned(),
        template: None,
        lifetime: None,
    };
    Authority::init(&temp.0.join("ca"), &options, NOW).unwrap()
}

fn request() -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    // Names that nobody may choose for itself.
    params.subject_alt_names = vec![rcgen::SanType::URI("spiffe://shop.example/admin".try_into().unwrap())];
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.serialize_request(&key).unwrap().der().to_vec()
}

/// A mesh key; which one it is does not matter.
fn mesh_key() -> KeyPair {
    static KEY: std::sync::OnceLock<KeyPair> = std::sync::OnceLock::new();
    KEY.get_or_init(|| KeyPair::generate(2048).unwrap()).clone()
}

/// The judgement of a mesh that has this bundle about a service with this certificate.
fn judge(bundle: &Bundle, certified: &Certified, service: &str, now: Timestamp) -> Result<(), Reason> {
    let key = certified.key.as_ref().unwrap();
    let credential = Arc::new(Credential::new(certified.chain.as_bytes(), key.as_bytes()).unwrap());
    let anchors = Anchors::new(bundle.anchors.as_bytes(), Some(bundle.lists.as_bytes()), CrlPolicy::Refuse);
    let anchors = Arc::new(anchors.unwrap());
    let verifier = Verifier::new(anchors, &NameRule::default(), &credential, Arc::default(), Arc::default());
    let shown =
        credential.delegate(&id(service), mesh_key().public_key(), now).map_err(|error| error.reason())?;
    verifier.verify(&shown.bytes, &id(service), now).map(drop).map_err(|error| error.reason())
}

#[test]
fn what_it_issues_passes_every_check_of_a_mesh() {
    let temp = TempDir::new();
    let authority = made(&temp);
    let certified = authority.issue(&id("orders"), None, None, NOW).unwrap();
    let bundle = authority.bundle(NOW).unwrap();
    assert_eq!(judge(&bundle, &certified, "orders", NOW), Ok(()));
    assert_eq!(judge(&bundle, &certified, "gateway", NOW), Err(Reason::CertName));
    assert_eq!(certified.expires, NOW + DAY);
    assert!(judge(&bundle, &certified, "orders", NOW + DAY).is_err());
    // The lists outlive the certificates that were issued with them.
    let late = authority.issue(&id("orders"), None, Some(3 * DAY + 23 * HOUR), NOW).unwrap();
    assert_eq!(judge(&bundle, &late, "orders", NOW + 3 * DAY), Ok(()));
}

#[test]
fn names_in_a_request_do_not_count() {
    let temp = TempDir::new();
    let authority = made(&temp);
    let certified = authority.issue(&id("orders"), Some(&request()), None, NOW).unwrap();
    assert!(certified.key.is_none());
    let der = {
        use rustls_pki_types::{CertificateDer, pem::PemObject};
        CertificateDer::from_pem_slice(certified.chain.as_bytes()).unwrap()
    };
    let has = |text: &str| der.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("spiffe://shop.example/orders") && !has("admin"));
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    assert!(!parsed.is_ca());
}

#[test]
fn a_token_admits_its_service_as_often_as_it_says_and_until_its_end() {
    let temp = TempDir::new();
    let authority = made(&temp);
    let token = |uses| {
        let invitation = authority.invite(&id("orders"), uses, HOUR, NOW).unwrap();
        JoinToken::parse(&invitation.token).unwrap()
    };
    let two = token(2);
    let enrol = |token: &JoinToken, service: &str, now| {
        authority.enrol(&id(service), token, &request(), now).map(drop).map_err(|error| error.to_string())
    };
    // Neither of these costs a use.
    assert!(enrol(&two, "gateway", NOW).unwrap_err().contains("another service"));
    assert!(authority.enrol(&id("orders"), &two, b"-----BEGIN nothing", NOW).is_err());
    assert!(enrol(&two, "orders", NOW + HOUR).unwrap_err().contains("ended"));
    assert_eq!(enrol(&two, "orders", NOW), Ok(()));
    assert_eq!(enrol(&two, "orders", NOW + HOUR / 2), Ok(()));
    assert!(enrol(&two, "orders", NOW).unwrap_err().contains("used up"));
    // The name of a token is no secret, so a false secret under it is refused.
    let one = token(1);
    let text = authority.invite(&id("orders"), 1, HOUR, NOW).unwrap().token;
    let mut forged = JoinToken::parse(&text).unwrap();
    forged.id = one.id;
    assert!(enrol(&forged, "orders", NOW).unwrap_err().contains("does not know"));
    // Another authority knows none of it.
    let other = TempDir::new();
    let error = made(&other).enrol(&id("orders"), &one, &request(), NOW).unwrap_err();
    assert_eq!(error.reason(), Reason::JoinToken);
    assert_eq!(enrol(&one, "orders", NOW), Ok(()));
}

#[test]
fn newcomers_are_those_whose_tokens_still_admit_them() {
    let temp = TempDir::new();
    let authority = made(&temp);
    let text = authority.invite(&id("orders"), 1, HOUR, NOW).unwrap().token;
    let token = JoinToken::parse(&text).unwrap();
    authority.invite(&id("stock"), 1, 2 * HOUR, NOW).unwrap();
    let services = |now| {
        let newcomers = authority.newcomers(now).unwrap();
        newcomers.into_iter().map(|(_, service)| service.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(services(NOW), ["orders", "stock"]);
    assert_eq!(*authority.newcomers(NOW).unwrap()[0].0, *token.session_secret());
    // A token that has ended is still known, so that its user learns why it is refused.
    assert_eq!(services(NOW + HOUR), ["stock"]);
    authority.enrol(&id("orders"), &token, &request(), NOW).unwrap();
    assert_eq!(services(NOW), ["stock"]);
}

#[test]
fn secrets_of_tokens_are_not_kept() {
    let temp = TempDir::new();
    let authority = made(&temp);
    let invitation = authority.invite(&id("orders"), 1, HOUR, NOW).unwrap();
    let token = JoinToken::parse(&invitation.token).unwrap();
    let kept = fs::read_to_string(authority.file()).unwrap();
    assert!(kept.contains(&hex::encode(token.hash().as_bytes())));
    assert!(!kept.contains(&hex::encode(token.secret.as_bytes())));
    assert!(!kept.contains("ssm-join-"));
}

#[test]
fn of_many_that_use_a_token_at_once_each_use_serves_one() {
    let temp = TempDir::new();
    let authority = made(&temp);
    let text = authority.invite(&id("orders"), 3, HOUR, NOW).unwrap().token.to_string();
    let start = Arc::new(Barrier::new(10));
    let joiners: Vec<_> = (0..10)
        .map(|_| {
            // Each as a process of its own has it.
            let authority = Authority::open(&temp.0.join("ca")).unwrap();
            let (text, start) = (text.clone(), Arc::clone(&start));
            std::thread::spawn(move || {
                let (token, request) = (JoinToken::parse(&text).unwrap(), request());
                start.wait();
                authority.enrol(&id("orders"), &token, &request, NOW).is_ok()
            })
        })
        .collect();
    let admitted =
        joiners.into_iter().map(|joiner| joiner.join().unwrap()).filter(|admitted| *admitted).count();
    assert_eq!(admitted, 3);
    assert_eq!(authority.summary(NOW).unwrap().issued, 3);
}

#[test]
fn a_use_is_taken_before_the_certificate_exists() {
    let temp = TempDir::new();
    let authority = made(&temp);
    let text = authority.invite(&id("orders"), 1, HOUR, NOW).unwrap().token;
    let token = JoinToken::parse(&text).unwrap();
    // The end of the process between both: nothing can be signed.
    let keys: Vec<_> = fs::read_dir(temp.0.join("ca")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let key = keys.iter().find(|path| path.extension().is_some_and(|end| end == "key")).unwrap();
    fs::rename(key, temp.0.join("away")).unwrap();
    assert!(authority.enrol(&id("orders"), &token, &request(), NOW).is_err());
    fs::rename(temp.0.join("away"), key).unwrap();
    let again = Authority::open(&temp.0.join("ca")).unwrap();
    let error = again.enrol(&id("orders"), &token, &request(), NOW).unwrap_err();
    assert!(error.to_string().contains("used up"), "{error}");
}

#[test]
fn a_revoked_service_is_refused_and_renews_nothing_until_it_gets_a_token() {
    let temp = TempDir::new();
    let authority = made(&temp);
    let orders = authority.issue(&id("orders"), None, None, NOW).unwrap();
    let stock = authority.issue(&id("stock"), None, None, NOW).unwrap();
    let unused = authority.invite(&id("orders"), 1, HOUR, NOW).unwrap().token;
    let before = authority.bundle(NOW).unwrap();
    let revoked = authority.revoke(&id("orders"), NOW).unwrap();
    assert_eq!(revoked, [RevokedCertificate { service: "orders".to_owned(), serial: orders.serial.clone() }]);
    let after = authority.bundle(NOW).unwrap();
    assert_ne!(before.version, after.version);
    assert_eq!(after.version, authority.bundle(NOW + HOUR).unwrap().version);
    assert_eq!(judge(&before, &orders, "orders", NOW), Ok(()));
    assert_eq!(judge(&after, &orders, "orders", NOW), Err(Reason::Revoked));
    assert_eq!(judge(&after, &stock, "stock", NOW), Ok(()));
    assert_eq!(authority.renew(&id("orders"), &request(), NOW).unwrap_err().reason(), Reason::Revoked);
    let token = JoinToken::parse(&unused).unwrap();
    assert!(authority.enrol(&id("orders"), &token, &request(), NOW).is_err());
    authority.invite(&id("orders"), 1, HOUR, NOW).unwrap();
    assert!(authority.renew(&id("orders"), &request(), NOW).is_ok());
    // One certificate alone, by its number as openssl shows it.
    let digits: Vec<&str> = (0..16).map(|at| &stock.serial[2 * at..2 * at + 2]).collect();
    authority.revoke_serial(&digits.join(":").to_uppercase(), NOW).unwrap();
    assert_eq!(judge(&authority.bundle(NOW).unwrap(), &stock, "stock", NOW), Err(Reason::Revoked));
    assert!(authority.renew(&id("stock"), &request(), NOW).is_ok());
    assert_eq!(authority.renew(&id("stock"), b"none", NOW).unwrap_err().reason(), Reason::CertRequest);
    assert_eq!(authority.revoke(&id("nobody"), NOW).unwrap_err().reason(), Reason::Authority);
}

#[test]
fn an_issuer_is_replaced_at_once_and_the_former_certificates_stay_valid() {
    let temp = TempDir::new();
    let authority = made(&temp);
    let former = authority.issue(&id("orders"), None, None, NOW).unwrap();
    let old = authority.bundle(NOW).unwrap();
    authority.rotate_issuer(None, NOW).unwrap();
    let latter = authority.issue(&id("orders"), None, None, NOW).unwrap();
    let bundle = authority.bundle(NOW).unwrap();
    assert_eq!(bundle.anchors, old.anchors);
    for certified in [&former, &latter] {
        assert_eq!(judge(&bundle, certified, "orders", NOW), Ok(()));
    }
    // A certificate of the former issuer can still be revoked.
    authority.revoke_serial(&former.serial, NOW).unwrap();
    assert_eq!(judge(&authority.bundle(NOW).unwrap(), &former, "orders", NOW), Err(Reason::Revoked));
    // It goes with its last certificate, and its key too.
    let keys = || {
        let names = fs::read_dir(temp.0.join("ca")).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().ends_with(".key")).count()
    };
    assert_eq!(keys(), 2);
    authority.issue(&id("orders"), None, None, NOW + 2 * DAY).unwrap();
    assert_eq!(keys(), 1);
}

#[test]
fn a_root_is_replaced_with_an_overlap() {
    let temp = TempDir::new();
    let authority = made(&temp);
    let former = authority.issue(&id("orders"), None, None, NOW).unwrap();
    let old = authority.bundle(NOW).unwrap();
    authority.rotate_root(None, DAY, NOW).unwrap();
    assert!(authority.rotate_root(None, DAY, NOW).is_err());
    let both = authority.bundle(NOW).unwrap();
    assert_eq!(authority.summary(NOW).unwrap().roots.len(), 2);
    // A mesh with the old bundle accepts what is issued during the overlap.
    let during = authority.issue(&id("orders"), None, None, NOW + 23 * HOUR).unwrap();
    assert_eq!(judge(&old, &during, "orders", NOW + 23 * HOUR), Ok(()));
    let latter = authority.issue(&id("orders"), None, None, NOW + DAY).unwrap();
    assert_eq!(judge(&old, &latter, "orders", NOW + DAY), Err(Reason::CertUntrusted));
    for (certified, now) in [(&former, NOW), (&during, NOW + DAY), (&latter, NOW + DAY)] {
        assert_eq!(judge(&both, certified, "orders", now), Ok(()));
    }
    // The old root leaves with the last certificate that rests on it.
    assert_eq!(authority.summary(NOW + DAY + HOUR).unwrap().roots.len(), 2);
    let end = during.expires;
    let alone = authority.bundle(end).unwrap();
    assert_eq!(authority.summary(end).unwrap().roots.len(), 1);
    let last = authority.issue(&id("orders"), None, None, end).unwrap();
    assert_eq!(judge(&alone, &last, "orders", end), Ok(()));
}

#[test]
fn the_root_may_be_elsewhere_except_for_rotations() {
    let temp = TempDir::new();
    let authority = made(&temp);
    let vault = temp.0.join("vault");
    fs::rename(temp.0.join("ca/root"), &vault).unwrap();
    authority.issue(&id("orders"), None, None, NOW).unwrap();
    let error = authority.rotate_issuer(None, NOW).unwrap_err();
    assert!(error.to_string().contains("rootDirectory"), "{error}");
    assert!(!temp.0.join("ca/root").exists());
    authority.rotate_issuer(Some(&vault), NOW).unwrap();
    let certified = authority.issue(&id("orders"), None, None, NOW).unwrap();
    assert_eq!(judge(&authority.bundle(NOW).unwrap(), &certified, "orders", NOW), Ok(()));
}

#[test]
fn a_directory_has_one_authority_and_bad_options_are_named() {
    let temp = TempDir::new();
    let directory = temp.0.join("ca");
    assert!(Authority::open(&directory).is_err() && !directory.exists());
    drop(made(&temp));
    let with = |change: &dyn Fn(&mut Establishment)| {
        let mut options = Establishment {
            root_directory: None,
            trust_domain: "shop.example".to_owned(),
            template: None,
            lifetime: None,
        };
        change(&mut options);
        Authority::init(&temp.0.join("other"), &options, NOW).err().map(|error| error.to_string())
    };
    let refused = |change: &dyn Fn(&mut Establishment), option: &str| {
        let error = with(change).unwrap();
        assert!(error.contains(option), "{error}");
    };
    refused(&|options| options.trust_domain = "Shop.Example".to_owned(), "trustDomain");
    refused(&|options| options.template = Some("spiffe://shop.example/x".to_owned()), "template");
    refused(&|options| options.template = Some("spiffe://other.example/{service}".to_owned()), "trustDomain");
    refused(&|options| options.lifetime = Some(Duration::from_secs(1)), "lifetime");
    let again = Establishment {
        root_directory: None,
        trust_domain: "shop.example".to_owned(),
        template: None,
        lifetime: None,
    };
    let error = Authority::init(&directory, &again, NOW).err().unwrap();
    assert!(error.to_string().contains("already has an authority"));
}

#[test]
fn damage_is_told_and_changes_nothing() {
    let temp = TempDir::new();
    let authority = made(&temp);
    let whole = fs::read(authority.file()).unwrap();
    for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(authority.file(), &whole[..cut]).unwrap();
        let error = authority.issue(&id("orders"), None, None, NOW).unwrap_err();
        assert!(error.to_string().contains("authority.json"), "{error}");
        assert_eq!(fs::read(authority.file()).unwrap(), &whole[..cut]);
    }
}

#[cfg(unix)]
#[test]
fn its_files_are_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let temp = TempDir::new();
    let authority = made(&temp);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut directories = vec![temp.0.join("ca")];
    while let Some(directory) = directories.pop() {
        assert_eq!(mode(&directory), 0o700);
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { directories.push(path) } else { assert_eq!(mode(&path), 0o600, "{path:?}") }
        }
    }
    fs::set_permissions(temp.0.join("ca"), fs::Permissions::from_mode(0o755)).unwrap();
    let error = authority.issue(&id("orders"), None, None, NOW).unwrap_err();
    assert_eq!(error.reason(), Reason::KeydirMode);
}
