//! The certificate that a service gets from an authority: its request, its files, and when it is renewed.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustls_pki_types::{CertificateDer, pem::PemObject};
use zeroize::Zeroizing;

use super::{
    error::AuthorityError,
    issuing::{pem, request},
    token::JoinToken,
};
use crate::{
    clock::Timestamp,
    crypto::{
        keystore::{Directory, open_directory},
        mac::sha256,
    },
    id::ServiceId,
    identity::{Anchors, Credential, CrlPolicy, NameRule, Verifier},
};

/// The largest files. A chain has 10 KiB at most, and 50,000 revocations have less than 3 MiB.
const MAX_IDENTITY: usize = 64 * 1024;
const MAX_TRUST: usize = 16 * 1024 * 1024;
/// A renewal comes up to a tenth of the lifetime before its half, so that a fleet does not renew at once.
const SPREAD: f64 = 0.1;

/// A service's files, and the rules of how they are replaced. Every function blocks.
pub struct Enrolment {
    service: ServiceId,
    rule: NameRule,
    directory: Directory,
    /// The key of the request that is under way.
    pending: Mutex<Option<Zeroizing<String>>>,
}

/// The certificate that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The time of its renewal, by the chance that was given.
    pub renew_at: Timestamp,
    /// From then on little is left: a third of its lifetime.
    pub scarce_at: Timestamp,
    /// Its end.
    pub expires: Timestamp,
}

/// The paths of a service's files in the key directory: its certificate with its key, and its anchors and lists.
#[must_use]
pub fn enrolment_files(directory: &Path, service: &ServiceId) -> (PathBuf, PathBuf) {
    let hash = hex::encode(sha256(&[service.as_str().as_bytes()]));
    (directory.join(format!("enrolled-{hash}.pem")), directory.join(format!("bundle-{hash}.pem")))
}

impl Enrolment {
    /// Opens the key directory, and makes it if it is missing.
    ///
    /// # Errors
    /// `KEYDIR_*` for a directory that other users can use.
    pub fn open(directory: &Path, service: ServiceId, rule: NameRule) -> Result<Self, AuthorityError> {
        Ok(Self { service, rule, directory: open_directory(directory)?, pending: Mutex::default() })
    }

    /// The certificate that is there; `None` without one that peers accept. `chance` is a number from 0 to 1.
    pub fn standing(&self, chance: f64, now: Timestamp) -> Result<Option<Standing>, AuthorityError> {
        let (identity, trust) = self.names();
        let identity = self.directory.read(&identity, MAX_IDENTITY)?;
        let trust = self.directory.read(&trust, MAX_TRUST)?;
        let (Some(identity), Some(trust)) = (identity, trust) else { return Ok(None) };
        // One that cannot be used is like none: the token brings another.
        let Ok(credential) = self.judge(&identity, &trust, now) else { return Ok(None) };
        let (from, expires) = (credential.not_before(), credential.expires());
        let life = expires.since(from);
        let share = 0.5 - SPREAD * chance.clamp(0.0, 1.0);
        Ok(Some(Standing { renew_at: from + life.mul_f64(share), scarce_at: from + life * 2 / 3, expires }))
    }

    /// Makes a key and a request for it, in PEM. The key is kept in memory until [`accept`](Self::accept).
    pub fn request(&self) -> Result<String, AuthorityError> {
        let (key, request) = request()?;
        *self.pending() = Some(key);
        Ok(pem("CERTIFICATE REQUEST", &request).to_string())
    }

    /// Takes what the authority has answered, if it passes the checks of peers. With a token, only the root that the
    /// token names is trusted: the session was proved by the token, which others may have too.
    pub fn accept(
        &self,
        chain: &str,
        anchors: &str,
        lists: &str,
        token: Option<&JoinToken>,
        now: Timestamp,
    ) -> Result<(), AuthorityError> {
        let key = self.pending().take().ok_or(AuthorityError::Answer("belongs to no request"))?;
        let identity = Zeroizing::new(format!("{}{chain}", key.as_str()));
        let anchors = match token {
            None => anchors.to_owned(),
            Some(token) => root_of(token, anchors)?,
        };
        let trust = format!("{anchors}{lists}");
        if identity.len() > MAX_IDENTITY || trust.len() > MAX_TRUST {
            return Err(AuthorityError::Answer("is too large"));
        }
        self.judge(identity.as_bytes(), trust.as_bytes(), now)?;
        let (identity_file, trust_file) = self.names();
        // The anchors first: they fit the former certificate as well.
        self.directory.replace(&trust_file, trust.as_bytes())?;
        self.directory.replace(&identity_file, identity.as_bytes())?;
        Ok(())
    }

    /// Takes other anchors and lists, if the certificate that is there leads to one of them.
    pub fn trust(&self, anchors: &str, lists: &str, now: Timestamp) -> Result<(), AuthorityError> {
        let (identity, file) = self.names();
        let trust = format!("{anchors}{lists}");
        let held = self.directory.read(&identity, MAX_IDENTITY)?;
        let held = held.ok_or(AuthorityError::Answer("belongs to no certificate here"))?;
        if trust.len() > MAX_TRUST {
            return Err(AuthorityError::Answer("is too large"));
        }
        match self.judge(&held, trust.as_bytes(), now) {
            // Lists that name this service count all the same: they may name others as well.
            Ok(_) | Err(AuthorityError::Refused(crate::identity::IdentityError::Revoked { .. })) => {
                Ok(self.directory.replace(&file, trust.as_bytes())?)
            }
            Err(error) => Err(error),
        }
    }

    /// The checks that peers make of the certificate.
    fn judge(&self, identity: &[u8], trust: &[u8], now: Timestamp) -> Result<Credential, AuthorityError> {
        let credential = Credential::new(identity, identity)?;
        let anchors = Arc::new(Anchors::new(trust, Some(trust), CrlPolicy::Refuse)?);
        let verifier = Verifier::new(anchors, &self.rule, &credential, Arc::default(), Arc::default());
        verifier.verify_chain(credential.chain(), &self.service, now)?;
        Ok(credential)
    }

    fn names(&self) -> (String, String) {
        let (identity, trust) = enrolment_files(Path::new(""), &self.service);
        (identity.to_string_lossy().into_owned(), trust.to_string_lossy().into_owned())
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, Option<Zeroizing<String>>> {
        // It is replaced as a whole, so a poisoned lock holds a consistent one.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The root that the token names, out of those that were sent.
fn root_of(token: &JoinToken, anchors: &str) -> Result<String, AuthorityError> {
    let root = CertificateDer::pem_slice_iter(anchors.as_bytes())
        .take(8)
        .filter_map(Result::ok)
        .find(|der| sha256(&[der.as_ref()]) == token.root)
        .ok_or(AuthorityError::Answer("leads to another root than the join token names"))?;
    Ok(pem("CERTIFICATE", &root).to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        authority::{office::Authority, terms::Establishment},
        crypto::keystore::tests::TempDir,
    };

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    fn authority(temp: &TempDir, name: &str) -> Authority {
        let options = Establishment {
            root_directory: None,
            trust_domain: "shop.example".to_owned(),
            template: None,
            lifetime: None,
        };
        Authority::init(&temp.0.join(name), &options, NOW).unwrap()
    }

    fn enrolment(temp: &TempDir) -> Enrolment {
        Enrolment::open(&temp.0.join("keys"), "orders".parse().unwrap(), NameRule::default()).unwrap()
    }

    #[test]
    fn a_service_with_a_token_and_an_empty_directory_gets_a_certificate() {
        let temp = TempDir::new();
        let (authority, enrolment) = (authority(&temp, "ca"), enrolment(&temp));
        assert_eq!(enrolment.standing(0.0, NOW).unwrap(), None);
        let token = authority.invite(&"orders".parse().unwrap(), 1, HOUR, NOW).unwrap().token;
        let token = JoinToken::parse(&token).unwrap();
        let request = enrolment.request().unwrap();
        let issued = authority.enrol(token.service(), &token, request.as_bytes(), NOW).unwrap();
        let bundle = authority.bundle(NOW).unwrap();
        enrolment.accept(&issued.chain, &bundle.anchors, &bundle.lists, Some(&token), NOW).unwrap();
        let standing = enrolment.standing(0.0, NOW).unwrap().unwrap();
        assert_eq!(standing.expires, issued.expires);
        let half = NOW + 12 * HOUR;
        assert!(
            standing.renew_at <= half
                && enrolment.standing(1.0, NOW).unwrap().unwrap().renew_at < standing.renew_at
        );
        assert!(standing.scarce_at > half);
        assert_eq!(enrolment.standing(0.0, NOW + 25 * HOUR).unwrap(), None);
    }

    #[test]
    fn the_shortest_certificate_is_renewed_near_its_half_too() {
        let temp = TempDir::new();
        let (authority, enrolment) = (authority(&temp, "ca"), enrolment(&temp));
        let request = enrolment.request().unwrap();
        let minute = Duration::from_mins(1);
        let orders = "orders".parse().unwrap();
        let issued = authority.issue(&orders, Some(request.as_bytes()), Some(minute), NOW).unwrap();
        let bundle = authority.bundle(NOW).unwrap();
        enrolment.accept(&issued.chain, &bundle.anchors, &bundle.lists, None, NOW).unwrap();
        let standing = enrolment.standing(1.0, NOW).unwrap().unwrap();
        // A renewal that is due at once would be due again after it.
        assert!(standing.renew_at >= NOW + minute / 3, "{standing:?}");
        assert!(standing.scarce_at > NOW + minute / 2 && standing.scarce_at < NOW + minute);
    }

    #[test]
    fn what_does_not_lead_to_the_root_of_the_token_is_refused() {
        let temp = TempDir::new();
        let (true_one, false_one) = (authority(&temp, "ca"), authority(&temp, "false"));
        let enrolment = enrolment(&temp);
        let orders: ServiceId = "orders".parse().unwrap();
        let token = JoinToken::parse(&true_one.invite(&orders, 9, HOUR, NOW).unwrap().token).unwrap();
        let (bundle, other) = (true_one.bundle(NOW).unwrap(), false_one.bundle(NOW).unwrap());
        let answer = |by: &Authority, anchors: &str, lists: &str| {
            let request = enrolment.request().unwrap();
            let issued = by.issue(&orders, Some(request.as_bytes()), None, NOW).unwrap();
            enrolment.accept(&issued.chain, anchors, lists, Some(&token), NOW)
        };
        assert!(answer(&false_one, &other.anchors, &other.lists).is_err());
        let both = [bundle.anchors.as_str(), &other.anchors].concat();
        let lists = [bundle.lists.as_str(), &other.lists].concat();
        assert!(answer(&false_one, &both, &lists).is_err());
        assert_eq!(enrolment.standing(0.0, NOW).unwrap(), None);
        // The second root is left out, so that nobody else's certificates are accepted either.
        answer(&true_one, &both, &lists).unwrap();
        let (_, trust) = enrolment_files(&temp.0.join("keys"), &orders);
        assert_eq!(std::fs::read_to_string(trust).unwrap().matches("BEGIN CERTIFICATE").count(), 1);
        // Anchors without this certificate's own are not taken, also later.
        assert!(enrolment.trust(&other.anchors, &other.lists, NOW).is_err());
        enrolment.trust(&both, &lists, NOW).unwrap();
        true_one.revoke(&orders, NOW).unwrap();
        enrolment.trust(&bundle.anchors, &true_one.bundle(NOW).unwrap().lists, NOW).unwrap();
    }

    #[test]
    fn an_answer_for_another_key_or_service_is_refused() {
        let temp = TempDir::new();
        let (authority, enrolment) = (authority(&temp, "ca"), enrolment(&temp));
        let bundle = authority.bundle(NOW).unwrap();
        let accept = |chain: &str| enrolment.accept(chain, &bundle.anchors, &bundle.lists, None, NOW);
        let other = authority.issue(&"orders".parse().unwrap(), None, None, NOW).unwrap();
        assert!(accept(&other.chain).is_err());
        enrolment.request().unwrap();
        assert!(accept(&other.chain).is_err());
        let request = enrolment.request().unwrap();
        let wrong = authority.issue(&"stock".parse().unwrap(), Some(request.as_bytes()), None, NOW).unwrap();
        assert!(accept(&wrong.chain).is_err());
    }
}
