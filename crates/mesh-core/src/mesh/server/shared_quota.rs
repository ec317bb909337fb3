//! The quota that this process has together with others: its leases, and the task that asks Redis for them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use crate::{
    clock::Timestamp,
    config::{OnUnavailable, RateLimit, SharedQuota as Options},
    id::ServiceId,
    mesh::{events::Level, shared::Shared, sync::lock},
    providers::redis::{RedisFault, RedisPlace, RedisQuota},
    resilience::{Ask, LeaseLimits, Leases, Spend},
};

/// The delay before the first further try to connect, which doubles up to the longest.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// A connection that lasted so long was of use: the delays begin from the shortest again.
const OF_USE: Duration = Duration::from_secs(5);
/// While nothing is asked for, Redis is asked for a sign of life so often.
const SILENCE: Duration = Duration::from_secs(1);
/// Callers that are asked for at once.
const AT_ONCE: usize = 128;

/// The quota of each caller at all processes together.
#[derive(Debug)]
pub(super) struct SharedQuota {
    leases: Mutex<Leases<ServiceId>>,
    /// Each caller has one question at most on its way.
    asks: mpsc::UnboundedSender<(ServiceId, Ask)>,
    asked: Mutex<Option<mpsc::UnboundedReceiver<(ServiceId, Ask)>>>,
    place: RedisPlace,
    limit: RateLimit,
    on_unavailable: OnUnavailable,
    available: AtomicBool,
}

impl SharedQuota {
    pub(super) fn new(limit: RateLimit, options: &Options) -> Result<Self, RedisFault> {
        let RateLimit { requests, window, block, keys } = limit;
        let limits = LeaseLimits { requests, window, block, keys: keys as usize };
        let (asks, asked) = mpsc::unbounded_channel();
        let mut leases = Leases::new(limits);
        // Until the first connection nothing is known.
        leases.go_away();
        Ok(Self {
            leases: Mutex::new(leases),
            asks,
            asked: Mutex::new(Some(asked)),
            place: RedisPlace::new(&options.url)?,
            limit,
            on_unavailable: options.on_unavailable,
            available: AtomicBool::new(false),
        })
    }

    /// Whether a request of a caller is beyond the quota: the time until the next one may come.
    pub(super) fn check(&self, caller: &ServiceId, now: Timestamp) -> Option<Duration> {
        let (spend, ask) = lock(&self.leases).spend(caller, now);
        if let Some(ask) = ask {
            // The receiver lives as long as the mesh.
            let _ = self.asks.send((caller.clone(), ask));
        }
        match (spend, self.on_unavailable) {
            (Spend::Granted, _) | (Spend::Unknown, OnUnavailable::Local) => None,
            (Spend::Refused(time), _) => Some(time),
            (Spend::Unknown, OnUnavailable::Deny) => Some(FIRST_DELAY),
        }
    }

    /// Whether Redis answers.
    pub(super) fn is_available(&self) -> bool {
        self.available.load(Ordering::Relaxed)
    }

    /// Asks Redis for leases, until the mesh stops.
    pub(super) async fn run(self: Arc<Self>, shared: Arc<Shared>) {
        let Some(mut asked) = lock(&self.asked).take() else { return };
        let mut delay = FIRST_DELAY;
        let mut told = false;
        loop {
            let begun = Instant::now();
            let fault = tokio::select! {
                biased;
                () = shared.stop.cancelled() => return,
                fault = self.serve(&shared, &mut asked, &mut told) => fault,
            };
            if begun.elapsed() > OF_USE {
                delay = FIRST_DELAY;
            }
            self.available.store(false, Ordering::Relaxed);
            lock(&self.leases).go_away();
            while asked.try_recv().is_ok() {}
            if !told {
                told = true;
                let meanwhile = match self.on_unavailable {
                    OnUnavailable::Local => "this process applies the quota by itself meanwhile",
                    OnUnavailable::Deny => "all requests are refused meanwhile",
                };
                let text = format!("{fault}; {meanwhile}");
                shared.log(Level::Warn, "quota.away", text, Vec::new());
                shared.events.flush();
            }
            tokio::select! {
                biased;
                () = shared.stop.cancelled() => return,
                () = sleep(delay) => {}
            }
            delay = (2 * delay).min(LONGEST_DELAY);
        }
    }

    /// Connects, and answers questions until the connection fails.
    async fn serve(
        &self,
        shared: &Shared,
        asked: &mut mpsc::UnboundedReceiver<(ServiceId, Ask)>,
        told: &mut bool,
    ) -> RedisFault {
        // No service id has this character.
        let probe = format!("mesh:quota:{}:?", shared.config.service_id);
        let mut redis = match self.place.connect(self.limit.requests, self.limit.window, &probe).await {
            Ok(redis) => redis,
            Err(fault) => return fault,
        };
        self.available.store(true, Ordering::Relaxed);
        lock(&self.leases).come_back();
        if std::mem::take(told) {
            shared.log(Level::Info, "quota.back", "Redis answers again".to_owned(), Vec::new());
            shared.events.flush();
        }
        let mut batch = Vec::with_capacity(AT_ONCE);
        loop {
            batch.clear();
            let heard = tokio::select! {
                _ = asked.recv_many(&mut batch, AT_ONCE) => self.lease(shared, &mut redis, &batch).await,
                () = sleep(SILENCE) => redis.ping().await,
            };
            if let Err(fault) = heard {
                return fault;
            }
        }
    }

    async fn lease(
        &self,
        shared: &Shared,
        redis: &mut RedisQuota,
        batch: &[(ServiceId, Ask)],
    ) -> Result<(), RedisFault> {
        let own = &shared.config.service_id;
        let asks: Vec<(String, Ask)> =
            batch.iter().map(|(caller, ask)| (format!("mesh:quota:{own}:{caller}"), *ask)).collect();
        let answers = redis.ask(&asks).await?;
        let now = shared.uptime();
        let mut leases = lock(&self.leases);
        for ((caller, _), lease) in batch.iter().zip(answers) {
            leases.answered(caller, lease, now);
        }
        Ok(())
    }
}
