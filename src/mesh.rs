//! `NativeMesh`: one mesh.

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use mesh_core::{
    authz::Caller,
    config::{MeshConfig, is_spiffe_id},
    discovery,
    error::{Code, Reason},
    id::ServiceId,
    identity::Revocation,
    mesh::{AuditSigner, Events, Io, Mesh},
    record::message::is_method_name,
};
use napi::{
    Env,
    bindgen_prelude::{BufferSlice, Function, Result},
};
use napi_derive::napi;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{
    auth::service_id,
    authority::NativeAuthority,
    blocking::off_the_loop,
    commands::execute,
    convert::argument,
    enrolment::{NativeEnrolment, prepare},
    error::{Failure, Settled, throw},
    events::Outlet,
    figures::figures,
    mounted::Mounted,
    telemetry::NativeMetrics,
    values::{NativeAddress, NativeExplanation, NativeMemory, NativePolicyStatus, NativeSeal, NativeService},
};

/// A mesh. It takes batches of commands and returns batches of events.
#[napi]
pub struct NativeMesh {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    /// Signs the audit log, whose last line follows the end of the mesh.
    signer: OnceLock<AuditSigner>,
    outlet: Arc<Outlet>,
    /// The authority that newcomers find here.
    mounted: Mounted,
}

enum State {
    New(Box<MeshConfig>),
    Starting,
    Running(Arc<Mesh>),
    Closed,
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each critical section replaces the whole state, so a poisoned lock holds a consistent one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> Option<Arc<Mesh>> {
        match &*self.lock() {
            State::Running(mesh) => Some(Arc::clone(mesh)),
            _ => None,
        }
    }
}

#[napi]
impl NativeMesh {
    /// Checks the configuration and the `SECURE_MESH_…` variables, both given
    /// as JSON. `onWake` is called when a batch can be taken. `network` is the
    /// name of a network in memory, for tests. The mesh counts its events in
    /// `metrics`. One that is `joining` only asks the authority for its first certificate.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: Env,
        config: String,
        variables: String,
        on_wake: Function<'_, (), ()>,
        network: Option<String>,
        metrics: Option<&NativeMetrics>,
        joining: Option<bool>,
    ) -> Result<Self> {
        let unreadable = |_| {
            throw(
                env,
                Failure::new(Code::InvalidArgument, Reason::Config, "the configuration must be an object"),
            )
        };
        let config: Value = serde_json::from_str(&config).map_err(unreadable)?;
        let variables: Value = serde_json::from_str(&variables).map_err(unreadable)?;
        let lookup = |name: &str| variables.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut config = MeshConfig::parse(&config, lookup).map_err(|error| throw(env, error))?;
        if let Some(network) = network {
            config = config.on_network(&network);
        }
        let config = prepare(config, joining == Some(true)).map_err(|failure| throw(env, failure))?;
        let outlet = Outlet::new(&on_wake, metrics.map(|metrics| Arc::clone(&metrics.metrics)))?;
        Ok(Self {
            inner: Arc::new(Inner {
                state: Mutex::new(State::New(Box::new(config))),
                signer: OnceLock::new(),
                outlet,
                mounted: Mounted::default(),
            }),
        })
    }

    /// The certificate that this mesh gets from the built-in authority, if it does.
    #[napi(catch_unwind)]
    pub fn enrolment(&self, env: Env) -> Result<Option<NativeEnrolment>> {
        match &*self.inner.lock() {
            State::New(config) => NativeEnrolment::of(config).map_err(|failure| throw(env, failure)),
            _ => Ok(None),
        }
    }

    /// Lets newcomers with a token of this authority ask it here for their first certificate.
    #[napi(catch_unwind)]
    pub fn mount_authority(&self, authority: &NativeAuthority) {
        self.inner.mounted.set(Arc::clone(&authority.inner));
    }

    /// Reads the records of the authority again if another process or this one has changed them; resolves to
    /// whether that was so.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub async fn refresh_authority(&self) -> Settled<bool> {
        let inner = Arc::clone(&self.inner);
        let newcomers = match off_the_loop(move || inner.mounted.newcomers()).await.0 {
            Ok(Some(newcomers)) => newcomers,
            other => return Settled(other.map(|_| false)),
        };
        let Some(mesh) = self.inner.running() else { return Settled(Err(not_running())) };
        mesh.admit_newcomers(newcomers).await.map(|()| true).into()
    }

    /// The option or variable that gave this service its key. Nothing if it makes its own.
    #[napi(getter, catch_unwind)]
    pub fn given_key(&self) -> Option<String> {
        match &*self.inner.lock() {
            State::New(config) => config.private_key.as_ref().map(|key| key.option.to_owned()),
            _ => None,
        }
    }

    /// Adds a port that has `/livez` and `/readyz` only.
    #[napi(catch_unwind)]
    pub fn add_probes(&self, env: Env, host: String, port: u32) -> Result<()> {
        let port = u16::try_from(port).map_err(|_| argument(env, "probes.port must be 0…65535"))?;
        match &mut *self.inner.lock() {
            State::New(config) => config.add_probes(&host, port).map_err(|error| throw(env, error)),
            _ => Err(argument(
                env,
                "probes is for a mesh that has not started: leave initialize() out, serve() calls it",
            )),
        }
    }

    /// The services of the option `discovery.services`, or of its variable; none once the mesh has started.
    #[napi(getter, catch_unwind)]
    pub fn services(&self) -> Vec<NativeService> {
        let State::New(config) = &*self.inner.lock() else { return Vec::new() };
        config.services.iter().map(NativeService::from).collect()
    }

    /// Whether the mesh makes and exports spans itself. False once it was started.
    #[napi(getter, catch_unwind)]
    pub fn exports_spans(&self) -> bool {
        matches!(&*self.inner.lock(), State::New(config) if config.otlp.is_some())
    }

    /// Notes the delay of the event loop, in seconds, for the page of metrics.
    #[napi(catch_unwind)]
    pub fn set_event_loop_delay(&self, seconds: f64) {
        if let Some(mesh) = self.inner.running() {
            mesh.set_event_loop_delay(seconds);
        }
    }

    /// Signs the text of a checkpoint of the audit log, also when the mesh is closed.
    #[napi(ts_return_type = "Promise<NativeSeal>")]
    pub async fn sign_audit(&self, text: String) -> Settled<NativeSeal> {
        let Some(signer) = self.inner.signer.get().cloned() else {
            let text = "the mesh was not started, so it has no key";
            return Settled(Err(Failure::new(Code::FailedPrecondition, Reason::NotInitialized, text)));
        };
        let outcome = tokio::task::spawn_blocking(move || signer.sign(&text)).await;
        Settled(match outcome {
            Ok(Ok((key, signature))) => Ok(NativeSeal { key, signature }),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Failure::new(Code::Internal, Reason::Internal, "the signature was interrupted")),
        })
    }

    /// Generates or loads the keys, binds the port and serves.
    #[napi(ts_return_type = "Promise<void>")]
    pub async fn start(&self) -> Settled<()> {
        let config = {
            let mut state = self.inner.lock();
            match std::mem::replace(&mut *state, State::Starting) {
                State::New(config) => config,
                previous => {
                    *state = previous;
                    let text = "the mesh was started before; make a new one";
                    return Settled(Err(Failure::new(Code::FailedPrecondition, Reason::Closed, text)));
                }
            }
        };
        // The lock is free during the start, so that `close` can mark the mesh as closed.
        let again = config.clone();
        let outlet: Arc<dyn Events> = Arc::clone(&self.inner.outlet) as _;
        let started = Mesh::start(*config, outlet).await;
        let mut state = self.inner.lock();
        match started {
            // The mesh was closed while it was starting; dropping it ends it.
            Ok(_) if matches!(*state, State::Closed) => Settled(Err(Failure::new(
                Code::Cancelled,
                Reason::Closed,
                "the mesh was closed while it started",
            ))),
            Ok(mesh) => {
                let _ = self.inner.signer.set(mesh.audit_signer());
                *state = State::Running(Arc::new(mesh));
                Settled(Ok(()))
            }
            Err(error) => {
                if matches!(*state, State::Starting) {
                    // The application can repair the cause and call
                    // `initialize` again.
                    *state = State::New(again);
                }
                Settled(Err(error.into()))
            }
        }
    }

    /// The address on which the mesh listens; `null` before it has started, or
    /// if it does not listen.
    #[napi(catch_unwind)]
    pub fn address(&self) -> Option<NativeAddress> {
        Some(self.inner.running()?.address()?.into())
    }

    /// The address of the admin port; `null` before the mesh has started, or without one.
    #[napi(catch_unwind)]
    pub fn admin_address(&self) -> Option<NativeAddress> {
        Some(self.inner.running()?.admin_address()?.into())
    }

    /// The figures in the text format of `OpenMetrics`; throws before the mesh has started.
    #[napi(catch_unwind)]
    pub fn metrics_text(&self, env: Env) -> Result<String> {
        let mesh = self.inner.running().ok_or_else(|| throw(env, not_running()))?;
        Ok(mesh.metrics_text())
    }

    /// Tells what is wrong with a dependency, or that nothing is. Nothing happens before the mesh has started.
    #[napi(catch_unwind)]
    pub fn set_readiness(&self, name: String, problem: Option<String>) {
        if let Some(mesh) = self.inner.running() {
            mesh.set_readiness(&name, problem);
        }
    }

    /// Forgets a dependency.
    #[napi(catch_unwind)]
    pub fn forget_readiness(&self, name: String) {
        if let Some(mesh) = self.inner.running() {
            mesh.forget_readiness(&name);
        }
    }

    /// The application has told of its dependencies: from now on the process may be ready.
    #[napi(catch_unwind)]
    pub fn open(&self) {
        if let Some(mesh) = self.inner.running() {
            mesh.open();
        }
    }

    /// Breaks the inbound connections of a mesh on a network in memory.
    #[napi(catch_unwind)]
    pub fn sever(&self) {
        if let Some(mesh) = self.inner.running() {
            mesh.sever();
        }
    }

    /// This service's RSA public key in PEM; throws before the mesh has started.
    #[napi(catch_unwind)]
    pub fn public_key(&self, env: Env) -> Result<String> {
        let mesh = self.inner.running().ok_or_else(|| throw(env, not_running()))?;
        Ok(mesh.public_key().to_pem())
    }

    /// The thumbprint of this service's key; `null` before the mesh has started.
    #[napi(catch_unwind)]
    pub fn thumbprint(&self) -> Option<String> {
        Some(self.inner.running()?.public_key().thumbprint().to_string())
    }

    /// Explains which rule decides about a request, and why; `metadata` is a JSON object of strings.
    #[napi(catch_unwind)]
    pub fn explain(
        &self,
        env: Env,
        from: String,
        spiffe_id: Option<String>,
        method: String,
        metadata: String,
    ) -> Result<NativeExplanation> {
        let mesh = self.inner.running().ok_or_else(|| throw(env, not_running()))?;
        let from: ServiceId = from.parse().map_err(|error| throw(env, error))?;
        let argument = |text: &str| throw(env, Failure::new(Code::InvalidArgument, Reason::Argument, text));
        if spiffe_id.as_deref().is_some_and(|id| !is_spiffe_id(id)) {
            return Err(argument(
                "request.spiffeId must be a SPIFFE id, as in 'spiffe://shop.example/ns/prod'",
            ));
        }
        if !is_method_name(&method) {
            return Err(argument(
                "request.method must be 1 to 200 printable ASCII characters without spaces",
            ));
        }
        let caller = Caller { service_id: from.as_str(), spiffe_id: spiffe_id.as_deref() };
        Ok(mesh.explain(caller, &method, metadata.as_bytes()).into())
    }

    /// The state of the authorization policy; `null` before the mesh has started, or without one.
    #[napi(catch_unwind)]
    pub fn policy(&self) -> Option<NativePolicyStatus> {
        Some(self.inner.running()?.policy()?.into())
    }

    /// Replaces this service's key; resolves to the new thumbprint.
    #[napi(ts_return_type = "Promise<string>")]
    pub async fn rotate_key(&self) -> Settled<String> {
        let Some(mesh) = self.inner.running() else { return Settled(Err(not_running())) };
        mesh.rotate_key().await.map(|key| key.thumbprint().to_string()).into()
    }

    /// Replaces the mesh secret; the previous one is accepted for another
    /// `grace_ms`.
    #[napi(ts_return_type = "Promise<void>")]
    pub async fn rotate_secret(&self, secret: String, grace_ms: f64) -> Settled<()> {
        let secret = Zeroizing::new(secret);
        let Some(mesh) = self.inner.running() else { return Settled(Err(not_running())) };
        let Ok(grace) = Duration::try_from_secs_f64(grace_ms / 1000.0) else {
            let text = format!("graceMs must be a number of milliseconds from 0, got {grace_ms}");
            return Settled(Err(Failure::new(Code::InvalidArgument, Reason::Argument, text)));
        };
        mesh.rotate_secret(secret, grace).await.into()
    }

    /// Reads certificate, key, anchors and lists again; resolves to the thumbprint of the new mesh key.
    #[napi(ts_return_type = "Promise<string>")]
    pub async fn reload_identity(&self) -> Settled<String> {
        let Some(mesh) = self.inner.running() else { return Settled(Err(not_running())) };
        mesh.reload_identity().await.map(|key| key.thumbprint().to_string()).into()
    }

    /// Refuses a SPIFFE id or DNS name (`what` is `name`), a certificate by its serial number and issuer
    /// (`serial`), or a certificate or mesh key by its hash (`thumbprint`). Resolves to how many sessions ended.
    #[napi(ts_return_type = "Promise<number>")]
    pub async fn revoke(&self, what: String, value: String, issuer: Option<String>) -> Settled<u32> {
        let Some(mesh) = self.inner.running() else { return Settled(Err(not_running())) };
        let revocation = match what.as_str() {
            "serial" => Revocation::serial(&value, issuer),
            "thumbprint" => Revocation::thumbprint(&value),
            _ => Ok(Revocation::Name(value)),
        };
        let revocation = match revocation {
            Ok(revocation) => revocation,
            Err(error) => return Settled(Err(error.into())),
        };
        mesh.revoke(revocation).await.map(|ended| u32::try_from(ended).unwrap_or(u32::MAX)).into()
    }

    /// Submits a batch of commands.
    #[napi(catch_unwind)]
    pub fn submit(&self, env: Env, batch: BufferSlice<'_>) -> Result<()> {
        let mesh = self.inner.running().ok_or_else(|| throw(env, not_running()))?;
        // A copy, because JavaScript reuses its buffer immediately.
        let batch = batch.to_vec();
        let outlet = Arc::clone(&self.inner.outlet);
        let charge = mesh.hold(batch.len());
        let job = move |io: &Io| {
            execute(io, &batch, &outlet);
            drop(charge);
        };
        if mesh.post(job) { Ok(()) } else { Err(throw(env, not_running())) }
    }

    /// Sets the instances of a service, given as a JSON array. Returns how many there are.
    #[napi(catch_unwind)]
    pub fn set_instances(&self, env: Env, service: String, instances: String) -> Result<u32> {
        let mesh = self.inner.running().ok_or_else(|| throw(env, not_running()))?;
        let service = service_id(env, "serviceId", &service)?;
        let report: Value =
            serde_json::from_str(&instances).map_err(|_| argument(env, "instances must be an array"))?;
        let instances = discovery::instances(&service, &report).map_err(|error| throw(env, error))?;
        let count = instances.len() as u32;
        mesh.post(move |io| io.set_instances(&service, instances));
        Ok(count)
    }

    /// Tells whether the source of a service's instances is away.
    #[napi(catch_unwind)]
    pub fn set_away(&self, env: Env, service: String, away: bool) -> Result<()> {
        let service = service_id(env, "serviceId", &service)?;
        if let Some(mesh) = self.inner.running() {
            mesh.post(move |io| io.set_away(&service, away));
        }
        Ok(())
    }

    /// Copies the next batch of events into `target` and returns its length; 0
    /// if there is none. If the length exceeds that of `target`, nothing was
    /// taken: call again with a larger one.
    #[napi(catch_unwind)]
    pub fn take(&self, mut target: BufferSlice<'_>) -> u32 {
        // The cast is lossless: a message is far smaller than 4 GiB.
        self.inner.outlet.inbox.take(&mut target) as u32
    }

    /// The memory that is held for peers and calls; `null` before the mesh has started.
    #[napi(catch_unwind)]
    pub fn memory(&self) -> Option<NativeMemory> {
        Some(self.inner.running()?.memory().into())
    }

    /// The statistics of the mesh as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub async fn stats(&self) -> Settled<String> {
        let Some(mesh) = self.inner.running() else { return Settled(Err(not_running())) };
        let Some(stats) = mesh.stats().await else { return Settled(Err(not_running())) };
        let text = figures(&stats, mesh.certificates().await.as_ref()).to_string();
        Settled(Ok(text))
    }

    /// Accepts no more requests, waits at most `drainMs` for running ones, ends
    /// every pending call, and stops.
    #[napi(ts_return_type = "Promise<void>")]
    pub async fn close(&self, drain_ms: f64) -> Settled<()> {
        // Running requests are still answered while the mesh drains.
        if let Some(mesh) = self.inner.running() {
            let most = Duration::from_millis(u32::MAX.into());
            mesh.close(Duration::try_from_secs_f64(drain_ms / 1000.0).map_or(most, |time| time.min(most)))
                .await;
        }
        *self.inner.lock() = State::Closed;
        Settled(Ok(()))
    }
}

fn not_running() -> Failure {
    Failure::new(Code::FailedPrecondition, Reason::NotInitialized, "call `await mesh.initialize()` first")
}
