//! The tokens of a session's requests. Both ends derive their keys from those of the session.

use std::time::Duration;

use crate::{
    auth::{CachedVerifier, TokenIssuer, TokenType, TokenVerifier},
    crypto::rsa::Thumbprint,
    handshake::MAX_TOKEN_LIFETIME,
    id::ServiceId,
    mesh::events::SessionInfo,
    record::{Opener, Sealer},
};

/// The parts of a session's tokens beside its keys.
#[derive(Clone)]
pub(super) struct Tokens {
    pub(super) own: ServiceId,
    pub(super) own_thumbprint: Thumbprint,
    pub(super) peer_thumbprint: Thumbprint,
    pub(super) lifetime: Duration,
}

impl Tokens {
    /// The issuer of the tokens of this epoch.
    pub(super) fn issuer(&self, sealer: &Sealer, session: &SessionInfo) -> TokenIssuer {
        TokenIssuer::new(
            sealer.token_key().as_bytes(),
            TokenType::Request,
            &self.own,
            &session.peer,
            &session.id,
            self.own_thumbprint,
            self.lifetime,
        )
    }

    /// The verifier of the peer's tokens of this epoch.
    pub(super) fn verifier(&self, opener: &Opener, session: &SessionInfo) -> CachedVerifier {
        CachedVerifier::new(TokenVerifier::new(
            opener.token_key().as_bytes(),
            TokenType::Request,
            &session.peer,
            &self.own,
            &session.id,
            self.peer_thumbprint,
            MAX_TOKEN_LIFETIME,
        ))
    }
}
