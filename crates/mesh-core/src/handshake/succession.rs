//! Succession: the previous key of a service signs the statement that names its
//! next key (`docs/protocol.md`, section 2).

use super::error::HandshakeError;
use crate::{
    crypto::rsa::{KeyPair, PublicKey, SignatureDomain, Thumbprint},
    id::ServiceId,
    wire::{Malformed, Reader, Write},
};

/// The statement in which a service's previous key names its next one.
#[derive(Clone, Debug)]
pub struct Succession(Vec<u8>);

impl Succession {
    /// Signs the statement that `successor` replaces the key `former` of the
    /// service `id`. Does an RSA private operation of the previous key.
    pub fn new(id: &ServiceId, former: &KeyPair, successor: &PublicKey) -> Result<Self, HandshakeError> {
        let text = statement(id, former.public_key().thumbprint(), successor.thumbprint())?;
        let mut out = Vec::with_capacity(1100);
        out.put_vec16(former.public_key().spki_der())?;
        out.put_vec16(&former.pss_sign(SignatureDomain::Succession, &text)?)?;
        Ok(Self(out))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Whether the `expected` key of `peer` has signed a succession to the `shown`
/// one. Public operations only.
pub(super) fn verify(sent: &[u8], peer: &ServiceId, expected: Thumbprint, shown: &PublicKey) -> bool {
    let mut reader = Reader::new(sent);
    let (Ok(former), Ok(signature), Ok(())) = (reader.vec16(), reader.vec16(), reader.end()) else {
        return false;
    };
    let Ok(former) = PublicKey::from_spki_der(former) else { return false };
    let Ok(text) = statement(peer, expected, shown.thumbprint()) else { return false };
    former.thumbprint() == expected && former.pss_verify(SignatureDomain::Succession, &text, signature)
}

fn statement(id: &ServiceId, former: Thumbprint, successor: Thumbprint) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::with_capacity(200);
    out.put_vec8(id.as_str().as_bytes())?;
    out.put(former.as_bytes());
    out.put(successor.as_bytes());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::key, *};

    #[test]
    fn only_the_former_key_names_its_successor_for_its_own_service() {
        let (id, other): (ServiceId, ServiceId) = ("server".parse().unwrap(), "other".parse().unwrap());
        let (former, next, third) = (key(0), key(1), key(2));
        let [was, is, strange] = [&former, &next, &third].map(|pair| pair.public_key().thumbprint());
        let sent = Succession::new(&id, &former, next.public_key()).unwrap();
        let holds =
            |sent: &[u8], id, expected, shown: &KeyPair| verify(sent, id, expected, shown.public_key());
        assert!(holds(sent.as_bytes(), &id, was, &next));
        assert!(!holds(sent.as_bytes(), &other, was, &next), "of another service");
        assert!(!holds(sent.as_bytes(), &id, strange, &next), "signed by a key that is not expected");
        assert!(!holds(sent.as_bytes(), &id, was, &third), "for another key");
        let backwards = Succession::new(&id, &next, former.public_key()).unwrap();
        assert!(
            holds(backwards.as_bytes(), &id, is, &former) && !holds(backwards.as_bytes(), &id, was, &next)
        );
        for at in (0..sent.as_bytes().len()).step_by(7) {
            let mut flipped = sent.as_bytes().to_vec();
            flipped[at] ^= 1;
            assert!(!holds(&flipped, &id, was, &next), "byte {at}");
        }
        for end in [0, 1, 2, 100, sent.as_bytes().len() - 1] {
            assert!(!holds(&sent.as_bytes()[..end], &id, was, &next), "{end} bytes");
        }
    }

    #[test]
    fn what_the_application_signs_is_no_statement() {
        let (id, former, next) = ("server".parse().unwrap(), key(0), key(1));
        let was = former.public_key().thumbprint();
        let text = statement(&id, was, next.public_key().thumbprint()).unwrap();
        let of = |signer: &KeyPair, domain| {
            let mut sent = Vec::new();
            sent.put_vec16(signer.public_key().spki_der()).unwrap();
            sent.put_vec16(&signer.pss_sign(domain, &text).unwrap()).unwrap();
            verify(&sent, &id, was, next.public_key())
        };
        assert!(of(&former, SignatureDomain::Succession));
        assert!(!of(&former, SignatureDomain::Data) && !of(&former, SignatureDomain::Envelope));
        assert!(!of(&key(2), SignatureDomain::Succession), "the right statement, signed by another key");
    }
}
