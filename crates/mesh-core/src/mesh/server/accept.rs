//! The way of a newcomer: streams that peers open, from the first byte to the
//! session.
//!
//! Outermost first: limits → handshake → session limits → session.

use std::sync::Arc;

use tonic::Status;

use super::{places::Place, requests::Server, seats::Seat, session::ServerSession};
use crate::{
    error::{Coded, Reason},
    handshake::{Established, Expectation, HandshakeError, Local, Responder},
    id::ServiceId,
    mesh::{
        identity::NotRemembered,
        session::{Open, handshake_message, prepare, run},
        sync::lock,
    },
    transport::{Accept, ConnectionInfo, Duplex, TransportError, busy, refusal, shutting_down, unable},
};

/// The server as the transport sees it.
pub(crate) struct Acceptor(pub(crate) Arc<Server>);

impl Accept for Acceptor {
    fn admit(&self, connection: &ConnectionInfo) -> Result<(), Status> {
        if self.0.shared.stop.is_cancelled() || self.0.shared.draining.is_cancelled() {
            return Err(shutting_down());
        }
        let limits = &self.0.shared.config.limits;
        let (total, here) = lock(&self.0.pending).of(connection.subject());
        if total >= limits.max_pending_handshakes || here >= limits.max_pending_handshakes_per_address {
            return Err(busy());
        }
        Ok(())
    }

    fn accept(&self, duplex: Duplex, connection: ConnectionInfo) -> Result<(), Status> {
        let place = Place::take(&self.0.pending, connection.subject());
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

async fn serve(server: Arc<Server>, mut duplex: Duplex, connection: ConnectionInfo, place: Place) {
    let local = server.identity.local();
    // Boxed, so that its room is not part of a session that lasts for hours.
    let handshake = Box::pin(respond(&server, &local, &mut duplex));
    let patience = server.shared.config.limits.handshake_timeout;
    let handshake = tokio::time::timeout(patience, handshake);
    let result = tokio::select! {
        biased;
        () = server.shared.stop.cancelled() => return duplex.outgoing.fail(shutting_down()).await,
        result = handshake => result.unwrap_or(Err(Refused::Handshake(HandshakeError::Expired(patience)))),
    };
    drop(place);
    let (established, seat) = match result {
        Ok(accepted) => accepted,
        Err(refused) => return refuse(&server, &duplex, &connection, refused).await,
    };
    let prepared = match prepare::<ServerSession>(&server.shared, established, true) {
        Ok(prepared) => prepared,
        Err(error) => {
            return refuse(
                &server,
                &duplex,
                &connection,
                Refused::Setup(Reason::Internal, error.to_string()),
            )
            .await;
        }
    };
    let _hold = connection.hold();
    let session = Arc::clone(&prepared.session);
    // Given back after the guard has closed the session.
    let _seat = seat;
    let open = Open::new(&server, &session);
    if server.identity.has_changed_since(&local) || server.shared.draining.is_cancelled() {
        // A key or a secret was rotated meanwhile, or the mesh is closing.
        session.leave();
    }
    let (end, _) = run(prepared, duplex, &server).await;
    open.close(&end, &[]);
}

/// The server's side of the handshake. The RSA private operation comes last,
/// for a peer that has proved itself and that has taken its seat.
async fn respond(
    server: &Server,
    local: &Arc<Local>,
    duplex: &mut Duplex,
) -> Result<(Established, Seat), Refused> {
    let m1 = handshake_message(duplex).await?;
    let mut failure = None;
    let expect = |peer: &ServiceId| {
        server.identity.trust.expectation(peer).unwrap_or_else(|error| {
            failure = Some(Refused::Setup(error.reason(), error.to_string()));
            Expectation::Unknown
        })
    };
    let (m2, state) = Responder::on_hello(Arc::clone(local), &m1, expect, server.shared.now())?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    duplex.outgoing.send(m2.into()).await;
    let m3 = handshake_message(duplex).await?;
    let proved = state.on_finish(&m3, server.shared.now())?;
    let seat =
        Seat::take(&server.seats, &server.shared.config.limits, proved.client()).map_err(Refused::Busy)?;
    let clock = server.shared.platform.clock.clone();
    let accepted = server.shared.private_operation(proved.is_resumed(), move || proved.accept(clock.now()));
    let closing = |_| Refused::Setup(Reason::Internal, "the mesh is closing".to_owned());
    let (m4, established) = accepted.await.map_err(closing)??;
    server.identity.trust.remember(&established).map_err(|error| match error {
        NotRemembered::Refused(error) => Refused::Handshake(error),
        NotRemembered::Store(error) => Refused::Setup(error.reason(), error.to_string()),
    })?;
    duplex.outgoing.send(m4.into()).await;
    Ok((established, seat))
}

async fn refuse(server: &Server, duplex: &Duplex, connection: &ConnectionInfo, refused: Refused) {
    server.shared.stats.count_handshake(false);
    let (reason, message, status) = match &refused {
        Refused::Handshake(error) => {
            (error.reason(), format!("{error}{}", server.identity.trust.hint(error)), refusal(error))
        }
        Refused::Busy(limit) => (Reason::Busy, format!("{limit} is reached"), busy()),
        Refused::Setup(reason, message) => (*reason, message.clone(), unable()),
        // The peer is gone; there is nobody to refuse.
        Refused::Gone => return,
    };
    let fields = vec![("address", connection.address.to_string()), ("reason", reason.to_string())];
    server.shared.log_refusal("handshake.refused", connection.subject().to_string(), message, fields);
    server.shared.events.flush();
    duplex.outgoing.fail(status).await;
}
