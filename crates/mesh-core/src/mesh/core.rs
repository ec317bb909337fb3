//! The shared state of a mesh, and its life from start to close.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    admission::Admission,
    error::Error,
    events::{AbortCause, Events, Level, LogEvent, Reply, SessionInfo},
    inbound::{Inbound, is_metadata, leave},
    keys::{OwnKey, open_store, own_key},
    outbound::Outbound,
    platform::{Platform, Stopped},
    session::{self, End, Prepared, Receive, Role, Session, lock},
    sessions::Sessions,
    stats::Counters,
    throttle::{Kind, Throttle},
    timers::{Timer, Timers},
    trust::TrustStore,
    wallet::Wallet,
};
use crate::{
    auth::AuthError,
    clock::Timestamp,
    config::{ConfigError, MeshConfig},
    crypto::{aead::AesKeySize, rsa::PublicKey},
    discovery::{Address, Endpoint, Registry},
    error::Coded,
    handshake::{Established, HandshakeError, Local, MeshSecret, Parameters, Retired, Suite, Tickets},
    record::{
        RecordError,
        message::{Encoded, Message},
    },
    transport::Connections,
};

/// How often idle and aged sessions are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// Everything the tasks of one mesh share.
pub(super) struct Core {
    pub(super) config: MeshConfig,
    pub(super) platform: Platform,
    pub(super) local: Mutex<Arc<Local>>,
    /// This service made a new key when it started: nobody remembers it.
    pub(super) key_is_new: bool,
    /// Rotations of the key, one at a time.
    pub(super) rotation: tokio::sync::Mutex<()>,
    /// RSA private operations of keys that another took the place of.
    pub(super) former_operations: AtomicU64,
    pub(super) trust: TrustStore,
    pub(super) wallet: Wallet,
    pub(super) registry: Registry<PublicKey>,
    pub(super) events: Arc<dyn Events>,
    pub(super) timers: Timers,
    pub(super) stats: Counters,
    refusals: Throttle,
    pub(super) sessions: Mutex<Sessions>,
    pub(super) outbound: Mutex<Outbound>,
    pub(super) inbound: Mutex<Inbound>,
    pub(super) admission: Admission,
    /// No more requests are taken.
    pub(super) draining: CancellationToken,
    /// The connections accepted, if there is a port.
    pub(super) connections: Option<Connections>,
    /// The port, if there was one, is free again.
    released: Option<CancellationToken>,
    /// Everything ends.
    pub(super) stop: CancellationToken,
    /// As many RSA private operations at once as there are cores.
    rsa: Arc<Semaphore>,
    bursts: AtomicU64,
    last_handle: AtomicU32,
}

impl Core {
    /// Makes or loads keys and secrets. Blocks: runs on the blocking pool.
    pub(super) fn load(
        config: MeshConfig,
        platform: Platform,
        events: Arc<dyn Events>,
        draining: CancellationToken,
        listening: Option<(Connections, CancellationToken)>,
    ) -> Result<Self, Error> {
        let (connections, released) = listening.unzip();
        let mut pins = HashMap::new();
        let registry = Registry::new();
        for (index, service) in config.services.iter().enumerate() {
            let public_key = match &service.public_key {
                None => None,
                Some(pem) => Some(PublicKey::from_pem(pem).map_err(|source| Error::PinnedKey {
                    path: format!("discovery.services[{index}].publicKey"),
                    source,
                })?),
            };
            if let Some(key) = &public_key {
                let former = pins.insert(service.id.clone(), key.thumbprint());
                if former.is_some_and(|former| former != key.thumbprint()) {
                    return Err(Error::Config(ConfigError::Value {
                        path: format!("discovery.services[{index}].publicKey"),
                        expected: format!("the key that the other instances of {} have", service.id),
                        got: "another one".to_owned(),
                    }));
                }
            }
            // Without an address it is a pin, for a service that only calls.
            let Some((host, port)) = &service.address else { continue };
            let address = Address::new(host, *port)
                .map_err(|source| Error::Address { path: format!("discovery.services[{index}]"), source })?;
            registry.register(Endpoint {
                id: service.id.clone(),
                address,
                public_key,
                metadata: service.metadata.clone(),
            });
        }
        let store = open_store(&config)?;
        let secrets = match &config.secret {
            Some(secret) => vec![MeshSecret::new(secret.as_bytes())],
            None if config.is_embedded() => vec![MeshSecret::new(store.mesh_secret()?.as_bytes())],
            None => Vec::new(),
        };
        let OwnKey { key, is_new: key_is_new, succession } = own_key(&config, &store)?;
        let tickets = Tickets::new(&config.service_id, &key, &secrets)?;
        let local = Local {
            id: config.service_id.clone(),
            key,
            secrets,
            suites: vec![Suite::Hybrid, Suite::X25519],
            aes: AesKeySize::from_bits(config.aes_bits).unwrap_or(AesKeySize::Aes256),
            token_lifetime: config.token_lifetime,
            parameters: Parameters {
                max_message: config.limits.max_message,
                max_calls: config.limits.max_calls,
            },
            handshake_timeout: config.limits.handshake_timeout,
            tickets: Arc::new(tickets),
            holders: Arc::default(),
            retired: Retired::default(),
            succession,
        };
        let cores = platform.cores;
        Ok(Self {
            // Without a secret only pins count; nothing is looked up for strangers.
            trust: TrustStore::new(pins, store, config.enforce_peer_keys && !local.secrets.is_empty()),
            wallet: Wallet::default(),
            admission: Admission::new(&config.limits, cores),
            config,
            platform,
            local: Mutex::new(Arc::new(local)),
            key_is_new,
            rotation: tokio::sync::Mutex::default(),
            former_operations: AtomicU64::new(0),
            registry,
            events,
            timers: Timers::default(),
            stats: Counters::default(),
            refusals: Throttle::default(),
            sessions: Mutex::default(),
            outbound: Mutex::default(),
            inbound: Mutex::default(),
            draining,
            connections,
            released,
            stop: CancellationToken::new(),
            rsa: Arc::new(Semaphore::new(cores)),
            bursts: AtomicU64::new(0),
            last_handle: AtomicU32::new(0),
        })
    }

    /// The time by the wall clock.
    pub(super) fn now(&self) -> Timestamp {
        self.platform.clock.now()
    }

    /// Runs the timers and sweeps until the mesh stops.
    pub(super) async fn tick(self: Arc<Self>) {
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                // Before the timers, any number of which may be due.
                _ = sweep.tick() => self.guarded(|| self.sweep(self.now())),
                timer = self.timers.expired() => self.guarded(|| match timer {
                    Timer::Call(id) => self.call_expired(id),
                    Timer::Request(id) => self.request_expired(id),
                }),
            }
        }
    }

    /// Does a piece of work of the I/O thread: a fault in it must not take the
    /// mesh down with it.
    pub(super) fn guarded(&self, work: impl FnOnce()) {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
            self.log(Level::Error, "internal", "a job on the I/O thread panicked".to_owned(), Vec::new());
            self.events.flush();
        }
    }

    /// Ends sessions that are idle or old: politely first, so that no call is
    /// lost to it, then for good.
    fn sweep(self: &Arc<Self>, now: Timestamp) {
        self.retire_secrets(now);
        self.log_withheld(self.refusals.withheld(Instant::now()));
        self.sweep_streams();
        let sessions = lock(&self.sessions).list();
        for session in sessions {
            let idle = now.since(session.last_activity()) >= self.config.session_timeout;
            let old = now.since(session.created) >= self.config.session_lifetime;
            if !(idle || old) {
                continue;
            }
            match &session.role {
                Role::Server(_) => {
                    leave(&session);
                }
                // Calls under way keep their session until they are over.
                Role::Client(_) => self.on_go_away(&session, u32::MAX),
            }
        }
    }

    /// Takes no more requests and waits until none is under way, at most for
    /// `patience`; then ends everything.
    pub(super) async fn close(self: &Arc<Self>, patience: Duration) {
        self.draining.cancel();
        if let Some(released) = &self.released {
            // So that whoever waits for the end of this can listen there at once.
            let _ = tokio::time::timeout(Duration::from_secs(1), released.cancelled()).await;
        }
        let drained = async {
            loop {
                let sessions = lock(&self.sessions).list();
                let inbound = sessions.iter().filter(|session| session.info.inbound);
                // Every session is told, also when the first is still busy.
                let busy = inbound.filter(|session| !leave(session)).count();
                if busy == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(patience, drained).await;
        self.end_all_calls();
        let sessions = lock(&self.sessions).list();
        for session in &sessions {
            self.abort_session(session, AbortCause::Shutdown);
            session.finish(End::Closed);
        }
        let gone = async {
            while lock(&self.sessions).len() > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        // Answers already given are written out, if the peers read them.
        let _ = tokio::time::timeout(Duration::from_millis(300), gone).await;
        self.log_withheld(self.refusals.withheld_at_the_end(Instant::now()));
        self.stop.cancel();
        for session in sessions {
            session.end(End::Closed);
        }
        self.events.flush();
    }

    /// Does a step of a handshake: off the I/O thread, unless it is that of a
    /// resumption, which holds no RSA private operation.
    pub(super) async fn private_operation<T: Send + 'static>(
        &self,
        resumed: bool,
        operation: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        if resumed {
            return Ok(operation());
        }
        let permit = Arc::clone(&self.rsa).acquire_owned().await.map_err(|_| Stopped)?;
        let result = self.platform.blocking(move || {
            let result = operation();
            drop(permit);
            result
        });
        result.await
    }

    /// The error of a handshake that takes too long.
    pub(super) fn handshake_expired(&self) -> HandshakeError {
        HandshakeError::Expired(self.config.limits.handshake_timeout)
    }

    /// How many of those run now.
    pub(super) fn private_operations_running(&self) -> usize {
        self.platform.cores - self.rsa.available_permits()
    }

    /// Makes a session of a finished handshake.
    pub(super) fn prepare(&self, established: Established, role: Role) -> Result<Prepared, RecordError> {
        let info = SessionInfo {
            handle: self.last_handle.fetch_add(1, Ordering::Relaxed) + 1,
            id: established.session,
            peer: established.peer.clone(),
            inbound: matches!(role, Role::Server(_)),
            trust: established.trust,
            embedded: self.config.is_embedded(),
            claims: established.claims.clone(),
            suite: established.suite.as_str(),
            aes_bits: established.aes.bits(),
            resumed: established.resumed,
        };
        session::prepare(
            established,
            self.config.service_id.clone(),
            info,
            role,
            self.config.limits.max_message,
            self.config.token_lifetime,
            self.platform.clock.clone(),
        )
    }

    pub(super) fn log(
        &self,
        level: Level,
        event: &'static str,
        message: String,
        fields: Vec<(&'static str, String)>,
    ) {
        self.events.log(LogEvent { level, event, message, fields });
    }

    /// The same for what others can cause as often as they like. Lines of one
    /// event about one subject for one reason are counted after the first few.
    pub(super) fn log_refusal(
        &self,
        event: &'static str,
        subject: String,
        message: String,
        fields: Vec<(&'static str, String)>,
    ) {
        let reason = fields.iter().find(|(name, _)| *name == "reason");
        let reason = reason.map(|(_, reason)| reason.clone()).unwrap_or_default();
        if self.refusals.admits(Kind { event, subject, reason }, Instant::now()) {
            self.log(Level::Warn, event, message, fields);
        }
    }

    fn log_withheld(&self, withheld: Vec<(Kind, u32)>) {
        if withheld.is_empty() {
            return;
        }
        for (Kind { event, subject, reason }, count) in withheld {
            let message = format!("{count} more of the same within a minute");
            let fields = vec![("subject", subject), ("reason", reason), ("count", count.to_string())];
            self.log(Level::Warn, event, message, fields);
        }
        self.events.flush();
    }

    pub(super) fn log_session(&self, level: Level, event: &'static str, message: &str, session: &Session) {
        let fields = vec![
            ("peer", session.info.peer.to_string()),
            ("session", session.info.id.to_string()),
            ("trust", session.info.trust_name().to_owned()),
            ("resumed", session.info.resumed.to_string()),
        ];
        self.log(level, event, message.to_owned(), fields);
    }

    /// How many bursts of messages have come from peers.
    pub(super) fn bursts(&self) -> u64 {
        self.bursts.load(Ordering::Relaxed)
    }

    pub(super) fn receiver(self: &Arc<Self>) -> Arc<dyn Receive> {
        Arc::new(Receiver(Arc::clone(self)))
    }
}

struct Receiver(Arc<Core>);

impl Receive for Receiver {
    fn on_message(
        &self,
        session: &Arc<Session>,
        message: Message<'_>,
        verify: &mut dyn FnMut(&[u8]) -> Result<(), AuthError>,
        _now: Timestamp,
    ) -> Result<(), RecordError> {
        let core = &self.0;
        let inbound = session.info.inbound;
        match message {
            Message::Request { call, token, time_left_ms, method, fields, payload } if inbound => {
                core.on_request(session, call, verify(token), time_left_ms, method, fields, payload)
            }
            Message::Cancel { call, cause } if inbound => {
                core.on_cancel(session, call, cause);
                Ok(())
            }
            Message::Response { call, metadata, payload } if !inbound => {
                let metadata = if is_metadata(metadata) { metadata } else { &[] };
                core.on_response(session, call, Ok(Reply { payload, metadata }));
                Ok(())
            }
            Message::Error { call, failure } if !inbound => {
                core.on_response(session, call, Err(&failure));
                Ok(())
            }
            Message::GoAway { last, .. } if !inbound => core.go_away_received(session, last),
            Message::Item { call, payload } => core.on_item(session, call, payload),
            Message::End { call, metadata } => {
                let metadata = if is_metadata(metadata) { metadata } else { &[] };
                core.on_end(session, call, metadata);
                Ok(())
            }
            Message::Window { call, credit } => core.on_window(session, call, credit),
            Message::Malformed { call } => {
                core.on_malformed(session, call);
                Ok(())
            }
            Message::Ping(nonce) => {
                // A peer that floods with pings and does not read gets no more pongs.
                if !session.is_backlogged() {
                    session.send(Encoded::pong(nonce));
                }
                Ok(())
            }
            Message::Pong(_) => Ok(()),
            // A message of the other side's: reflected, or from a faulty peer.
            _ => Err(RecordError::Format),
        }
    }

    fn on_discarded(&self, session: &Arc<Session>, error: RecordError) {
        self.0.stats.count_discarded();
        let fields = vec![
            ("peer", session.info.peer.to_string()),
            ("session", session.info.id.to_string()),
            ("reason", error.reason().to_string()),
        ];
        self.0.log(Level::Warn, "record.discarded", error.to_string(), fields);
    }

    fn on_burst(&self) {
        self.0.bursts.fetch_add(1, Ordering::Relaxed);
        self.0.events.flush();
    }

    fn on_written(&self, session: &Session) {
        self.0.call_waiting(session);
    }

    fn backlog(&self) -> usize {
        self.0.events.backlog()
    }
}
