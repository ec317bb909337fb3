//! `NativeEnrolment`: the certificate that a mesh gets from the built-in authority.

use std::{
    env::var_os,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use mesh_core::{
    authority::{Authority, AuthorityError, Enrolment, JoinToken, enrolment_files},
    clock::Timestamp,
    config::{MeshConfig, Secret},
    crypto::keystore::KeyStore,
    error::{Code, Coded, Reason},
    id::ServiceId,
    identity::NameRule,
};
use napi_derive::napi;

use crate::{
    authority::NativeBundle,
    blocking::off_the_loop,
    convert::from_timestamp,
    error::{Failure, Settled},
};

const TOKEN: &str = "security.certificate.authority.joinToken (or SECURE_MESH_JOIN_TOKEN)";

/// The certificate that is there; times in milliseconds since 1970.
#[napi(object)]
#[allow(clippy::struct_field_names)] // They are times.
pub struct NativeStanding {
    /// The time of its renewal.
    pub renew_at: f64,
    /// From then on a third of its lifetime is left.
    pub scarce_at: f64,
    /// Its end.
    pub expires_at: f64,
}

/// An answer of the authority.
#[napi(object)]
pub struct NativeAnswer {
    /// The certificate and its issuer, in PEM.
    pub certificate: String,
    /// The trust anchors and the revocation lists.
    pub bundle: NativeBundle,
}

/// The certificate of one service.
#[napi]
pub struct NativeEnrolment {
    inner: Arc<Inner>,
}

struct Inner {
    id: ServiceId,
    rule: NameRule,
    place: PathBuf,
    service: Option<ServiceId>,
    token: Option<(JoinToken, String)>,
    directory: Option<PathBuf>,
    opened: Mutex<Option<Arc<Enrolment>>>,
}

impl Inner {
    fn open(&self) -> Result<Arc<Enrolment>, AuthorityError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = &*opened {
            return Ok(Arc::clone(opened));
        }
        let made = Arc::new(Enrolment::open(&self.place, self.id.clone(), self.rule.clone())?);
        *opened = Some(Arc::clone(&made));
        Ok(made)
    }
}

impl NativeEnrolment {
    /// The enrolment of this configuration, if it has one.
    pub(crate) fn of(config: &MeshConfig) -> Result<Option<Self>, Failure> {
        let Some(certificate) = &config.certificate else { return Ok(None) };
        let Some(authority) = &certificate.authority else { return Ok(None) };
        let token = match &authority.token {
            Some(text) => Some((token(text.as_str(), &config.service_id)?, text.as_str().to_owned())),
            None => None,
        };
        let inner = Inner {
            id: config.service_id.clone(),
            rule: NameRule {
                trust_domain: certificate.trust_domain.clone(),
                template: certificate.template.clone(),
                dns: certificate.dns,
                dns_suffix: certificate.dns_suffix.clone(),
            },
            place: place(config)?,
            service: authority.service.clone(),
            token,
            directory: authority.directory.clone(),
            opened: Mutex::default(),
        };
        Ok(Some(Self { inner: Arc::new(inner) }))
    }
}

/// Completes a configuration whose certificate comes from the authority: with the paths of its files, or, for a mesh
/// that asks for its first certificate, with the secret of the join token.
pub(crate) fn prepare(mut config: MeshConfig, joining: bool) -> Result<MeshConfig, Failure> {
    let Some(authority) = config.certificate.as_ref().and_then(|own| own.authority.as_deref()) else {
        return Ok(config);
    };
    let token = match &authority.token {
        Some(text) => Some(token(text.as_str(), &config.service_id)?),
        None => None,
    };
    if joining {
        let token = token.ok_or_else(|| {
            let text = format!("{TOKEN} must be a join token: this service has no certificate yet");
            Failure::new(Code::InvalidArgument, Reason::Config, text)
        })?;
        return Ok(config.joining(Secret::derived(token.session_secret())));
    }
    let (identity, trust) = enrolment_files(&place(&config)?, &config.service_id);
    if let Some(certificate) = &mut config.certificate {
        certificate.is_at(&identity, &trust);
    }
    Ok(config)
}

fn place(config: &MeshConfig) -> Result<PathBuf, Failure> {
    match &config.keys_dir {
        Some(directory) => Ok(directory.clone()),
        None => Ok(KeyStore::default_dir(|name| var_os(name))?),
    }
}

fn token(text: &str, service: &ServiceId) -> Result<JoinToken, Failure> {
    let wrong = |error: &AuthorityError| {
        Failure::new(Code::InvalidArgument, error.reason(), format!("{TOKEN}: {error}"))
    };
    let token = JoinToken::parse(text).map_err(|error| wrong(&error))?;
    if token.service() == service {
        Ok(token)
    } else {
        Err(wrong(&AuthorityError::TokenService(service.clone())))
    }
}

#[napi]
impl NativeEnrolment {
    /// The service that has the authority; nothing if this one has.
    #[napi(getter, catch_unwind)]
    pub fn service(&self) -> Option<String> {
        self.inner.service.as_ref().map(ToString::to_string)
    }

    /// The join token, if there is one.
    #[napi(getter, catch_unwind)]
    pub fn join_token(&self) -> Option<String> {
        self.inner.token.as_ref().map(|(_, text)| text.clone())
    }

    /// Whether the join token has ended.
    #[napi(catch_unwind)]
    pub fn token_has_ended(&self) -> bool {
        self.inner.token.as_ref().is_some_and(|(token, _)| Timestamp::now() >= token.expires())
    }

    /// The certificate that is there; nothing without one that peers accept. `chance` is a number from 0 to 1.
    #[napi(ts_return_type = "Promise<NativeStanding | null>")]
    pub async fn standing(&self, chance: f64) -> Settled<Option<NativeStanding>> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || {
            let standing = inner.open()?.standing(chance, Timestamp::now())?;
            Ok::<_, AuthorityError>(standing.map(|standing| NativeStanding {
                renew_at: from_timestamp(standing.renew_at),
                scarce_at: from_timestamp(standing.scarce_at),
                expires_at: from_timestamp(standing.expires),
            }))
        })
        .await
    }

    /// Makes a key and a request for it, in PEM.
    #[napi(ts_return_type = "Promise<string>")]
    pub async fn request(&self) -> Settled<String> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || inner.open()?.request()).await
    }

    /// Takes the answer to the request; `joined` if it was made with the join token.
    #[napi(ts_return_type = "Promise<void>")]
    pub async fn accept(&self, certificate: String, ca: String, crl: String, joined: bool) -> Settled<()> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || {
            let token = inner.token.as_ref().map(|(token, _)| token).filter(|_| joined);
            inner.open()?.accept(&certificate, &ca, &crl, token, Timestamp::now())
        })
        .await
    }

    /// Takes other anchors and lists.
    #[napi(ts_return_type = "Promise<void>")]
    pub async fn trust(&self, ca: String, crl: String) -> Settled<()> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || inner.open()?.trust(&ca, &crl, Timestamp::now())).await
    }

    /// Has the authority of this machine issue the certificate for the request.
    #[napi(ts_return_type = "Promise<NativeAnswer>")]
    pub async fn issue_here(&self, request: String) -> Settled<NativeAnswer> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || {
            let authority = here(&inner)?;
            let now = Timestamp::now();
            let issued = authority.issue(&inner.id, Some(request.as_bytes()), None, now)?;
            let bundle = authority.bundle(now)?.into();
            Ok::<_, Failure>(NativeAnswer { certificate: issued.chain, bundle })
        })
        .await
    }

    /// The anchors and lists of the authority of this machine.
    #[napi(ts_return_type = "Promise<NativeBundle>")]
    pub async fn bundle_here(&self) -> Settled<NativeBundle> {
        let inner = Arc::clone(&self.inner);
        off_the_loop(move || Ok::<_, Failure>(here(&inner)?.bundle(Timestamp::now())?.into())).await
    }
}

fn here(inner: &Inner) -> Result<Authority, Failure> {
    let directory = inner.directory.as_ref().ok_or_else(|| {
        let text = "the authority is another service's";
        Failure::new(Code::FailedPrecondition, Reason::Authority, text)
    })?;
    Ok(Authority::open(directory)?)
}
