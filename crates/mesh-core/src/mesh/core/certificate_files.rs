//! Follows the files of the certificate, or the Workload API, while a mesh runs.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::Core;
use crate::{
    error::Coded,
    mesh::{error::Error, events::Level, identity::Source},
    providers::files::Contents,
};

/// The time for which files may be invalid before that is reported. Some tools write the key first and the
/// certificate a moment later.
const PATIENCE: Duration = Duration::from_secs(3);

/// The files of one option.
enum Files {
    /// `security.certificate`.
    Identity,
    /// `security.tls`.
    Tls,
}

impl Core {
    /// Uses the files of the certificate, or what the Workload API gives, whenever that changes, until the mesh stops.
    /// Invalid contents leave the identity as it is.
    pub(in crate::mesh) async fn follow_certificate(self: Arc<Self>) {
        if let Some(source) = self.identity.source() {
            self.follow(source, Files::Identity).await;
        }
    }

    /// The same for the certificates for TLS only.
    pub(in crate::mesh) async fn follow_tls(self: Arc<Self>) {
        if let Some(watched) = self.identity.watched_tls_files() {
            self.follow(Source::Files("security.tls", watched), Files::Tls).await;
        }
    }

    async fn follow(&self, mut source: Source, files: Files) {
        let mut fault: Option<(Error, Instant)> = None;
        loop {
            let patience = fault.as_ref().map(|(_, until)| *until);
            let read = tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => return,
                read = source.changed() => Some(read),
                () = wait(patience) => None,
            };
            let Some(read) = read else {
                if let Some((error, _)) = fault.take() {
                    self.report_fault(&files, &error);
                }
                continue;
            };
            match self.use_files(&files, read).await {
                Ok(()) => {
                    fault = None;
                    self.set_fault(&files, None);
                }
                // The latest fault replaces earlier ones, but the patience does not begin again.
                Err(error) => fault = Some((error, patience.unwrap_or_else(|| Instant::now() + PATIENCE))),
            }
        }
    }

    async fn use_files(&self, files: &Files, read: Result<Contents, Error>) -> Result<(), Error> {
        let contents = read?;
        match files {
            Files::Identity => {
                let reread = self.reread(Some(contents)).await?;
                // A change of anchors or lists alone needs no new key.
                if !self.identity.is_in_use(&reread) {
                    self.take_over(reread).await?;
                }
            }
            Files::Tls => self.identity.reread_tls(contents).await?,
        }
        Ok(())
    }

    fn report_fault(&self, files: &Files, error: &Error) {
        let text = format!("{error}; the previous certificate stays in use");
        self.set_fault(files, Some(text.clone()));
        let fields = vec![("reason", error.reason().to_string())];
        self.shared.log(Level::Error, "certificate.broken", text, fields);
        self.shared.events.flush();
    }

    fn set_fault(&self, files: &Files, fault: Option<String>) {
        match files {
            Files::Identity => self.identity.set_file_fault(fault),
            Files::Tls => self.identity.set_tls_fault(fault),
        }
    }
}

async fn wait(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => pending().await,
    }
}
