//! The parts of a mesh, and its life from start to close.

mod certificate_files;
mod certificates;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    client::Client,
    error::Error,
    events::AbortCause,
    identity::Identity,
    server::{Authorization, Server},
    session::{End, Stalls},
    shared::Shared,
    timers::Timer,
};
use crate::{clock::Timestamp, crypto::rsa::PublicKey, transport::Connections};

/// The interval of the sweep for idle and old sessions.
const SWEEP: Duration = Duration::from_secs(1);
/// The time for which the end of a mesh waits for its port, and for the last answers.
const RELEASE: Duration = Duration::from_secs(1);
const FAREWELL: Duration = Duration::from_millis(300);

/// The parts of one mesh.
pub(super) struct Core {
    pub(super) shared: Arc<Shared>,
    pub(super) identity: Arc<Identity>,
    pub(super) client: Arc<Client>,
    pub(super) server: Arc<Server>,
    pub(super) authorization: Arc<Authorization>,
    /// The port, if there is one.
    pub(super) listening: Option<Listening>,
}

/// A bound port.
pub(super) struct Listening {
    pub(super) address: Option<SocketAddr>,
    /// The connections accepted.
    pub(super) connections: Connections,
    /// Cancelled once the port is free again.
    pub(super) released: CancellationToken,
}

impl Core {
    /// Runs the timers and sweeps until the mesh stops.
    pub(super) async fn tick(self: Arc<Self>) {
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shared = &self.shared;
        loop {
            tokio::select! {
                biased;
                () = shared.stop.cancelled() => return,
                // The sweep precedes the timers, because any number of timers may be due.
                _ = sweep.tick() => shared.guarded(|| self.sweep(shared.now())),
                timer = shared.timers.expired() => shared.guarded(|| match timer {
                    Timer::Call(id) => self.client.expired(id),
                    Timer::Retry(id) => self.client.retry(id),
                    Timer::Spare(id) => self.client.send_spare(id),
                    Timer::Queue(id) => self.client.queue_expired(id),
                    Timer::Request(id) => self.server.expired(id),
                }),
            }
        }
    }

    /// Ends sessions that are idle or old: first with a goaway, so that no call
    /// is lost, and then finally.
    fn sweep(&self, now: Timestamp) {
        if self.identity.retire_secrets(now) {
            self.renew_sessions();
        }
        self.keep_certificate(now);
        self.end_weaker_trust(now);
        self.shared.log_withheld();
        self.sweep_streams();
        let config = &self.shared.config;
        for session in self.client.sessions().list() {
            if session.is_overdue(now, config) {
                // Calls in flight keep their session until they end.
                self.client.leave(&session, u32::MAX);
            }
        }
        for session in self.server.sessions().list() {
            if session.is_overdue(now, config) {
                session.leave();
            }
        }
    }

    /// Checks every stream once for a stall.
    pub(super) fn sweep_streams(&self) {
        let mut stalls = Stalls::default();
        stalls.look(&*self.client);
        stalls.look(&*self.server);
        stalls.report(&self.shared);
    }

    /// As [`Mesh::rotate_key`](super::Mesh::rotate_key).
    pub(super) async fn rotate_key(&self) -> Result<PublicKey, Error> {
        let key = self.identity.rotate_key().await?;
        self.renew_sessions();
        self.shared.events.flush();
        Ok(key)
    }

    /// As [`Mesh::rotate_secret`](super::Mesh::rotate_secret).
    pub(super) fn rotate_secret(&self, secret: &str, grace: Duration) -> Result<(), Error> {
        self.identity.rotate_secret(secret, grace)?;
        // A peer that refused the previous one may accept this one.
        self.client.forgive();
        if grace.is_zero() {
            self.renew_sessions();
        }
        self.shared.events.flush();
        Ok(())
    }

    /// Lets every session end with the calls that it carries. The next call
    /// gets a new session.
    fn renew_sessions(&self) {
        for session in self.client.sessions().list() {
            self.client.leave(&session, u32::MAX);
        }
        for session in self.server.sessions().list() {
            session.leave();
        }
    }

    /// Accepts no more requests and waits for the requests in progress, at most
    /// for `patience`. Then ends everything.
    pub(super) async fn close(&self, patience: Duration) {
        let text = "the mesh accepts no more requests";
        self.shared.sight.event("drain", self.shared.sight.service(), text, self.shared.elapsed());
        self.shared.draining.cancel();
        if let Some(listening) = &self.listening {
            // After the return the caller can listen on the port at once.
            let _ = timeout(RELEASE, listening.released.cancelled()).await;
        }
        let drained = async {
            // `count` visits every session, so that all of them are left even if the first is still
            // busy.
            while self.server.sessions().list().iter().filter(|session| !session.leave()).count() > 0 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = timeout(patience, drained).await;
        self.client.end_all();
        let (calling, answering) = (self.client.sessions().list(), self.server.sessions().list());
        for session in &calling {
            session.finish(End::Closed);
        }
        for session in &answering {
            self.server.abort_session(session, AbortCause::Shutdown);
            session.finish(End::Closed);
        }
        let gone = async {
            while self.client.sessions().len() + self.server.sessions().len() > 0 {
                sleep(Duration::from_millis(2)).await;
            }
        };
        // Queued answers are still written, if the peers read them.
        let _ = timeout(FAREWELL, gone).await;
        self.shared.log_withheld_at_the_end();
        self.shared.stop.cancel();
        for session in calling {
            session.end(End::Closed);
        }
        for session in answering {
            session.end(End::Closed);
        }
        self.shared.events.flush();
    }
}
