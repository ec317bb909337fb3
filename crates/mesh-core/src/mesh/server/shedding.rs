//! Requests that are refused because their service has too little time for them, or too much to do.
//!
//! A request is refused at once when nine of ten requests of its method take longer than it has: its caller
//! learns so while there is still time to ask another instance, and no handler works for nobody. One request a
//! second is let through all the same, and of the others one in twenty, by chance: otherwise a caller that asks
//! with no time at all could be that one each second. When one of them is answered in the time it had, the estimate
//! was wrong, and is forgotten.
//!
//! A sheddable request is also refused while the process is busy: its event loop is late, much of the memory for
//! peers is held, or the session carries nearly as many requests as it may. With `resilience.concurrency`, the
//! [limit](AdaptiveLimit) on requests under way counts for every priority. Streams are no part of it, since their
//! time says nothing, and neither are the methods of the mesh itself, which an operator needs most then.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use crate::{
    balance::{Quantile, key},
    budget::MemoryFigures,
    clock::Timestamp,
    config::Concurrency,
    mesh::{stats::Shed, sync::lock},
    record::message::Priority,
    resilience::{AdaptiveLimit, ResilienceError, Unloaded},
};

/// The share of requests that are faster than the estimate. A request with less time hardly ever succeeds.
const FASTEST: f64 = 0.1;
/// Methods that an estimate is kept for. Only the application's own become known, by their first results.
const METHODS: usize = 1_000;
/// How often a request is let through that the estimate speaks against.
const PROBE: Duration = Duration::from_secs(1);
/// The share of further requests that are let through.
const BY_CHANCE: f64 = 0.05;
/// The wait of the event loop beyond which the process is busy.
const LATE: Duration = Duration::from_millis(50);

/// Why a request was shed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TooMuch {
    /// Its method takes this long at least, which is longer than it has.
    Hopeless(Duration),
    /// It is sheddable, and the process is busy with this.
    Busy(&'static str),
    /// So many requests are under way, which is the limit that latency sets.
    Limit(u32),
    /// The session of the request has half of that limit, and others need the rest.
    Share(u32),
}

/// How busy the process is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// For how long the application has not taken what waits for it.
    pub(super) delay: Duration,
    pub(super) memory: MemoryFigures,
    /// Requests under way in the session, and how many it may have.
    pub(super) session: (usize, u32),
    /// The open sessions.
    pub(super) sessions: usize,
    /// Requests under way in all but streams, with those that nobody waits for.
    pub(super) requests: usize,
}

/// The facts about one method.
#[derive(Debug)]
struct Pace {
    fastest: Quantile,
    /// For the limit, and so unknown without one.
    unloaded: Unloaded,
    /// From then on a request is let through that the estimate speaks against.
    probe_at: Timestamp,
}

/// Decides which requests are not worth their work.
pub(super) struct Shedding {
    paces: Mutex<HashMap<u64, Pace>>,
    limit: Option<Mutex<AdaptiveLimit>>,
}

/// A method of this service, for the estimate of its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Method(u64);

/// A request that is to be let in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    /// `None` for one without a deadline, and for a stream.
    pub(super) time_left: Option<Duration>,
    pub(super) priority: Priority,
    /// Whether the limit counts for it.
    pub(super) limited: bool,
    /// A number by chance, from 0 up to 1.
    pub(super) chance: f64,
}

impl Method {
    pub(super) fn new(name: &str) -> Self {
        Self(key(name))
    }
}

impl Shedding {
    pub(super) fn new(options: Option<Concurrency>) -> Result<Self, ResilienceError> {
        let limit = options.map(|options| AdaptiveLimit::new(options.min, options.start(), options.max));
        let limit = limit.transpose()?.map(Mutex::new);
        Ok(Self { paces: Mutex::default(), limit })
    }

    /// Whether a request is shed.
    pub(super) fn check(
        &self,
        asked: Asked,
        load: impl FnOnce() -> Load,
        now: Timestamp,
    ) -> Result<(), TooMuch> {
        let hopeless = self.hopeless(asked, now).map(TooMuch::Hopeless);
        match hopeless.or_else(|| self.too_much(asked, load)) {
            Some(shed) => Err(shed),
            None => Ok(()),
        }
    }

    /// The time that a method takes, if a request has less.
    fn hopeless(&self, asked: Asked, now: Timestamp) -> Option<Duration> {
        let time_left = asked.time_left?;
        let mut paces = lock(&self.paces);
        let pace = paces.get_mut(&asked.method.0)?;
        let fastest = pace.fastest.get().filter(|fastest| time_left < *fastest)?;
        if pace.probe_at <= now {
            pace.probe_at = now + PROBE;
            return None;
        }
        (asked.chance >= BY_CHANCE).then_some(fastest)
    }

    fn too_much(&self, asked: Asked, load: impl FnOnce() -> Load) -> Option<TooMuch> {
        let Asked { priority, limited, .. } = asked;
        let limit = self.limit.as_ref().filter(|_| limited);
        if limit.is_none() && priority != Priority::Sheddable {
            return None;
        }
        let load = load();
        if priority == Priority::Sheddable
            && let Some(busy) = load.busy()
        {
            return Some(TooMuch::Busy(busy));
        }
        let limit = lock(limit?).limit();
        // Otherwise one caller with many slow requests would be all that this service serves.
        let (of_session, most) = (load.session.0, limit as usize);
        if load.sessions > 1 && 2 * of_session >= most && 4 * load.requests >= 3 * most {
            return Some(TooMuch::Share(limit.div_ceil(2)));
        }
        // Sheddable requests leave a fifth to the others, and critical ones have a quarter more.
        let most = match priority {
            Priority::Sheddable => limit - limit / 5,
            Priority::Normal => limit,
            Priority::Critical => limit + limit.div_ceil(4),
        };
        (load.requests >= most.max(1) as usize).then_some(TooMuch::Limit(most))
    }

    /// A handler succeeded after this time. `had` is the time it had.
    pub(super) fn done(
        &self,
        method: Method,
        took: Duration,
        had: Option<Duration>,
        under_way: usize,
        now: Timestamp,
    ) {
        let mut paces = lock(&self.paces);
        if paces.len() >= METHODS && !paces.contains_key(&method.0) {
            return;
        }
        let new = || Pace {
            fastest: Quantile::new(FASTEST),
            unloaded: Unloaded::default(),
            probe_at: Timestamp::default(),
        };
        let pace = paces.entry(method.0).or_insert_with(new);
        if let Some(limit) = &self.limit
            && let Some(slowness) = pace.unloaded.observe(took, now)
        {
            lock(limit).observe(slowness, under_way, now);
        }
        let disproved =
            had.zip(pace.fastest.get()).is_some_and(|(had, fastest)| had < fastest && took <= had);
        if disproved {
            pace.fastest = Quantile::new(FASTEST);
        }
        pace.fastest.observe(took);
    }

    /// The adaptive limit, if there is one.
    pub(super) fn limit(&self) -> Option<u32> {
        Some(lock(self.limit.as_ref()?).limit())
    }
}

impl Load {
    /// The work that keeps the process busy, if it is busy.
    fn busy(&self) -> Option<&'static str> {
        let (under_way, most) = self.session;
        if self.delay > LATE {
            Some("its event loop is late")
        } else if self.memory.used > self.memory.limit / 2 {
            Some("half of limits.maxMemoryBytes is held")
        } else if under_way >= (most - most / 4) as usize {
            Some("the session carries three quarters of limits.maxConcurrentCalls")
        } else {
            None
        }
    }
}

impl TooMuch {
    /// The cause, for the figures.
    pub(super) fn cause(self) -> Shed {
        match self {
            Self::Hopeless(_) => Shed::Deadline,
            Self::Busy(_) => Shed::Busy,
            Self::Limit(_) | Self::Share(_) => Shed::Limit,
        }
    }

    /// The text for the caller.
    pub(super) fn text(self) -> String {
        match self {
            Self::Hopeless(takes) => format!(
                "the method takes {} ms at least, which is more than the request has left; it did not run",
                takes.as_millis()
            ),
            Self::Busy(with) => {
                format!("the service is busy ({with}) and the request is sheddable; it did not run")
            }
            Self::Limit(most) => format!(
                "{most} requests of its priority are the most that the service answers fast at once; it did not run"
            ),
            Self::Share(most) => format!(
                "the session carries {most} requests, half of those that the service answers fast at once; it did \
                 not run"
            ),
        }
    }

    /// When the same instance can be asked again.
    pub(super) fn retry_after(self) -> Duration {
        match self {
            Self::Hopeless(_) => PROBE,
            Self::Busy(_) | Self::Limit(_) | Self::Share(_) => Duration::from_millis(100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle() -> Load {
        Load {
            delay: Duration::ZERO,
            memory: MemoryFigures::default(),
            session: (0, 1024),
            sessions: 2,
            requests: 0,
        }
    }

    fn asked(method: Method, time_left: Option<Duration>, priority: Priority) -> Asked {
        Asked { method, time_left, priority, limited: true, chance: 0.5 }
    }

    fn shedding() -> Shedding {
        Shedding::new(None).unwrap()
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn a_request_without_the_time_that_its_method_takes_is_refused_but_for_one_a_second() {
        let (shedding, method) = (shedding(), Method::new("slow"));
        let ask = |ms, now| shedding.check(asked(method, Some(MS(ms)), Priority::Normal), idle, at(now));
        assert_eq!(ask(1, 0), Ok(()), "nothing is known yet");
        for _ in 0..30 {
            shedding.done(method, MS(200), None, 0, at(0));
        }
        assert_eq!(ask(300, 0), Ok(()), "there is time");
        let unhurried = asked(method, None, Priority::Normal);
        assert_eq!(shedding.check(unhurried, idle, at(0)), Ok(()), "no deadline");
        assert_eq!(ask(100, 10_000), Ok(()), "one is let through");
        assert_eq!(ask(100, 10_001), Err(TooMuch::Hopeless(MS(200))));
        assert_eq!(ask(100, 10_999), Err(TooMuch::Hopeless(MS(200))));
        assert_eq!(ask(100, 11_000), Ok(()));
        let other = asked(Method::new("fast"), Some(MS(1)), Priority::Normal);
        assert_eq!(shedding.check(other, idle, at(11_000)), Ok(()), "each method has its own time");
    }

    #[test]
    fn who_takes_the_probe_of_each_second_does_not_keep_others_out() {
        let (shedding, method) = (shedding(), Method::new("slow"));
        for _ in 0..30 {
            shedding.done(method, MS(2_000), None, 0, at(0));
        }
        // The attacker has the probe of this second.
        let hopeless = asked(method, Some(MS(1)), Priority::Normal);
        assert_eq!(shedding.check(hopeless, idle, at(5_000)), Ok(()));
        let lucky = Asked { chance: 0.01, ..asked(method, Some(MS(100)), Priority::Normal) };
        assert_eq!(shedding.check(lucky, idle, at(5_001)), Ok(()));
        shedding.done(method, MS(5), Some(MS(100)), 0, at(5_010));
        let next = asked(method, Some(MS(100)), Priority::Normal);
        assert_eq!(shedding.check(next, idle, at(5_011)), Ok(()));
    }

    #[test]
    fn an_estimate_that_one_answer_disproves_is_forgotten() {
        let (shedding, method) = (shedding(), Method::new("slow"));
        for _ in 0..30 {
            shedding.done(method, MS(200), None, 0, at(0));
        }
        let ask = |now| shedding.check(asked(method, Some(MS(100)), Priority::Normal), idle, at(now));
        assert_eq!((ask(1_000), ask(1_001).is_err()), (Ok(()), true));
        shedding.done(method, MS(120), Some(MS(100)), 0, at(1_100));
        assert!(ask(1_101).is_err(), "it came too late to disprove anything");
        shedding.done(method, MS(5), Some(MS(100)), 0, at(1_200));
        assert_eq!(ask(1_201), Ok(()));
    }

    #[test]
    fn sheddable_requests_give_way_to_a_busy_process_and_others_do_not() {
        let shedding = shedding();
        let memory = MemoryFigures { limit: 100, used: 51, ..MemoryFigures::default() };
        let busy = [
            Load { delay: MS(51), ..idle() },
            Load { memory, ..idle() },
            Load { session: (768, 1024), ..idle() },
        ];
        let ask =
            |priority, load: Load| shedding.check(asked(Method::new("m"), None, priority), || load, at(0));
        for load in busy {
            assert!(matches!(ask(Priority::Sheddable, load), Err(TooMuch::Busy(_))), "{load:?}");
            assert_eq!(ask(Priority::Normal, load), Ok(()));
        }
        assert_eq!(ask(Priority::Sheddable, idle()), Ok(()));
    }

    #[test]
    fn the_limit_counts_first_for_sheddable_requests_and_last_for_critical_ones() {
        let shedding = Shedding::new(Some(Concurrency { min: 10, initial: None, max: 10 })).unwrap();
        let ask = |priority, requests| {
            let load = Load { requests, ..idle() };
            shedding.check(asked(Method::new("m"), None, priority), || load, at(0)).is_ok()
        };
        let most = |priority| (0..50).take_while(|requests| ask(priority, *requests)).count();
        assert_eq!(Priority::ALL.map(most), [8, 10, 13]);
        assert_eq!(shedding.limit(), Some(10));
        let own = Asked { limited: false, ..asked(Method::new("own"), None, Priority::Normal) };
        assert_eq!(shedding.check(own, || Load { requests: 50, ..idle() }, at(0)), Ok(()));
    }

    #[test]
    fn near_the_limit_a_session_with_half_of_it_leaves_the_rest_to_others() {
        let shedding = Shedding::new(Some(Concurrency { min: 20, initial: None, max: 20 })).unwrap();
        let ask = |of_session, sessions, requests| {
            let load = Load { session: (of_session, 1024), sessions, requests, ..idle() };
            shedding.check(asked(Method::new("m"), None, Priority::Critical), || load, at(0))
        };
        assert_eq!(ask(10, 2, 15), Err(TooMuch::Share(10)));
        assert_eq!(ask(9, 2, 15), Ok(()), "it has less than half");
        assert_eq!(ask(10, 2, 14), Ok(()), "there is room");
        assert_eq!(ask(15, 1, 15), Ok(()), "nobody else is there");
    }

    #[test]
    fn the_methods_that_are_known_are_bounded() {
        let shedding = shedding();
        for number in 0..2 * METHODS {
            shedding.done(Method(number as u64), MS(1), None, 0, at(0));
        }
        assert_eq!(lock(&shedding.paces).len(), METHODS);
    }
}
