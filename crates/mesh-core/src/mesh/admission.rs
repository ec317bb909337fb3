//! The way of a newcomer: streams that peers open, from the first byte to the
//! session.
//!
//! Outermost first: place → first message, cheap checks → place of a handshake →
//! budget of the address → answer, on the blocking pool → proof → session limits →
//! session. Up to the proof a place can be taken by another newcomer.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
};

use tokio::{sync::Semaphore, time::Instant};
use tonic::Status;

use super::{
    budget::Budget,
    core::Core,
    inbound::leave,
    places::{Crowded, Origin, Place, Places},
    platform::Stopped,
    replays::Replays,
    session::{Role, ServerSide, handshake_message, lock},
    sessions::Seat,
    trust::NotRemembered,
};
use crate::{
    config::Limits,
    error::{Coded, Reason},
    handshake::{AwaitProof, Established, Expectation, HandshakeError, Hello, Local, Responder},
    transport::{Accept, ConnectionInfo, Duplex, TransportError, busy, refusal, shutting_down, unable},
};

/// What newcomers share.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) places: Places,
    replays: Mutex<Replays>,
    budget: Mutex<Budget>,
    /// Answers to first messages that are made at once.
    answers: Arc<Semaphore>,
}

impl Admission {
    pub(super) fn new(limits: &Limits, cores: usize) -> Self {
        Self {
            places: Places::new(limits),
            replays: Mutex::default(),
            budget: Mutex::default(),
            answers: Arc::new(Semaphore::new(cores)),
        }
    }

    /// Charges an address for all it may cost; returns how much that was.
    #[cfg(test)]
    pub(super) fn owe(&self, address: IpAddr, now: Instant) -> usize {
        let mut budget = lock(&self.budget);
        std::iter::from_fn(|| budget.charge(address, now).then_some(())).count()
    }

    /// Forgets what an address has cost.
    #[cfg(test)]
    pub(super) fn forgive(&self) {
        *lock(&self.budget) = Budget::default();
    }
}

/// The core as the server sees it.
pub(super) struct Gate(pub(super) Arc<Core>);

impl Accept for Gate {
    fn admit(&self) -> Result<(), Status> {
        if self.0.stop.is_cancelled() || self.0.draining.is_cancelled() {
            return Err(shutting_down());
        }
        Ok(())
    }

    fn accept(&self, duplex: Duplex, connection: ConnectionInfo) {
        let from = Origin { address: connection.subject(), connection: connection.number() };
        let place = self.0.admission.places.enter(from);
        tokio::spawn(serve(Arc::clone(&self.0), duplex, connection, place));
    }
}

enum Refused {
    Handshake(HandshakeError),
    Busy(&'static str),
    /// Its place is another's.
    Displaced,
    Replayed,
    /// Too many handshakes of its address were not finished.
    OverBudget,
    Gone,
    Setup(Reason, String),
}

impl From<HandshakeError> for Refused {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

impl From<Crowded> for Refused {
    fn from(Crowded(limit): Crowded) -> Self {
        Self::Busy(limit)
    }
}

impl From<Stopped> for Refused {
    fn from(_: Stopped) -> Self {
        Self::Setup(Reason::Internal, "the mesh is closing".to_owned())
    }
}

impl From<TransportError> for Refused {
    fn from(_: TransportError) -> Self {
        Self::Gone
    }
}

async fn serve(core: Arc<Core>, mut duplex: Duplex, connection: ConnectionInfo, place: Place) {
    let local = core.local();
    let displaced = place.gives_way();
    // Boxed, so that its room is not part of a session that lasts for hours.
    let handshake = Box::pin(respond(&core, &local, &mut duplex, &connection, place));
    let handshake = tokio::time::timeout(core.config.limits.handshake_timeout, handshake);
    let result = tokio::select! {
        biased;
        () = core.stop.cancelled() => return duplex.outgoing.fail(shutting_down()).await,
        () = displaced.cancelled() => Err(Refused::Displaced),
        result = handshake => result.unwrap_or(Err(Refused::Handshake(core.handshake_expired()))),
    };
    let (established, seat) = match result {
        Ok(accepted) => accepted,
        Err(refused) => return refuse(&core, &duplex, &connection, refused).await,
    };
    let prepared = match core.prepare(established, Role::Server(Mutex::new(ServerSide::default()))) {
        Ok(prepared) => prepared,
        Err(error) => {
            return refuse(&core, &duplex, &connection, Refused::Setup(Reason::Internal, error.to_string()))
                .await;
        }
    };
    let _hold = connection.hold_for_session();
    let session = Arc::clone(&prepared.session);
    let open = core.open(&session, Some(seat));
    if !Arc::ptr_eq(&local, &core.local()) || core.draining.is_cancelled() {
        // A key or a secret was rotated meanwhile, or the mesh is closing.
        leave(&session);
    }
    let (end, _) = super::session::run(prepared, duplex, core.receiver()).await;
    open.close(&end, &[]);
}

/// The server's side of the handshake. The RSA private operation comes last,
/// for a peer that has proved itself and that has taken its seat.
async fn respond(
    core: &Arc<Core>,
    local: &Arc<Local>,
    duplex: &mut Duplex,
    connection: &ConnectionInfo,
    place: Place,
) -> Result<(Established, Seat), Refused> {
    let m1 = handshake_message(duplex).await?;
    let admission = &core.admission;
    let hello = Responder::look_at(Arc::clone(local), &m1, core.now())?;
    let mac = hello.mac();
    if lock(&admission.replays).has(&mac) {
        return Err(Refused::Replayed);
    }
    place.prove(Instant::now())?;
    let _hold = connection.hold_for_handshake();
    let cost = Cost::charge(core, connection.subject()).ok_or(Refused::OverBudget)?;
    lock(&admission.replays).remember(mac);
    let (m2, state) = core.answer(hello).await?;
    duplex.outgoing.send(m2.into()).await;
    let m3 = handshake_message(duplex).await?;
    let proved = state.on_finish(&m3, core.now())?;
    cost.refund();
    let seat = Seat::take(core, proved.client()).map_err(Refused::Busy)?;
    // From here on the seat is what there is a limited number of.
    drop(place);
    let clock = core.platform.clock.clone();
    let accepted = core.private_operation(proved.is_resumed(), move || proved.accept(clock.now()));
    let (m4, established) = accepted.await??;
    core.trust.remember(&established).map_err(|error| match error {
        NotRemembered::Refused(error) => Refused::Handshake(error),
        NotRemembered::Store(error) => Refused::Setup(error.reason(), error.to_string()),
    })?;
    duplex.outgoing.send(m4.into()).await;
    Ok((established, seat))
}

/// What a handshake has cost that is not finished.
struct Cost<'a> {
    core: &'a Core,
    address: IpAddr,
}

impl<'a> Cost<'a> {
    fn charge(core: &'a Core, address: IpAddr) -> Option<Self> {
        lock(&core.admission.budget).charge(address, Instant::now()).then_some(Self { core, address })
    }

    /// The peer has proved itself.
    fn refund(self) {
        lock(&self.core.admission.budget).refund(self.address, Instant::now());
    }
}

impl Core {
    /// Answers a first message, away from the I/O thread: strangers can cause it.
    async fn answer(self: &Arc<Self>, hello: Hello) -> Result<(Vec<u8>, AwaitProof), Refused> {
        let permit = Arc::clone(&self.admission.answers).acquire_owned().await.map_err(|_| Stopped)?;
        let core = Arc::clone(self);
        let answer = self.platform.blocking(move || {
            let mut failure = None;
            let expect = |peer: &crate::id::ServiceId| {
                core.trust.expectation(peer).unwrap_or_else(|error| {
                    failure = Some(Refused::Setup(error.reason(), error.to_string()));
                    Expectation::Unknown
                })
            };
            let answer = hello.answer(expect, core.now());
            drop(permit);
            failure.map_or(answer.map_err(Refused::Handshake), Err)
        });
        answer.await?
    }
}

async fn refuse(core: &Core, duplex: &Duplex, connection: &ConnectionInfo, refused: Refused) {
    core.stats.count_handshake(false);
    match refused {
        Refused::Replayed => core.stats.count_replay(),
        Refused::OverBudget => core.stats.count_over_budget(),
        _ => {}
    }
    let (reason, message, status) = match &refused {
        Refused::Handshake(error) => {
            (error.reason(), format!("{error}{}", core.trust.hint(error)), refusal(error))
        }
        Refused::Busy(limit) => (Reason::Busy, format!("{limit} is reached"), busy()),
        Refused::Displaced => {
            (Reason::Busy, "a newcomer has its place: limits.maxPendingHandshakes".to_owned(), busy())
        }
        // Whoever made the message makes another one, if it was recorded and was first.
        Refused::Replayed => {
            (Reason::Replay, "the first message of another handshake, once more".to_owned(), busy())
        }
        Refused::OverBudget => {
            (Reason::Busy, "too many handshakes from its address are not finished".to_owned(), busy())
        }
        Refused::Setup(reason, message) => (*reason, message.clone(), unable()),
        // The peer is gone; there is nobody to refuse.
        Refused::Gone => return,
    };
    let fields = vec![("address", connection.address.to_string()), ("reason", reason.to_string())];
    core.log_refusal("handshake.refused", connection.subject().to_string(), message, fields);
    core.events.flush();
    duplex.outgoing.fail(status).await;
}
