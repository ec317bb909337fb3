//! Mode 3: the identities that are accepted, and the reach of a thief of one key.

use rcgen::CertificateParams;

use super::*;
use crate::identity::{
    Anchors, Credential, CrlPolicy, NameRule, Revocation, Verifier,
    tests::{Authority, HOUR, Issued, PATH, before, pem},
};

/// The service `id` with a certificate of `root` and the mesh key `key`.
pub(in super::super) fn certified(
    id: &str,
    key: KeyPair,
    root: &Authority,
    change: &dyn Fn(&mut CertificateParams),
    now: Timestamp,
) -> Local {
    with_credential(id, key, root, &root.issue(id, change).credential(), now)
}

fn with_credential(id: &str, key: KeyPair, root: &Authority, own: &Credential, now: Timestamp) -> Local {
    let made = own.delegate(&id.parse().unwrap(), key.public_key(), now).unwrap();
    let anchors =
        Anchors::new(pem("CERTIFICATE", &[root.der()]).as_bytes(), None, CrlPolicy::Refuse).unwrap();
    let verifier = Verifier::new(anchors, &NameRule::default(), own, Arc::default(), Arc::default());
    let certificate =
        Certificate { identity: made.bytes, expires: made.expires, verifier: Arc::new(verifier) };
    Local { certificate: Some(certificate), ..local(id, key, &[]) }
}

fn pair(root: &Authority) -> (Local, Local) {
    let local = |id, index| certified(id, key(index), root, &|_| (), NOW);
    (local("client", 0), local("server", 1))
}

fn verifier_of(local: &Local) -> Arc<Verifier> {
    Arc::clone(&local.certificate.as_ref().unwrap().verifier)
}

/// A handshake that makes a session, and the resulting ticket.
fn session(
    client: &Local,
    server: &Local,
    ticket: Option<Ticket>,
    at: Timestamp,
) -> (Established, Established) {
    agree(Wire { at, ticket, ..Wire::new(client.clone(), server.clone()) })
}

#[test]
fn certificates_prove_both_sides() {
    let root = Authority::root("root");
    let (client, server) = pair(&root);
    let (of_client, of_server) = session(&client, &server, None, NOW);
    assert_eq!(of_client.trust, Trust::Certificate);
    for (established, id, index) in [(&of_client, "server", 1), (&of_server, "client", 0)] {
        let proved = established.certified.as_ref().unwrap();
        assert_eq!((established.peer.as_str(), proved.spiffe_id()), (id, Some(&*format!("{PATH}{id}"))));
        assert_eq!(established.peer_key, *key(index).public_key());
    }
    let spent = verifier_of(&server).signatures();
    for _ in 0..5 {
        session(&client, &server, None, NOW);
    }
    assert_eq!(verifier_of(&server).signatures(), spent, "one verification for all of them");
}

#[test]
fn no_other_trust_takes_the_place_of_a_certificate() {
    let root = Authority::root("root");
    let (client, server) = pair(&root);
    for other in [super::client(), pinned(super::client())] {
        assert_eq!(Wire::new(other, server.clone()).pins().server_reason(), Reason::Mode);
    }
    for other in [super::server(), pinned(super::server())] {
        assert_eq!(Wire::new(client.clone(), other).pins().server_reason(), Reason::Mode);
    }
    // A mode for which the client did not ask.
    let lower = |index: usize, mut message: Vec<u8>| {
        if index == 2 {
            message[11] = 2;
        }
        message
    };
    let mut wire = Wire::new(client.clone(), server.clone());
    wire.tamper = &lower;
    assert_eq!(wire.client_reason(), Reason::Mode);
    // The right mode, and an identity of the other kind behind the ids, nonce and shares.
    let other_kind = |index: usize, mut message: Vec<u8>| {
        if index == 1 {
            let secret_free = MeshSecret::none();
            let at = 6 + 2 + 5 + 2 + 1 + 7 + 7 + 32 + 32 + 2 + 1184;
            assert_eq!(message[at], 2);
            message[at] = 1;
            let covered = message.len() - 32;
            let mac = secret_free.hello_key("client hello").sign(&[&message[..covered]]);
            message[covered..].copy_from_slice(&mac);
        }
        message
    };
    let mut wire = Wire::new(client, server);
    wire.tamper = &other_kind;
    assert_eq!(wire.server_reason(), Reason::Mode);
}

#[test]
fn an_identity_serves_only_its_own_service() {
    let root = Authority::root("root");
    let (client, server) = pair(&root);
    // Each side claims an id that its certificate does not name.
    let renamed = Local { id: "admin".parse().unwrap(), ..client.clone() };
    assert_eq!(Wire::new(renamed, server.clone()).server_reason(), Reason::CertName);
    let renamed = Local { id: "admin".parse().unwrap(), ..server.clone() };
    assert_eq!(Wire::new(client.clone(), renamed).client_reason(), Reason::CertName);
    // A certificate of another authority, under the right name.
    let other = certified("client", key(0), &Authority::root("root"), &|_| (), NOW);
    assert_eq!(Wire::new(other, server.clone()).server_reason(), Reason::CertUntrusted);
    let mut other = certified("server", key(1), &Authority::root("root"), &|_| (), NOW);
    // This server accepts the client, and the client refuses it.
    other.certificate.as_mut().unwrap().verifier = verifier_of(&server);
    assert_eq!(Wire::new(client, other).client_reason(), Reason::CertUntrusted);
}

#[test]
fn a_stranger_with_the_public_part_of_an_identity_causes_no_private_operation() {
    let root = Authority::root("root");
    let (client, _) = pair(&root);
    let fresh = KeyPair::generate(2048).unwrap();
    let server = certified("server", fresh.clone(), &root, &|_| (), NOW);
    // The identity of the client, which every observer of the network has, with another key.
    let stranger = Local { key: key(2), ..client.clone() };
    assert_eq!(Wire::new(stranger, server.clone()).server_reason(), Reason::Finished);
    // The same with a delegation of its own making.
    let mut forged = client.clone();
    let identity = &mut forged.certificate.as_mut().unwrap().identity;
    let last = identity.len() - 1;
    identity[last] ^= 1;
    assert_eq!(Wire::new(forged, server.clone()).server_reason(), Reason::CertDelegation);
    let unknown = certified("client", key(2), &Authority::root("other"), &|_| (), NOW);
    assert_eq!(Wire::new(unknown, server).server_reason(), Reason::CertUntrusted);
    assert_eq!(fresh.private_ops(), 0);
}

#[test]
fn a_false_server_with_a_public_identity_is_found_out() {
    let root = Authority::root("root");
    let (client, server) = pair(&root);
    let thief = Local { key: key(2), ..server };
    assert_eq!(Wire::new(client, thief).client_reason(), Reason::Finished);
}

#[test]
fn the_thief_of_a_mesh_key_poses_as_nobody_else_to_its_owner() {
    let root = Authority::root("root");
    let (client, server) = pair(&root);
    // The thief has the client's mesh key, and shows the server's identity to the client.
    let (m1, state) =
        Initiator::start(Arc::new(client), server.id.clone(), Expectation::Unknown, None, NOW).unwrap();
    let (m2, proof) = Responder::on_hello(Arc::new(server), &m1, |_| unreachable!(), NOW).unwrap();
    let (m3, finish) = state.on_hello(&m2, NOW).unwrap().prove(NOW).unwrap();
    let mut proved = proof.on_finish(&m3, NOW).unwrap();
    proved.wrapped.fill(7); // as good as not being able to read k_c
    let (m4, _) = proved.accept(NOW).unwrap();
    assert_eq!(finish.on_finish(&m4, NOW).unwrap_err().reason(), Reason::Finished);
}

#[test]
fn a_stolen_mesh_key_ends_with_its_delegation_or_its_revocation() {
    let root = Authority::root("root");
    let issued: Issued = root.issue("client", &|_| ());
    let own = issued.credential();
    let stolen = with_credential("client", key(0), &root, &own, NOW);
    let renewed = with_credential("client", key(2), &root, &own, NOW + 23 * HOUR);
    let server = certified("server", key(1), &root, &|_| (), NOW + 23 * HOUR);
    let later = NOW + 24 * HOUR;
    let thief = Wire { at: later, ..Wire::new(stolen.clone(), server.clone()) };
    assert_eq!(thief.server_reason(), Reason::CertExpired);
    session(&renewed, &server, None, later);
    // Before that time a revocation of the key ends its use, and does not affect the next key.
    let server = certified("server", key(1), &root, &|_| (), NOW);
    session(&stolen, &server, None, NOW + HOUR);
    let thumbprint = key(0).public_key().thumbprint().to_string();
    verifier_of(&server).revoke(Revocation::thumbprint(&thumbprint).unwrap()).unwrap();
    let thief = Wire { at: NOW + HOUR, ..Wire::new(stolen, server.clone()) };
    assert_eq!(thief.server_reason(), Reason::Revoked);
    let renewed = with_credential("client", key(2), &root, &own, NOW);
    session(&renewed, &server, None, NOW + HOUR);
}

#[test]
fn a_clock_that_is_a_day_off_makes_no_session() {
    let root = Authority::root("root");
    let (client, server) = pair(&root);
    for at in [before(NOW, 24 * HOUR), NOW + 24 * HOUR] {
        let wire = Wire { at, ..Wire::new(client.clone(), server.clone()) };
        assert_eq!(wire.server_reason(), Reason::CertExpired);
    }
}

#[test]
fn tickets_resume_without_private_operations_and_with_the_certificate() {
    let root = Authority::root("root");
    let (client, _) = pair(&root);
    let fresh = KeyPair::generate(2048).unwrap();
    let server = certified("server", fresh.clone(), &root, &|_| (), NOW);
    let (first, _) = session(&client, &server, None, NOW);
    let spent = fresh.private_ops();
    let (second, of_server) = session(&client, &server, first.ticket, NOW);
    assert!(second.resumed && of_server.resumed && fresh.private_ops() == spent);
    assert_eq!(of_server.certified.unwrap().name, format!("{PATH}client"));
    // A ticket of a client with a revoked certificate is refused.
    verifier_of(&server).revoke(Revocation::Name(format!("{PATH}client"))).unwrap();
    let wire = Wire { ticket: second.ticket, ..Wire::new(client, server) };
    assert_eq!(wire.server_reason(), Reason::Revoked);
}

#[test]
fn tickets_end_with_the_identity_of_either_side() {
    let root = Authority::root("root");
    let short = |params: &mut CertificateParams| {
        crate::identity::tests::valid(params, before(NOW, HOUR), NOW + 2 * HOUR);
    };
    let own = root.issue("client", &short).credential();
    let (client, server) = (with_credential("client", key(0), &root, &own, NOW), pair(&root).1);
    let (first, _) = session(&client, &server, None, NOW);
    let (second, _) = session(&client, &server, first.ticket, NOW + HOUR);
    assert!(second.resumed);
    // The certificate is renewed in time, and the client keeps its key. The ticket
    // was bound to the end of the previous certificate.
    let renewed = with_credential("client", key(0), &root, &root.issue("client", &|_| ()).credential(), NOW);
    let (third, _) = session(&renewed, &server, second.ticket, NOW + 2 * HOUR + Duration::from_secs(2));
    assert!(!third.resumed, "a full handshake, and no failure");
    // The next delegation of the server is for another key.
    let next = certified("server", key(2), &root, &|_| (), NOW);
    let (fourth, _) = session(&renewed, &next, third.ticket, NOW + 3 * HOUR);
    assert!(!fourth.resumed);
}

#[test]
fn a_ticket_serves_only_the_name_it_was_issued_for() {
    let root = Authority::root("root");
    let (client, server) = pair(&root);
    let (first, _) = session(&client, &server, None, NOW);
    // Another certificate for the same id and mesh key, under a name of its own.
    let by_dns = |params: &mut CertificateParams| {
        params.subject_alt_names = vec![crate::identity::tests::dns("client")];
    };
    let own = root.issue("client", &by_dns).credential();
    let made = own.delegate(&client.id, client.key.public_key(), NOW).unwrap();
    let mut renamed = client.clone();
    renamed.certificate.as_mut().unwrap().identity = made.bytes;
    let anchors =
        Anchors::new(pem("CERTIFICATE", &[root.der()]).as_bytes(), None, CrlPolicy::Refuse).unwrap();
    let rule = NameRule { dns: true, ..NameRule::default() };
    let verifier = Verifier::new(
        anchors,
        &rule,
        &root.issue("server", &|_| ()).credential(),
        Arc::default(),
        Arc::default(),
    );
    let mut both = server.clone();
    both.certificate.as_mut().unwrap().verifier = Arc::new(verifier);
    let (second, _) = session(&renamed, &both, first.ticket, NOW);
    assert!(!second.resumed);
    let (third, _) = session(&renamed, &both, second.ticket, NOW);
    assert!(third.resumed, "its own ticket is accepted");
}

#[test]
fn a_succession_has_no_place_beside_a_certificate() {
    let root = Authority::root("root");
    let (mut client, server) = pair(&root);
    client.succession = Some(Succession::new(&client.id, &key(2), client.key.public_key()).unwrap());
    assert_eq!(Wire::new(client, server).server_reason(), Reason::HandshakeFormat);
}

#[test]
fn the_channel_is_part_of_the_transcript() {
    use super::super::schedule::{Channel, transcript, transcript_of_hellos};
    let hellos: [&[u8]; 2] = [b"m1", b"m2"];
    for mode in [Mode::Secret, Mode::Pinned] {
        assert_eq!(
            transcript_of_hellos(&hellos, mode),
            transcript(&hellos),
            "modes 1 and 2 are as they were"
        );
    }
    let bound = transcript_of_hellos(&hellos, Mode::Certificate);
    assert_eq!(bound, transcript(&[b"m1m2", &[0]]));
    for mode in [Mode::Secret, Mode::Pinned, Mode::Certificate] {
        let over_tls = Channel { mode, exporter: Some([7; 32]) };
        assert_eq!(transcript_of_hellos(&hellos, over_tls), transcript(&[b"m1m2", &[32], &[7; 32]]));
    }
}

#[test]
fn the_largest_hellos_fit_a_message() {
    let root = Authority::root("root");
    let (mut client, server) = pair(&root);
    client.id = "c".repeat(128).parse().unwrap();
    let certificate = client.certificate.as_mut().unwrap();
    // The bounds of kind 2: a chain of 10 KiB, a key and a signature of 4096 bits.
    certificate.identity = vec![0; 2 + 10_240 + 2 + 550 + 16 + 2 + 512];
    let (first, _) = session(&pair(&root).0, &server, None, NOW);
    let mut ticket = first.ticket.unwrap();
    // A name of 2048 bytes and a signature of 4096 bits in it.
    ticket.sealed = vec![0; 28 + 129 + 32 + 2 + 544 + 32 + 8 + 2 + 2048];
    let server_id = "s".repeat(128).parse().unwrap();
    let (m1, _) =
        Initiator::start(Arc::new(client), server_id, Expectation::Unknown, Some(ticket), NOW).unwrap();
    assert!(m1.len() <= MAX_HANDSHAKE_MESSAGE, "{} bytes", m1.len());
}

#[test]
fn no_flipped_bit_makes_a_session_with_certificates() {
    let root = Authority::root("root");
    let (client, server) = pair(&root);
    for index in 1..=4 {
        let length = std::cell::Cell::new(0);
        let measure = |at: usize, message: Vec<u8>| {
            if at == index {
                length.set(message.len());
            }
            message
        };
        let mut wire = Wire::new(client.clone(), server.clone());
        wire.tamper = &measure;
        let _ = wire.run();
        // Every byte, and each of its bits in some byte.
        for byte in 0..length.get() {
            let flip = |at: usize, mut message: Vec<u8>| {
                if at == index {
                    message[byte] ^= 1 << (byte % 8);
                }
                message
            };
            let mut wire = Wire::new(client.clone(), server.clone());
            wire.tamper = &flip;
            let (client, server) = wire.run();
            assert!(client.is_err(), "M{index} byte {byte}: the client accepted");
            assert!(
                index == 4 || !matches!(server, Some(Ok(_))),
                "M{index} byte {byte}: the server accepted"
            );
        }
    }
}
