//! The reasons for which an identity is refused, or for which this service's own cannot be used.

use x509_parser::time::ASN1Time;

use crate::{
    clock::Timestamp,
    crypto::CryptoError,
    error::{Code, Coded, Reason},
    id::ServiceId,
    wire::Malformed,
};

/// The reason for which a peer's identity is refused. It stays local: a peer gets the same status for all.
/// No text of a certificate that is not yet verified is repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The identity is not well formed, or larger than the limits.
    #[error("the identity is malformed, or larger than 8 certificates or 10 KiB")]
    Format,
    /// The delegated key is unacceptable.
    #[error("the mesh key is unacceptable: an RSA key of 2048 to 4096 bits, e = 65537, canonical DER")]
    MeshKey,
    /// A certificate or the delegation begins in the future.
    #[error(
        "{what} of {service} is not valid before {}, and here it is {}; compare the clocks of both sides",
        shown(.from), shown(.now)
    )]
    NotYetValid {
        /// The service that the identity claims to be.
        service: ServiceId,
        /// Which part of it.
        what: &'static str,
        /// Its beginning.
        from: Timestamp,
        /// The time of the check.
        now: Timestamp,
    },
    /// A certificate or the delegation has ended.
    #[error(
        "{what} of {service} ended at {}, and here it is {}; renew it, or compare the clocks of both sides",
        shown(.until), shown(.now)
    )]
    Expired {
        /// The service that the identity claims to be.
        service: ServiceId,
        /// Which part of it.
        what: &'static str,
        /// Its end.
        until: Timestamp,
        /// The time of the check.
        now: Timestamp,
    },
    /// No path leads to a trust anchor.
    #[error("the certificate of {service} leads to no trust anchor of security.certificate.ca: {why}")]
    Untrusted {
        /// The service that the identity claims to be.
        service: ServiceId,
        /// The missing part.
        why: &'static str,
    },
    /// A certificate is malformed, or is not for this purpose.
    #[error("{what} of {service} is unacceptable: {why}")]
    Invalid {
        /// The service that the identity claims to be.
        service: ServiceId,
        /// Which part of the chain.
        what: &'static str,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// The certificate does not name the service.
    #[error("the certificate does not name {service}: {why}")]
    Name {
        /// The id that the peer claims.
        service: ServiceId,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// The delegation is not for this certificate, id, key or time.
    #[error("the delegation of {service} is unacceptable: {why}")]
    Delegation {
        /// The service that the identity claims to be.
        service: ServiceId,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// A certificate, its name or the mesh key is revoked.
    #[error("the identity of {service} is revoked, by {by}")]
    Revoked {
        /// The service that the identity claims to be.
        service: ServiceId,
        /// A revocation list, or `revoke()`.
        by: &'static str,
    },
    /// The revocation lists do not tell whether a certificate is revoked.
    #[error(
        "it is unknown whether a certificate of {service} is revoked: {why}; renew security.certificate.crl, or set crlPolicy: 'warn'"
    )]
    Crl {
        /// The service that the identity claims to be.
        service: ServiceId,
        /// The fault of the lists.
        why: &'static str,
    },
}

/// A time as an error shows it.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "thiserror hands out references")]
fn shown(time: &Timestamp) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    ASN1Time::from_timestamp(seconds)
        .map_or_else(|_| "a time beyond all calendars".to_owned(), |time| time.to_string())
}

impl From<Malformed> for IdentityError {
    fn from(_: Malformed) -> Self {
        Self::Format
    }
}

impl Coded for IdentityError {
    fn code(&self) -> Code {
        Code::Unauthenticated
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Format => Reason::HandshakeFormat,
            Self::MeshKey => Reason::BadPeerKey,
            Self::NotYetValid { .. } | Self::Expired { .. } => Reason::CertExpired,
            Self::Untrusted { .. } => Reason::CertUntrusted,
            Self::Invalid { .. } => Reason::CertInvalid,
            Self::Name { .. } => Reason::CertName,
            Self::Delegation { .. } => Reason::CertDelegation,
            Self::Revoked { .. } => Reason::Revoked,
            Self::Crl { .. } => Reason::CrlUnusable,
        }
    }
}

/// The reason for which this service's own certificate, key, anchors or lists cannot be used.
/// No key and no part of one is repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MaterialError {
    /// A file or text is not what its option names.
    #[error("{option} {why}")]
    Unusable {
        /// The option, as in `security.certificate.key`.
        option: &'static str,
        /// The fault, and the repair.
        why: String,
    },
    /// This service's own identity does not pass the checks that its peers make.
    #[error("this service's own identity would be refused by its peers: {}{}", .0, repair(.0))]
    Own(#[from] IdentityError),
    /// The cryptographic library failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl MaterialError {
    pub(super) fn new(option: &'static str, why: impl Into<String>) -> Self {
        Self::Unusable { option, why: why.into() }
    }
}

fn repair(error: &IdentityError) -> &'static str {
    match error {
        IdentityError::Name { .. } => {
            "; give serviceId the last segment of the certificate's SPIFFE id, set security.certificate.id to a template, or names: 'dns'"
        }
        IdentityError::Untrusted { .. } => {
            "; put the anchor into security.certificate.ca and the intermediates behind the leaf in security.certificate.cert"
        }
        IdentityError::Invalid { .. } => "; have the certificate issued again",
        _ => "",
    }
}

impl Coded for MaterialError {
    fn code(&self) -> Code {
        match self {
            Self::Unusable { .. } | Self::Own(_) => Code::InvalidArgument,
            Self::Crypto(error) => error.code(),
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Unusable { .. } => Reason::CertMaterial,
            Self::Own(error) => error.reason(),
            Self::Crypto(error) => error.reason(),
        }
    }
}
