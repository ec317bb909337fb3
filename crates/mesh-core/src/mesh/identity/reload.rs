//! Replaces the delegation, the certificate or the anchors of a running mesh. The caller ends the
//! sessions that rest on the previous ones.

use std::sync::{Arc, atomic::Ordering};

use tokio::sync::OwnedMutexGuard;

use super::{
    Identity,
    certificates::{Certificates, Delegated},
    material::{Given, Source},
};
use crate::{
    crypto::rsa::PublicKey,
    handshake::{Certificate, Local},
    mesh::{error::Error, events::Level, shared::Shared, sync::lock},
    providers::files::Contents,
};

/// The current files. Their anchors and lists are in use; their certificate is not yet.
pub(crate) struct Reread {
    given: Given,
    /// Whether the checks of peers have changed.
    pub(crate) judges_anew: bool,
    /// The lock that admits one rotation at a time.
    turn: OwnedMutexGuard<()>,
}

impl Identity {
    /// Delegates to a new mesh key under the certificate in use, and uses it.
    /// Existing sessions continue, because the previous delegation is still
    /// valid for a while.
    pub(crate) async fn renew_delegation(self: &Arc<Self>) -> Result<PublicKey, Error> {
        let turn = Arc::clone(&self.rotation).lock_owned().await;
        let text = "this service has a new key";
        self.delegate("key.rotated", text, turn, Certificates::renew).await
    }

    /// Reads the files, or takes the delivered contents, and checks peers by them from now on. Nothing
    /// changes if one of them is invalid.
    pub(crate) async fn reread(self: &Arc<Self>, contents: Option<Contents>) -> Result<Reread, Error> {
        let turn = Arc::clone(&self.rotation).lock_owned().await;
        let identity = Arc::clone(self);
        let read = self.shared.platform.blocking(move || {
            let certificates = identity.certificates.as_ref().ok_or(Error::NoCertificate)?;
            let given = certificates.read(contents.as_ref())?;
            let judges_anew = identity.judge_by(certificates, &given);
            Ok::<_, Error>(Reread { given, judges_anew, turn })
        });
        let reread = read.await.map_err(|_| Error::Thread)??;
        if reread.judges_anew {
            let text = "peers are checked by new anchors or revocation lists";
            self.shared.log(Level::Info, "certificate.anchors", text.to_owned(), Vec::new());
        }
        Ok(reread)
    }

    /// Whether the certificate of the files is already in use.
    pub(crate) fn is_in_use(&self, reread: &Reread) -> bool {
        self.certificates.as_ref().is_some_and(|certificates| certificates.is_in_use(&reread.given))
    }

    /// Delegates to a new mesh key under the certificate of the files, and uses it. After a failure the
    /// previous identity stays.
    pub(crate) async fn take_over(self: &Arc<Self>, reread: Reread) -> Result<PublicKey, Error> {
        let Reread { given, turn, .. } = reread;
        let text = "this service has reloaded its certificate";
        let step = move |certificates: &Certificates, shared: &Shared| certificates.take_over(shared, given);
        self.delegate("certificate.loaded", text, turn, step).await
    }

    /// The source of new certificates; only the first call gets it.
    pub(crate) fn source(&self) -> Option<Source> {
        self.certificates.as_ref()?.source()
    }

    /// Records the fault of the current files, or `None` if they are in use.
    pub(crate) fn set_file_fault(&self, fault: Option<String>) {
        if let Some(certificates) = &self.certificates {
            certificates.set_fault(fault);
        }
    }

    fn judge_by(&self, certificates: &Certificates, given: &Given) -> bool {
        let Some(own) = self.local().certificate.clone() else { return false };
        let Some(verifier) = certificates.judge_by(&self.shared, given, &own.identity) else { return false };
        let mut local = lock(&self.local);
        let next = Local { certificate: Some(Certificate { verifier, ..own }), ..(**local).clone() };
        *local = Arc::new(next);
        true
    }

    async fn delegate(
        self: &Arc<Self>,
        event: &'static str,
        text: &str,
        turn: OwnedMutexGuard<()>,
        step: impl FnOnce(&Certificates, &Shared) -> Result<Delegated, Error> + Send + 'static,
    ) -> Result<PublicKey, Error> {
        let identity = Arc::clone(self);
        let made = self.shared.platform.blocking(move || {
            let certificates = identity.certificates.as_ref().ok_or(Error::NoCertificate)?;
            let Delegated { key, certificate } = step(certificates, &identity.shared)?;
            let public = key.public_key().clone();
            let mut local = lock(&identity.local);
            let previous = Arc::clone(&local);
            *local = Arc::new(previous.with_certificate(key, certificate)?);
            lock(&identity.shown).clone_from(&public);
            identity.previous_operations.fetch_add(previous.key.private_ops(), Ordering::Relaxed);
            Ok::<_, Error>(public)
        });
        let key = made.await.map_err(|_| Error::Thread)??;
        drop(turn);
        let fields = vec![("thumbprint", key.thumbprint().to_string())];
        self.shared.log(Level::Info, event, text.to_owned(), fields);
        Ok(key)
    }
}
