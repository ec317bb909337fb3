//! Opening a session: connect, handshake, remember, run.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until, timeout};

use super::{
    core::Core,
    events::CallError,
    session::{ClientSide, Role, handshake_message},
    slow_dials::timed_out,
    trust::NotRemembered,
};
use crate::{
    discovery::Address,
    error::{Code, Coded, Reason},
    handshake::{Established, HandshakeError, Initiator, Local},
    id::ServiceId,
    transport::{Duplex, TransportError, connect},
};

#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error("{0}{1}")]
    Handshake(HandshakeError, String),
    #[error("{0}")]
    Setup(String),
    /// Refused after the peer had proved that it knows the secret and accepts this side's key.
    #[error(transparent)]
    RefusedLate(TransportError),
}

/// Opens a session with an instance, not before a time, and runs it to its end.
pub(super) async fn dial(core: Arc<Core>, service: ServiceId, target: Address, at: Instant) {
    tokio::select! {
        biased;
        () = core.stop.cancelled() => return,
        () = sleep_until(at) => {}
    }
    let local = core.local();
    // Boxed, so that its room is not part of a session that lasts for hours.
    let opening = Box::pin(open(&core, &service, &target, &local));
    let opened = tokio::select! {
        biased;
        () = core.stop.cancelled() => return,
        opened = timeout(core.config.limits.handshake_timeout, opening) => {
            opened.unwrap_or(Err(DialError::Handshake(core.handshake_expired(), String::new())))
        }
        never = core.look_after(&service, &target) => match never {},
    };
    let (established, duplex) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let call_error = describe(&core, &service, &target, &error);
            core.stats.count_handshake(false);
            core.log_refusal(
                "connect.failed",
                format!("{service} at {target}"),
                call_error.message.clone(),
                vec![
                    ("service", service.to_string()),
                    ("target", target.to_string()),
                    ("reason", call_error.reason.to_string()),
                ],
            );
            return core.link_failed(&service, &target, &call_error);
        }
    };
    let prepared = match core.prepare(established, Role::Client(ClientSide::default().into())) {
        Ok(prepared) => prepared,
        Err(error) => return core.link_failed(&service, &target, &CallError::from_coded(&error)),
    };
    let session = Arc::clone(&prepared.session);
    let open = core.open(&session, None);
    core.link_ready(&service, &target, &session);
    if !Arc::ptr_eq(&local, &core.local()) {
        // A key or a secret was rotated meanwhile.
        core.on_go_away(&session, u32::MAX);
    }
    let (end, unwritten) = super::session::run(prepared, duplex, core.receiver()).await;
    open.close(&end, &unwritten);
}

/// Connects; to a peer that refuses the current secret with a former one that
/// is still in its grace, since the peer may not have been given the current one.
async fn open(
    core: &Arc<Core>,
    service: &ServiceId,
    target: &Address,
    local: &Arc<Local>,
) -> Result<(Established, Duplex), DialError> {
    let mut refused = None;
    for offer in local.offers(core.now()) {
        match open_with(core, service, target, offer).await {
            Err(DialError::Transport(error)) if error.reason() == Reason::HandshakeRefused => {
                // What the current secret met with is what is told.
                refused.get_or_insert(error);
            }
            outcome => return outcome,
        }
    }
    Err(refused.map_or_else(|| super::platform::Stopped.into(), DialError::Transport))
}

async fn open_with(
    core: &Arc<Core>,
    service: &ServiceId,
    target: &Address,
    local: Arc<Local>,
) -> Result<(Established, Duplex), DialError> {
    let explain = |error: HandshakeError| {
        let hint = core.trust.hint(&error);
        DialError::Handshake(error, hint)
    };
    let mut duplex = connect(core.config.network.as_ref(), target, core.config.limits.max_message).await?;
    let expectation = core.trust.expectation(service).map_err(|error| DialError::Setup(error.to_string()))?;
    let ticket = core.wallet.take(service);
    let (m1, state) =
        Initiator::start(local, service.clone(), expectation, ticket, core.now()).map_err(explain)?;
    duplex.outgoing.send(m1.into()).await;
    let m2 = match handshake_message(&mut duplex).await {
        Ok(m2) => m2,
        Err(error) => {
            if error.reason() == Reason::Busy {
                core.wallet.keep(service, state.into_ticket());
            }
            return Err(error.into());
        }
    };
    let state = state.on_hello(&m2, core.now()).map_err(explain)?;
    let clock = core.platform.clock.clone();
    let proved = core.private_operation(state.is_resumed(), move || state.prove(clock.now()));
    let (m3, state) = proved.await?.map_err(explain)?;
    duplex.outgoing.send(m3.into()).await;
    let m4 = handshake_message(&mut duplex).await.map_err(|error| match error.reason() {
        Reason::HandshakeRefused => DialError::RefusedLate(error),
        _ => error.into(),
    })?;
    let mut established = state.on_finish(&m4, core.now()).map_err(explain)?;
    core.trust.remember(&established).map_err(|error| match error {
        NotRemembered::Refused(error) => explain(error),
        NotRemembered::Store(error) => DialError::Setup(error.to_string()),
    })?;
    core.wallet.keep(service, established.ticket.take());
    Ok((established, duplex))
}

impl From<super::platform::Stopped> for DialError {
    fn from(_: super::platform::Stopped) -> Self {
        Self::Setup("the mesh is closing".to_owned())
    }
}

/// What a waiting call is told.
fn describe(core: &Core, service: &ServiceId, target: &Address, error: &DialError) -> CallError {
    if let DialError::Handshake(HandshakeError::Expired(time), _) = error {
        return timed_out(service, target, *time);
    }
    let mut call_error = match error {
        DialError::Transport(error) | DialError::RefusedLate(error) => CallError::from_coded(error),
        DialError::Handshake(error, _) => CallError::from_coded(error),
        DialError::Setup(_) => CallError::local(Code::Unavailable, Reason::ConnectFailed, ""),
    };
    let refused = call_error.reason == Reason::HandshakeRefused.as_str();
    let late = matches!(error, DialError::RefusedLate(_));
    let advice = if refused { likely_cause(core, service, late) } else { String::new() };
    call_error.message = format!("{service} at {target}: {error}{advice}");
    // Nothing was sent, so all that may pass can be tried again.
    call_error.retryable =
        matches!(call_error.code, Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded);
    call_error
}

/// Why a peer most likely refuses this side, which it does not say. What this side knows: how far the
/// handshake came, what it has itself, and whether its key is new.
fn likely_cause(core: &Core, service: &ServiceId, late: bool) -> String {
    let me = &core.config.service_id;
    let remembered = format!(
        "{service} remembers another key of {me}: give this service its former key (security.privateKey, \
         SECURE_MESH_PRIVATE_KEY, or a volume for its key directory), or set security.peerKeys: 'ignore' at \
         {service}"
    );
    let other_service = format!("another service than {service} listens at this address");
    let causes = if late {
        // It knows the secret, or the pins are right: what is left is what M3 says.
        vec!["the two clocks differ by more than 30 s".to_owned(), remembered]
    } else if core.local().secrets.is_empty() {
        vec![
            format!("{service} has another key of {me} in its discovery.services, or none"),
            format!("{service} has a security.jwtSecret, which this service has not"),
            other_service,
        ]
    } else {
        let secret = if core.config.is_embedded() {
            "it runs as another user, on another machine or with another state directory, and so has another \
             secret: give both the same security.jwtSecret"
        } else {
            "it has another mesh secret (security.jwtSecret)"
        };
        // A key that was made just now is one that nobody can remember.
        let mut causes = vec![secret.to_owned(), remembered];
        if core.key_is_new && !core.config.is_embedded() {
            causes.reverse();
            causes[0] = format!("this service made a new key when it started, and {}", causes[0]);
        }
        causes.push(other_service);
        causes
    };
    format!("; the reason is in the log of {service}. Most likely {}", causes.join("; or "))
}
