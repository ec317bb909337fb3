//! The certificate as TLS 1.3 uses it, beneath the mesh's own handshake.
//!
//! TLS proves the server only; a client proves itself inside. Both ends use the keys and the checks of this
//! module's certificates, so there is no second trust.

use std::{
    fmt,
    sync::{
        Arc, LazyLock, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, ServerConfig,
    SignatureAlgorithm, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider,
        aws_lc_rs::{self, cipher_suite, kx_group},
        verify_tls13_signature,
    },
    server::NoServerSessionStorage,
    sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey},
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{
    certificate::KeyKind,
    error::{IdentityError, MaterialError},
    material::Credential,
    verifier::Verifier,
};
use crate::{clock::Timestamp, error::Coded, error::Reason, id::ServiceId};

/// The one protocol above.
pub const ALPN: &[u8] = b"h2";

/// The algorithms: key exchange with ML-KEM first, suites of TLS 1.3 only.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    Arc::new(CryptoProvider {
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1],
        cipher_suites: vec![
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..aws_lc_rs::default_provider()
    })
});

/// The algorithms of every TLS of this package's servers.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}

/// The server's side under `credential`. `signatures` counts those of its key that connections cause.
///
/// There are no tickets and no early data: each connection is made in full.
pub fn server_config(
    credential: &Arc<Credential>,
    signatures: &Arc<AtomicU64>,
) -> Result<Arc<ServerConfig>, MaterialError> {
    let key = Arc::new(Leaf { credential: Arc::clone(credential), signatures: Arc::clone(signatures) });
    let certified = CertifiedKey::new(credential.chain().to_vec(), key);
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| unusable(&error))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// The client's side of one connection to `service`, whose certificate `verifier` judges at `now`. The
/// reason of a refusal is then in `refusal`. Host names are neither checked nor sent.
pub fn client_config(
    verifier: Arc<Verifier>,
    service: ServiceId,
    now: Timestamp,
    refusal: Arc<OnceLock<IdentityError>>,
) -> Result<Arc<ClientConfig>, MaterialError> {
    client_config_with(Arc::new(Check { verifier, service, now, refusal }))
}

/// The client's side of a connection whose server is proved by the handshake inside alone: with the secret of a
/// join token, which its authority and the newcomer have. That handshake is bound to the connection.
pub fn unproven_config() -> Result<Arc<ClientConfig>, MaterialError> {
    client_config_with(Arc::new(Unproven))
}

fn client_config_with(check: Arc<dyn ServerCertVerifier>) -> Result<Arc<ClientConfig>, MaterialError> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| unusable(&error))?
        .dangerous()
        .with_custom_certificate_verifier(check)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Whether a peer's alert says that it refuses a certificate.
#[must_use]
pub fn refuses_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
            | Alert::CertificateRequired
    )
}

fn unusable(error: &TlsError) -> MaterialError {
    MaterialError::new("security.tls", format!("cannot be used: {error}"))
}

/// The leaf's key, as TLS signs with it.
struct Leaf {
    credential: Arc<Credential>,
    signatures: Arc<AtomicU64>,
}

impl Leaf {
    fn scheme(&self) -> Option<SignatureScheme> {
        Some(match KeyKind::of(self.credential.leaf_spki())? {
            KeyKind::P256 => SignatureScheme::ECDSA_NISTP256_SHA256,
            KeyKind::P384 => SignatureScheme::ECDSA_NISTP384_SHA384,
            KeyKind::Ed25519 => SignatureScheme::ED25519,
            KeyKind::Rsa => SignatureScheme::RSA_PSS_SHA256,
        })
    }
}

impl SigningKey for Leaf {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = self.scheme().filter(|scheme| offered.contains(scheme))?;
        let (credential, signatures) = (Arc::clone(&self.credential), Arc::clone(&self.signatures));
        Some(Box::new(LeafSigner { credential, signatures, scheme }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.scheme() {
            Some(SignatureScheme::ED25519) => SignatureAlgorithm::ED25519,
            Some(SignatureScheme::RSA_PSS_SHA256) => SignatureAlgorithm::RSA,
            _ => SignatureAlgorithm::ECDSA,
        }
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Leaf(..)")
    }
}

struct LeafSigner {
    credential: Arc<Credential>,
    signatures: Arc<AtomicU64>,
    scheme: SignatureScheme,
}

impl Signer for LeafSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TlsError> {
        self.signatures.fetch_add(1, Ordering::Relaxed);
        self.credential.sign(message).map_err(|_| TlsError::General("the leaf's key did not sign".to_owned()))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

impl fmt::Debug for LeafSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeafSigner(..)")
    }
}

/// The client's judgement of one server.
#[derive(Debug)]
struct Check {
    verifier: Arc<Verifier>,
    service: ServiceId,
    now: Timestamp,
    refusal: Arc<OnceLock<IdentityError>>,
}

/// Accepts every certificate whose key signs the handshake.
#[derive(Debug)]
struct Unproven;

impl ServerCertVerifier for Unproven {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _host: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signature, &PROVIDER.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}

/// The signatures of a leaf's key, one for each kind.
const SCHEMES: [SignatureScheme; 4] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
];

fn no_tls12() -> TlsError {
    TlsError::General("TLS 1.2 is not spoken".to_owned())
}

impl ServerCertVerifier for Check {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _host: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let chain: Vec<CertificateDer<'_>> = [leaf].into_iter().chain(intermediates).cloned().collect();
        match self.verifier.verify_chain(&chain, &self.service, self.now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(error) => {
                let told = match error.reason() {
                    Reason::CertExpired => CertificateError::Expired,
                    Reason::CertUntrusted => CertificateError::UnknownIssuer,
                    Reason::Revoked => CertificateError::Revoked,
                    _ => CertificateError::ApplicationVerificationFailure,
                };
                // The first one is the reason; there is no second in one handshake.
                let _ = self.refusal.set(error);
                Err(TlsError::InvalidCertificate(told))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &PROVIDER.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}
