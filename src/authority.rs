//! `NativeAuthority`: the native half of `CertificateAuthority`.

use std::{path::PathBuf, sync::Arc, time::Duration};

use mesh_core::{
    authority::{Authority, AuthorityError, Bundle, Certified, Establishment, JoinToken, RevokedCertificate},
    clock::Timestamp,
    error::{Code, Coded, Reason},
    id::ServiceId,
};
use napi_derive::napi;

use crate::{
    blocking::off_the_loop,
    convert::{exact, from_count, from_timestamp},
    error::{Failure, Settled},
};

/// The options of a new authority.
#[napi(object)]
pub struct NativeEstablishment {
    /// The trust domain.
    pub trust_domain: String,
    /// The SPIFFE id of a service, with `{service}`.
    pub template: Option<String>,
    /// The directory of the root's key.
    pub root_directory: Option<String>,
    /// The lifetime of certificates in milliseconds.
    pub lifetime: Option<f64>,
}

/// A certificate that was issued.
#[napi(object)]
pub struct NativeIssued {
    /// The certificate and its issuer, in PEM.
    pub certificate: String,
    /// Its private key, if it was made here.
    pub key: Option<String>,
    /// Its serial number in hexadecimal digits.
    pub serial: String,
    /// Its end in milliseconds since 1970.
    pub expires_at: f64,
}

impl From<Certified> for NativeIssued {
    fn from(certified: Certified) -> Self {
        Self {
            certificate: certified.chain,
            // From here on the string belongs to JavaScript, which cannot wipe it.
            key: certified.key.map(|key| key.to_string()),
            serial: certified.serial,
            expires_at: from_timestamp(certified.expires),
        }
    }
}

/// A certificate that was revoked.
#[napi(object)]
pub struct NativeRevoked {
    /// The service that it names.
    pub service_id: String,
    /// Its serial number in hexadecimal digits.
    pub serial: String,
}

impl From<RevokedCertificate> for NativeRevoked {
    fn from(revoked: RevokedCertificate) -> Self {
        Self { service_id: revoked.service, serial: revoked.serial }
    }
}

/// Trust anchors and revocation lists.
#[napi(object)]
pub struct NativeBundle {
    /// The roots in PEM.
    pub ca: String,
    /// The lists in PEM.
    pub crl: String,
    /// A digest of what is trusted and what is revoked.
    pub version: String,
}

impl From<Bundle> for NativeBundle {
    fn from(bundle: Bundle) -> Self {
        Self { ca: bundle.anchors, crl: bundle.lists, version: bundle.version }
    }
}

/// A join token.
#[napi(object)]
pub struct NativeInvitation {
    /// The text.
    pub token: String,
    /// Its end in milliseconds since 1970.
    pub expires_at: f64,
}

/// The state of an authority.
#[napi(object)]
pub struct NativeAuthorityStatus {
    /// The trust domain.
    pub trust_domain: String,
    /// SHA-256 of each root in hexadecimal digits.
    pub roots: Vec<String>,
    /// The end of the issuer in milliseconds since 1970.
    pub issuer_expires_at: f64,
    /// The certificates that are valid.
    pub issued: f64,
    /// Those of them that are revoked.
    pub revoked: f64,
    /// The tokens that have uses left.
    pub tokens: f64,
}

/// An authority in a directory. Its methods run off the event loop.
#[napi]
pub struct NativeAuthority {
    pub(crate) inner: Arc<Authority>,
}

#[napi]
impl NativeAuthority {
    /// Makes an authority in an empty directory.
    #[napi(ts_return_type = "Promise<NativeAuthority>")]
    pub async fn init(directory: String, options: NativeEstablishment) -> Settled<NativeAuthority> {
        off_the_loop(move || {
            let options = Establishment {
                root_directory: options.root_directory.map(PathBuf::from),
                trust_domain: options.trust_domain,
                template: options.template,
                lifetime: options.lifetime.map(|ms| time("lifetime", ms)).transpose()?,
            };
            let made = Authority::init(&PathBuf::from(directory), &options, Timestamp::now())?;
            Ok::<_, Failure>(NativeAuthority { inner: Arc::new(made) })
        })
        .await
    }

    /// Opens the authority of a directory.
    #[napi(ts_return_type = "Promise<NativeAuthority>")]
    pub async fn open(directory: String) -> Settled<NativeAuthority> {
        off_the_loop(move || {
            let opened = Authority::open(&PathBuf::from(directory))?;
            Ok::<_, AuthorityError>(NativeAuthority { inner: Arc::new(opened) })
        })
        .await
    }

    /// Issues a certificate for the key of a request, or for a new key.
    #[napi(ts_return_type = "Promise<NativeIssued>")]
    pub async fn issue(
        &self,
        service_id: String,
        request: Option<String>,
        lifetime: Option<f64>,
    ) -> Settled<NativeIssued> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || {
            let lifetime = lifetime.map(|ms| time("lifetime", ms)).transpose()?;
            let request = request.as_ref().map(String::as_bytes);
            let issued = inner.issue(&service(&service_id)?, request, lifetime, Timestamp::now())?;
            Ok::<_, Failure>(issued.into())
        })
        .await
    }

    /// Issues a certificate to the holder of a join token.
    #[napi(ts_return_type = "Promise<NativeIssued>")]
    pub async fn enrol(&self, service_id: String, token: String, request: String) -> Settled<NativeIssued> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || {
            let (service, token) = (service(&service_id)?, JoinToken::parse(&token)?);
            let issued = inner.enrol(&service, &token, request.as_bytes(), Timestamp::now())?;
            Ok::<_, Failure>(issued.into())
        })
        .await
    }

    /// Issues another certificate to a service that has proved one.
    #[napi(ts_return_type = "Promise<NativeIssued>")]
    pub async fn renew(&self, service_id: String, request: String) -> Settled<NativeIssued> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || {
            let issued = inner.renew(&service(&service_id)?, request.as_bytes(), Timestamp::now())?;
            Ok::<_, Failure>(issued.into())
        })
        .await
    }

    /// Revokes every certificate of a service.
    #[napi(ts_return_type = "Promise<NativeRevoked[]>")]
    pub async fn revoke(&self, service_id: String) -> Settled<Vec<NativeRevoked>> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || {
            let revoked = inner.revoke(&service(&service_id)?, Timestamp::now())?;
            Ok::<_, Failure>(revoked.into_iter().map(Into::into).collect())
        })
        .await
    }

    /// Revokes one certificate.
    #[napi(ts_return_type = "Promise<NativeRevoked[]>")]
    pub async fn revoke_serial(&self, serial: String) -> Settled<Vec<NativeRevoked>> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || {
            let revoked = inner.revoke_serial(&serial, Timestamp::now())?;
            Ok::<_, AuthorityError>(revoked.into_iter().map(Into::into).collect())
        })
        .await
    }

    /// Replaces the issuer.
    #[napi(ts_return_type = "Promise<void>")]
    pub async fn rotate_issuer(&self, root_directory: Option<String>) -> Settled<()> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || {
            let place = root_directory.map(PathBuf::from);
            inner.rotate_issuer(place.as_deref(), Timestamp::now())
        })
        .await
    }

    /// Replaces the root; the next issuer comes into use after `overlap` milliseconds.
    #[napi(ts_return_type = "Promise<void>")]
    pub async fn rotate_root(&self, root_directory: Option<String>, overlap: f64) -> Settled<()> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || {
            let place = root_directory.map(PathBuf::from);
            let overlap = time("overlap", overlap)?;
            Ok::<_, Failure>(inner.rotate_root(place.as_deref(), overlap, Timestamp::now())?)
        })
        .await
    }

    /// The anchors and the revocation lists.
    #[napi(ts_return_type = "Promise<NativeBundle>")]
    pub async fn bundle(&self) -> Settled<NativeBundle> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || {
            let bundle = inner.bundle(Timestamp::now())?;
            Ok::<_, AuthorityError>(bundle.into())
        })
        .await
    }

    /// Makes a join token.
    #[napi(ts_return_type = "Promise<NativeInvitation>")]
    pub async fn token(&self, service_id: String, uses: f64, ttl: f64) -> Settled<NativeInvitation> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || {
            // A number that is not whole is out of range as well.
            let uses = exact(uses).unwrap_or(0);
            let made = inner.invite(&service(&service_id)?, uses, time("ttl", ttl)?, Timestamp::now())?;
            let expires_at = from_timestamp(made.expires);
            Ok::<_, Failure>(NativeInvitation { token: made.token.to_string(), expires_at })
        })
        .await
    }

    /// The state.
    #[napi(ts_return_type = "Promise<NativeAuthorityStatus>")]
    pub async fn status(&self) -> Settled<NativeAuthorityStatus> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || {
            let summary = inner.summary(Timestamp::now())?;
            let count = |number: usize| from_count(number as u64);
            Ok::<_, AuthorityError>(NativeAuthorityStatus {
                trust_domain: summary.trust_domain,
                roots: summary.roots,
                issuer_expires_at: from_timestamp(summary.issuer_expires),
                issued: count(summary.issued),
                revoked: count(summary.revoked),
                tokens: count(summary.tokens),
            })
        })
        .await
    }
}

fn service(id: &str) -> Result<ServiceId, Failure> {
    id.parse().map_err(|error: mesh_core::id::IdSyntaxError| {
        Failure::new(error.code(), error.reason(), error.to_string())
    })
}

fn time(name: &str, ms: f64) -> Result<Duration, Failure> {
    Duration::try_from_secs_f64(ms / 1000.0).map_err(|_| {
        let text = format!("{name} must be a number of milliseconds from 0, got {ms}");
        Failure::new(Code::InvalidArgument, Reason::Argument, text)
    })
}
