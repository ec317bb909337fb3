use std::sync::Arc;

use super::{
    super::{
        Established, Expectation, Initiator, Local, Responder, Suite, Trust,
        initiator::Proof,
        tests::{NOW, Wire, agree, client, key, local, pinned, server},
    },
    *,
};
use crate::{
    crypto::rsa::SignatureDomain,
    error::{Coded, Reason},
};

/// Two services, and the ticket of their first session.
fn acquainted() -> (Local, Local, Ticket) {
    let (client, server) = (client(), server());
    let ticket = agree(Wire::new(client.clone(), server.clone())).0.ticket.unwrap();
    (client, server, ticket)
}

fn with(client: Local, server: Local, ticket: Ticket) -> Wire<'static> {
    let mut wire = Wire::new(client, server);
    wire.ticket = Some(ticket);
    wire
}

/// A copy of a ticket, with another holder key. A real client never copies a ticket.
fn copy(ticket: &Ticket, holder: Arc<Holder>) -> Ticket {
    Ticket { sealed: ticket.sealed.clone(), psk: ticket.psk.clone(), holder, server_key: ticket.server_key }
}

/// A holder key that `key` has signed for sessions with the server.
fn holder(key: &KeyPair) -> Arc<Holder> {
    Arc::new(Holder::new(&"server".parse().unwrap(), key).unwrap())
}

fn stranger() -> Arc<Holder> {
    holder(&key(2))
}

#[test]
fn a_ticket_saves_both_private_operations() {
    let (own, peer) = (KeyPair::generate(2048).unwrap(), KeyPair::generate(2048).unwrap());
    let secret: &[&[u8]] = &[&[1; 32]];
    let (client, server) = (local("client", own.clone(), secret), local("server", peer.clone(), secret));
    let (first, _) = agree(Wire::new(client.clone(), server.clone()));
    assert_eq!((first.resumed, own.private_ops(), peer.private_ops()), (false, 2, 1));

    let mut ticket = first.ticket;
    let mut sessions = vec![first.session];
    for _ in 0..3 {
        let (resumed, accepted) = agree(with(client.clone(), server.clone(), ticket.unwrap()));
        assert!(resumed.resumed && accepted.resumed);
        assert_eq!((resumed.trust, resumed.suite), (Trust::Secret, Suite::Hybrid));
        assert_eq!(accepted.peer_key.thumbprint(), own.public_key().thumbprint());
        assert!(!sessions.contains(&resumed.session));
        sessions.push(resumed.session);
        ticket = resumed.ticket;
    }
    assert_eq!((own.private_ops(), peer.private_ops()), (2, 1));
    // A later full handshake with the same service signs no holder key again.
    agree(Wire::new(client, server));
    assert_eq!((own.private_ops(), peer.private_ops()), (3, 2));
}

#[test]
fn keys_of_a_resumed_session_are_new() {
    let (client, server, ticket) = acquainted();
    let (a, _) = agree(with(client.clone(), server.clone(), ticket));
    let (b, _) = agree(with(client, server, a.ticket.unwrap()));
    assert_ne!(a.seal.as_bytes(), b.seal.as_bytes());
    assert_ne!(a.open.as_bytes(), b.open.as_bytes());
}

#[test]
fn pins_hold_in_a_resumption() {
    let (client, server) = (pinned(client()), pinned(server()));
    let first = agree(Wire::new(client.clone(), server.clone()).pins()).0;
    let (resumed, _) = agree(with(client.clone(), server.clone(), first.ticket.unwrap()).pins());
    assert_eq!((resumed.resumed, resumed.trust), (true, Trust::Pinned));

    // The server's pin was removed in the meantime.
    let wire = with(client, server, resumed.ticket.unwrap());
    assert_eq!(wire.run().1.unwrap().unwrap_err().reason(), Reason::UnknownPeer);
}

/// Asserts that a full handshake replaces the refused resumption.
fn falls_back(wire: Wire<'_>) -> (Established, Established) {
    let (client, server) = agree(wire);
    assert!(!client.resumed && !server.resumed);
    assert!(client.ticket.is_some());
    (client, server)
}

#[test]
fn a_ticket_serves_once() {
    let (client, server, ticket) = acquainted();
    let again = copy(&ticket, stranger());
    agree(with(client.clone(), server.clone(), ticket));
    falls_back(with(client, server, again));
}

#[test]
fn a_ticket_serves_only_the_client_it_was_given_to() {
    let (client, server, ticket) = acquainted();
    let secret: &[&[u8]] = &[&[1; 32]];
    let other = local("other", key(2), secret);
    falls_back(with(other, server.clone(), copy(&ticket, stranger())));
    let same_id_other_key = local("client", key(2), secret);
    falls_back(with(same_id_other_key, server.clone(), copy(&ticket, stranger())));
    assert!(agree(with(client, server, ticket)).0.resumed, "the attempts have not spent the ticket");
}

#[test]
fn tickets_end_with_the_key_the_secret_or_their_time() {
    let (client, server, ticket) = acquainted();
    let mut rekeyed = server.clone();
    rekeyed.key = key(2);
    rekeyed.tickets = Arc::new(Tickets::new(&rekeyed.id, &rekeyed.key, &rekeyed.secrets).unwrap());
    falls_back(with(client.clone(), rekeyed, copy(&ticket, stranger())));

    let mut rotated = server.clone();
    rotated.secrets.insert(0, MeshSecret::new(&[2; 32]));
    rotated.tickets = Arc::new(Tickets::new(&rotated.id, &rotated.key, &rotated.secrets).unwrap());
    falls_back(with(client, rotated, copy(&ticket, stranger())));

    let (id, key) = ("client".parse::<ServiceId>().unwrap(), key(0).public_key().clone());
    let late = NOW + TICKET_LIFETIME;
    assert!(server.tickets.take(&ticket.sealed, &id, &key, late).is_none());
    let just = Timestamp::from_millis(late.as_millis() - 1);
    assert!(server.tickets.take(&ticket.sealed, &id, &key, just).is_some());
}

#[test]
fn resuming_again_and_again_does_not_lengthen_the_descent() {
    let (_, server, ticket) = acquainted();
    let (id, key) = ("client".parse::<ServiceId>().unwrap(), key(0).public_key().clone());
    let note = server.tickets.take(&ticket.sealed, &id, &key, NOW).unwrap();
    assert_eq!(note.expires, NOW + TICKET_LIFETIME);

    let (client, server, ticket) = acquainted();
    let name = "server".parse().unwrap();
    let later = NOW + Duration::from_hours(5);
    let (m1, _) =
        Initiator::start(Arc::new(client), name, Expectation::Unknown, Some(ticket), later).unwrap();
    let (_, proof) = Responder::on_hello(Arc::new(server), &m1, |_| Expectation::Unknown, later).unwrap();
    assert_eq!(proof.expires, NOW + TICKET_LIFETIME);
}

#[test]
fn a_restarted_server_knows_its_tickets() {
    let (client, server, ticket) = acquainted();
    let mut restarted = server;
    restarted.tickets = Arc::new(Tickets::new(&restarted.id, &restarted.key, &restarted.secrets).unwrap());
    assert!(agree(with(client, restarted, ticket)).0.resumed);
}

#[test]
fn no_flipped_bit_of_a_ticket_resumes() {
    let (_, server, ticket) = acquainted();
    let (id, key) = ("client".parse::<ServiceId>().unwrap(), key(0).public_key().clone());
    for bit in 0..ticket.sealed.len() * 8 {
        let mut flipped = ticket.sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(server.tickets.take(&flipped, &id, &key, NOW).is_none(), "bit {bit}");
    }
    for length in 0..ticket.sealed.len() {
        assert!(server.tickets.take(&ticket.sealed[..length], &id, &key, NOW).is_none(), "{length} bytes");
    }
    assert!(server.tickets.take(&ticket.sealed, &id, &key, NOW).is_some());
}

#[test]
fn hostile_tickets_fall_back() {
    for sealed in [Vec::new(), vec![0; 28], vec![7; 300], vec![0xff; 8000]] {
        let (client, server, mut ticket) = acquainted();
        ticket.sealed = sealed;
        falls_back(with(client, server, ticket));
    }
}

#[test]
fn a_holder_key_of_small_order_resumes_nothing() {
    // With such a share the secret of the holder's proof would be known to everybody.
    let (client, server, mut ticket) = acquainted();
    let mut note = server.tickets.take(&ticket.sealed, &client.id, client.key.public_key(), NOW).unwrap();
    for order in [0, 1] {
        note.holder.share = [0; 32];
        note.holder.share[0] = order;
        note.holder.signature = sign(&client.key, "server", &note.holder.share);
        ticket.sealed = server.tickets.give(&note).unwrap();
        let wire = with(client.clone(), server.clone(), copy(&ticket, stranger()));
        assert_eq!(wire.run().1.unwrap().unwrap_err().reason(), Reason::BadShare);
    }
}

#[test]
fn a_holder_key_of_small_order_gets_no_ticket() {
    for (share, gets_one) in [(0, false), (1, false), (9, true)] {
        let (client, server) = (Arc::new(client()), Arc::new(server()));
        let (name, key) = (server.id.clone(), client.key.clone());
        let (m1, state) = Initiator::start(client, name, Expectation::Unknown, None, NOW).unwrap();
        let (m2, proof) = Responder::on_hello(server, &m1, |_| Expectation::Unknown, NOW).unwrap();
        let (m3, finish) = state.on_hello(&m2, NOW).unwrap().prove(NOW).unwrap();
        let mut proved = proof.on_finish(&m3, NOW).unwrap();
        let mut bytes = [0; 32];
        bytes[0] = share;
        let signature = sign(&key, "server", &bytes);
        proved.holder = Some(SignedHolder { share: bytes, signature });
        let (m4, _) = proved.accept(NOW).unwrap();
        assert_eq!(finish.on_finish(&m4, NOW).unwrap().ticket.is_some(), gets_one, "{share}");
    }
}

#[test]
fn two_tickets_in_one_hello_are_malformed() {
    let (client, server, ticket) = acquainted();
    let (name, local) = (server.id.clone(), Arc::new(client));
    let (m1, _) = Initiator::start(local, name, Expectation::Unknown, None, NOW).unwrap();
    let once = [&[0, 1][..], &(ticket.sealed.len() as u16).to_be_bytes(), &ticket.sealed].concat();
    for (extensions, refused) in [(once.clone(), None), (once.repeat(2), Some(Reason::HandshakeFormat))] {
        // The extensions are the last field before the MAC; here there were none.
        let mut hello = m1[..m1.len() - 32 - 2].to_vec();
        hello.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
        hello.extend_from_slice(&extensions);
        let body = (hello.len() - 6 + 32) as u32;
        hello[2..6].copy_from_slice(&body.to_be_bytes());
        let mac = MeshSecret::new(&[1; 32]).hello_key("client hello").sign(&[&hello]);
        hello.extend_from_slice(&mac);
        let answer = Responder::on_hello(Arc::new(server.clone()), &hello, |_| Expectation::Unknown, NOW);
        assert_eq!(answer.err().map(|error| error.reason()), refused);
    }
}

/// The signature of `key` for a holder key and the service `server`.
fn sign(key: &KeyPair, server: &str, share: &[u8; 32]) -> Vec<u8> {
    let text = [&[server.len() as u8], server.as_bytes(), share].concat();
    key.pss_sign(SignatureDomain::Resumption, &text).unwrap()
}

#[test]
fn the_thief_of_a_servers_key_cannot_make_tickets() {
    // The thief derives the key that seals tickets, and so can write any note.
    // Both the named client and the server are pinned.
    let (client, server) = (pinned(client()), pinned(server()));
    let seen = agree(Wire::new(client.clone(), server.clone()).pins()).0.ticket.unwrap();
    let own = stranger();
    let other = sign(&client.key, "other", own.signed().share());
    let data = [&[6][..], b"server", own.signed().share()].concat();
    let data = client.key.pss_sign(SignatureDomain::Data, &data).unwrap();
    let forgeries: [(&str, Vec<u8>); 6] = [
        ("signed by the thief's own key", own.signed().signature.clone()),
        ("signed by the stolen key", sign(&server.key, "server", own.signed().share())),
        ("signed by the client for another holder key", seen.holder.signed().signature.clone()),
        ("signed by the client for another service", other),
        ("signed by the client as data of its application", data),
        ("not signed", vec![0; 256]),
    ];
    for (forgery, signature) in forgeries {
        let thief = Tickets::new(&server.id, &server.key, &server.secrets).unwrap();
        let (psk, share) = (Secret::random().unwrap(), *own.signed().share());
        let note = Note {
            name: None,
            client: client.id.clone(),
            client_key: client.key.public_key().thumbprint(),
            holder: SignedHolder { share, signature },
            psk: psk.clone(),
            expires: NOW + TICKET_LIFETIME,
        };
        let sealed = thief.give(&note).unwrap();
        let server_key = server.key.public_key().thumbprint();
        let ticket = Ticket { sealed, psk, holder: Arc::clone(&own), server_key };
        // The server requires a full handshake, for which the thief lacks the client's key.
        let (client, _) = agree(with(client.clone(), server.clone(), ticket).pins());
        assert!(!client.resumed, "{forgery}");
    }
}

#[test]
fn a_holder_key_is_signed_once_for_each_service_and_anew_for_a_new_key() {
    let (client, server, other) = (client(), "server".parse().unwrap(), "other".parse().unwrap());
    let before = client.key.private_ops();
    let share = |local: &Local, server| *local.holders.of(server, &local.key).unwrap().signed().share();
    let first = share(&client, &server);
    assert_eq!(share(&client, &server), first);
    assert_eq!(client.key.private_ops() - before, 1);
    assert_ne!(share(&client, &other), first);
    let rotated = client.with_key(key(2)).unwrap();
    assert_ne!(share(&rotated, &server), first);
    assert!(rotated.holders.of(&server, &key(2)).unwrap().signed().verify(&server, key(2).public_key()));
}

#[test]
fn a_signed_holder_key_has_the_length_of_one() {
    let signed = stranger().signed().clone();
    assert_eq!(SignedHolder::decode(&signed.encode()), Ok(signed.clone()));
    for length in [0, 31, 32, 32 + 255, 32 + 513, 10_000] {
        let mut bytes = signed.encode();
        bytes.resize(length, 7);
        assert_eq!(SignedHolder::decode(&bytes), Err(Malformed), "{length} bytes");
    }
}

#[test]
fn the_thief_of_a_servers_key_cannot_use_the_tickets_it_sees() {
    // The thief can read the note. It lacks only the holder key, which never left the client.
    let (client, server, ticket) = acquainted();
    let thief = Tickets::new(&server.id, &server.key, &server.secrets).unwrap();
    let note = thief.take(&ticket.sealed, &client.id, client.key.public_key(), NOW).unwrap();
    assert_eq!(note.psk.as_bytes(), ticket.psk.as_bytes());

    let (_, server) = with(client, server, copy(&ticket, stranger())).run();
    assert_eq!(server.unwrap().unwrap_err().reason(), Reason::Finished);
}

#[test]
fn who_holds_the_ticket_without_its_secret_is_found_out() {
    let (client, server, mut ticket) = acquainted();
    ticket.psk = Secret::new([9; 32]);
    let (_, server) = with(client, server, ticket).run();
    assert_eq!(server.unwrap().unwrap_err().reason(), Reason::Finished);
}

#[test]
fn a_server_that_cannot_read_the_ticket_cannot_claim_it() {
    // The server claims to have accepted the ticket, with a secret of its own.
    let (client, server, ticket) = acquainted();
    let mut impostor = server;
    impostor.tickets = Arc::new(Tickets::new(&impostor.id, &key(2), &[]).unwrap());
    let id = client.id.clone();
    let name = impostor.id.clone();
    let (m1, state) = Initiator::start(
        Arc::new(client),
        name,
        Expectation::Unknown,
        Some(Ticket {
            sealed: impostor
                .tickets
                .give(&Note {
                    name: None,
                    client: id,
                    client_key: key(0).public_key().thumbprint(),
                    holder: ticket.holder.signed().clone(),
                    psk: Secret::new([9; 32]),
                    expires: NOW + TICKET_LIFETIME,
                })
                .unwrap(),
            ..ticket
        }),
        NOW,
    )
    .unwrap();
    let (m2, proof) = Responder::on_hello(Arc::new(impostor), &m1, |_| Expectation::Unknown, NOW).unwrap();
    let (m3, _) = state.on_hello(&m2, NOW).unwrap().prove(NOW).unwrap();
    assert_eq!(proof.on_finish(&m3, NOW).unwrap_err().reason(), Reason::Finished);
}

#[test]
fn a_resumption_nobody_asked_for_is_refused() {
    let (client, server, ticket) = acquainted();
    let name: ServiceId = "server".parse().unwrap();
    let client = Arc::new(client);
    let start = |ticket| {
        Initiator::start(Arc::clone(&client), name.clone(), Expectation::Unknown, ticket, NOW).unwrap()
    };
    let (asked, _) = start(Some(ticket));
    let (_, state) = start(None);
    let (m2, _) = Responder::on_hello(Arc::new(server), &asked, |_| Expectation::Unknown, NOW).unwrap();
    // The MAC of M2 is bound to the other hello, and is the first check that fails.
    assert_eq!(state.on_hello(&m2, NOW).unwrap_err().reason(), Reason::HelloMac);
}

#[test]
fn another_server_key_than_the_tickets_is_refused() {
    let (client, server, mut ticket) = acquainted();
    ticket.server_key = key(2).public_key().thumbprint();
    assert_eq!(with(client, server, ticket).run().0.unwrap_err().reason(), Reason::Finished);
}

#[test]
fn no_flipped_bit_makes_a_resumed_session() {
    for index in 1..=4 {
        let mut bit = 0;
        loop {
            let (client, server, ticket) = acquainted_quickly();
            let length = std::cell::Cell::new(0);
            let flip = |at: usize, mut message: Vec<u8>| {
                if at == index {
                    length.set(message.len());
                    message[bit / 8] ^= 1 << (bit % 8);
                }
                message
            };
            let mut wire = Wire::new(client, server);
            wire.ticket = Some(ticket);
            wire.tamper = &flip;
            let (client, server) = wire.run();
            assert!(client.is_err(), "M{index} bit {bit}: the client accepted");
            assert!(index == 4 || !matches!(server, Some(Ok(_))), "M{index} bit {bit}: the server accepted");
            bit += 1;
            if bit == length.get() * 8 {
                break;
            }
        }
    }
}

/// As [`acquainted`], with the first session made up.
fn acquainted_quickly() -> (Local, Local, Ticket) {
    let (client, server) = (client(), server());
    let holder = holder(&client.key);
    let psk = Secret::random().unwrap();
    let note = Note {
        name: None,
        client: client.id.clone(),
        client_key: client.key.public_key().thumbprint(),
        holder: holder.signed().clone(),
        psk: psk.clone(),
        expires: NOW + TICKET_LIFETIME,
    };
    let ticket = Ticket {
        sealed: server.tickets.give(&note).unwrap(),
        psk,
        holder,
        server_key: server.key.public_key().thumbprint(),
    };
    (client, server, ticket)
}

#[test]
fn the_memory_of_used_tickets_is_bounded_and_fails_closed() {
    let (client, server, _) = acquainted_quickly();
    let key = client.key.public_key();
    let signed = holder(&client.key).signed().clone();
    let note = || Note {
        name: None,
        client: client.id.clone(),
        client_key: key.thumbprint(),
        holder: signed.clone(),
        psk: Secret::new([1; 32]),
        expires: NOW + TICKET_LIFETIME,
    };
    let first = server.tickets.give(&note()).unwrap();
    assert!(server.tickets.take(&first, &client.id, key, NOW).is_some());
    for _ in 1..MAX_USED {
        let ticket = server.tickets.give(&note()).unwrap();
        assert!(server.tickets.take(&ticket, &client.id, key, NOW).is_some());
    }
    let over = server.tickets.give(&note()).unwrap();
    assert!(server.tickets.take(&over, &client.id, key, NOW).is_none());
    assert_eq!(server.tickets.lock().used.len(), 0);
    assert!(server.tickets.take(&first, &client.id, key, NOW).is_none(), "forgotten, and void");
    let fresh = server.tickets.give(&note()).unwrap();
    assert!(server.tickets.take(&fresh, &client.id, key, NOW).is_some());
}

#[test]
fn tickets_do_not_show_their_secrets() {
    let (_, server, ticket) = acquainted();
    assert_eq!(format!("{ticket:?} {:?}", server.tickets), "Ticket(..) Tickets(..)");
    let psk = hex::encode(ticket.psk.as_bytes());
    assert!(!hex::encode(&ticket.sealed).contains(&psk));
}

#[test]
fn a_resumption_proves_with_the_tickets_secrets_alone() {
    let (client, server, ticket) = acquainted();
    let name = "server".parse().unwrap();
    let (m1, state) =
        Initiator::start(Arc::new(client), name, Expectation::Unknown, Some(ticket), NOW).unwrap();
    let (m2, _) = Responder::on_hello(Arc::new(server), &m1, |_| Expectation::Unknown, NOW).unwrap();
    let unproved = state.on_hello(&m2, NOW).unwrap();
    assert!(unproved.is_resumed() && matches!(unproved.proof, Proof::Ticket { .. }));
}
