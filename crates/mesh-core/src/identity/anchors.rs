//! Trust anchors, revocation lists, and paths to an anchor.

use std::sync::atomic::AtomicU64;

use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime,
    pem::PemObject,
};
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, Error as PathError, ExpirationPolicy,
    ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, RevocationOptionsBuilder, UnknownStatusPolicy,
    anchor_from_trusted_cert,
};
use x509_parser::{prelude::FromDer, revocation_list::CertificateRevocationList};

use super::{
    algorithms::{Counted, OF_AUTHORITIES},
    certificate::Facts,
    error::MaterialError,
};
use crate::clock::Timestamp;

/// Most anchors in a bundle, and most revocation lists.
const MOST: usize = 256;
const CA: &str = "security.certificate.ca";
const CRL: &str = "security.certificate.crl";

/// The meaning of a missing or expired revocation list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CrlPolicy {
    /// The certificate is refused.
    #[default]
    Refuse,
    /// It is accepted, and the log says so.
    Warn,
}

#[derive(Debug)]
struct Anchor {
    trust: TrustAnchor<'static>,
    facts: Facts,
}

#[derive(Debug)]
struct List {
    der: CertificateRevocationListDer<'static>,
    /// Its `nextUpdate`.
    until: Option<Timestamp>,
}

/// The authorities that this service trusts, and what they have revoked.
#[derive(Debug)]
pub struct Anchors {
    trusted: Vec<Anchor>,
    lists: Vec<List>,
    policy: CrlPolicy,
}

/// A path to an anchor, verified.
#[derive(Debug)]
pub(super) struct Path {
    /// The end of the anchor's own validity.
    pub(super) anchor_expires: Timestamp,
    pub(super) anchor: Facts,
    /// The revocation lists could not tell of each certificate, and the policy is to warn.
    pub(super) is_unchecked: bool,
}

impl Anchors {
    /// Reads a bundle of anchors and, if there are any, revocation lists: PEM
    /// with one or more blocks, or one structure in DER.
    pub fn new(ca: &[u8], crl: Option<&[u8]>, policy: CrlPolicy) -> Result<Self, MaterialError> {
        let mut anchors = Vec::new();
        for der in certificates(CA, ca)? {
            let fault =
                |why: &str| MaterialError::new(CA, format!("certificate {} {why}", anchors.len() + 1));
            let facts =
                Facts::read(&der).ok_or_else(|| fault("is not an X.509 certificate of version 3 in DER"))?;
            if !facts.is_ca || facts.usage.is_some_and(|usage| !usage.cert_sign) {
                return Err(fault(
                    "is no authority: it needs the basic constraint CA and the key usage keyCertSign",
                ));
            }
            let trust =
                anchor_from_trusted_cert(&der).map_err(|_| fault("cannot be used as an anchor"))?.to_owned();
            anchors.push(Anchor { trust, facts });
            if anchors.len() > MOST {
                return Err(MaterialError::new(CA, format!("has more than {MOST} certificates")));
            }
        }
        let lists = crl.map_or_else(|| Ok(Vec::new()), lists)?;
        Ok(Self { trusted: anchors, lists, policy })
    }

    /// Until when the present lists count, if there are lists that must count.
    pub(super) fn lists_until(&self) -> Option<Timestamp> {
        match self.policy {
            CrlPolicy::Refuse => self.lists.iter().filter_map(|list| list.until).min(),
            CrlPolicy::Warn => None,
        }
    }

    /// Says that a list has ended by `now`, and the meaning of that.
    pub(super) fn lists_fault(&self, now: Timestamp) -> Option<String> {
        let until = self.lists.iter().filter_map(|list| list.until).min().filter(|until| *until <= now)?;
        let hours = now.since(until).as_secs() / 3600;
        let meaning = match self.policy {
            CrlPolicy::Refuse => "certificates that it should tell of are refused",
            CrlPolicy::Warn => "certificates that it should tell of are accepted, revoked or not",
        };
        Some(format!("a revocation list of {CRL} ended {hours} hours ago; renew it: {meaning}"))
    }

    /// Whether an anchor has the name `subject`, valid or not.
    pub(super) fn has(&self, subject: &[u8]) -> bool {
        self.trusted.iter().any(|anchor| anchor.facts.subject == subject)
    }

    /// Verifies the path from a leaf to an anchor that is valid at `now`. The
    /// caller has checked that the names leave a single path. `count` counts
    /// signature verifications.
    pub(super) fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        usages: Usages,
        now: Timestamp,
        count: &AtomicU64,
    ) -> Result<Path, PathError> {
        let Some((leaf, intermediates)) = chain.split_first() else { return Err(PathError::BadDer) };
        let leaf = EndEntityCert::try_from(leaf)?;
        let live = |anchor: &&Anchor| anchor.facts.not_before <= now && now < anchor.facts.expires;
        let live: Vec<&Anchor> = self.trusted.iter().filter(live).collect();
        let trust: Vec<_> = live.iter().map(|anchor| anchor.trust.clone()).collect();
        let counted: Vec<_> = OF_AUTHORITIES.iter().map(|inner| Counted { inner, count }).collect();
        let counted: Vec<&dyn SignatureVerificationAlgorithm> =
            counted.iter().map(|one| one as &dyn SignatureVerificationAlgorithm).collect();
        let lists: Vec<CertRevocationList<'_>> = self
            .lists
            .iter()
            .map(|list| BorrowedCertRevocationList::from_der(&list.der).map(Into::into))
            .collect::<Result<_, _>>()?;
        let lists: Vec<&CertRevocationList<'_>> = lists.iter().collect();
        let verify = |status, expiration| {
            let revocation = (!lists.is_empty())
                .then(|| {
                    let options = RevocationOptionsBuilder::new(&lists).ok()?;
                    Some(options.with_status_policy(status).with_expiration_policy(expiration).build())
                })
                .flatten();
            let time = UnixTime::since_unix_epoch(std::time::Duration::from_millis(now.as_millis()));
            let path =
                leaf.verify_for_usage(&counted, &trust, intermediates, time, usages, revocation, None)?;
            let found = path.anchor();
            let same = |anchor: &&&Anchor| anchor.trust == *found;
            // A root that was renewed with its key is the same anchor: the longer one counts.
            live.iter()
                .filter(same)
                .max_by_key(|anchor| anchor.facts.expires)
                .copied()
                .ok_or(PathError::UnknownIssuer)
        };
        let strict = verify(UnknownStatusPolicy::Deny, ExpirationPolicy::Enforce);
        let (anchor, is_unchecked) = match strict {
            Err(PathError::UnknownRevocationStatus | PathError::CrlExpired { .. })
                if self.policy == CrlPolicy::Warn =>
            {
                (verify(UnknownStatusPolicy::Allow, ExpirationPolicy::Ignore)?, true)
            }
            found => (found?, false),
        };
        Ok(Path { anchor_expires: anchor.facts.expires, anchor: anchor.facts.clone(), is_unchecked })
    }
}

/// The certificates of a PEM text, or the one in DER.
pub(super) fn certificates(
    option: &'static str,
    bytes: &[u8],
) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    if !is_pem(bytes) {
        return Ok(vec![CertificateDer::from(bytes.to_vec())]);
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let found =
        found.map_err(|_| MaterialError::new(option, "has a PEM block that is damaged or cut short"))?;
    if found.is_empty() {
        return Err(MaterialError::new(option, "has no PEM block '-----BEGIN CERTIFICATE-----'"));
    }
    Ok(found)
}

pub(super) fn is_pem(bytes: &[u8]) -> bool {
    // Everything in DER begins with a SEQUENCE; an empty file is PEM without blocks.
    bytes.first() != Some(&0x30)
}

fn lists(bytes: &[u8]) -> Result<Vec<List>, MaterialError> {
    let ders = if is_pem(bytes) {
        let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(bytes).collect();
        found.map_err(|_| MaterialError::new(CRL, "has a PEM block that is damaged or cut short"))?
    } else {
        vec![CertificateRevocationListDer::from(bytes.to_vec())]
    };
    if ders.is_empty() {
        return Err(MaterialError::new(CRL, "has no PEM block '-----BEGIN X509 CRL-----'"));
    }
    if ders.len() > MOST {
        return Err(MaterialError::new(CRL, format!("has more than {MOST} lists")));
    }
    let unusable = || {
        MaterialError::new(
            CRL,
            "is not a revocation list of version 2 in DER, or has parts that are not supported (delta lists, indirect lists)",
        )
    };
    ders.into_iter()
        .map(|der| {
            BorrowedCertRevocationList::from_der(&der).map_err(|_| unusable())?;
            let until = {
                let (_, parsed) = CertificateRevocationList::from_der(&der).map_err(|_| unusable())?;
                let next = parsed.next_update().map(|time| time.timestamp());
                next.and_then(|time| u64::try_from(time).ok()).map(Timestamp::from_secs)
            };
            Ok(List { der, until })
        })
        .collect()
}

/// 1.3.6.1.5.5.7.3.1 and 1.3.6.1.5.5.7.3.2, as DER has them.
const SERVER_AUTH: KeyPurposeId<'_> = KeyPurposeId::new(&[0x2b, 6, 1, 5, 5, 7, 3, 1]);
const CLIENT_AUTH: KeyPurposeId<'_> = KeyPurposeId::new(&[0x2b, 6, 1, 5, 5, 7, 3, 2]);

/// The extended key usages that a certificate needs, if it has any.
#[derive(Clone, Copy, Debug)]
pub(super) enum Usages {
    /// For clients and servers alike: a service is both.
    Both,
    /// For servers: TLS proves no client.
    Server,
}

impl ExtendedKeyUsageValidator for Usages {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), PathError> {
        let (mut any, mut client, mut server) = (false, matches!(self, Self::Server), false);
        for purpose in purposes {
            let purpose = purpose?;
            any = true;
            client |= purpose == CLIENT_AUTH;
            server |= purpose == SERVER_AUTH;
        }
        if !any || (client && server) { Ok(()) } else { Err(PathError::EmptyEkuExtension) }
    }
}
