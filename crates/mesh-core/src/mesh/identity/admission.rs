//! The admission of services that have a join token and no certificate yet.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::Identity;
use crate::{
    handshake::{Local, MeshSecret, Responder, Tickets},
    id::ServiceId,
    mesh::{error::Error, sync::lock},
};

impl Identity {
    /// As [`Mesh::admit_newcomers`](crate::mesh::Mesh::admit_newcomers) says.
    pub(crate) async fn admit(
        self: &Arc<Self>,
        secrets: Vec<(Zeroizing<String>, ServiceId)>,
    ) -> Result<(), Error> {
        if self.certificates.is_none() {
            return Err(Error::NoCertificate);
        }
        let identity = Arc::clone(self);
        let admitted = self.shared.platform.blocking(move || identity.admit_newcomers(&secrets));
        admitted.await.map_err(|_| Error::Thread)?
    }

    /// Admits the holders of these tokens, by the secrets of their sessions, from now on, and of no others. Blocks.
    fn admit_newcomers(&self, tokens: &[(Zeroizing<String>, ServiceId)]) -> Result<(), Error> {
        let own = self.local();
        let secrets: Vec<MeshSecret> =
            tokens.iter().map(|(secret, _)| MeshSecret::new(secret.as_bytes())).collect();
        // Other tickets than those of services with a certificate.
        let tickets = Arc::new(Tickets::new(&own.id, &own.key, &secrets)?);
        let admitted = secrets.into_iter().zip(tokens).map(|(secret, (_, service))| {
            let local = Local {
                secrets: vec![secret.clone()],
                certificate: None,
                succession: None,
                tickets: Arc::clone(&tickets),
                holders: Arc::default(),
                ..(*own).clone()
            };
            (secret.id(), (service.clone(), Arc::new(local)))
        });
        *lock(&self.newcomers.0) = admitted.collect();
        Ok(())
    }

    /// This side for the newcomer that has sent M1, if it names a token and the service that the token is for.
    pub(crate) fn newcomer(&self, m1: &[u8]) -> Option<Arc<Local>> {
        let newcomers = lock(&self.newcomers.0);
        if newcomers.is_empty() {
            return None;
        }
        let (secret, sender) = Responder::secret_of(m1)?;
        newcomers.get(&secret).filter(|(service, _)| *service == sender).map(|(_, local)| Arc::clone(local))
    }
}
