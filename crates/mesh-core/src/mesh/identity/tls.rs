//! TLS as the rest of the mesh uses it: the certificate of the moment, for either side of a connection.

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
    /// Whether TLS lies beneath.
    pub(crate) fn speaks_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The server's side of TLS under the certificate that is in use now.
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
            (None, None) => return Ok(None),
        };
        let refusal = Arc::new(OnceLock::new());
        let config = tls::client_config(verifier, service.clone(), self.shared.now(), Arc::clone(&refusal))?;
        Ok(Some(TlsDial { config, refusal }))
    }

    /// Signatures of the certificate's key that connections caused.
    pub(crate) fn leaf_signatures(&self) -> u64 {
        self.tls.as_ref().map_or(0, |tls| tls.signatures.load(Ordering::Relaxed))
    }

    /// The fault of certificates that an operator has to mend, if there is one.
    pub(crate) fn certificate_problem(&self, now: Timestamp) -> Option<String> {
        let own = self.certificates.as_ref().and_then(|certificates| certificates.problem(now));
        own.or_else(|| self.carrier()?.problem(now))
    }

    /// The ends of the certificates of this service, by their use.
    pub(crate) fn certificate_ends(&self) -> Vec<(&'static str, Timestamp)> {
        let own = self.certificates.as_ref().map(|own| ("identity", own.own().certificate_expires));
        let tls = self.carrier().map(|carrier| ("tls", carrier.expires()));
        own.into_iter().chain(tls).collect()
    }

    /// The files of the certificates for TLS alone, for one follower.
    pub(crate) fn watched_tls_files(&self) -> Option<Watched> {
        lock(&self.carrier()?.watched).take()
    }

    /// Uses the files of the certificates for TLS alone from now on: new connections do.
    pub(crate) async fn reread_tls(self: &Arc<Self>, contents: Contents) -> Result<(), Error> {
        let identity = Arc::clone(self);
        let read = self.shared.platform.blocking(move || {
            let carrier = identity.carrier();
            carrier.map_or(Ok(()), |carrier| carrier.reread(&identity.shared, &contents))
        });
        read.await.map_err(|_| Error::Thread)?
    }

    /// The files for TLS alone as they are now are in use, or are not: the text says why.
    pub(crate) fn set_tls_fault(&self, fault: Option<String>) {
        if let Some(carrier) = self.carrier() {
            *lock(&carrier.fault) = fault;
        }
    }

    fn carrier(&self) -> Option<&Carrier> {
        self.tls.as_ref()?.carrier.as_ref()
    }
}
