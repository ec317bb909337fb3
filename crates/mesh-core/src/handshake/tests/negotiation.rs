//! Choices of a handshake: versions, suites, keys and shares that are not acceptable.

use super::*;

#[test]
fn a_worse_choice_is_a_downgrade() {
    // Without a mesh secret anybody can make the MACs of the hellos. Only the
    // check of the choice, and then the transcript, protect the negotiation.
    for (offset, value) in [(7, 2), (9, 128)] {
        let m1 = std::cell::RefCell::new(Vec::new());
        let tamper = |index: usize, mut message: Vec<u8>| {
            if index == 1 {
                *m1.borrow_mut() = message.clone();
            }
            if index == 2 {
                message[offset..offset + 2].copy_from_slice(&u16::to_be_bytes(value));
                let end = message.len() - MAC_LEN;
                let m1_hash = crate::crypto::mac::sha256(&[&m1.borrow()]);
                let mac = MeshSecret::none().hello_key("server hello").sign(&[&m1_hash, &message[..end]]);
                message[end..].copy_from_slice(&mac);
            }
            message
        };
        let mut wire = Wire::new(pinned(client()), pinned(server())).pins();
        wire.tamper = &tamper;
        assert_eq!(wire.client_reason(), Reason::Downgrade);
    }
}

#[test]
fn unknown_versions_are_refused() {
    let mut old = Wire::new(client(), server());
    old.tamper = &|index, mut message| {
        if index == 1 {
            message[0] = 9;
        }
        message
    };
    assert_eq!(old.server_reason(), Reason::Version);
    let mut offered = Wire::new(client(), server());
    offered.tamper = &|index, mut message| {
        if index == 1 {
            message[7] = 9; // the one version offered
        }
        message
    };
    assert_eq!(offered.server_reason(), Reason::Version);
}

#[test]
fn unacceptable_keys_are_refused_at_no_cost() {
    for der in [&b""[..], &[0x30; 600], b"not a key"] {
        let shares = Shares {
            client: "client".parse().unwrap(),
            server: "server".parse().unwrap(),
            nonce: [0; 32],
            x25519: [9; 32],
            ml_kem: Vec::new(),
            identity: Shown::Key(der.to_vec()),
            secret_id: MeshSecret::new(&[1; 32]).id,
            resumption: None,
            succession: None,
        };
        assert_eq!(answer(shares, &[Suite::X25519]), Reason::BadPeerKey);
    }
}

#[test]
fn unacceptable_shares_are_refused() {
    let shares = |x25519, ml_kem| Shares {
        client: "client".parse().unwrap(),
        server: "server".parse().unwrap(),
        nonce: [0; 32],
        x25519,
        ml_kem,
        identity: Shown::Key(key(0).public_key().spki_der().to_vec()),
        secret_id: MeshSecret::new(&[1; 32]).id,
        resumption: None,
        succession: None,
    };
    let mut order_two = [0; 32];
    order_two[0] = 1;
    for point in [[0; 32], order_two] {
        assert_eq!(answer(shares(point, Vec::new()), &[Suite::X25519]), Reason::BadShare);
    }
    for ml_kem in [Vec::new(), vec![0; 1183], vec![0xff; 1184]] {
        assert_eq!(answer(shares([9; 32], ml_kem), &[Suite::Hybrid]), Reason::BadShare);
    }
}

/// The reason with which a server refuses a hello of a peer that knows the secret.
fn answer(shares: Shares, suites: &[Suite]) -> Reason {
    let hello =
        ClientHello { offer: Offer::new(suites, AesKeySize::Aes256), mode: Mode::Secret as u8, shares };
    let mut m1 = hello.encode().unwrap();
    let mac = MeshSecret::new(&[1; 32]).hello_key("client hello").sign(&[&m1]);
    m1.extend_from_slice(&mac);
    Responder::on_hello(Arc::new(server()), &m1, |_| Expectation::Unknown, NOW).unwrap_err().reason()
}
