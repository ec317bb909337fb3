//! The key of a certificate signing request (PKCS #10, RFC 2986). Its names and extensions do not count.

use rustls_pki_types::{CertificateSigningRequestDer, pem::PemObject};
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer};

use super::{
    algorithms::{Algorithm, PKCS1_SHA256, PSS_SHA256},
    anchors::is_pem,
    certificate::{KeyKind, key_bits},
};

/// The largest request in bytes. One with RSA of 4096 bits has less than 3 KiB in PEM.
pub(crate) const MAX_REQUEST: usize = 16 * 1024;

/// A key whose holder has signed the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestedKey {
    /// Its kind, which is one that leaves may have.
    pub(crate) kind: KeyKind,
    /// The key without its algorithm.
    pub(crate) bits: Vec<u8>,
}

/// A request without a key to certify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// It is no request, or too large.
    #[error("is not a certificate signing request (PKCS #10) in PEM or DER of at most 16 KiB")]
    Format,
    /// The key is of another kind.
    #[error("has a key that is not accepted; use ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits")]
    Key,
    /// The signature is not of that key.
    #[error("is not signed by its own key, so nothing shows that its sender has that key")]
    Possession,
}

impl RequestedKey {
    /// Reads a request in PEM or DER and verifies its signature.
    pub(crate) fn read(request: &[u8]) -> Result<Self, BadRequest> {
        if request.len() > MAX_REQUEST {
            return Err(BadRequest::Format);
        }
        let der = if is_pem(request) {
            CertificateSigningRequestDer::from_pem_slice(request).map_err(|_| BadRequest::Format)?
        } else {
            CertificateSigningRequestDer::from(request)
        };
        let (rest, parsed) = X509CertificationRequest::from_der(&der).map_err(|_| BadRequest::Format)?;
        // A signature has whole bytes.
        if !rest.is_empty() || parsed.signature_value.unused_bits != 0 {
            return Err(BadRequest::Format);
        }
        let info = &parsed.certification_request_info;
        let spki = info.subject_pki.raw;
        let kind = KeyKind::of(spki).ok_or(BadRequest::Key)?;
        let bits = key_bits(spki).ok_or(BadRequest::Key)?;
        // The key alone determines the algorithm; RSA has two that are in use.
        let algorithms: &[&Algorithm] = match kind {
            KeyKind::Rsa => &[&PKCS1_SHA256, &PSS_SHA256],
            other => &[other.algorithm()],
        };
        let signature = &*parsed.signature_value.data;
        let named = after(&der, info.raw).ok_or(BadRequest::Format)?;
        if algorithms.iter().any(|one| one.is_named_by(named) && one.verifies(&bits, info.raw, signature)) {
            Ok(Self { kind, bits })
        } else {
            Err(BadRequest::Possession)
        }
    }
}

/// The bytes of a request behind the part that is signed.
fn after<'a>(request: &'a [u8], signed: &[u8]) -> Option<&'a [u8]> {
    // The header of the outer SEQUENCE has two to four bytes here.
    (2..=4).find_map(|header| request.get(header..)?.strip_prefix(signed))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    use super::*;

    fn request(key: &KeyPair) -> Vec<u8> {
        CertificateParams::default().serialize_request(key).unwrap().der().to_vec()
    }

    #[test]
    fn every_kind_of_leaf_key_may_be_requested() {
        let kinds = [
            (&PKCS_ECDSA_P256_SHA256, KeyKind::P256),
            (&PKCS_ECDSA_P384_SHA384, KeyKind::P384),
            (&PKCS_ED25519, KeyKind::Ed25519),
        ];
        for (algorithm, kind) in kinds {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let requested = RequestedKey::read(&request(&key)).unwrap();
            assert_eq!((requested.kind, requested.bits.as_slice()), (kind, key.public_key_raw()));
        }
    }

    #[test]
    fn a_request_that_its_own_key_did_not_sign_is_refused() {
        let good = request(&KeyPair::generate().unwrap());
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(RequestedKey::read(&bad).is_err(), "byte {at}");
        }
        let mut forged = good.clone();
        let last = forged.len() - 1;
        forged[last] ^= 1;
        assert_eq!(RequestedKey::read(&forged), Err(BadRequest::Possession));
        assert_eq!(RequestedKey::read(&[&good[..], &[0]].concat()), Err(BadRequest::Format));
        assert_eq!(RequestedKey::read(&vec![0x30; MAX_REQUEST + 1]), Err(BadRequest::Format));
        assert_eq!(RequestedKey::read(b"-----BEGIN CERTIFICATE REQUEST-----\n"), Err(BadRequest::Format));
    }
}
