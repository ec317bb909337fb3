//! Counters, which `getStats()` reads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{budget::MemoryFigures, config::Accept, identity::Certified};

#[derive(Debug, Default)]
pub(crate) struct Counters {
    calls_ok: AtomicU64,
    calls_failed: AtomicU64,
    requests_ok: AtomicU64,
    requests_failed: AtomicU64,
    requests_denied: AtomicU64,
    denials_audited: AtomicU64,
    handshakes_ok: AtomicU64,
    handshakes_failed: AtomicU64,
    sessions_resumed: AtomicU64,
    records_discarded: AtomicU64,
    hellos_replayed: AtomicU64,
    hellos_over_budget: AtomicU64,
    streams_stalled: AtomicUsize,
    spares_sent: AtomicU64,
    spares_answered: AtomicU64,
    shed: [AtomicU64; Shed::ALL.len()],
    waited: AtomicU64,
    waited_micros: AtomicU64,
    queue_full: AtomicU64,
    queue_over: AtomicU64,
    elsewhere: AtomicU64,
}

/// Why a request was not handed to its handler, though its caller may make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// The time that was left was less than its method takes.
    Deadline,
    /// Its time was over when the application took it.
    Late,
    /// It was sheddable, and the process was busy.
    Busy,
    /// It was beyond the adaptive limit.
    Limit,
}

impl Shed {
    /// Every cause, in the order of [`Stats::shed`].
    pub const ALL: [Self; 4] = [Self::Deadline, Self::Late, Self::Busy, Self::Limit];

    /// The name of the cause in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Late => "late",
            Self::Busy => "busy",
            Self::Limit => "limit",
        }
    }
}

/// The statistics of a mesh at one moment. Counts begin at the start of the mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Established sessions, in both directions.
    pub active_sessions: usize,
    /// Of these, the ones that peers opened.
    pub inbound_sessions: usize,
    /// Calls that succeeded.
    pub calls_ok: u64,
    /// Calls that failed.
    pub calls_failed: u64,
    /// Calls in flight.
    pub calls_in_flight: usize,
    /// Of these, the ones that wait for room on a session.
    pub calls_queued: usize,
    /// The calls that have waited for room and wait no longer, however that ended.
    pub calls_waited: u64,
    /// The sum of their waits.
    pub calls_waited_time: Duration,
    /// Calls that were not made because too many waited already.
    pub calls_queue_full: u64,
    /// Calls that waited for room as long as they may, and were not made.
    pub calls_queue_over: u64,
    /// Calls that one instance was too busy for, and that went to another one.
    pub calls_elsewhere: u64,
    /// Copies of slow calls that were sent to other instances.
    pub spares_sent: u64,
    /// Of these, the ones whose answer came first.
    pub spares_answered: u64,
    /// Requests that succeeded.
    pub requests_ok: u64,
    /// Requests that failed.
    pub requests_failed: u64,
    /// Requests that the authorization policy denied; they count as failed too.
    pub requests_denied: u64,
    /// Requests that the authorization policy would deny, but permits because it only audits.
    pub denials_audited: u64,
    /// Requests that were not handed to their handlers, since there was too little time or too much to do, by
    /// cause: [`Shed::ALL`]. They count as failed too.
    pub shed: [u64; Shed::ALL.len()],
    /// The most requests under way that `resilience.concurrency` allows at present.
    pub concurrency_limit: Option<u32>,
    /// Services whose source of instances has been away for longer than `discovery.maxStaleMs`.
    pub services_stale: Vec<String>,
    /// Whether the keeper of `resilience.rateLimit.shared` answers.
    pub shared_quota: Option<bool>,
    /// Requests in progress.
    pub requests_in_flight: usize,
    /// Stalled streams: items wait, and the reader, here or at the peer, has not
    /// read for ten seconds or more.
    pub streams_stalled: usize,
    /// Bytes of messages that wait for the connections of their sessions.
    pub unsent_bytes: usize,
    /// Completed handshakes, in both directions.
    pub handshakes_ok: u64,
    /// Failed handshakes, in both directions.
    pub handshakes_failed: u64,
    /// Of the completed ones, those that resumed a previous session, without RSA operations.
    pub sessions_resumed: u64,
    /// Records discarded as forged, replayed or malformed.
    pub records_discarded: u64,
    /// Connections and streams of strangers that newcomers evicted.
    pub strangers_displaced: u64,
    /// First messages of handshakes that had been answered before.
    pub hellos_replayed: u64,
    /// First messages that were not answered, because their address had too many
    /// unfinished handshakes while others waited.
    pub hellos_over_budget: u64,
    /// RSA private operations with this service's key.
    pub private_operations: u64,
    /// A fault of the key directory that keeps peers out, with path and repair.
    pub key_directory_fault: Option<String>,
    /// The use of the memory budget.
    pub memory: MemoryFigures,
    /// Signatures with the certificate's key that TLS connections have caused, including those of
    /// strangers.
    pub leaf_signatures: u64,
    /// The weaker trust that is accepted beside certificates, and its end.
    pub accepts: Option<Accept>,
    /// Faults of certificates that an operator has to repair: files that are not in use, a certificate or
    /// a revocation list that ends soon or has ended.
    pub certificate_problem: Option<String>,
}

/// The certificates of a mesh at one moment.
#[derive(Clone, Debug)]
pub struct CertificateStats {
    /// The certificate of this service, as its peers see it.
    pub own: Arc<Certified>,
    /// The certificates of peers with an open session, each once.
    pub peers: Vec<Arc<Certified>>,
    /// Signature verifications of certificates and delegations, since the start.
    pub verifications: u64,
}

impl Counters {
    pub(crate) fn count_call(&self, ok: bool) {
        bump(if ok { &self.calls_ok } else { &self.calls_failed });
    }

    pub(crate) fn count_request(&self, ok: bool) {
        bump(if ok { &self.requests_ok } else { &self.requests_failed });
    }

    pub(crate) fn count_denial(&self, enforced: bool) {
        bump(if enforced { &self.requests_denied } else { &self.denials_audited });
    }

    pub(crate) fn count_handshake(&self, ok: bool) {
        bump(if ok { &self.handshakes_ok } else { &self.handshakes_failed });
    }

    pub(crate) fn count_resumption(&self) {
        bump(&self.sessions_resumed);
    }

    pub(crate) fn count_discarded(&self) {
        bump(&self.records_discarded);
    }

    pub(crate) fn count_replay(&self) {
        bump(&self.hellos_replayed);
    }

    pub(crate) fn count_over_budget(&self) {
        bump(&self.hellos_over_budget);
    }

    pub(crate) fn count_spare(&self) {
        bump(&self.spares_sent);
    }

    pub(crate) fn count_spare_answered(&self) {
        bump(&self.spares_answered);
    }

    pub(crate) fn count_shed(&self, cause: Shed) {
        bump(&self.shed[cause as usize]);
    }

    pub(crate) fn count_waited(&self, time: Duration) {
        bump(&self.waited);
        self.waited_micros.fetch_add(time.as_micros() as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_queue_full(&self) {
        bump(&self.queue_full);
    }

    pub(crate) fn count_queue_over(&self) {
        bump(&self.queue_over);
    }

    pub(crate) fn count_elsewhere(&self) {
        bump(&self.elsewhere);
    }

    pub(crate) fn set_stalled(&self, streams: usize) {
        self.streams_stalled.store(streams, Ordering::Relaxed);
    }

    /// The counts of this struct; the other fields are zero.
    pub(crate) fn read(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            calls_ok: read(&self.calls_ok),
            calls_failed: read(&self.calls_failed),
            requests_ok: read(&self.requests_ok),
            requests_failed: read(&self.requests_failed),
            requests_denied: read(&self.requests_denied),
            denials_audited: read(&self.denials_audited),
            handshakes_ok: read(&self.handshakes_ok),
            handshakes_failed: read(&self.handshakes_failed),
            sessions_resumed: read(&self.sessions_resumed),
            records_discarded: read(&self.records_discarded),
            hellos_replayed: read(&self.hellos_replayed),
            hellos_over_budget: read(&self.hellos_over_budget),
            spares_sent: read(&self.spares_sent),
            spares_answered: read(&self.spares_answered),
            shed: self.shed.each_ref().map(read),
            calls_waited: read(&self.waited),
            calls_waited_time: Duration::from_micros(read(&self.waited_micros)),
            calls_queue_full: read(&self.queue_full),
            calls_queue_over: read(&self.queue_over),
            calls_elsewhere: read(&self.elsewhere),
            streams_stalled: self.streams_stalled.load(Ordering::Relaxed),
            ..Stats::default()
        }
    }
}

fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
