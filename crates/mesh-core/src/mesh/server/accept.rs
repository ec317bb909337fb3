//! The way of a newcomer: a stream that a peer opens, from its first byte to
//! the session.
//!
//! Outermost first: place → first message, cheap checks → account of the address →
//! place of a handshake, and its turn, by that account → answer, on the blocking pool →
//! proof → session limits → session. Up to the proof, another newcomer can displace the
//! stream from its place.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use tokio::time::Instant;
use tonic::Status;

use super::{
    places::{Crowded, Origin, Place},
    requests::Server,
    seats::Seat,
    session::ServerSession,
    turns::{Class, Turn},
};
use crate::{
    error::{Coded, Reason},
    handshake::{AwaitProof, Established, Expectation, HandshakeError, Hello, Local, Responder, Trust},
    id::ServiceId,
    mesh::{
        identity::NotRemembered,
        platform::Stopped,
        session::{End, Open, handshake_message, prepare, run},
        sync::lock,
    },
    telemetry::Direction,
    transport::{Accept, ConnectionInfo, Duplex, TransportError, busy, refusal, shutting_down, unable},
};

/// The server as the transport sees it.
pub(crate) struct Acceptor(pub(crate) Arc<Server>);

impl Accept for Acceptor {
    fn admit(&self) -> Result<(), Status> {
        if self.0.shared.stop.is_cancelled() || self.0.shared.draining.is_cancelled() {
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
    /// A newcomer took its place.
    Displaced,
    Replayed,
    /// Its address has too many unfinished handshakes, and others wait.
    OverBudget,
    /// Its address has brought too many new services.
    TooManyServices,
    Gone,
    Stopped,
    /// This side lacks a resource, such as a writable key directory.
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
        Self::Stopped
    }
}

impl From<TransportError> for Refused {
    fn from(_: TransportError) -> Self {
        Self::Gone
    }
}

async fn serve(server: Arc<Server>, mut duplex: Duplex, connection: ConnectionInfo, place: Place) {
    let local = server.identity.local();
    let displaced = place.gives_way();
    let began = server.shared.elapsed();
    // The future is boxed, so that its memory does not last as long as the session.
    let handshake = Box::pin(respond(&server, &local, &mut duplex, &connection, place));
    let patience = server.shared.config.limits.handshake_timeout;
    let handshake = tokio::time::timeout(patience, handshake);
    let result = tokio::select! {
        biased;
        () = server.shared.stop.cancelled() => return duplex.outgoing.fail(shutting_down()).await,
        () = displaced.cancelled() => Err(Refused::Displaced),
        result = handshake => result.unwrap_or(Err(Refused::Handshake(HandshakeError::Expired(patience)))),
    };
    let (established, seat) = match result {
        Ok(accepted) => accepted,
        Err(refused) => return refuse(&server, &duplex, &connection, refused).await,
    };
    let prepared = match prepare::<ServerSession>(&server.shared, established, true) {
        Ok(prepared) => prepared,
        Err(error) => {
            let refused = Refused::Setup(Reason::Internal, error.to_string());
            return refuse(&server, &duplex, &connection, refused).await;
        }
    };
    let _hold = connection.hold_for_session();
    let session = Arc::clone(&prepared.session);
    session.comes_from(connection.address);
    // Those that fail are counted and logged: strangers could fill the queue of spans with them.
    server.shared.shook_hands(began, &session.info, None);
    // The seat is released after the guard has closed the session, because locals drop in reverse
    // order.
    let _seat = seat;
    let open = Open::new(&server, &session);
    if let Some(error) = server.identity.refuses(&local, &session.info) {
        // The identity was revoked after its check.
        session.end(End::Refused(Arc::new(error)));
    }
    if server.identity.has_changed_since(&local) || server.shared.draining.is_cancelled() {
        // A key or a secret was rotated in the meantime, or the mesh is closing.
        session.leave();
    }
    let (end, _) = run(prepared, duplex, &server).await;
    open.close(&end, &[]);
}

/// The server's side of the handshake. The RSA private operation comes last,
/// only for a proved peer that has a seat.
async fn respond(
    server: &Arc<Server>,
    local: &Arc<Local>,
    duplex: &mut Duplex,
    connection: &ConnectionInfo,
    place: Place,
) -> Result<(Established, Seat), Refused> {
    let m1 = handshake_message(duplex).await?;
    let (shared, admission) = (&server.shared, &server.admission);
    // During a migration a peer without a certificate may use the weaker trust.
    let newcomer = server.identity.newcomer(&m1);
    let weaker =
        server.identity.weaker().filter(|_| newcomer.is_none() && !Responder::shows_certificate(&m1));
    let rests_on = match (&newcomer, &weaker) {
        (Some(_), _) => RestsOn::JoinToken,
        (None, Some(_)) => RestsOn::Less,
        (None, None) => RestsOn::Usual,
    };
    let local = newcomer.as_ref().or(weaker.as_ref()).unwrap_or(local);
    let hello = Responder::look_at(Arc::clone(local), &m1, shared.now())?.bound_to(duplex.exporter);
    let mac = hello.mac();
    if lock(&admission.replays).has(&mac) {
        return Err(Refused::Replayed);
    }
    let cost = Cost::charge(server, connection.subject());
    let class = cost.class;
    if let Err(crowded) = place.prove(class, Instant::now()) {
        cost.refund();
        return Err(crowded.into());
    }
    let _hold = connection.hold_for_handshake();
    lock(&admission.replays).remember(mac);
    let turn = admission.turns.take(class).await.ok_or(Refused::OverBudget)?;
    let (m2, state) = answer(server, hello, rests_on, turn).await?;
    duplex.outgoing.send(m2.into()).await;
    let m3 = handshake_message(duplex).await?;
    let proved = state.on_finish(&m3, shared.now())?;
    cost.refund();
    if duplex.exporter.is_some() {
        lock(&admission.connections).refund(connection.subject(), Instant::now());
    }
    let seat = Seat::take(&server.seats, &shared.config.limits, proved.client()).map_err(Refused::Busy)?;
    // The seat replaces the place; the number of seats is limited too.
    drop(place);
    let clock = shared.platform.clock.clone();
    let accepted = shared.private_operation(proved.is_resumed(), move || proved.accept(clock.now()));
    let (m4, mut established) = accepted.await??;
    if rests_on == RestsOn::JoinToken {
        // Its key is for one session alone, and nothing of it is remembered.
        established.trust = Trust::JoinToken;
    }
    let established = remember(server, connection.subject(), established).await?;
    duplex.outgoing.send(m4.into()).await;
    Ok((established, seat))
}

/// The means by which a newcomer proves itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RestsOn {
    /// Those that this service has.
    Usual,
    /// Less than a certificate, during a migration.
    Less,
    /// A token for its first certificate.
    JoinToken,
}

/// The charge for an unfinished handshake.
struct Cost<'a> {
    server: &'a Server,
    address: IpAddr,
    class: Class,
}

impl<'a> Cost<'a> {
    fn charge(server: &'a Server, address: IpAddr) -> Self {
        let charged = lock(&server.admission.unfinished).charge(address, Instant::now());
        let class = if charged { Class::Within } else { Class::Beyond };
        Self { server, address, class }
    }

    /// Refunds the charge after the proof of the peer.
    fn refund(self) {
        if self.class == Class::Within {
            lock(&self.server.admission.unfinished).refund(self.address, Instant::now());
        }
    }
}

/// Answers a first message away from the I/O thread, because strangers can cause this work.
async fn answer(
    server: &Arc<Server>,
    hello: Hello,
    rests_on: RestsOn,
    turn: Turn,
) -> Result<(Vec<u8>, AwaitProof), Refused> {
    let answering = Arc::clone(server);
    let answer = server.shared.platform.blocking(move || {
        let mut failure = None;
        let expect = |peer: &ServiceId| {
            if rests_on == RestsOn::JoinToken {
                return Expectation::Unknown;
            }
            let is_weaker = rests_on == RestsOn::Less;
            let proved_more =
                if is_weaker { answering.identity.trust.has_certified(peer) } else { Ok(false) };
            match proved_more {
                Ok(false) => {}
                Ok(true) => failure = Some(HandshakeError::ProvedMore(peer.clone()).into()),
                Err(error) => failure = Some(Refused::Setup(error.reason(), error.to_string())),
            }
            answering.identity.trust.expectation(peer).unwrap_or_else(|error| {
                failure = Some(Refused::Setup(error.reason(), error.to_string()));
                Expectation::Unknown
            })
        };
        let answer = hello.answer(expect, answering.shared.now());
        drop(turn);
        failure.map_or(answer.map_err(Refused::Handshake), Err)
    });
    answer.await?
}

/// Remembers the key of a proved peer, away from the I/O thread, because a disk may be
/// slow. The new services of an address are limited, because each takes room on the disk
/// for good.
async fn remember(
    server: &Arc<Server>,
    address: IpAddr,
    established: Established,
) -> Result<Established, Refused> {
    let remembering = Arc::clone(server);
    let remembered = server.shared.platform.blocking(move || {
        let accounts = &remembering.admission.newcomers;
        let mut charged = false;
        let remembered = remembering.identity.trust.remember(&established, || {
            charged = lock(accounts).charge(address, Instant::now());
            charged
        });
        if charged && remembered.is_err() {
            lock(accounts).refund(address, Instant::now());
        }
        remembered.map(|()| established)
    });
    remembered.await?.map_err(|error| match error {
        NotRemembered::Refused(error) => Refused::Handshake(error),
        NotRemembered::TooMany => Refused::TooManyServices,
        NotRemembered::Store(error) => Refused::Setup(error.reason(), error.to_string()),
    })
}

async fn refuse(server: &Server, duplex: &Duplex, connection: &ConnectionInfo, refused: Refused) {
    server.shared.stats.count_handshake(false);
    match refused {
        Refused::Replayed => server.shared.stats.count_replay(),
        Refused::OverBudget => server.shared.stats.count_over_budget(),
        _ => {}
    }
    let (reason, message, status) = match &refused {
        Refused::Handshake(error) => {
            (error.reason(), format!("{error}{}", server.identity.trust.hint(error)), refusal(error))
        }
        Refused::Busy(limit) => (Reason::Busy, format!("{limit} is reached"), busy()),
        Refused::Displaced => {
            (Reason::Busy, "a newcomer took its place (limits.maxPendingHandshakes)".to_owned(), busy())
        }
        // An honest peer is refused here if an attacker replayed its message first. It then tries
        // again with a new one.
        Refused::Replayed => {
            (Reason::Replay, "its first message is a replay of an earlier one".to_owned(), busy())
        }
        Refused::OverBudget => {
            let text = "its address has too many unfinished handshakes, and others wait";
            (Reason::Busy, text.to_owned(), busy())
        }
        Refused::TooManyServices => {
            let text = "its address has brought as many new services as one may for now; a minute lets one \
                        more in, and a restart of this service all";
            (Reason::Busy, text.to_owned(), busy())
        }
        Refused::Setup(reason, message) => (*reason, message.clone(), unable()),
        Refused::Stopped => (Reason::Closed, "the mesh is closing".to_owned(), shutting_down()),
        // The peer is gone, so there is no peer to refuse.
        Refused::Gone => return,
    };
    server.shared.sight.handshake(Direction::In, reason.as_str());
    // A listener of both families shows IPv4 addresses within IPv6.
    let address = SocketAddr::new(connection.address.ip().to_canonical(), connection.address.port());
    let fields = vec![("address", address.to_string()), ("reason", reason.to_string())];
    server.shared.log_refusal("handshake.refused", connection.subject().to_string(), message, fields);
    server.shared.events.flush();
    duplex.outgoing.fail(status).await;
}
