//! The recognition of a peer by the identity in its hello.

use super::{
    Local,
    error::HandshakeError,
    messages::{Shares, Shown},
    trust::{Expectation, Mode, Recognised, Trust},
};
use crate::{clock::Timestamp, crypto::rsa::PublicKey, id::ServiceId};

/// The key of `peer`, and the kind of proof behind it. With certificates only
/// the certificate counts, and `expect` is not called. Public operations only.
pub(super) fn recognise(
    local: &Local,
    peer: &ServiceId,
    shares: &Shares,
    expect: impl FnOnce() -> Expectation,
    mode: Mode,
    now: Timestamp,
) -> Result<(PublicKey, Recognised), HandshakeError> {
    match (&shares.identity, &local.certificate, mode) {
        (Shown::Key(der), None, Mode::Secret | Mode::Pinned) => {
            let key = PublicKey::from_spki_der(der).map_err(|_| HandshakeError::BadPeerKey)?;
            let recognised = expect().check(peer, &key, shares.succession.as_deref(), mode)?;
            Ok((key, recognised))
        }
        (Shown::Certificate(_), Some(_), Mode::Certificate) if shares.succession.is_some() => {
            Err(HandshakeError::Format)
        }
        (Shown::Certificate(identity), Some(own), Mode::Certificate) => {
            let certified = own.verifier.verify(identity, peer, now)?;
            let key = certified.mesh_key.clone();
            Ok((key, Recognised { trust: Trust::Certificate, former: None, certified: Some(certified) }))
        }
        _ => Err(HandshakeError::Mode),
    }
}
