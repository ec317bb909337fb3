//! The upkeep of certificates in a running mesh: it renews delegations, reloads
//! files, and ends sessions after a revocation or a change of anchors.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::Core;
use crate::{
    clock::Timestamp,
    crypto::rsa::PublicKey,
    error::{Coded, Reason},
    identity::{IdentityError, Revocation},
    mesh::{
        error::Error,
        events::{Level, SessionInfo},
        identity::Reread,
        session::{End, Session},
        stats::CertificateStats,
    },
    providers::files::Contents,
};

/// The time for which calls may continue after the end of the peer's identity.
const LAST_CALLS: Duration = Duration::from_hours(1);

impl Core {
    /// Renews the delegation when it is due, and warns of a near end.
    pub(super) fn keep_certificate(&self, now: Timestamp) {
        for (event, text) in self.identity.certificate_warnings(now) {
            self.shared.log(Level::Warn, event, text, Vec::new());
            self.shared.events.flush();
        }
        self.end_outlived_sessions(now);
        if !self.identity.renewal_is_due(now) {
            return;
        }
        let (identity, shared) = (Arc::clone(&self.identity), Arc::clone(&self.shared));
        tokio::spawn(async move {
            let outcome = identity.renew_delegation().await;
            identity.renewal_is_over(outcome.is_ok(), shared.now());
            if let Err(error) = outcome {
                let fields = vec![("reason", error.reason().to_string())];
                let text = format!("the certificate could not be delegated to a new key: {error}");
                shared.log(Level::Error, "certificate.renewal.failed", text, fields);
                shared.events.flush();
            }
        });
    }

    /// As [`Mesh::reload_identity`](crate::mesh::Mesh::reload_identity).
    pub(in crate::mesh) async fn reload_identity(&self) -> Result<PublicKey, Error> {
        let reread = self.reread(None).await?;
        let key = self.take_over(reread).await?;
        self.identity.set_file_fault(None);
        Ok(key)
    }

    /// Reads the files, or takes the delivered contents, and ends the sessions of peers that their anchors and
    /// lists refuse. This does not wait for the new mesh key, which takes a while to make.
    pub(super) async fn reread(&self, contents: Option<Contents>) -> Result<Reread, Error> {
        let reread = self.identity.reread(contents).await?;
        if reread.judges_anew {
            self.client.forgive();
            self.end_refused_sessions().await?;
            self.shared.events.flush();
        }
        Ok(reread)
    }

    /// Uses the certificate of the files from now on.
    pub(super) async fn take_over(&self, reread: Reread) -> Result<PublicKey, Error> {
        let key = self.identity.take_over(reread).await?;
        // A peer that refused the previous certificate may accept this one.
        self.client.forgive();
        self.renew_sessions();
        self.end_refused_sessions().await?;
        self.shared.events.flush();
        Ok(key)
    }

    /// As [`Mesh::revoke`](crate::mesh::Mesh::revoke).
    pub(in crate::mesh) async fn revoke(&self, revocation: Revocation) -> Result<usize, Error> {
        self.identity.revoke(revocation)?;
        let ended = self.end_refused_sessions().await?;
        self.shared.events.flush();
        Ok(ended)
    }

    /// Lets the sessions without a certificate end with the calls that they carry, once the weaker trust has
    /// ended.
    pub(super) fn end_weaker_trust(&self, now: Timestamp) {
        if !self.identity.weaker_ends(now) {
            return;
        }
        for session in self.client.sessions().list() {
            if session.info.certified.is_none() {
                self.client.leave(&session, u32::MAX);
            }
        }
        for session in self.server.sessions().list() {
            if session.info.certified.is_none() {
                session.leave();
            }
        }
        let text = "security.accept has ended: only certificates are accepted".to_owned();
        self.shared.log(Level::Warn, "accept.ended", text, Vec::new());
        self.shared.events.flush();
    }

    /// Ends the sessions of peers whose identities ended a while ago. Those
    /// sessions have taken no new calls since, but an endless call must not
    /// prolong an identity.
    fn end_outlived_sessions(&self, now: Timestamp) {
        let (calling, answering) = (self.client.sessions().list(), self.server.sessions().list());
        let end = |session: &Session| {
            if session.info.certified.as_ref().is_some_and(|certified| now >= certified.expires + LAST_CALLS)
            {
                let judged = self.identity.judge(&session.info, now);
                session.end(judged.err().map_or(End::Closed, |error| End::Refused(Arc::new(error))));
            }
        };
        for held in &calling {
            end(held);
        }
        for held in &answering {
            end(held);
        }
    }

    /// Ends every session whose peer would now be refused. Returns their number.
    async fn end_refused_sessions(&self) -> Result<usize, Error> {
        let (calling, answering) = (self.client.sessions().list(), self.server.sessions().list());
        let sessions = calling.iter().map(|held| &held.info).chain(answering.iter().map(|held| &held.info));
        let sessions: Vec<Arc<SessionInfo>> = sessions.map(Arc::clone).collect();
        let identity = Arc::clone(&self.identity);
        let now = self.shared.now();
        // New anchors require verifying signatures, which is slow.
        let judged = self.shared.platform.blocking(move || {
            let refused = |info: Arc<SessionInfo>| Some((info.handle, identity.judge(&info, now).err()?));
            sessions.into_iter().filter_map(refused).collect::<HashMap<u32, IdentityError>>()
        });
        let refused = judged.await.map_err(|_| Error::Thread)?;
        let end = |session: &Session| {
            let Some(error) = refused.get(&session.info.handle) else { return 0 };
            // The sweep ends sessions with expired certificates in order, so they are not cut off
            // here.
            if error.reason() == Reason::CertExpired {
                return 0;
            }
            session.end(End::Refused(Arc::new(error.clone())));
            1
        };
        let calling: usize = calling.iter().map(|held| end(held)).sum();
        let answering: usize = answering.iter().map(|held| end(held)).sum();
        Ok(calling + answering)
    }

    /// The certificates of this mesh and of its peers.
    pub(in crate::mesh) fn certificate_stats(&self) -> Option<CertificateStats> {
        let certificates = self.identity.certificates.as_ref()?;
        let (calling, answering) = (self.client.sessions().list(), self.server.sessions().list());
        let sessions = calling.iter().map(|held| &held.info).chain(answering.iter().map(|held| &held.info));
        let mut peers: Vec<_> = sessions.filter_map(|info| info.certified.clone()).collect();
        peers.sort_by(|a, b| (&a.service, &a.serial).cmp(&(&b.service, &b.serial)));
        peers.dedup_by(|a, b| (&a.service, &a.serial) == (&b.service, &b.serial));
        Some(CertificateStats { own: certificates.own(), peers, verifications: certificates.signatures() })
    }
}
