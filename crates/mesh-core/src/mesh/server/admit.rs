//! The admission of requests. The stack, outermost first:
//!
//! token → a newcomer's only method → authorization → `observe` → quota of the caller → limit of calls → time and
//! load ([`shedding`](super::shedding)) → form of the request → room in the memory budget.
//!
//! A refused request never reaches the application. The application looks up
//! the method, so the quota also counts requests for unknown methods.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    authorization::Authorization,
    shared_quota::SharedQuota,
    shedding::{Asked, Load, Method, Shedding},
};
use crate::{
    auth::AuthError,
    budget::{Charge, NoRoom},
    clock::Timestamp,
    config::RateLimit,
    error::{Code, Coded, Reason},
    handshake::Trust,
    id::ServiceId,
    mesh::{
        chain::{time_left, too_deep},
        events::SessionInfo,
        metadata::is_metadata,
        own_calls::{DESCRIBE, ENROL, OBSERVE},
        session::Session,
        shared::Shared,
        sync::lock,
    },
    record::message::{Failure, Payload, RequestFields},
    resilience::{Quota, QuotaLimits, ResilienceError},
};

/// The suggested delay for a caller beyond its limit of calls or of memory.
const CALL_LIMIT_PAUSE: Duration = Duration::from_millis(50);
/// The most callers whose logged refusal is remembered.
const MAX_REFUSED: usize = 10_000;

/// The memory of a request beside its payload, here and in the application. The
/// items of a stream are charged separately.
const REQUEST_COST: usize = 4 * 1024;
const STREAM_COST: usize = 12 * 1024;

/// A request before its admission.
pub(super) struct Arriving<'a> {
    /// Its number in its session.
    pub(super) number: u32,
    pub(super) time_left_ms: u32,
    pub(super) method: &'a str,
    pub(super) fields: RequestFields<'a>,
    pub(super) payload: Payload<'a>,
}

/// The refusal of a request.
#[derive(Debug)]
pub(super) struct Refusal {
    code: Code,
    reason: Reason,
    message: String,
    /// The delay before a retry. Without it a retry cannot help.
    retry_after: Option<Duration>,
    /// It is due to the state of this process, and says nothing about its caller.
    own: bool,
}

impl Refusal {
    fn new(code: Code, reason: Reason, message: String) -> Self {
        Self { code, reason, message, retry_after: None, own: false }
    }

    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// Whether the caller did nothing that an honest one would not do.
    pub(super) fn is_own(&self) -> bool {
        self.own
    }

    /// The refusal as an answer to the caller.
    pub(super) fn failure(&self) -> Failure<'_> {
        let wait = self.retry_after.map(millis);
        let failure = Failure::new(self.code, self.reason, &self.message);
        Failure { retryable: wait.is_some(), retry_after_ms: wait, ..failure }
    }
}

/// Whole milliseconds, rounded up, so that a caller that waits for that time is admitted.
fn millis(time: Duration) -> u32 {
    let millis = time.as_nanos().div_ceil(1_000_000).max(1);
    u32::try_from(millis).unwrap_or(u32::MAX)
}

/// The decision about the admission of requests.
pub(super) struct RequestPolicy {
    shared: Arc<Shared>,
    authorization: Arc<Authorization>,
    /// The quota of each caller, if there is one.
    quota: Option<CallerQuota>,
    /// How much it may ask all processes of this service together.
    pub(super) shared_quota: Option<Arc<SharedQuota>>,
    pub(super) shedding: Shedding,
}

impl RequestPolicy {
    pub(super) fn new(
        shared: Arc<Shared>,
        authorization: Arc<Authorization>,
    ) -> Result<Self, ResilienceError> {
        let options = &shared.config.resilience;
        let quota = options.rate_limit.map(CallerQuota::new).transpose()?;
        let shedding = Shedding::new(options.concurrency)?;
        let together = options.rate_limit.zip(options.shared_quota.as_ref());
        let together = together.map(|(limit, options)| SharedQuota::new(limit, options)).transpose();
        let shared_quota = together
            .map_err(|_| ResilienceError::Setting("rateLimit.shared must be the URL of a Redis server"))?
            .map(Arc::new);
        Ok(Self { shared, authorization, quota, shared_quota, shedding })
    }

    /// Goes down the stack for a request on `session`, on which `others` are in progress.
    /// Returns the charge for it, which lasts until its answer, or its refusal.
    pub(super) fn admit(
        &self,
        session: &Session,
        request: &Arriving<'_>,
        token: Result<(), AuthError>,
        others: usize,
        load: impl FnOnce() -> Load,
    ) -> Result<Charge, Refusal> {
        if let Err(error) = token {
            let text = format!("the request's token: {error}");
            return Err(Refusal::new(error.code(), error.reason(), text));
        }
        let info = &session.info;
        if info.trust == Trust::JoinToken && request.method != ENROL {
            let text = format!("a join token permits {ENROL} alone");
            return Err(Refusal::new(Code::PermissionDenied, Reason::PermissionDenied, text));
        }
        if let Some(text) = self.authorization.denial(info, request.method, request.fields.metadata) {
            // This check precedes the quota, so that denied requests do not use it up.
            return Err(Refusal::new(Code::PermissionDenied, Reason::PermissionDenied, text));
        }
        if let Some(text) = self.untold(info, request.method) {
            return Err(Refusal::new(Code::PermissionDenied, Reason::PermissionDenied, text));
        }
        let quota = self.quota.as_ref().and_then(|quota| self.beyond_quota(quota, &info.peer));
        let refusal = quota
            .or_else(|| self.over_limit(others))
            .or_else(|| self.shed(request, load))
            .or_else(|| self.malformed(request));
        refusal.map_or_else(|| self.charge(session, request), Err)
    }

    /// The refusal of a caller that asks for a description of this service, if `observe` does not permit it.
    fn untold(&self, caller: &SessionInfo, method: &str) -> Option<String> {
        if method != OBSERVE && method != DESCRIBE {
            return None;
        }
        let (config, peer) = (&self.shared.config, caller.peer.as_str());
        let permitted = config.observe.permits(config.is_embedded(), peer, caller.spiffe_id());
        (!permitted).then(|| {
            format!(
                "{} does not describe itself to {peer}: its option observe would have to permit it",
                config.service_id
            )
        })
    }

    /// Charges for a request. The charge is that of its values in the application,
    /// which take more than its bytes.
    fn charge(&self, session: &Session, request: &Arriving<'_>) -> Result<Charge, Refusal> {
        let Arriving { fields, payload, .. } = request;
        let too_large = |text| Refusal::new(Code::ResourceExhausted, Reason::TooLarge, text);
        let weight =
            self.shared.weigh(*payload).map_err(|error| too_large(format!("the input is {error}")))?;
        let base = if fields.kind.is_stream() { STREAM_COST } else { REQUEST_COST };
        let bytes = base + 2 * (fields.metadata.len() + fields.path.len()) + weight;
        session.try_charge(bytes).map_err(|error| {
            let refusal = Refusal::new(error.code(), error.reason(), format!("the input: {error}"));
            let retry_after = matches!(error, NoRoom::Now(_)).then_some(CALL_LIMIT_PAUSE);
            Refusal { retry_after, ..refusal }
        })
    }

    /// The quota belongs to the verified caller. By a claimed id a peer could
    /// use up the quota of another service.
    fn beyond_quota(&self, quota: &CallerQuota, caller: &ServiceId) -> Option<Refusal> {
        let now = self.shared.uptime();
        // Its own process first: what that refuses is not asked for elsewhere.
        let beyond_all = || self.shared_quota.as_ref().and_then(|shared| shared.check(caller, now));
        let refused = quota.check(caller, now, beyond_all);
        self.shared.record(|metrics| metrics.quota(refused.is_none()));
        let Refused { retry_after, first } = refused?;
        self.shared.sight.over_quota();
        let wait = millis(retry_after);
        if first {
            // Only the first refusal is logged, because a caller could fill the log with further
            // ones.
            let text = format!("{caller} makes more requests than resilience.rateLimit allows");
            let fields = vec![("peer", caller.to_string()), ("reason", Reason::RateLimited.to_string())];
            self.shared.log_refusal("quota.refused", caller.to_string(), text, fields);
        }
        let text = format!("too many requests; try again in {wait} ms");
        let refusal = Refusal::new(Code::ResourceExhausted, Reason::RateLimited, text);
        Some(Refusal { retry_after: Some(retry_after), ..refusal })
    }

    fn over_limit(&self, others: usize) -> Option<Refusal> {
        let most = self.shared.config.limits.max_calls;
        if others < most as usize {
            return None;
        }
        let text = format!("{most} calls are already in flight on the session");
        let refusal = Refusal::new(Code::ResourceExhausted, Reason::CallLimit, text);
        Some(Refusal { retry_after: Some(CALL_LIMIT_PAUSE), ..refusal })
    }

    /// The refusal of a request that there is no time for, or too much else to do.
    fn shed(&self, request: &Arriving<'_>, load: impl FnOnce() -> Load) -> Option<Refusal> {
        let fields = &request.fields;
        let time_left = if fields.kind.is_stream() { None } else { time_left(request.time_left_ms, false) };
        let now = self.shared.uptime();
        let own = [OBSERVE, DESCRIBE, ENROL].contains(&request.method);
        let asked = Asked {
            method: Method::new(request.method),
            time_left,
            priority: fields.priority,
            limited: !own && !fields.kind.is_stream(),
            chance: (self.shared.platform.chance)(),
        };
        let why = self.shedding.check(asked, load, now).err()?;
        self.shared.stats.count_shed(why.cause());
        let refusal = Refusal::new(Code::ResourceExhausted, Reason::Shed, why.text());
        Some(Refusal { retry_after: Some(why.retry_after()), own: true, ..refusal })
    }

    fn malformed(&self, request: &Arriving<'_>) -> Option<Refusal> {
        let most = self.shared.config.limits.max_message;
        if !is_metadata(request.fields.metadata) {
            let text = "the metadata is not a JSON object of strings".to_owned();
            Some(Refusal::new(Code::InvalidArgument, Reason::Payload, text))
        } else if request.payload.bytes.len() > most as usize {
            let text = format!("the input is larger than {most} bytes");
            Some(Refusal::new(Code::ResourceExhausted, Reason::TooLarge, text))
        } else {
            let RequestFields { depth, path, .. } = request.fields;
            let config = &self.shared.config;
            too_deep(config, depth, path, config.service_id.as_str(), request.method)
                .map(|text| Refusal::new(Code::FailedPrecondition, Reason::CallDepth, text))
        }
    }
}

/// The quotas of callers.
#[derive(Debug)]
struct CallerQuota(Mutex<State>);

#[derive(Debug)]
struct State {
    quota: Quota<ServiceId>,
    /// The callers whose latest request was refused.
    refused: HashSet<ServiceId>,
}

/// A request beyond the quota of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refused {
    retry_after: Duration,
    /// Whether it is the first refusal since an admitted request.
    first: bool,
}

impl CallerQuota {
    fn new(limit: RateLimit) -> Result<Self, ResilienceError> {
        let RateLimit { requests, window, block, keys } = limit;
        let quota = Quota::new(QuotaLimits { requests, window, block, keys: keys as usize })?;
        Ok(Self(Mutex::new(State { quota, refused: HashSet::new() })))
    }

    /// `beyond_all` is asked about a request that the quota of this process allows.
    fn check(
        &self,
        caller: &ServiceId,
        now: Timestamp,
        beyond_all: impl FnOnce() -> Option<Duration>,
    ) -> Option<Refused> {
        let State { quota, refused } = &mut *lock(&self.0);
        let Some(retry_after) = quota.check(caller, now).retry_after.or_else(beyond_all) else {
            refused.remove(caller);
            return None;
        };
        let known = refused.contains(caller);
        if !known && refused.len() < MAX_REFUSED {
            refused.insert(caller.clone());
        }
        Some(Refused { retry_after, first: !known })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(requests: u32) -> CallerQuota {
        let window = Duration::from_secs(1);
        CallerQuota::new(RateLimit { requests, window, block: Duration::ZERO, keys: 10 }).unwrap()
    }

    #[test]
    fn the_first_refusal_after_a_request_that_was_allowed_is_told_apart() {
        let (quota, caller) = (quota(1), "a".parse().unwrap());
        let first =
            |ms| quota.check(&caller, Timestamp::from_millis(ms), || None).map(|refused| refused.first);
        assert_eq!([first(0), first(1), first(2)], [None, Some(true), Some(false)]);
        assert_eq!([first(1_000), first(1_001), first(1_002)], [None, Some(true), Some(false)]);
    }

    #[test]
    fn a_wait_is_rounded_up_and_never_nothing() {
        let waits = [Duration::ZERO, Duration::from_nanos(1_000_001), Duration::MAX].map(millis);
        assert_eq!(waits, [1, 2, u32::MAX]);
    }
}
