//! Certificates of the real `openssl`: the kinds of keys that fleets use, and
//! those that rcgen does not make.

use std::{path::Path, process::Command};

use super::*;
use crate::crypto::keystore::tests::TempDir;

fn run(directory: &Path, line: &str) {
    let done = Command::new("openssl").args(line.split_whitespace()).current_dir(directory).output().unwrap();
    assert!(done.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&done.stderr));
}

fn read(directory: &Path, file: &str) -> Vec<u8> {
    std::fs::read(directory.join(file)).unwrap()
}

/// A directory with an authority, `ca.crt`, whose key `make` makes.
fn authority(make: &str) -> TempDir {
    let temp = TempDir::new();
    let leaf = "[leaf]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n\
         extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=URI:spiffe://shop.example/ns/prod/sa/orders\n";
    std::fs::write(temp.0.join("leaf.cnf"), leaf).unwrap();
    run(&temp.0, &format!("{make} -out ca.key"));
    run(
        &temp.0,
        "req -x509 -new -key ca.key -sha256 -days 30 -subj /CN=Root -out ca.crt \
         -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign",
    );
    temp
}

/// Issues `leaf.crt` for a key that `make` makes.
fn issue(directory: &Path, make: &str, digest: &str) {
    run(directory, &format!("{make} -out leaf.key"));
    run(directory, "req -new -key leaf.key -subj /CN=orders -out leaf.csr");
    run(
        directory,
        &format!(
            "x509 -req -in leaf.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile leaf.cnf \
         -extensions leaf {digest} -out leaf.crt"
        ),
    );
}

/// The verdict of a peer on `leaf.crt` and `leaf.key`; the certificates begin today.
fn verified(directory: &Path) -> Result<Arc<Certified>, Reason> {
    let now = Timestamp::now();
    let credential = Credential::new(&read(directory, "leaf.crt"), &read(directory, "leaf.key"))
        .map_err(|error| error.reason())?;
    let anchors = Anchors::new(&read(directory, "ca.crt"), None, CrlPolicy::Refuse).unwrap();
    let verifier = Verifier::new(anchors, &NameRule::default(), &credential, Arc::default(), Arc::default());
    let made = credential.delegate(&service("orders"), mesh_key(0).public_key(), now).unwrap();
    verifier.verify(&made.bytes, &service("orders"), now).map_err(|error| error.reason())
}

const P256: &str = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256";
const P384: &str = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384";
const ED25519: &str = "genpkey -algorithm ED25519";
const RSA: &str = "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048";

#[test]
fn every_kind_of_key_is_accepted_from_openssl() {
    for (authority_key, leaf_key, digest) in [
        (P256, P256, "-sha256"),
        (P384, P384, "-sha384"),
        (ED25519, ED25519, ""),
        (RSA, RSA, "-sha256"),
        (RSA, P256, "-sha512"),
        (RSA, P256, "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"),
        (P256, "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096", "-sha256"),
    ] {
        let directory = authority(authority_key);
        issue(&directory.0, leaf_key, digest);
        let certified =
            verified(&directory.0).unwrap_or_else(|reason| panic!("{leaf_key} {digest}: {reason}"));
        assert_eq!((&*certified.subject, &*certified.issuer), ("CN=orders", "CN=Root"));
        assert_eq!(certified.spiffe_id(), Some("spiffe://shop.example/ns/prod/sa/orders"));
    }
}

#[test]
fn keys_of_the_older_forms_are_read() {
    let directory = authority(P256);
    for (make, convert) in [
        (P256, "pkey -in leaf.key -traditional -out leaf.old"),
        (RSA, "pkey -in leaf.key -traditional -out leaf.old"),
        ("ecparam -genkey -name secp384r1", "ec -in leaf.key -out leaf.old"),
    ] {
        issue(&directory.0, make, "-sha256");
        assert!(verified(&directory.0).is_ok(), "{make}");
        run(&directory.0, convert);
        std::fs::rename(directory.0.join("leaf.old"), directory.0.join("leaf.key")).unwrap();
        assert!(verified(&directory.0).is_ok(), "{make}, in its older form");
    }
    run(&directory.0, "pkcs8 -topk8 -in leaf.key -passout pass:secret -out leaf.enc");
    let error =
        Credential::new(&read(&directory.0, "leaf.crt"), &read(&directory.0, "leaf.enc")).unwrap_err();
    assert!(error.to_string().contains("is encrypted"), "{error}");
}

#[test]
fn weak_keys_and_signatures_are_refused() {
    let directory = authority(RSA);
    issue(&directory.0, P256, "-sha1");
    assert_eq!(verified(&directory.0).unwrap_err(), Reason::CertInvalid, "SHA-1");
    for make in [
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024",
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1",
        "genpkey -algorithm ED448",
    ] {
        issue(&directory.0, make, "-sha256");
        assert_eq!(verified(&directory.0).unwrap_err(), Reason::CertMaterial, "{make}");
        // A peer that makes such an identity nevertheless.
        let chain = pem_ders(&read(&directory.0, "leaf.crt"));
        let anchors = Anchors::new(&read(&directory.0, "ca.crt"), None, CrlPolicy::Refuse).unwrap();
        let own = Authority::root("x").issue("gateway", &|_| ()).credential();
        let verifier = Verifier::new(anchors, &NameRule::default(), &own, Arc::default(), Arc::default());
        let now = Timestamp::now();
        let forged = delegation::encode(&chain, mesh_key(0).public_key(), (now, now + HOUR), &[1; 64]);
        let error = verifier.verify(&forged.unwrap(), &service("orders"), now).unwrap_err();
        assert!(error.to_string().contains("its key is not"), "{make}: {error}");
    }
    // An authority with a key that is too small.
    let small = authority("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024");
    issue(&small.0, P256, "-sha256");
    assert_eq!(verified(&small.0).unwrap_err(), Reason::CertUntrusted);
    let curve = authority("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521");
    issue(&curve.0, P256, "-sha256");
    assert_eq!(verified(&curve.0).unwrap_err(), Reason::CertInvalid);
}

fn pem_ders(text: &[u8]) -> Vec<CertificateDer<'static>> {
    anchors::certificates("test", text).unwrap()
}

#[test]
fn a_list_of_openssl_revokes() {
    let directory = authority(P256);
    issue(&directory.0, P256, "-sha256");
    std::fs::write(directory.0.join("index.txt"), "").unwrap();
    std::fs::write(directory.0.join("number"), "01\n").unwrap();
    let config = "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sha256\n";
    std::fs::write(directory.0.join("ca.cnf"), config).unwrap();
    let make = "ca -config ca.cnf -keyfile ca.key -cert ca.crt -gencrl -crldays 1 -out ca.crl";
    let judge = || {
        let credential =
            Credential::new(&read(&directory.0, "leaf.crt"), &read(&directory.0, "leaf.key")).unwrap();
        let lists = read(&directory.0, "ca.crl");
        let anchors = Anchors::new(&read(&directory.0, "ca.crt"), Some(&lists), CrlPolicy::Refuse).unwrap();
        let verifier =
            Verifier::new(anchors, &NameRule::default(), &credential, Arc::default(), Arc::default());
        let now = Timestamp::now();
        let presented = credential.delegate(&service("orders"), mesh_key(0).public_key(), now).unwrap();
        verifier.verify(&presented.bytes, &service("orders"), now).map(drop).map_err(|error| error.reason())
    };
    run(&directory.0, make);
    assert_eq!(judge(), Ok(()));
    run(&directory.0, "ca -config ca.cnf -keyfile ca.key -cert ca.crt -revoke leaf.crt");
    run(&directory.0, make);
    assert_eq!(judge(), Err(Reason::Revoked));
}
