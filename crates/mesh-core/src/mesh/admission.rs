//! The way of a newcomer: streams that peers open, from the first byte to the
//! session.
//!
//! Outermost first: limits → handshake → session limits → session.

use std::sync::{Arc, Mutex};

use tonic::Status;

use super::{
    core::Core,
    inbound::leave,
    places::Place,
    session::{Role, ServerSide, handshake_message, lock},
    sessions::Seat,
    trust::NotRemembered,
};
use crate::{
    error::{Coded, Reason},
    handshake::{Established, Expectation, HandshakeError, Local, Responder},
    transport::{Accept, ConnectionInfo, Duplex, TransportError, busy, refusal, shutting_down, unable},
};

/// The core as the server sees it.
pub(super) struct Gate(pub(super) Arc<Core>);

impl Accept for Gate {
    fn admit(&self, connection: &ConnectionInfo) -> Result<(), Status> {
        if self.0.stop.is_cancelled() || self.0.draining.is_cancelled() {
            return Err(shutting_down());
        }
        let limits = &self.0.config.limits;
        let (total, here) = lock(&self.0.pending).of(connection.subject());
        if total >= limits.max_pending_handshakes || here >= limits.max_pending_handshakes_per_address {
            return Err(busy());
        }
        Ok(())
    }

    fn accept(&self, duplex: Duplex, connection: ConnectionInfo) -> Result<(), Status> {
        let place = Place::take(&self.0, connection.subject());
        tokio::spawn(serve(Arc::clone(&self.0), duplex, connection, place));
        Ok(())
    }
}

enum Refused {
    Handshake(HandshakeError),
    Busy(&'static str),
    Gone,
    Setup(Reason, String),
}

impl From<HandshakeError> for Refused {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

impl From<TransportError> for Refused {
    fn from(_: TransportError) -> Self {
        Self::Gone
    }
}

async fn serve(core: Arc<Core>, mut duplex: Duplex, connection: ConnectionInfo, place: Place) {
    let local = core.local();
    // Boxed, so that its room is not part of a session that lasts for hours.
    let handshake = Box::pin(respond(&core, &local, &mut duplex));
    let handshake = tokio::time::timeout(core.config.limits.handshake_timeout, handshake);
    let result = tokio::select! {
        biased;
        () = core.stop.cancelled() => return duplex.outgoing.fail(shutting_down()).await,
        result = handshake => result.unwrap_or(Err(Refused::Handshake(core.handshake_expired()))),
    };
    drop(place);
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
    let _hold = connection.hold();
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
) -> Result<(Established, Seat), Refused> {
    let m1 = handshake_message(duplex).await?;
    let mut failure = None;
    let expect = |peer: &crate::id::ServiceId| {
        core.trust.expectation(peer).unwrap_or_else(|error| {
            failure = Some(Refused::Setup(error.reason(), error.to_string()));
            Expectation::Unknown
        })
    };
    let (m2, state) = Responder::on_hello(Arc::clone(local), &m1, expect, core.now())?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    duplex.outgoing.send(m2.into()).await;
    let m3 = handshake_message(duplex).await?;
    let proved = state.on_finish(&m3, core.now())?;
    let seat = Seat::take(core, proved.client()).map_err(Refused::Busy)?;
    let clock = core.platform.clock.clone();
    let accepted = core.private_operation(proved.is_resumed(), move || proved.accept(clock.now()));
    let closing = |_| Refused::Setup(Reason::Internal, "the mesh is closing".to_owned());
    let (m4, established) = accepted.await.map_err(closing)??;
    core.trust.remember(&established).map_err(|error| match error {
        NotRemembered::Refused(error) => Refused::Handshake(error),
        NotRemembered::Store(error) => Refused::Setup(error.reason(), error.to_string()),
    })?;
    duplex.outgoing.send(m4.into()).await;
    Ok((established, seat))
}

async fn refuse(core: &Core, duplex: &Duplex, connection: &ConnectionInfo, refused: Refused) {
    core.stats.count_handshake(false);
    let (reason, message, status) = match &refused {
        Refused::Handshake(error) => {
            (error.reason(), format!("{error}{}", core.trust.hint(error)), refusal(error))
        }
        Refused::Busy(limit) => (Reason::Busy, format!("{limit} is reached"), busy()),
        Refused::Setup(reason, message) => (*reason, message.clone(), unable()),
        // The peer is gone; there is nobody to refuse.
        Refused::Gone => return,
    };
    let fields = vec![("address", connection.address.to_string()), ("reason", reason.to_string())];
    core.log_refusal("handshake.refused", connection.subject().to_string(), message, fields);
    core.events.flush();
    duplex.outgoing.fail(status).await;
}
