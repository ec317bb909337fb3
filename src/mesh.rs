//! `NativeMesh`: one mesh.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mesh_core::{
    config::MeshConfig,
    error::{Code, Reason},
    mesh::{CallError, CallSpec, Events, Io, Level, LogEvent, Mesh},
    record::message::{Encoding, Failure as WireFailure, Payload},
};
use napi::{
    Env,
    bindgen_prelude::{BufferSlice, Function, Result},
};
use napi_derive::napi;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{
    convert::from_count,
    error::{Failure, Settled, throw},
    events::Outlet,
    frames::{Command, Commands, Malformed},
    telemetry::NativeMetrics,
};

/// A mesh, driven by batches of commands and answering with batches of events.
#[napi]
pub struct NativeMesh {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    outlet: Arc<Outlet>,
}

enum State {
    New(Box<MeshConfig>),
    Starting,
    Running(Arc<Mesh>),
    Closed,
}

/// Where a mesh listens.
#[napi(object)]
pub struct NativeAddress {
    /// An IP address.
    pub host: String,
    /// A port.
    pub port: u32,
}

/// The memory that a mesh holds for peers and calls.
#[napi(object)]
pub struct NativeMemory {
    /// Bytes that may be held.
    pub limit_bytes: f64,
    /// Bytes held now.
    pub used_bytes: f64,
    /// The most that were held at once.
    pub peak_bytes: f64,
    /// Charges that were refused for want of room.
    pub refused: f64,
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
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
    /// Checks the configuration, given as JSON, as are the `SECURE_MESH_…`
    /// variables. `onWake` is called when there is something to `take`.
    /// `network` names a network in memory to be on, for tests. In `metrics` the mesh counts what it does.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: Env,
        config: String,
        variables: String,
        on_wake: Function<'_, (), ()>,
        network: Option<String>,
        metrics: Option<&NativeMetrics>,
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
        let outlet = Outlet::new(&on_wake, metrics.map(|metrics| Arc::clone(&metrics.metrics)))?;
        Ok(Self { inner: Arc::new(Inner { state: Mutex::new(State::New(Box::new(config))), outlet }) })
    }

    /// Binds the port, makes or loads keys, and serves.
    #[napi(ts_return_type = "Promise<void>")]
    pub async fn start(&self) -> Settled<()> {
        let config = {
            let mut state = self.inner.lock();
            match std::mem::replace(&mut *state, State::Starting) {
                State::New(config) => config,
                former => {
                    *state = former;
                    let text = "the mesh was started before; make a new one";
                    return Settled(Err(Failure::new(Code::FailedPrecondition, Reason::Closed, text)));
                }
            }
        };
        let again = config.clone();
        let outlet: Arc<dyn Events> = Arc::clone(&self.inner.outlet) as _;
        let started = Mesh::start(*config, outlet).await;
        let mut state = self.inner.lock();
        match started {
            // Closed while it was starting: dropping the mesh ends it.
            Ok(_) if matches!(*state, State::Closed) => Settled(Err(Failure::new(
                Code::Cancelled,
                Reason::Closed,
                "the mesh was closed while it started",
            ))),
            Ok(mesh) => {
                *state = State::Running(Arc::new(mesh));
                Settled(Ok(()))
            }
            Err(error) => {
                if matches!(*state, State::Starting) {
                    // What was wrong can be mended, and tried again.
                    *state = State::New(again);
                }
                Settled(Err(error.into()))
            }
        }
    }

    /// Where the mesh listens; `null` before it has started, or if it only calls.
    #[napi(catch_unwind)]
    pub fn address(&self) -> Option<NativeAddress> {
        let address = self.inner.running()?.address()?;
        Some(NativeAddress { host: address.ip().to_string(), port: address.port().into() })
    }

    /// Breaks the connections others have made to a mesh on a network in memory.
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

    /// Replaces this service's key; resolves to the new thumbprint.
    #[napi(ts_return_type = "Promise<string>")]
    pub async fn rotate_key(&self) -> Settled<String> {
        let Some(mesh) = self.inner.running() else { return Settled(Err(not_running())) };
        mesh.rotate_key().await.map(|key| key.thumbprint().to_string()).into()
    }

    /// Replaces the mesh secret; the former one counts for `grace_ms` more.
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

    /// Hands over a batch of commands.
    #[napi(catch_unwind)]
    pub fn submit(&self, env: Env, batch: BufferSlice<'_>) -> Result<()> {
        let mesh = self.inner.running().ok_or_else(|| throw(env, not_running()))?;
        // Copied: JavaScript uses its buffer again at once.
        let batch = batch.to_vec();
        let outlet = Arc::clone(&self.inner.outlet);
        let charge = mesh.hold(batch.len());
        let job = move |io: &Io| {
            execute(io, &batch, &outlet);
            drop(charge);
        };
        if mesh.post(job) { Ok(()) } else { Err(throw(env, not_running())) }
    }

    /// Copies the next batch of events into `target` and returns its length; 0
    /// if there is none. More than `target` holds: nothing was taken, ask again
    /// with a larger one.
    #[napi(catch_unwind)]
    pub fn take(&self, mut target: BufferSlice<'_>) -> u32 {
        // A message is far smaller than 4 GiB.
        self.inner.outlet.inbox.take(&mut target) as u32
    }

    /// The memory that is held for peers and calls; `null` before the mesh has started.
    #[napi(catch_unwind)]
    pub fn memory(&self) -> Option<NativeMemory> {
        let figures = self.inner.running()?.memory();
        Some(NativeMemory {
            limit_bytes: from_count(figures.limit as u64),
            used_bytes: from_count(figures.used as u64),
            peak_bytes: from_count(figures.peak as u64),
            refused: from_count(figures.refused),
        })
    }

    /// The mesh's figures as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub async fn stats(&self) -> Settled<String> {
        let Some(mesh) = self.inner.running() else { return Settled(Err(not_running())) };
        let Some(stats) = mesh.stats().await else { return Settled(Err(not_running())) };
        let value = serde_json::json!({
            "activeSessions": stats.active_sessions,
            "inboundSessions": stats.inbound_sessions,
            "callsSucceeded": stats.calls_ok,
            "callsFailed": stats.calls_failed,
            "callsInFlight": stats.calls_in_flight,
            "requestsSucceeded": stats.requests_ok,
            "requestsFailed": stats.requests_failed,
            "requestsInFlight": stats.requests_in_flight,
            "handshakesSucceeded": stats.handshakes_ok,
            "handshakesFailed": stats.handshakes_failed,
            "sessionsResumed": stats.sessions_resumed,
            "streamsStalled": stats.streams_stalled,
            "unsentBytes": stats.unsent_bytes,
            "recordsDiscarded": stats.records_discarded,
            "strangersDisplaced": stats.strangers_displaced,
            "hellosReplayed": stats.hellos_replayed,
            "hellosOverBudget": stats.hellos_over_budget,
            "privateKeyOperations": stats.private_operations,
            "memoryBytes": stats.memory.used,
        });
        Settled(Ok(value.to_string()))
    }

    /// Takes no more requests, waits for those under way, at most `drainMs`,
    /// ends every call still pending, and stops.
    #[napi(ts_return_type = "Promise<void>")]
    pub async fn close(&self, drain_ms: f64) -> Settled<()> {
        // Requests under way are still answered while the mesh drains.
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

/// Carries out a batch, on the I/O thread. A fault in one command is that
/// command's failure, and nobody else's.
fn execute(io: &Io, batch: &[u8], outlet: &Outlet) {
    for command in Commands(batch) {
        let call = match &command {
            Ok(Command::Call { id, .. }) => Some(*id),
            _ => None,
        };
        if catch_unwind(AssertUnwindSafe(|| carry_out(io, command, outlet))).is_err() {
            complain(outlet, "a command panicked");
            if let Some(id) = call {
                outlet.settled(id, Err(CallError::internal("a fault in the mesh itself; please report it")));
            }
            outlet.flush();
        }
    }
}

fn carry_out(io: &Io, command: std::result::Result<Command<'_>, Malformed>, outlet: &Outlet) {
    match command {
        #[cfg(feature = "fault-injection")]
        Ok(Command::Call { method: "fault.panic", .. }) => panic!("injected"),
        Ok(Command::Call { id, timeout, idempotent, kind, chain, service, method, metadata, payload }) => {
            io.call(id, &CallSpec { service, method, kind, payload, metadata, timeout, idempotent, chain });
        }
        Ok(Command::Cancel { id }) => io.cancel(id),
        Ok(Command::Respond { id, metadata, payload }) => io.respond(id, metadata, payload),
        Ok(Command::Fail { id, failure }) => fail(io, id, failure, outlet),
        Ok(Command::Item { stream, payload }) => io.item(stream, payload),
        Ok(Command::End { stream, metadata }) => io.end(stream, metadata),
        Ok(Command::Consumed { stream, cost }) => io.consumed(stream, cost as usize),
        Err(Malformed) => complain(outlet, "a batch of commands was malformed"),
    }
}

fn complain(outlet: &Outlet, message: &str) {
    outlet.log(LogEvent {
        level: Level::Error,
        event: "internal",
        message: message.to_owned(),
        fields: Vec::new(),
    });
    outlet.flush();
}

fn fail(io: &Io, id: u32, failure: &[u8], outlet: &Outlet) {
    let value: Value = match serde_json::from_slice(failure) {
        Ok(value) => value,
        // Nothing: a handler whose answer nobody waits for is done.
        Err(_) if failure.is_empty() => Value::Null,
        // Another JSON parser is stricter than the one that made it. Its caller learns that much.
        Err(error) => {
            complain(outlet, &format!("the error of a handler cannot be read, and was not sent: {error}"));
            let text = "the error of the handler cannot be sent; the log of the service says why";
            return io.fail(id, &WireFailure::new(Code::Internal, Reason::Internal, text));
        }
    };
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let data = value.get("data").map(Value::to_string);
    let retry_after = value.get("retryAfterMs").and_then(Value::as_u64);
    io.fail(
        id,
        &WireFailure {
            code: Code::from_name(text("code")).unwrap_or(Code::Internal),
            reason: text("reason"),
            message: text("message"),
            retryable: value.get("retryable").and_then(Value::as_bool).unwrap_or(false),
            retry_after_ms: retry_after.map(|ms| u32::try_from(ms).unwrap_or(u32::MAX)),
            error_id: text("errorId"),
            data: match &data {
                Some(data) => Payload { encoding: Encoding::Json, bytes: data.as_bytes() },
                None => Payload::EMPTY,
            },
        },
    );
}
