//! Thieves of one key in pinned mode: the data that they can read, and the
//! limit of it (key compromise impersonation).

use super::*;

fn pin(index: usize) -> Expectation {
    Expectation::Pinned(key(index).public_key().thumbprint())
}

fn begin() -> (Unproved, AwaitProof) {
    let name = "server".parse().unwrap();
    let (m1, state) = Initiator::start(Arc::new(pinned(client())), name, pin(1), None, NOW).unwrap();
    let (m2, proof) = Responder::on_hello(Arc::new(pinned(server())), &m1, |_| pin(0), NOW).unwrap();
    (state.on_hello(&m2, NOW).unwrap(), proof)
}

#[test]
fn who_stole_the_clients_key_is_no_server_to_it() {
    // The thief shows the server's public key, which is no secret. It decrypts
    // everything for the client's key, and nothing for the server's.
    let (unproved, proof) = begin();
    let (m3, finish) = unproved.prove(NOW).unwrap();
    let mut proved = proof.on_finish(&m3, NOW).unwrap();
    proved.wrapped.fill(7);
    let (m4, _) = proved.accept(NOW).unwrap();
    assert_eq!(finish.on_finish(&m4, NOW).unwrap_err().reason(), Reason::Finished);
}

#[test]
fn who_stole_the_servers_key_is_no_client_to_it() {
    let (mut unproved, proof) = begin();
    let initiator::Proof::Key { wrapped, .. } = &mut unproved.proof else { unreachable!() };
    wrapped.fill(7);
    let before = key(1).private_ops();
    let (m3, _) = unproved.prove(NOW).unwrap();
    assert_eq!(proof.on_finish(&m3, NOW).unwrap_err().reason(), Reason::Finished);
    assert_eq!(key(1).private_ops(), before);
}
