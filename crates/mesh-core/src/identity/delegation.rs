//! The identity of kind 2: a chain, and the mesh key that its leaf delegates to.

use std::time::Duration;

use rustls_pki_types::CertificateDer;

use super::error::IdentityError;
use crate::{
    clock::Timestamp,
    crypto::rsa::{PublicKey, Thumbprint},
    id::ServiceId,
    wire::{Malformed, Reader, Write},
};

/// Most certificates in a chain, the leaf included.
pub const MAX_CERTIFICATES: usize = 8;
/// Longest chain on the wire, in bytes, with the lengths of its certificates.
pub const MAX_CHAIN: usize = 10 * 1024;
/// Longest life of a delegation.
pub const MAX_DELEGATION: Duration = Duration::from_hours(24);
/// Longest signature, of a leaf with an RSA key of 4096 bits.
const MAX_SIGNATURE: usize = 512;

/// Spaces that keep the signed bytes apart from all that TLS signs with the same key.
const PAD: [u8; 64] = [0x20; 64];
const LABEL: &[u8] = b"secure-stack-mesh/delegation/v1\0";

/// An identity as it is on the wire, parsed and bounded; nothing of it is verified.
#[derive(Debug)]
pub struct Delegation<'a> {
    /// The certificates, the leaf first.
    pub(super) chain: Vec<CertificateDer<'a>>,
    pub(super) mesh_key: PublicKey,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) signature: &'a [u8],
}

impl<'a> Delegation<'a> {
    /// Parses an identity. Sizes are checked before anything is looked at.
    pub fn decode(identity: &'a [u8]) -> Result<Self, IdentityError> {
        let mut reader = Reader::new(identity);
        let chain = reader.vec16()?;
        let mesh_key = reader.vec16()?;
        let not_before = Timestamp::from_millis(reader.u64()?);
        let not_after = Timestamp::from_millis(reader.u64()?);
        let signature = reader.vec16()?;
        reader.end()?;
        if chain.len() > MAX_CHAIN || signature.len() > MAX_SIGNATURE {
            return Err(IdentityError::Format);
        }
        let mut certificates = Vec::new();
        let mut reader = Reader::new(chain);
        while reader.end().is_err() {
            if certificates.len() == MAX_CERTIFICATES {
                return Err(IdentityError::Format);
            }
            certificates.push(CertificateDer::from(reader.vec16()?));
        }
        if certificates.is_empty() {
            return Err(IdentityError::Format);
        }
        let mesh_key = PublicKey::from_spki_der(mesh_key).map_err(|_| IdentityError::MeshKey)?;
        Ok(Self { chain: certificates, mesh_key, not_before, not_after, signature })
    }
}

/// The bytes of an identity.
pub(super) fn encode(
    chain: &[CertificateDer<'_>],
    mesh_key: &PublicKey,
    (not_before, not_after): (Timestamp, Timestamp),
    signature: &[u8],
) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::with_capacity(4096);
    out.put_vec16(&encode_chain(chain)?)?;
    out.put_vec16(mesh_key.spki_der())?;
    out.put(&not_before.as_millis().to_be_bytes());
    out.put(&not_after.as_millis().to_be_bytes());
    out.put_vec16(signature)?;
    Ok(out)
}

/// A chain as it is on the wire; [`Malformed`] if a peer would refuse its size.
pub(super) fn encode_chain(chain: &[CertificateDer<'_>]) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::with_capacity(2048);
    for certificate in chain {
        out.put_vec16(certificate)?;
    }
    if chain.len() > MAX_CERTIFICATES || out.len() > MAX_CHAIN { Err(Malformed) } else { Ok(out) }
}

/// The bytes that the leaf's key signs. Each of them is there for an attack:
/// without the certificate's hash a delegation would outlive the revocation of
/// its certificate, without the id it would serve a sibling under the same key,
/// without the thumbprint any key, and without the times for ever.
pub(super) fn signed_bytes(
    leaf: &[u8; 32],
    service: &ServiceId,
    mesh_key: Thumbprint,
    (not_before, not_after): (Timestamp, Timestamp),
) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::with_capacity(320);
    out.put(&PAD);
    out.put(LABEL);
    out.put(leaf);
    out.put_vec8(service.as_str().as_bytes())?;
    out.put(mesh_key.as_bytes());
    out.put(&not_before.as_millis().to_be_bytes());
    out.put(&not_after.as_millis().to_be_bytes());
    Ok(out)
}
