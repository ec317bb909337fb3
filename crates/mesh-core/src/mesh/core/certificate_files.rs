//! The files of the certificate, followed while a mesh runs.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::Core;
use crate::{
    error::Coded,
    mesh::{error::Error, events::Level},
    providers::files::Read,
};

/// How long files may be no good before that is reported. Some tools write the key first and the certificate a
/// moment later.
const PATIENCE: Duration = Duration::from_secs(3);

/// The option of the files, for the errors of reading them together.
const OPTION: &str = "security.certificate";

impl Core {
    /// Uses the files of the certificate whenever they change, until the mesh stops. Files that are no good
    /// leave the identity as it is.
    pub(in crate::mesh) async fn follow_certificate(self: Arc<Self>) {
        let Some(mut watched) = self.identity.watched_files() else { return };
        let mut fault: Option<(Error, Instant)> = None;
        loop {
            let patience = fault.as_ref().map(|(_, until)| *until);
            let read = tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => return,
                read = watched.changed() => Some(read),
                () = wait(patience) => None,
            };
            match read {
                None => {
                    if let Some((error, _)) = fault.take() {
                        self.report_certificate_fault(&error);
                    }
                }
                Some(read) => match self.use_files(read).await {
                    Ok(()) => {
                        fault = None;
                        self.identity.set_file_fault(None);
                    }
                    // The last of the faults is the one that lasts.
                    Err(error) => {
                        let until = patience.unwrap_or_else(|| Instant::now() + PATIENCE);
                        fault = Some((error, until));
                    }
                },
            }
        }
    }

    async fn use_files(&self, read: Read) -> Result<(), Error> {
        let contents = read.map_err(|source| Error::File { option: OPTION, source })?;
        let reread = self.reread(Some(contents)).await?;
        // Other lists alone need no other key.
        if !self.identity.is_in_use(&reread) {
            self.take_over(reread).await?;
        }
        Ok(())
    }

    fn report_certificate_fault(&self, error: &Error) {
        let text = format!("{error}; the previous certificate stays in use");
        self.identity.set_file_fault(Some(text.clone()));
        let fields = vec![("reason", error.reason().to_string())];
        self.shared.log(Level::Error, "certificate.broken", text, fields);
        self.shared.events.flush();
    }
}

async fn wait(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => pending().await,
    }
}
