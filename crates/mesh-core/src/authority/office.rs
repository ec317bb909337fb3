//! The authority: what it does when it is asked.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use super::{
    disk::{Disk, Locked},
    error::AuthorityError,
    issuing::{Rank, Signer, Validity, pem, random_id, request, serial},
    ledger::{Issuer, Ledger, MAX_TOKENS, MAX_USES, Revoked, Root, Token},
    terms::{Bundle, Certified, Establishment, Invitation, RevokedCertificate, Summary},
    token::{JoinToken, session_secret},
};
use crate::{
    clock::Timestamp,
    crypto::{mac::sha256, secret::Secret},
    id::ServiceId,
    identity::{NameRule, RequestedKey},
};

const DAY: Duration = Duration::from_hours(24);
const ROOT_LIFETIME: Duration = Duration::from_hours(24 * 3650);
const ISSUER_LIFETIME: Duration = Duration::from_hours(24 * 365);
/// The lifetime of the certificates of services without another option, and its bounds.
const LIFETIME: Duration = DAY;
const SHORTEST: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(24 * 90);
/// The lifetime of a revocation list. It outlives the certificates that were renewed on the same day.
const LIST_LIFETIME: Duration = Duration::from_hours(24 * 4);
/// The longest life of a token.
const MAX_TOKEN_LIFE: Duration = Duration::from_hours(24 * 365);
const PLACEHOLDER: &str = "{service}";
const ROOT_DIRECTORY: &str = "root";

/// A directory with an authority. Every function blocks.
pub struct Authority {
    disk: Disk,
}

impl Authority {
    /// Makes an authority in an empty directory: a root and an issuer below it.
    ///
    /// # Errors
    /// `AUTHORITY` if the directory has one, `ARGUMENT` for an option, `KEYDIR_*` for a directory that other users
    /// can use.
    pub fn init(directory: &Path, options: &Establishment, now: Timestamp) -> Result<Self, AuthorityError> {
        let (template, lifetime) = checked(options)?;
        let disk = Disk::open(directory, true)?;
        let lock = disk.lock()?;
        if disk.ledger_path().exists() {
            return Err(AuthorityError::Exists(directory.to_owned()));
        }
        let place = options.root_directory.clone().unwrap_or_else(|| directory.join(ROOT_DIRECTORY));
        let mut ledger = Ledger {
            version: 1,
            trust_domain: options.trust_domain.clone(),
            template,
            lifetime_ms: lifetime.as_millis() as u64,
            roots: Vec::new(),
            issuers: Vec::new(),
            tokens: Vec::new(),
            issued: Vec::new(),
            revoked: Vec::new(),
            barred: Vec::new(),
        };
        let signer = add_root(&mut ledger, &Disk::open(&place, true)?, now)?;
        add_issuer(&mut ledger, &disk, &signer, now, now)?;
        // The ledger comes last: before it there is no authority.
        disk.create(&ledger)?;
        drop(lock);
        Ok(Self { disk })
    }

    /// Opens the authority of a directory.
    ///
    /// # Errors
    /// `AUTHORITY` if there is none or its file is damaged, `KEYDIR_*` for a directory that other users can use.
    pub fn open(directory: &Path) -> Result<Self, AuthorityError> {
        let disk = Disk::open(directory, false)?;
        disk.ledger()?;
        Ok(Self { disk })
    }

    /// The file that each change replaces.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.disk.ledger_path()
    }

    /// Issues a certificate for `service`: for the key of `request` (PKCS #10), or for a new one. Names in the request
    /// do not count.
    pub fn issue(
        &self,
        service: &ServiceId,
        request: Option<&[u8]>,
        lifetime: Option<Duration>,
        now: Timestamp,
    ) -> Result<Certified, AuthorityError> {
        if lifetime.is_some_and(|lifetime| !(SHORTEST..=LONGEST).contains(&lifetime)) {
            return Err(AuthorityError::Option { option: "lifetime", expected: "1 minute to 90 days" });
        }
        self.certify(service, request, lifetime, now, |_| Ok(()))
    }

    /// Issues a certificate to the holder of a token. A use of the token is on disk before the certificate exists.
    pub fn enrol(
        &self,
        service: &ServiceId,
        token: &JoinToken,
        request: &[u8],
        now: Timestamp,
    ) -> Result<Certified, AuthorityError> {
        self.certify(service, Some(request), None, now, |ledger| ledger.burn(token, service, now))
    }

    /// Issues another certificate to a service that has proved one.
    ///
    /// # Errors
    /// `REVOKED` for a service that was revoked.
    pub fn renew(
        &self,
        service: &ServiceId,
        request: &[u8],
        now: Timestamp,
    ) -> Result<Certified, AuthorityError> {
        self.certify(service, Some(request), None, now, |ledger| {
            if ledger.is_barred(service) { Err(AuthorityError::Barred(service.clone())) } else { Ok(()) }
        })
    }

    fn certify(
        &self,
        service: &ServiceId,
        given: Option<&[u8]>,
        lifetime: Option<Duration>,
        now: Timestamp,
        permit: impl FnOnce(&mut Ledger) -> Result<(), AuthorityError>,
    ) -> Result<Certified, AuthorityError> {
        let made = if given.is_none() { Some(request()?) } else { None };
        let asked = given.or(made.as_ref().map(|(_, request)| request.as_slice())).unwrap_or_default();
        // Before the token is used: a request that is no good must not cost a use.
        let key = RequestedKey::read(asked)?;
        let serial = serial()?;
        let (issuer, ledger, validity) = self.change(now, |ledger, _| {
            permit(ledger)?;
            let lifetime = lifetime.unwrap_or(Duration::from_millis(ledger.lifetime_ms));
            let end = Timestamp::from_millis(ledger.issuer(now)?.expires);
            let validity = Validity { until: (now + lifetime).min(end), ..Validity::of(now, lifetime) };
            let issuer = ledger.record(service, &serial, validity.until, now)?;
            Ok((issuer, ledger.clone(), validity))
        })?;
        let signer = self.signer(&ledger, &issuer)?;
        let spiffe_id = ledger.template.replace(PLACEHOLDER, service.as_str());
        let leaf = signer.leaf(service, &spiffe_id, &key, &serial, validity)?;
        let chain =
            pem("CERTIFICATE", &leaf).to_string() + &pem("CERTIFICATE", &self.decode(&issuer.certificate)?);
        let key = made.map(|(key, _)| key);
        Ok(Certified { chain, key, serial: hex::encode(serial), expires: validity.until })
    }

    /// Makes a token that admits `service` `uses` times within `life`.
    pub fn invite(
        &self,
        service: &ServiceId,
        uses: u32,
        life: Duration,
        now: Timestamp,
    ) -> Result<Invitation, AuthorityError> {
        if !(1..=MAX_USES).contains(&uses) {
            return Err(AuthorityError::Option { option: "uses", expected: "1 to 100000" });
        }
        if life.is_zero() || life > MAX_TOKEN_LIFE {
            return Err(AuthorityError::Option { option: "ttl", expected: "above 0 and at most 365 days" });
        }
        let expires = now + life;
        self.change(now, |ledger, _| {
            if ledger.tokens.len() >= MAX_TOKENS {
                let repair = "they make room when they end; give one token more uses";
                return Err(AuthorityError::Full { what: "join tokens", limit: MAX_TOKENS, repair });
            }
            let root = &ledger.issuer(now)?.root;
            let root = ledger.roots.iter().find(|kept| kept.id == *root).ok_or(AuthorityError::NoIssuer)?;
            let token =
                JoinToken::new(service.clone(), sha256(&[&self.decode(&root.certificate)?]), expires)?;
            ledger.tokens.push(Token {
                id: hex::encode(token.id),
                hash: hex::encode(token.hash().as_bytes()),
                service: service.as_str().to_owned(),
                uses,
                expires: expires.as_millis(),
            });
            ledger.barred.retain(|barred| barred != service.as_str());
            Ok(Invitation { token: token.to_text()?, expires })
        })
    }

    /// Revokes every certificate of a service, and its tokens; nothing of it is renewed until it gets another token.
    pub fn revoke(
        &self,
        service: &ServiceId,
        now: Timestamp,
    ) -> Result<Vec<RevokedCertificate>, AuthorityError> {
        self.change(now, |ledger, _| {
            let tokens = ledger.tokens.len();
            ledger.tokens.retain(|token| token.service != service.as_str());
            let is_its = |service: &ServiceId, name: &str| name == service.as_str();
            let revoked = ledger.revoke(now, |issued| is_its(service, &issued.service));
            if revoked.is_empty() && tokens == ledger.tokens.len() {
                return Err(AuthorityError::NothingToRevoke(service.to_string()));
            }
            if !ledger.is_barred(service) {
                ledger.barred.push(service.as_str().to_owned());
            }
            Ok(shown(revoked))
        })
    }

    /// Revokes one certificate by its serial number, in hexadecimal digits.
    pub fn revoke_serial(
        &self,
        serial: &str,
        now: Timestamp,
    ) -> Result<Vec<RevokedCertificate>, AuthorityError> {
        let digits: String = serial.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(AuthorityError::Option { option: "serial", expected: "hexadecimal digits" });
        }
        self.change(now, |ledger, _| {
            let revoked = ledger.revoke(now, |issued| issued.serial == digits);
            if revoked.is_empty() {
                return Err(AuthorityError::NothingToRevoke(format!("the serial number {digits}")));
            }
            Ok(shown(revoked))
        })
    }

    /// Replaces the issuer, at once: services send it behind their certificates. The previous one's certificates stay
    /// valid.
    pub fn rotate_issuer(&self, root_directory: Option<&Path>, now: Timestamp) -> Result<(), AuthorityError> {
        self.change(now, |ledger, _| {
            if ledger.is_rotating(now) {
                return Err(AuthorityError::Rotating);
            }
            let root = ledger.roots.last().ok_or(AuthorityError::NoIssuer)?.id.clone();
            let signer = self.root_signer(ledger, &root, root_directory)?;
            add_issuer(ledger, &self.disk, &signer, now, now)?;
            Ok(())
        })
    }

    /// Replaces the root. Its certificate is in the bundle at once; its issuer comes into use after `overlap`, when
    /// every service has the bundle. The previous root leaves the bundle with the last certificate that rests on it.
    pub fn rotate_root(
        &self,
        root_directory: Option<&Path>,
        overlap: Duration,
        now: Timestamp,
    ) -> Result<(), AuthorityError> {
        let place = self.root_place(root_directory);
        self.change(now, |ledger, _| {
            if ledger.is_rotating(now) {
                return Err(AuthorityError::Rotating);
            }
            let signer = add_root(ledger, &Disk::open(&place, true)?, now)?;
            add_issuer(ledger, &self.disk, &signer, now, now + overlap)
        })
    }

    /// The anchors and the revocation lists, the latter signed anew.
    pub fn bundle(&self, now: Timestamp) -> Result<Bundle, AuthorityError> {
        let mut ledger = self.disk.ledger()?;
        ledger.prune(now);
        let (mut anchors, mut lists) = (String::new(), String::new());
        let mut identity: Vec<u8> = Vec::new();
        for root in &ledger.roots {
            anchors.push_str(&pem("CERTIFICATE", &self.decode(&root.certificate)?));
            lists.push_str(&pem("X509 CRL", &self.decode(&root.list)?));
            identity.extend_from_slice(root.id.as_bytes());
        }
        for issuer in &ledger.issuers {
            let revoked = ledger.revoked.iter().filter(|revoked| revoked.issuer == issuer.id);
            let mut serials = Vec::new();
            for one in revoked {
                let serial = hex::decode(&one.serial).map_err(|_| self.damaged("a serial number"))?;
                identity.extend_from_slice(&serial);
                serials.push((serial, Timestamp::from_millis(one.at)));
            }
            let signer = self.signer(&ledger, issuer)?;
            let list = signer.list(serials.into_iter(), Validity::of(now, LIST_LIFETIME), now)?;
            lists.push_str(&pem("X509 CRL", &list));
            identity.extend_from_slice(issuer.id.as_bytes());
        }
        Ok(Bundle { anchors, lists, version: hex::encode(sha256(&[&identity])) })
    }

    /// The secrets of the sessions in which newcomers ask for a certificate now, with the services they are for.
    pub fn newcomers(&self, now: Timestamp) -> Result<Vec<(Zeroizing<String>, ServiceId)>, AuthorityError> {
        let ledger = self.disk.ledger()?;
        let live = ledger.tokens.iter().filter(|token| token.uses > 0 && now.as_millis() < token.expires);
        live.map(|token| {
            let hash = hex::decode(&token.hash).ok().and_then(|hash| Secret::from_slice(&hash));
            let service = token.service.parse().ok();
            let secret = hash.map(|hash| session_secret(&hash));
            secret.zip(service).ok_or_else(|| self.damaged("a token"))
        })
        .collect()
    }

    /// The state of the authority.
    pub fn summary(&self, now: Timestamp) -> Result<Summary, AuthorityError> {
        let mut ledger = self.disk.ledger()?;
        ledger.prune(now);
        let hash =
            |root: &Root| Ok::<_, AuthorityError>(hex::encode(sha256(&[&self.decode(&root.certificate)?])));
        Ok(Summary {
            issuer_expires: Timestamp::from_millis(ledger.issuer(now)?.expires),
            roots: ledger.roots.iter().map(hash).collect::<Result<_, _>>()?,
            issued: ledger.issued.len(),
            revoked: ledger.revoked.len(),
            tokens: ledger.tokens.iter().filter(|token| token.uses > 0).count(),
            trust_domain: ledger.trust_domain,
        })
    }

    /// Changes the ledger while no other process does. The change is on disk when this returns, or nothing is.
    fn change<T>(
        &self,
        now: Timestamp,
        change: impl FnOnce(&mut Ledger, &Locked) -> Result<T, AuthorityError>,
    ) -> Result<T, AuthorityError> {
        let lock = self.disk.lock()?;
        let mut ledger = self.disk.ledger()?;
        let before: Vec<String> = ledger.issuers.iter().map(|issuer| issuer.id.clone()).collect();
        ledger.prune(now);
        let result = change(&mut ledger, &lock)?;
        self.disk.replace(&ledger, &lock)?;
        for gone in before.iter().filter(|id| ledger.issuers.iter().all(|issuer| issuer.id != **id)) {
            self.disk.remove_key(&issuer_key(gone))?;
        }
        Ok(result)
    }

    fn signer(&self, ledger: &Ledger, issuer: &Issuer) -> Result<Signer, AuthorityError> {
        let key = self
            .disk
            .key(&issuer_key(&issuer.id))?
            .ok_or_else(|| self.damaged("an issuer without its key"))?;
        Signer::kept(Rank::Issuer, &issuer.id, &ledger.trust_domain, &key)
    }

    fn root_place(&self, directory: Option<&Path>) -> PathBuf {
        directory.map_or_else(|| self.disk.path().join(ROOT_DIRECTORY), Path::to_owned)
    }

    fn root_signer(
        &self,
        ledger: &Ledger,
        root: &str,
        directory: Option<&Path>,
    ) -> Result<Signer, AuthorityError> {
        let place = self.root_place(directory);
        let away = || AuthorityError::RootAway(place.join(format!("{}.key", root_key(root))));
        // Opening would make an empty directory where the key is missing.
        if !place.exists() {
            return Err(away());
        }
        let disk = Disk::open(&place, false)?;
        let key = disk
            .key(&root_key(root))?
            .ok_or_else(|| AuthorityError::RootAway(disk.key_path(&root_key(root))))?;
        Signer::kept(Rank::Root, root, &ledger.trust_domain, &key)
    }

    fn decode(&self, text: &str) -> Result<Vec<u8>, AuthorityError> {
        BASE64_STANDARD.decode(text).map_err(|_| self.damaged("a certificate"))
    }

    fn damaged(&self, what: &str) -> AuthorityError {
        AuthorityError::Damaged {
            path: self.disk.ledger_path(),
            what: format!("it has {what} that cannot be used"),
        }
    }
}

fn checked(options: &Establishment) -> Result<(String, Duration), AuthorityError> {
    let domain = &options.trust_domain;
    let domain_alone = NameRule { trust_domain: Some(domain.clone()), ..NameRule::default() };
    if let Some((_, expected)) = domain_alone.fault() {
        return Err(AuthorityError::Option { option: "trustDomain", expected });
    }
    let template = options.template.clone().unwrap_or_else(|| format!("spiffe://{domain}/{PLACEHOLDER}"));
    let rule = NameRule {
        trust_domain: Some(domain.clone()),
        template: Some(template.clone()),
        ..NameRule::default()
    };
    match rule.fault() {
        Some(("id", expected)) => return Err(AuthorityError::Option { option: "template", expected }),
        Some((_, expected)) => return Err(AuthorityError::Option { option: "trustDomain", expected }),
        None => {}
    }
    let lifetime = options.lifetime.unwrap_or(LIFETIME);
    if !(SHORTEST..=LONGEST).contains(&lifetime) {
        return Err(AuthorityError::Option { option: "lifetime", expected: "1 minute to 90 days" });
    }
    Ok((template, lifetime))
}

fn add_root(ledger: &mut Ledger, place: &Disk, now: Timestamp) -> Result<Signer, AuthorityError> {
    let id = random_id()?;
    let validity = Validity::of(now, ROOT_LIFETIME);
    let made = Signer::root(&id, &ledger.trust_domain, validity)?;
    place.put_key(&root_key(&id), &made.pkcs8)?;
    // Made while the key is at hand. It lists nothing: an issuer that is not trusted any more goes with its root.
    let list = made.signer.list(std::iter::empty(), validity, now)?;
    ledger.roots.push(Root {
        id,
        certificate: BASE64_STANDARD.encode(&made.der),
        list: BASE64_STANDARD.encode(list),
        expires: validity.until.as_millis(),
    });
    Ok(made.signer)
}

/// Adds an issuer below the last root.
fn add_issuer(
    ledger: &mut Ledger,
    disk: &Disk,
    root: &Signer,
    now: Timestamp,
    from: Timestamp,
) -> Result<(), AuthorityError> {
    let above = ledger.roots.last().ok_or(AuthorityError::NoIssuer)?;
    let id = random_id()?;
    let until = (from + ISSUER_LIFETIME).min(Timestamp::from_millis(above.expires));
    let validity = Validity { until, ..Validity::of(now, ISSUER_LIFETIME) };
    let made = root.issuer(&id, &ledger.trust_domain, validity)?;
    disk.put_key(&issuer_key(&id), &made.pkcs8)?;
    ledger.issuers.push(Issuer {
        root: above.id.clone(),
        certificate: BASE64_STANDARD.encode(&made.der),
        from: from.as_millis(),
        expires: until.as_millis(),
        id,
    });
    Ok(())
}

fn shown(revoked: Vec<Revoked>) -> Vec<RevokedCertificate> {
    revoked.into_iter().map(|one| RevokedCertificate { service: one.service, serial: one.serial }).collect()
}

fn issuer_key(id: &str) -> String {
    format!("issuer-{id}")
}

fn root_key(id: &str) -> String {
    format!("root-{id}")
}
