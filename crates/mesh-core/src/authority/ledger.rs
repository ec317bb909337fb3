//! The contents of `authority.json`, and the choice of the records that count at a given time.

use serde::{Deserialize, Serialize};

use super::{error::AuthorityError, token::JoinToken};
use crate::{clock::Timestamp, crypto::secret::Secret, id::ServiceId};

/// The limits of what is kept. A joined service can make all of these records grow.
pub(super) const MAX_ISSUED: usize = 50_000;
pub(super) const MAX_ISSUED_TO_ONE: usize = 4_096;
pub(super) const MAX_TOKENS: usize = 4_096;
const KNOWN_AFTER_END_MS: u64 = 24 * 60 * 60 * 1000;
pub(super) const MAX_USES: u32 = 100_000;

/// Everything that the authority keeps, apart from private keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ledger {
    pub(super) version: u32,
    pub(super) trust_domain: String,
    /// The SPIFFE id of a service, with the placeholder `{service}`.
    pub(super) template: String,
    /// The lifetime of the certificates of services.
    pub(super) lifetime_ms: u64,
    /// Oldest first.
    pub(super) roots: Vec<Root>,
    /// Oldest first. The last one that has begun is in use.
    pub(super) issuers: Vec<Issuer>,
    pub(super) tokens: Vec<Token>,
    pub(super) issued: Vec<Issued>,
    pub(super) revoked: Vec<Revoked>,
    /// The services that were revoked and have got no token since.
    pub(super) barred: Vec<String>,
}

/// A trust anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Root {
    pub(super) id: String,
    /// DER, in base64.
    pub(super) certificate: String,
    /// The revocation list of its issuers, made while its key was available.
    pub(super) list: String,
    pub(super) expires: u64,
}

/// A certificate that signs those of services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Issuer {
    pub(super) id: String,
    /// The root that certified it.
    pub(super) root: String,
    pub(super) certificate: String,
    /// The time of its first use.
    pub(super) from: u64,
    pub(super) expires: u64,
}

/// A join token; its secret is not here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Token {
    pub(super) id: String,
    pub(super) hash: String,
    pub(super) service: String,
    pub(super) uses: u32,
    pub(super) expires: u64,
}

/// A certificate of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Issued {
    pub(super) issuer: String,
    pub(super) serial: String,
    pub(super) service: String,
    pub(super) expires: u64,
}

/// A revoked certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoked {
    pub(super) issuer: String,
    pub(super) serial: String,
    pub(super) service: String,
    pub(super) at: u64,
    pub(super) expires: u64,
}

impl Ledger {
    /// Removes the records that have no effect any more. A root stays as long as a certificate depends on it.
    pub(super) fn prune(&mut self, now: Timestamp) {
        let now = now.as_millis();
        // An expired token is kept for a day, so that its user learns the reason for the refusal.
        self.tokens.retain(|token| now < token.expires.saturating_add(KNOWN_AFTER_END_MS));
        self.issued.retain(|issued| now < issued.expires);
        self.revoked.retain(|revoked| now < revoked.expires);
        let present = self.present(now).map(|issuer| issuer.id.clone());
        let issued = &self.issued;
        self.issuers.retain(|issuer| {
            now < issuer.expires
                && (now < issuer.from
                    || present.as_ref() == Some(&issuer.id)
                    || issued.iter().any(|one| one.issuer == issuer.id))
        });
        let (issuers, last) = (&self.issuers, self.roots.last().map(|root| root.id.clone()));
        self.roots.retain(|root| {
            last.as_ref() == Some(&root.id) || issuers.iter().any(|issuer| issuer.root == root.id)
        });
    }

    fn present(&self, now: u64) -> Option<&Issuer> {
        self.issuers.iter().rev().find(|issuer| issuer.from <= now && now < issuer.expires)
    }

    /// The issuer in use.
    pub(super) fn issuer(&self, now: Timestamp) -> Result<&Issuer, AuthorityError> {
        self.present(now.as_millis()).ok_or(AuthorityError::NoIssuer)
    }

    /// Whether an issuer waits for the time of its first use.
    pub(super) fn is_rotating(&self, now: Timestamp) -> bool {
        self.issuers.iter().any(|issuer| issuer.from > now.as_millis())
    }

    /// Records a certificate before it is made, so that it can be revoked even if a later step fails.
    pub(super) fn record(
        &mut self,
        service: &ServiceId,
        serial: &[u8],
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<Issuer, AuthorityError> {
        let issuer = self.issuer(now)?.clone();
        let repair = "they make room when they end";
        if self.issued.len() >= MAX_ISSUED {
            return Err(AuthorityError::Full {
                what: "certificates that are valid",
                limit: MAX_ISSUED,
                repair,
            });
        }
        if self.issued.iter().filter(|one| one.service == service.as_str()).count() >= MAX_ISSUED_TO_ONE {
            let what = "certificates of one service that are valid";
            return Err(AuthorityError::Full { what, limit: MAX_ISSUED_TO_ONE, repair });
        }
        self.issued.push(Issued {
            issuer: issuer.id.clone(),
            serial: hex::encode(serial),
            service: service.as_str().to_owned(),
            expires: expires.as_millis(),
        });
        Ok(issuer)
    }

    /// Uses up one use of the token. The comparison of the secret takes the same time for every secret.
    pub(super) fn burn(
        &mut self,
        token: &JoinToken,
        service: &ServiceId,
        now: Timestamp,
    ) -> Result<(), AuthorityError> {
        let id = hex::encode(token.id);
        let kept = self.tokens.iter_mut().find(|kept| kept.id == id).ok_or(AuthorityError::TokenUnknown)?;
        let mut hash = [0; 32];
        let readable = hex::decode_to_slice(&kept.hash, &mut hash).is_ok();
        if !readable || Secret::new(hash) != token.hash() {
            return Err(AuthorityError::TokenUnknown);
        }
        if now.as_millis() >= kept.expires {
            return Err(AuthorityError::TokenExpired);
        }
        if kept.service != service.as_str() {
            return Err(AuthorityError::TokenService(service.clone()));
        }
        kept.uses = kept.uses.checked_sub(1).ok_or(AuthorityError::TokenUsed)?;
        Ok(())
    }

    /// Whether the service was revoked and not admitted again.
    pub(super) fn is_barred(&self, service: &ServiceId) -> bool {
        self.barred.iter().any(|barred| barred == service.as_str())
    }

    /// Revokes the certificates that `which` selects. Returns them.
    pub(super) fn revoke(&mut self, now: Timestamp, which: impl Fn(&Issued) -> bool) -> Vec<Revoked> {
        let selected = self.issued.iter().filter(|issued| which(issued));
        let is_known = |one: &Issued| {
            self.revoked.iter().any(|known| known.serial == one.serial && known.issuer == one.issuer)
        };
        let new: Vec<Revoked> = selected
            .filter(|one| !is_known(one))
            .map(|one| Revoked {
                issuer: one.issuer.clone(),
                serial: one.serial.clone(),
                service: one.service.clone(),
                at: now.as_millis(),
                expires: one.expires,
            })
            .collect();
        self.revoked.extend(new.iter().cloned());
        new
    }
}
