//! The mesh: the only place that wires the parts together.
//!
//! One mesh is one I/O thread with its own runtime (`runtime`). A `core` holds
//! its parts, which `build` makes from a configuration: the common parts
//! (`shared`), the identity of this service (`identity`), its calls (`client`)
//! and its requests (`server`). Both sides run their sessions by `session`, and
//! neither knows the other.

mod archive;
mod asking;
mod build;
mod chain;
mod client;
mod core;
mod error;
mod events;
mod exporting;
mod facts;
mod figures;
mod gate;
mod identity;
mod io;
mod lookout;
mod metadata;
mod own_calls;
mod platform;
mod report;
mod reporter;
mod runtime;
mod server;
mod session;
mod shared;
mod shelf;
mod sight;
mod stats;
mod sync;
#[cfg(test)]
mod tests;
mod throttle;
mod timers;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::DropGuard;
use zeroize::Zeroizing;

use self::{
    asking::ask,
    exporting::{export, tracer},
    facts::Facts,
    gate::Gate,
    io::Job,
    own_calls::{Beside, OwnCalls},
    platform::Platform,
    runtime::{Started, run},
    server::Authorization,
    sync::lock,
};
pub use self::{
    error::Error,
    events::{
        AbortCause, CallError, CallId, CallSpec, Chain, Events, Level, LogEvent, Reply, Request, RequestId,
        SessionInfo, StreamId,
    },
    figures::Gauges,
    identity::AuditSigner,
    io::Io,
    server::PolicyStatus,
    stats::{CertificateStats, Shed, Stats},
};
use crate::{
    admin::{AdminPort, Source},
    authz::{Caller, Explanation},
    budget::{Budget, Charge, MemoryFigures},
    config::{MeshConfig, NetworkName},
    crypto::{mac::sha256, rsa::PublicKey},
    id::ServiceId,
    identity::Revocation,
    otlp::Exporter,
    telemetry::{Recorder, exposition},
    transport::memory::sever,
};

/// A running mesh. A drop ends everything at once; [`Mesh::close`] ends it in
/// order.
#[derive(Debug)]
pub struct Mesh {
    jobs: mpsc::UnboundedSender<Job>,
    address: Option<SocketAddr>,
    network: Option<NetworkName>,
    public_key: Arc<Mutex<PublicKey>>,
    authorization: Arc<Authorization>,
    budget: Arc<Budget>,
    signer: AuditSigner,
    gate: Arc<Gate>,
    sight: Arc<Recorder>,
    admin: Option<AdminPort>,
    exporter: Option<Exporter>,
    _guard: DropGuard,
}

impl Mesh {
    /// Binds the port, makes or loads keys, and serves. Writes no file if it
    /// cannot bind the port.
    pub async fn start(config: MeshConfig, events: Arc<dyn Events>) -> Result<Self, Error> {
        Self::start_on(Platform::system(), config, events).await
    }

    async fn start_on(
        platform: Platform,
        config: MeshConfig,
        events: Arc<dyn Events>,
    ) -> Result<Self, Error> {
        let (admin, clock) = (config.admin.clone(), platform.clock.clone());
        let shown = admin.as_ref().is_some_and(|admin| !admin.probes_only);
        let settings = config.clone();
        let (facts, ready, running) = Self::parts(platform, config, events);
        // The admin port is bound first, so that a failure has no side effects.
        let admin = match &admin {
            Some(admin) => {
                let facts = match &admin.history {
                    Some(directory) => facts.keep_history(directory, clock),
                    None => facts,
                };
                let facts: Arc<dyn Source> = Arc::new(facts);
                Some((AdminPort::open(admin, Arc::clone(&facts)).await?, facts))
            }
            None => None,
        };
        runtime::spawn(running)?;
        let mesh = ready.await?;
        let admin = match admin {
            Some((port, facts)) => {
                if shown {
                    mesh.open_control(&port, facts).await;
                }
                Some(port)
            }
            None => None,
        };
        let exporter = export(&settings, &mesh.sight, mesh.jobs.downgrade());
        Ok(Self { admin, exporter, ..mesh })
    }

    /// Opens the control socket of this process, if the mesh keeps its keys in a directory.
    async fn open_control(&self, port: &AdminPort, facts: Arc<dyn Source>) {
        let directory = ask(&self.jobs.downgrade(), |io| io.0.identity.directory());
        let Ok(Some(directory)) = directory.await else { return };
        let service = hex::encode(&sha256(&[self.sight.service().as_bytes()])[..8]);
        port.open_control(&directory, &format!("{service}-{}.sock", self.sight.instance()), facts);
    }

    /// A mesh in two halves. The first completes once the mesh serves. The
    /// second is its work, which a current-thread runtime must drive.
    #[cfg(test)]
    fn on(
        platform: Platform,
        config: MeshConfig,
        events: Arc<dyn Events>,
    ) -> (impl Future<Output = Result<Self, Error>>, impl Future<Output = ()> + Send) {
        let (_, ready, running) = Self::parts(platform, config, events);
        (ready, running)
    }

    /// The same, with the facts for an admin port.
    fn parts(
        platform: Platform,
        config: MeshConfig,
        events: Arc<dyn Events>,
    ) -> (Facts, impl Future<Output = Result<Self, Error>>, impl Future<Output = ()> + Send) {
        let network = config.network.clone();
        let (jobs, queue) = mpsc::unbounded_channel();
        let (started, ready) = oneshot::channel();
        let observed = config.observe.is_on(config.is_embedded());
        let shown = config.admin.as_ref().is_some_and(|admin| !admin.probes_only);
        let records = shown || observed || events.metrics().is_some();
        let service = config.service_id.as_str();
        let version = env!("CARGO_PKG_VERSION");
        let sight = Recorder::new(service, version, platform.clock.now(), records);
        let sight = Arc::new(sight.with_tracer(tracer(&config)));
        let gate = Arc::new(Gate::default());
        let own = Arc::<OwnCalls>::default();
        let events: Arc<dyn Events> =
            if shown { Arc::new(Beside { application: events, own: Arc::clone(&own) }) } else { events };
        let facts = Facts::new(jobs.downgrade(), own, Arc::clone(&gate), Arc::clone(&sight));
        let recorder = Arc::clone(&sight);
        let ready = async {
            let started = ready.await.map_err(|_| Error::Thread)??;
            let Started { address, public_key, authorization, budget, signer, guard } = started;
            let (admin, exporter) = (None, None);
            Ok(Self {
                jobs,
                address,
                network,
                public_key,
                authorization,
                budget,
                signer,
                gate,
                sight,
                admin,
                exporter,
                _guard: guard,
            })
        };
        (facts, ready, run(platform, config, events, recorder, queue, started))
    }

    /// The address on which the mesh listens; `None` for a mesh that only calls.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The address of the admin port; `None` without one.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(AdminPort::address)
    }

    /// The figures of this mesh in the `OpenMetrics` text format. Counts are current, gauges at most a second
    /// old.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        exposition::open_metrics(&self.sight)
    }

    /// The application has reported its dependencies, so the process may be ready from now on.
    pub fn open(&self) {
        self.gate.open();
    }

    /// Records the application's report about a dependency: `None`, or its fault. A report is valid for 15
    /// seconds.
    pub fn set_readiness(&self, name: &str, problem: Option<String>) {
        self.gate.tell(name, problem);
    }

    /// Removes a dependency from the readiness of this process.
    pub fn forget_readiness(&self, name: &str) {
        self.gate.forget(name);
    }

    /// The delay of the application's event loop in seconds, for the page of metrics.
    pub fn set_event_loop_delay(&self, seconds: f64) {
        self.sight.set_event_loop_delay(seconds);
    }

    /// Breaks the existing connections to this mesh, if it is on a network in
    /// memory. Peers can connect again.
    pub fn sever(&self) {
        if let (Some(network), Some(address)) = (&self.network, self.address) {
            sever(network, address.port());
        }
    }

    /// This service's public key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        lock(&self.public_key).clone()
    }

    /// The signer of the audit log, which outlives the mesh.
    #[must_use]
    pub fn audit_signer(&self) -> AuditSigner {
        self.signer.clone()
    }

    /// Replaces this service's mesh key. Makes a key of the configured size,
    /// stores it in the key directory, and uses it in every new handshake, with
    /// the succession that the previous key signs. Existing sessions end with
    /// the calls that they carry. Returns the new public key.
    ///
    /// # Errors
    /// Those of the key directory; the previous key then stays in use.
    /// [`Error::Thread`] when the mesh is closed.
    pub async fn rotate_key(&self) -> Result<PublicKey, Error> {
        facts::rotate_key(self.jobs.downgrade()).await
    }

    /// Reads certificate, key, anchors and revocation lists again, checks them as
    /// at the start, and uses them. New sessions prove the new certificate at
    /// once. Existing sessions end with the calls that they carry, or at once if
    /// their peers would now be refused. Returns the mesh key that the new
    /// delegation names.
    ///
    /// # Errors
    /// [`Error::NoCertificate`] without `security.certificate`;
    /// [`Error::Certificate`] and those of files: the previous certificate then
    /// stays in use. [`Error::Thread`] when the mesh is closed.
    pub async fn reload_identity(&self) -> Result<PublicKey, Error> {
        let (sender, receiver) = oneshot::channel();
        self.post(move |io| {
            let core = Arc::clone(&io.0);
            tokio::spawn(async move {
                let _ = sender.send(core.reload_identity().await);
            });
        });
        receiver.await.map_err(|_| Error::Thread)?
    }

    /// Refuses the certificates or keys that `revocation` names until the mesh
    /// closes, and ends their sessions at once. Returns the number of these
    /// sessions.
    ///
    /// # Errors
    /// [`Error::NoCertificate`] without `security.certificate`;
    /// [`Error::Certificate`] beyond 65,536 revocations of a kind;
    /// [`Error::Thread`] when the mesh is closed.
    pub async fn revoke(&self, revocation: Revocation) -> Result<usize, Error> {
        let (sender, receiver) = oneshot::channel();
        self.post(move |io| {
            let core = Arc::clone(&io.0);
            tokio::spawn(async move {
                let _ = sender.send(core.revoke(revocation).await);
            });
        });
        receiver.await.map_err(|_| Error::Thread)?
    }

    /// Lets services without a certificate ask `ca.enrol` here, which is all that they may do: those that prove one of
    /// these secrets, each for the service beside it. Replaces what was said before.
    ///
    /// # Errors
    /// [`Error::NoCertificate`] without `security.certificate`; [`Error::Thread`] when the mesh is closed.
    pub async fn admit_newcomers(&self, secrets: Vec<(Zeroizing<String>, ServiceId)>) -> Result<(), Error> {
        let (sender, receiver) = oneshot::channel();
        self.post(move |io| {
            let identity = Arc::clone(&io.0.identity);
            tokio::spawn(async move {
                let _ = sender.send(identity.admit(secrets).await);
            });
        });
        receiver.await.map_err(|_| Error::Thread)?
    }

    /// The certificates of this mesh and its peers; `None` without
    /// `security.certificate`, and once the mesh is closed.
    pub async fn certificates(&self) -> Option<CertificateStats> {
        let (sender, receiver) = oneshot::channel();
        self.post(move |io| {
            let _ = sender.send(io.0.certificate_stats());
        });
        receiver.await.ok().flatten()
    }

    /// Uses `secret` as the current mesh secret. For `grace` the previous one
    /// is still accepted, and offered to peers that refuse the current one.
    /// Then sessions that may rest on it end with the calls that they carry.
    ///
    /// # Errors
    /// [`Error::NoSecret`] when none is configured, `WEAK_SECRET`,
    /// [`Error::SecretInUse`]; [`Error::Thread`] when the mesh is closed.
    pub async fn rotate_secret(&self, secret: Zeroizing<String>, grace: Duration) -> Result<(), Error> {
        let (sender, receiver) = oneshot::channel();
        self.post(move |io| {
            let _ = sender.send(io.0.rotate_secret(&secret, grace));
        });
        receiver.await.map_err(|_| Error::Thread)?
    }

    /// Explains which rule of `authorization` decides about a request of `caller` for `method`, and why.
    /// `metadata` is a JSON object of strings, or empty.
    #[must_use]
    pub fn explain(&self, caller: Caller<'_>, method: &str, metadata: &[u8]) -> Explanation {
        self.authorization.explain(caller, method, metadata)
    }

    /// The state of `authorization`; `None` if it was not given.
    #[must_use]
    pub fn policy(&self) -> Option<PolicyStatus> {
        self.authorization.status()
    }

    /// Queues `job` for the I/O thread. False if the mesh is closed; the job
    /// does not run then.
    pub fn post(&self, job: impl FnOnce(&Io) + Send + 'static) -> bool {
        self.jobs.send(Box::new(job)).is_ok()
    }

    /// Charges the account of own calls for bytes that wait for the I/O thread, even
    /// beyond its limit. Further calls are refused while it is exceeded.
    pub fn hold(&self, bytes: usize) -> Charge {
        self.budget.own().charge(bytes)
    }

    /// The use of the memory budget.
    #[must_use]
    pub fn memory(&self) -> MemoryFigures {
        self.budget.figures()
    }

    /// The mesh's figures; `None` once it is closed.
    pub async fn stats(&self) -> Option<Stats> {
        let (sender, receiver) = oneshot::channel();
        self.post(move |io| {
            let _ = sender.send(figures::stats(&io.0));
        });
        receiver.await.ok()
    }

    /// The gauges now; `None` once it is closed.
    pub async fn gauges(&self) -> Option<Gauges> {
        let (sender, receiver) = oneshot::channel();
        self.post(move |io| {
            let _ = sender.send(Gauges::of(&io.0));
        });
        receiver.await.ok()
    }

    /// Accepts no more requests and waits for the requests in progress, at most
    /// for `patience`. Then it fails each pending call as closed, and ends.
    pub async fn close(&self, patience: Duration) {
        self.gate.shut();
        let (sender, receiver) = oneshot::channel();
        let posted = self.post(move |io| {
            let core = Arc::clone(&io.0);
            tokio::spawn(async move {
                core.close(patience).await;
                let _ = sender.send(());
            });
        });
        if posted {
            let _ = receiver.await;
        }
        if let Some(exporter) = &self.exporter {
            exporter.close().await;
        }
        if let Some(admin) = &self.admin {
            admin.close().await;
        }
    }
}
