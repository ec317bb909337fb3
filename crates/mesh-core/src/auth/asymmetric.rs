//! Tokens signed with a service's RSA key, for receivers that have the sender's
//! public key and no shared secret.
//!
//! All other signatures with a service's key cover the name of their purpose
//! before the message ([`SignatureDomain`]). No JWT begins with such a name, so
//! none of these signatures is valid for a token.
//!
//! [`SignatureDomain`]: crate::crypto::rsa::SignatureDomain

use std::{fmt, time::Duration};

use jsonwebtoken::{DecodingKey, EncodingKey};

use super::{
    AuthError, Claims, Expected, TokenType,
    issue::Subject,
    jws::{self, Alg, Parts},
    secrets::check_lifetime,
};
use crate::{
    clock::Timestamp,
    crypto::rsa::{KeyPair, PublicKey},
    duration,
    id::ServiceId,
};

/// Issues tokens signed with the RSA key of one service.
///
/// Each signature costs an RSA private operation (about a millisecond), so this
/// issuer is not for one token per request.
pub struct RsaTokenIssuer {
    key: EncodingKey,
    iss: ServiceId,
}

impl RsaTokenIssuer {
    /// Creates an issuer for the service `iss` with its key pair.
    pub fn new(key: &KeyPair, iss: &ServiceId) -> Result<Self, AuthError> {
        let unusable = AuthError::Crypto("use the private key for tokens");
        let pem = key.to_pkcs8_pem().map_err(|_| unusable.clone())?;
        let key = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(|_| unusable)?;
        Ok(Self { key, iss: iss.clone() })
    }

    /// Issues a token for the service `aud`; `lifetime` is one second to
    /// [`duration::MAX`].
    pub fn issue(&self, aud: &ServiceId, lifetime: Duration, now: Timestamp) -> Result<String, AuthError> {
        let subject = Subject { iss: self.iss.to_string(), aud: aud.to_string(), sid: None, jkt: None };
        let claims = subject.claims(check_lifetime(lifetime)?, now)?;
        jws::sign(Alg::Ps256, TokenType::Service, None, &claims, &self.key)
    }
}

impl fmt::Debug for RsaTokenIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaTokenIssuer").field("iss", &self.iss).finish_non_exhaustive()
    }
}

/// Verifies the tokens of one service with its public key.
#[derive(Debug)]
pub struct RsaTokenVerifier {
    key: DecodingKey,
    expected: Expected,
}

impl RsaTokenVerifier {
    /// Creates a verifier of tokens that `iss`, the owner of `key`, issues for
    /// `aud`.
    pub fn new(key: &PublicKey, iss: &ServiceId, aud: &ServiceId) -> Result<Self, AuthError> {
        let key = DecodingKey::from_rsa_pem(key.to_pem().as_bytes())
            .map_err(|_| AuthError::Crypto("use the public key for tokens"))?;
        let expected = Expected {
            typ: TokenType::Service,
            issuer: Some(iss.to_string()),
            audience: aud.to_string(),
            session: None,
            jkt: None,
            max_lifetime: duration::MAX,
            grace: Duration::ZERO,
        };
        Ok(Self { key, expected })
    }

    /// Verifies form, header, signature and claims, in this order.
    pub fn verify(&self, token: &[u8], now: Timestamp) -> Result<Claims, AuthError> {
        let parts = Parts::parse(token)?;
        if parts.key_id()?.is_some() {
            return Err(AuthError::Header("kid"));
        }
        let claims = parts.verify(Alg::Ps256, self.expected.typ, &self.key)?;
        self.expected.check(&claims, now)?;
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use jsonwebtoken::Algorithm;
    use serde_json::{Value, json};

    use super::{
        super::testing::{HOUR, NOW, at, claims, encode, forge, id, with},
        *,
    };

    static PAIR: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(2048).unwrap());

    fn verifier(key: &KeyPair, iss: &str, aud: &str) -> RsaTokenVerifier {
        RsaTokenVerifier::new(key.public_key(), &id(iss), &id(aud)).unwrap()
    }

    #[test]
    fn a_token_needs_only_the_senders_public_key() {
        let token = RsaTokenIssuer::new(&PAIR, &id("a")).unwrap().issue(&id("b"), HOUR, at(NOW)).unwrap();
        let check = |iss, aud, now| verifier(&PAIR, iss, aud).verify(token.as_bytes(), at(now));
        assert_eq!(check("a", "b", NOW).unwrap().iss, "a");
        assert_eq!(check("a", "c", NOW), Err(AuthError::Aud));
        assert_eq!(check("c", "b", NOW), Err(AuthError::Iss));
        assert_eq!(check("a", "b", NOW + 3600), Err(AuthError::Expired(0)));
        let other = KeyPair::generate(2048).unwrap();
        assert_eq!(verifier(&other, "a", "b").verify(token.as_bytes(), at(NOW)), Err(AuthError::Sig));
    }

    #[test]
    fn a_public_key_is_never_taken_for_a_secret() {
        let claims = with(claims(), "aud", json!("billing")).to_string();
        for key in [PAIR.public_key().to_pem().as_bytes(), PAIR.public_key().spki_der()] {
            let forged = forge(r#"{"alg":"HS256","typ":"JWT"}"#, &claims, key);
            let outcome = verifier(&PAIR, "orders", "billing").verify(forged.as_bytes(), at(NOW));
            assert_eq!(outcome, Err(AuthError::Alg("PS256")));
        }
    }

    #[test]
    fn only_the_pinned_padding_counts() {
        let claims: Value = claims();
        let key = EncodingKey::from_rsa_pem(PAIR.to_pkcs8_pem().unwrap().as_bytes()).unwrap();
        let verify = |token: &str| verifier(&PAIR, "orders", "billing").verify(token.as_bytes(), at(NOW));
        let mut header = jsonwebtoken::Header::new(Algorithm::RS256);
        let pkcs1 = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        assert_eq!(verify(&pkcs1), Err(AuthError::Alg("PS256")));
        let [_, payload, signature]: [&str; 3] = pkcs1.split('.').collect::<Vec<_>>().try_into().unwrap();
        let relabelled = format!("{}.{payload}.{signature}", encode(r#"{"typ":"JWT","alg":"PS256"}"#));
        assert_eq!(verify(&relabelled), Err(AuthError::Sig));

        header.alg = Algorithm::PS256;
        assert!(verify(&jsonwebtoken::encode(&header, &claims, &key).unwrap()).is_ok());
        header.kid = Some("x".into());
        assert_eq!(
            verify(&jsonwebtoken::encode(&header, &claims, &key).unwrap()),
            Err(AuthError::Header("kid"))
        );
    }

    #[test]
    fn signing_data_makes_no_token() {
        use crate::crypto::rsa::SignatureDomain;
        let message =
            format!("{}.{}", encode(r#"{"typ":"JWT","alg":"PS256"}"#), encode(claims().to_string()));
        for domain in [SignatureDomain::Data, SignatureDomain::Envelope] {
            let signature = PAIR.pss_sign(domain, message.as_bytes()).unwrap();
            let token = format!("{message}.{}", encode(signature));
            let outcome = verifier(&PAIR, "orders", "billing").verify(token.as_bytes(), at(NOW));
            assert_eq!(outcome, Err(AuthError::Sig));
        }
    }
}
