//! One call: its message, its deadline and its attempts.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    breakers::Stand,
    link::{PATIENCE, Seeker},
    measure::Measured,
    queues::Queued,
    retries::{Again, Ran, Retries, Tries},
    session::{ClientSession, NoNumber},
    twin::{Occasion, Twin},
};
use crate::{
    balance::{Visit, key},
    budget::{Account, Charge, NoRoom},
    config::MeshConfig,
    crypto::rsa::PublicKey,
    discovery::{Address, Entry},
    error::{Code, Reason},
    id::{IdSyntaxError, ServiceId},
    mesh::{
        chain::{Inherited, check_time_left, too_deep},
        events::{CallError, CallId, CallSpec},
        session::{End, Session, Streams, hold},
        timers::TimerKey,
    },
    record::{
        RecordError,
        message::{CallKind, CancelCause, Encoded, MAX_METHOD, Priority, RequestFields, is_method_name},
    },
};

/// The memory of a call beside its message.
const CALL_COST: usize = 1024;

/// A call in flight.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) service: ServiceId,
    pub(super) kind: CallKind,
    pub(super) streams: Streams,
    /// The session that carries it, and its number on that session.
    pub(super) placed: Option<(Arc<ClientSession>, u32)>,
    pub(super) timer: Option<TimerKey>,
    /// The timer of its next attempt.
    pub(super) pause: Option<TimerKey>,
    /// The instance at which it is counted, if instances have breakers.
    pub(super) stand: Option<Stand>,
    /// The instance that carries it, and the time of its sending.
    pub(super) visit: Option<(Visit, Instant)>,
    pub(super) measured: Option<Measured>,
    message: Encoded,
    /// The charge for its memory; a large message has its own charge.
    _charge: Charge,
    tries: Tries,
    /// The latest time at which a connection attempt can still help it.
    pub(super) latest: Instant,
    pub(super) deadline: Option<Instant>,
    /// The instances that could not be reached for it since its last wait.
    unreachable: Vec<Address>,
    /// The hash of its `sticky` string.
    sticky: Option<u64>,
    /// The timer that ends its wait for room on a session, if it waits.
    pub(super) queued: Option<Queued>,
    /// Whether it waits until discovery reports the instances of its service.
    pub(super) unreported: bool,
    /// Whether it is hedged, if the application has set that.
    pub(super) hedge: Option<bool>,
    /// How much it matters where there is too much to do.
    pub(super) priority: Priority,
    /// The hash of its service and method.
    pub(super) method: u64,
    /// The timer of its spare, and the occasion for the spare.
    pub(super) spare_timer: Option<TimerKey>,
    pub(super) occasion: Occasion,
    /// The other copy of the call, while there is one.
    pub(super) twin: Option<Twin>,
}

/// The deadline of a call: the end of its own time or the deadline of its
/// request, whichever is earlier. A stream with neither has no deadline.
fn deadline_of(
    spec: &CallSpec<'_>,
    config: &MeshConfig,
    inherited: Option<Instant>,
    now: Instant,
) -> Result<Option<Instant>, CallError> {
    let default = (!spec.kind.is_stream()).then_some(config.limits.call_timeout);
    let own = spec.timeout.or(default).map(|timeout| now + timeout);
    let deadline = match (own, inherited) {
        (Some(own), Some(inherited)) => Some(own.min(inherited)),
        (own, inherited) => own.or(inherited),
    };
    check_time_left(deadline, now, spec.service)?;
    Ok(deadline)
}

impl Call {
    /// Checks a call, and encodes its request. `others` calls are in flight,
    /// and `inherited` is from the request on whose behalf it is made.
    pub(super) fn new(
        spec: &CallSpec<'_>,
        config: &MeshConfig,
        own: &Arc<Account>,
        others: usize,
        inherited: Inherited,
    ) -> Result<Self, CallError> {
        let refuse = |code, reason, message: String| Err(CallError::local(code, reason, message));
        let service: ServiceId =
            spec.service.parse().map_err(|error: IdSyntaxError| CallError::from_coded(&error))?;
        if service == config.service_id {
            let text = format!("{service} is this service; call its handler directly");
            return refuse(Code::InvalidArgument, Reason::Argument, text);
        }
        if !is_method_name(spec.method) {
            let text = format!(
                "a method name is 1 to {MAX_METHOD} printable ASCII characters without spaces or quotes"
            );
            return refuse(Code::InvalidArgument, Reason::Argument, text);
        }
        let limit = config.limits.max_message as usize;
        if spec.payload.bytes.len() > limit {
            let text = format!(
                "the input is {} bytes, more than limits.maxMessageBytes ({limit})",
                spec.payload.bytes.len()
            );
            return refuse(Code::ResourceExhausted, Reason::TooLarge, text);
        }
        let limit = config.limits.max_pending_calls;
        if others >= limit as usize {
            return Err(too_many(format!("limits.maxPendingCalls ({limit}) calls are under way")));
        }
        let chain = spec.chain;
        if let Some(text) = too_deep(config, chain.depth, chain.path, spec.service, spec.method) {
            return refuse(Code::FailedPrecondition, Reason::CallDepth, text);
        }
        let now = Instant::now();
        let deadline = deadline_of(spec, config, inherited.deadline, now)?;
        let priority = spec.priority.unwrap_or(inherited.priority);
        let fields = RequestFields {
            kind: spec.kind,
            attempt: 1,
            metadata: spec.metadata,
            depth: chain.depth,
            path: chain.path,
            priority,
        };
        let until = deadline.map(Instant::into_std);
        let message = Encoded::request(spec.method, until, fields, spec.payload).map_err(|_| {
            CallError::local(Code::ResourceExhausted, Reason::TooLarge, "the metadata is larger than 8 KiB")
        })?;
        let message = hold(message, own, 0).map_err(|error| no_room(&error))?;
        let small = if message.held().is_some() { 0 } else { message.len() };
        let charge = own.try_charge(CALL_COST + small, 0).map_err(|error| no_room(&error))?;
        Ok(Self {
            service,
            kind: spec.kind,
            streams: Streams::of_call(spec.kind, spec.method, own),
            _charge: charge,
            placed: None,
            timer: None,
            pause: None,
            stand: None,
            visit: None,
            measured: None,
            message,
            tries: Tries::new(spec.idempotent && !spec.kind.is_stream()),
            latest: now + PATIENCE,
            deadline,
            unreachable: Vec::new(),
            sticky: spec.sticky.map(key),
            unreported: false,
            queued: None,
            hedge: spec.hedge,
            priority,
            method: key(spec.service) ^ key(spec.method).rotate_left(1),
            spare_timer: None,
            occasion: Occasion::Rescue,
            twin: None,
        })
    }

    /// Whether the application has marked it as safe to run twice.
    pub(super) fn is_idempotent(&self) -> bool {
        self.tries.is_idempotent()
    }

    /// A copy of the call for an instance other than `target`. It reports nothing but its answer. `None` if
    /// the memory budget has no room for it.
    pub(super) fn again_at_others(&self, target: Address, own: &Arc<Account>) -> Option<Self> {
        let charge = own.charge_if_room(CALL_COST).ok()?;
        Some(Self {
            _charge: charge,
            service: self.service.clone(),
            kind: self.kind,
            streams: Streams::of_call(self.kind, "", own),
            placed: None,
            timer: None,
            pause: None,
            stand: None,
            visit: None,
            measured: None,
            message: self.message.clone(),
            tries: Tries::new(true),
            latest: self.latest,
            deadline: self.deadline,
            unreachable: vec![target],
            sticky: None,
            unreported: false,
            queued: None,
            hedge: self.hedge,
            priority: self.priority,
            method: self.method,
            spare_timer: None,
            occasion: self.occasion,
            twin: None,
        })
    }

    /// Reconsiders the unreachable instances if no others are left.
    pub(super) fn reconsider(&mut self, instances: &[Entry<PublicKey>], usable: &[bool]) {
        let mut usable = instances.iter().zip(usable).filter(|(_, usable)| **usable);
        if usable.all(|(entry, _)| self.unreachable.contains(&entry.endpoint.address)) {
            self.unreachable.clear();
        }
    }

    /// The requirements of the call on a link.
    pub(super) fn seeker(&self, id: CallId) -> Seeker<'_> {
        let latest = self.deadline.map_or(self.latest, |deadline| deadline.min(self.latest));
        Seeker { id, latest, deadline: self.deadline, tried: &self.unreachable, sticky: self.sticky }
    }

    /// Gives the call a number on `session` and queues it there.
    pub(super) fn send(&mut self, id: CallId, session: &Arc<ClientSession>) -> Result<(), CallError> {
        check_time_left(self.deadline, Instant::now(), self.service.as_str())?;
        let accepted = session.parameters.max_message;
        if self.message.payload_len() > accepted as usize {
            let text = format!("the input is larger than {} accepts ({accepted} bytes)", self.service);
            return Err(CallError::local(Code::ResourceExhausted, Reason::TooLarge, text));
        }
        let number = session.take_number(id).map_err(|error| match error {
            NoNumber::Full => {
                too_many(format!("{} accepts {} calls at once", self.service, session.parameters.max_calls))
            }
            NoNumber::UsedUp => lost(session, &End::Closed),
        })?;
        self.tries.sent();
        self.placed = Some((Arc::clone(session), number));
        if session.send(self.message.with_call(number)) {
            Ok(())
        } else {
            session.forget(number);
            Err(lost(session, &End::Lost))
        }
    }

    /// Records an unreachable instance. Returns whether there are others to
    /// try; `instances` is their total number.
    pub(super) fn is_unreachable_at(&mut self, target: &Address, instances: usize) -> bool {
        self.tries.unreachable();
        self.unreachable.push(target.clone());
        let others = self.unreachable.len() < instances;
        if !others {
            self.unreachable.clear();
        }
        others
    }

    /// Records that an instance was too busy for the call.
    pub(super) fn is_refused_at(&mut self, target: &Address) {
        if !self.has_tried(target) {
            self.unreachable.push(target.clone());
        }
    }

    /// Whether an instance was tried for the call in vain.
    pub(super) fn has_tried(&self, target: &Address) -> bool {
        self.unreachable.contains(target)
    }

    /// Whether the call may be placed again by the word of an instance that it did not run.
    pub(super) fn may_go_elsewhere(&self) -> bool {
        self.twin.is_none_or(|twin| !twin.is_spare)
            && !self.streams.has_started()
            && self.tries.again(Ran::NoByWord) == Again::Yes
    }

    /// Records that an instance can be reached again.
    pub(super) fn is_reachable_at(&mut self, target: &Address) {
        self.unreachable.retain(|address| address != target);
    }

    /// The error of the call when its deadline has passed.
    pub(super) fn expired(&self) -> CallError {
        let error = if self.queued.is_some() {
            let text = format!("{}: no session had room for the call before its deadline", self.service);
            CallError { retry_after: None, ..too_many(text) }
        } else if self.unreported {
            unreported(&self.service)
        } else if self.tries.was_never_sent() {
            let text =
                format!("{}: no session was established before the deadline of the call", self.service);
            CallError::local(Code::Unavailable, Reason::ConnectTimeout, text)
        } else {
            let text = format!("{} did not answer in time", self.service);
            CallError::local(Code::DeadlineExceeded, Reason::Deadline, text)
        };
        CallError { attempts: self.attempts(), ..error }
    }

    /// Decides whether the call is placed again after the loss of its session.
    pub(super) fn displace(&mut self, ran: Ran) -> Again {
        self.placed = None;
        self.latest = Instant::now() + PATIENCE;
        let again = self.tries.displaced(ran);
        if again == Again::Yes && self.streams.has_started() { Again::No } else { again }
    }

    /// The delay before the next attempt, if there is one.
    pub(super) fn next_try(
        &mut self,
        retries: &mut Retries,
        error: &CallError,
        chance: f64,
    ) -> Option<Duration> {
        if self.kind.is_stream() {
            return None;
        }
        let delay = retries.next(&mut self.tries, error, Instant::now(), self.deadline, chance)?;
        self.message = self.message.with_attempt(self.attempts().saturating_add(1));
        Some(delay)
    }

    /// Begins the next attempt.
    pub(super) fn begin_try(&mut self) {
        self.pause = None;
        self.unreachable.clear();
        self.latest = Instant::now() + PATIENCE;
    }

    /// The total number of attempts.
    pub(super) fn attempts(&self) -> u8 {
        self.tries.attempts
    }

    /// Cancels the request at the server.
    pub(super) fn abandon(&self, cause: CancelCause) {
        if let Some((session, number)) = &self.placed {
            session.forget(*number);
            session.send(Encoded::cancel(*number, cause));
            session.finish_if_left();
        }
    }
}

/// The error of a call without room in the memory for own calls. A retry can help,
/// unless the call can never fit.
fn no_room(error: &NoRoom) -> CallError {
    let retryable = matches!(error, NoRoom::Now(_));
    let retry_after = retryable.then_some(Duration::from_millis(50));
    CallError { retryable, retry_after, ..CallError::from_coded(error) }
}

/// The error of a reached limit of calls. A retry can help.
pub(super) fn too_many(text: String) -> CallError {
    let error = CallError::local(Code::ResourceExhausted, Reason::CallLimit, text);
    CallError { retryable: true, retry_after: Some(Duration::from_millis(50)), ..error }
}

/// The error of a call of a service without instances.
pub(super) fn no_instance(service: &ServiceId) -> CallError {
    let text = format!("discovery currently reports no instance of {service}");
    CallError::local(Code::Unavailable, Reason::NoInstance, text)
}

/// The error of a call whose service discovery has not reported in time.
pub(super) fn unreported(service: &ServiceId) -> CallError {
    let text = format!("discovery has not reported an instance of {service} before the deadline of the call");
    CallError::local(Code::Unavailable, Reason::NoInstance, text)
}

/// The error of a call whose session was lost before the answer.
pub(super) fn lost(session: &Session, end: &End) -> CallError {
    let text = format!("the session with {} was lost before it answered: {end}", session.info.peer);
    match end {
        End::Record(error) if *error != RecordError::Gap => {
            CallError { message: text, ..CallError::from_coded(error) }
        }
        End::Closed => CallError::local(Code::Cancelled, Reason::Closed, text),
        End::Refused(error) => CallError { message: text, ..CallError::from_coded(&**error) },
        _ => CallError::local(Code::Unavailable, Reason::SessionLost, text),
    }
}
