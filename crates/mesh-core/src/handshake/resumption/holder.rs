//! The holder key, with which a client resumes its sessions. A process makes
//! one for each service that it calls, and its RSA key signs it.
//!
//! The signature protects tickets against forgery. The key that seals tickets
//! derives from the server's RSA key, so a thief of that key can write any
//! ticket, but it cannot make the client's signature.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::super::error::HandshakeError;
use crate::{
    crypto::{
        CryptoError,
        kem::{ReusableX25519Secret, X25519Secret},
        rsa::{KeyPair, MAX_BITS, MIN_BITS, PublicKey, SignatureDomain},
        secret::Secret,
    },
    id::ServiceId,
    wire::{Malformed, Reader, Write},
};

const SHARE_LEN: usize = 32;
/// The lengths of signatures, from those of the smallest key to those of the largest.
const SIGNATURE_LEN: std::ops::RangeInclusive<usize> = MIN_BITS as usize / 8..=MAX_BITS as usize / 8;

/// A holder key of this process.
#[derive(Debug)]
pub(in super::super) struct Holder {
    secret: ReusableX25519Secret,
    signed: SignedHolder,
}

impl Holder {
    /// Makes a key for resuming sessions with `server`. Does an RSA private operation.
    pub(super) fn new(server: &ServiceId, key: &KeyPair) -> Result<Self, HandshakeError> {
        let secret = X25519Secret::generate()?.into_reusable();
        let share = secret.public_share();
        let signature = key.pss_sign(SignatureDomain::Resumption, &statement(server, &share)?)?;
        Ok(Self { secret, signed: SignedHolder { share, signature } })
    }

    /// The part of the holder key that the server keeps in its ticket.
    pub(in super::super) fn signed(&self) -> &SignedHolder {
        &self.signed
    }

    /// The secret agreed with the server's ephemeral share.
    pub(in super::super) fn agree(&self, peer: &[u8]) -> Result<Secret<32>, CryptoError> {
        self.secret.agree(peer)
    }
}

/// The public half of a holder key, and the signature of its owner's RSA key.
/// Not yet verified when it comes from a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct SignedHolder {
    pub(super) share: [u8; SHARE_LEN],
    pub(super) signature: Vec<u8>,
}

impl SignedHolder {
    pub(in super::super) fn encode(&self) -> Vec<u8> {
        [&self.share[..], &self.signature].concat()
    }

    pub(in super::super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let share = reader.array()?;
        let signature = reader.rest().to_vec();
        if SIGNATURE_LEN.contains(&signature.len()) { Ok(Self { share, signature }) } else { Err(Malformed) }
    }

    pub(in super::super) fn share(&self) -> &[u8; SHARE_LEN] {
        &self.share
    }

    /// Whether `key` has signed this holder key for sessions with `server`. A
    /// false positive is an attack; a false negative costs a full handshake.
    pub(in super::super) fn verify(&self, server: &ServiceId, key: &PublicKey) -> bool {
        statement(server, &self.share)
            .is_ok_and(|text| key.pss_verify(SignatureDomain::Resumption, &text, &self.signature))
    }
}

fn statement(server: &ServiceId, share: &[u8; SHARE_LEN]) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::with_capacity(128);
    out.put_vec8(server.as_str().as_bytes())?;
    out.put(share);
    Ok(out)
}

/// The holder keys of one RSA key, by the called service. Their number is that
/// of the services that this process calls; no peer can add one.
#[derive(Default)]
pub struct Holders(Mutex<HashMap<ServiceId, Arc<Holder>>>);

impl Holders {
    /// The holder key for sessions with `server`. The first use makes the key,
    /// with an RSA private operation of `key`.
    pub(in super::super) fn of(
        &self,
        server: &ServiceId,
        key: &KeyPair,
    ) -> Result<Arc<Holder>, HandshakeError> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(holder) = lock().get(server) {
            return Ok(Arc::clone(holder));
        }
        // The slow operation runs outside of the lock, so that handshakes with other services do
        // not wait for it.
        let made = Arc::new(Holder::new(server, key)?);
        Ok(Arc::clone(lock().entry(server.clone()).or_insert(made)))
    }
}

impl fmt::Debug for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Holders(..)")
    }
}
