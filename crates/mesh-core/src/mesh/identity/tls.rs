//! TLS for the other rooms of the mesh, with the current certificate, for either side of a connection.

use std::sync::{Arc, OnceLock, atomic::Ordering};

use rustls::ServerConfig;

use super::{Identity, carrier::Carrier};
use crate::{
    clock::Timestamp,
    id::ServiceId,
    identity::tls,
    mesh::{error::Error, events::Level, sync::lock},
    providers::files::{Contents, Watched},
    transport::TlsDial,
};

impl Identity {
    /// Whether streams have TLS beneath them.
    pub(crate) fn speaks_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The server's side of TLS with the current certificate.
    pub(crate) fn tls_server(&self) -> Option<Arc<ServerConfig>> {
        let tls = self.tls.as_ref()?;
        let credential = match (&tls.carrier, &self.certificates) {
            (Some(carrier), _) => carrier.credential(),
            (None, Some(certificates)) => certificates.credential(),
            (None, None) => return None,
        };
        let config = tls.server(credential);
        config.inspect_err(|error| self.shared.log(Level::Error, "tls", error.to_string(), Vec::new())).ok()
    }

    /// The client's side of one connection to `service`; `None` without TLS.
    pub(crate) fn tls_dial(&self, service: &ServiceId) -> Result<Option<TlsDial>, Error> {
        let Some(tls) = &self.tls else { return Ok(None) };
        let verifier = match (&tls.carrier, &self.certificates) {
            (Some(carrier), _) => carrier.verifier(),
            (None, Some(certificates)) => certificates.verifier(),
            // A newcomer, which has no anchor: the handshake inside proves the server, and is bound to this connection.
            (None, None) => {
                return Ok(Some(TlsDial { config: tls::unproven_config()?, refusal: Arc::default() }));
            }
        };
        let refusal = Arc::new(OnceLock::new());
        let config = tls::client_config(verifier, service.clone(), self.shared.now(), Arc::clone(&refusal))?;
        Ok(Some(TlsDial { config, refusal }))
    }

    /// The number of signatures with the certificate's key that connections have caused.
    pub(crate) fn leaf_signatures(&self) -> u64 {
        self.tls.as_ref().map_or(0, |tls| tls.signatures.load(Ordering::Relaxed))
    }

    /// The fault of certificates that an operator has to repair, if there is one.
    pub(crate) fn certificate_problem(&self, now: Timestamp) -> Option<String> {
        let own = self.certificates.as_ref().and_then(|certificates| certificates.problem(now));
        own.or_else(|| self.carrier()?.problem(now))
    }

    /// The ends of the certificates of this service, by their use.
    pub(crate) fn certificate_ends(&self) -> Vec<(&'static str, Timestamp)> {
        let own = self.certificates.as_ref().map(|own| ("identity", own.own().certificate_expires));
        let tls = self.carrier().map(|carrier| ("tls", carrier.credential().expires()));
        own.into_iter().chain(tls).collect()
    }

    /// The watched files of the certificates for TLS only; only the first call gets them.
    pub(crate) fn watched_tls_files(&self) -> Option<Watched> {
        lock(&self.carrier()?.watched).take()
    }

    /// Uses `contents` as the certificates for TLS only, on new connections.
    pub(crate) async fn reread_tls(self: &Arc<Self>, contents: Contents) -> Result<(), Error> {
        let identity = Arc::clone(self);
        let read = self.shared.platform.blocking(move || {
            let carrier = identity.carrier();
            carrier.map_or(Ok(()), |carrier| carrier.reread(&identity.shared, &contents))
        });
        read.await.map_err(|_| Error::Thread)?
    }

    /// Records the fault of the current files for TLS only, or `None` if they are in use.
    pub(crate) fn set_tls_fault(&self, fault: Option<String>) {
        if let Some(carrier) = self.carrier() {
            *lock(&carrier.fault) = fault;
        }
    }

    fn carrier(&self) -> Option<&Carrier> {
        self.tls.as_ref()?.carrier.as_ref()
    }
}
