//! The way to an instance: it connects, does the handshake, and remembers the key.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use crate::{
    discovery::Address,
    error::{Code, Coded, Reason},
    handshake::{Established, Expectation, HandshakeError, Initiator, Local, MAX_TICKET, Ticket},
    id::ServiceId,
    mesh::{
        events::{CallError, Level},
        identity::{Identity, NotRemembered},
        platform::Stopped,
        session::handshake_message,
        shared::Shared,
    },
    telemetry::Direction,
    transport::{Duplex, TlsDial, TransportError, connect_over},
};

#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error("{0}{1}")]
    Handshake(HandshakeError, String),
    #[error("{0}")]
    Setup(String),
    /// A refusal after the peer has proved that it knows the secret and accepts this side's key.
    #[error(transparent)]
    RefusedLate(TransportError),
}

impl From<Stopped> for DialError {
    fn from(_: Stopped) -> Self {
        Self::Setup("the mesh is closing".to_owned())
    }
}

/// The identity with which this side dials.
#[derive(Clone, Copy)]
pub(super) struct Dialler<'a> {
    pub(super) shared: &'a Shared,
    pub(super) identity: &'a Arc<Identity>,
}

impl Dialler<'_> {
    /// Connects to an instance and does the handshake. A failure is counted and logged.
    pub(super) async fn dial(
        self,
        service: &ServiceId,
        target: &Address,
        local: &Arc<Local>,
    ) -> Result<(Established, Duplex), CallError> {
        let patience = self.shared.config.limits.handshake_timeout;
        let expired = |_| Err(DialError::Handshake(HandshakeError::Expired(patience), String::new()));
        let opened = timeout(patience, self.open(service, target, local)).await.unwrap_or_else(expired);
        opened.map_err(|error| {
            let call_error = self.describe(service, target, &error);
            self.shared.stats.count_handshake(false);
            self.shared.sight.handshake(Direction::Out, &call_error.reason);
            self.shared.log_refusal(
                "connect.failed",
                format!("{service} at {target}"),
                call_error.message.clone(),
                vec![
                    ("service", service.to_string()),
                    ("target", target.to_string()),
                    ("reason", call_error.reason.to_string()),
                ],
            );
            call_error
        })
    }

    /// Connects. To a peer that refuses the current secret it offers a previous one
    /// within its grace, because the peer may not have the current one yet. During a
    /// migration it offers the weaker trust to a peer without a certificate.
    async fn open(
        self,
        service: &ServiceId,
        target: &Address,
        local: &Arc<Local>,
    ) -> Result<(Established, Duplex), DialError> {
        let tls = self.identity.tls_dial(service).map_err(|error| DialError::Setup(error.to_string()))?;
        let mut refused = None;
        let mut offers = local.offers(self.shared.now()).into_iter().map(|local| (local, tls.clone()));
        let mut weaker = None;
        while let Some((offer, tls)) = offers.next().or_else(|| weaker.take()) {
            let is_certified = offer.certificate.is_some();
            match self.open_with(service, target, offer, tls.clone()).await {
                Err(DialError::Transport(error))
                    if matches!(error.reason(), Reason::HandshakeRefused)
                        || (is_certified && matches!(error, TransportError::NoTls { .. })) =>
                {
                    if is_certified {
                        let tls = tls.filter(|_| error.reason() == Reason::HandshakeRefused);
                        weaker = self.weaker(service).await?.map(|local| (local, tls));
                    }
                    // The error of the current secret is the one to report.
                    refused.get_or_insert(error);
                }
                outcome => return outcome,
            }
        }
        Err(refused.map_or_else(|| Stopped.into(), DialError::Transport))
    }

    /// The identity for the weaker trust, if that is accepted and the service has never proved a
    /// certificate.
    async fn weaker(self, service: &ServiceId) -> Result<Option<Arc<Local>>, DialError> {
        let Some(local) = self.identity.weaker() else { return Ok(None) };
        let (identity, peer) = (Arc::clone(self.identity), service.clone());
        let proved_more = self.shared.platform.blocking(move || identity.trust.has_certified(&peer)).await?;
        let proved_more = proved_more.map_err(|error| DialError::Setup(error.to_string()))?;
        Ok(Some(local).filter(|_| !proved_more))
    }

    async fn open_with(
        self,
        service: &ServiceId,
        target: &Address,
        local: Arc<Local>,
        tls: Option<TlsDial>,
    ) -> Result<(Established, Duplex), DialError> {
        let explain = |error: HandshakeError| {
            let hint = self.identity.trust.hint(&error);
            DialError::Handshake(error, hint)
        };
        let (network, most) = (self.shared.config.network.as_ref(), self.shared.config.limits.max_message);
        let mut duplex = connect_over(network, target, most, tls).await?;
        let expectation = self.expectation(service).await?;
        let ticket = self.identity.wallet.take(service);
        let (m1, state) = Initiator::start(local, service.clone(), expectation, ticket, self.shared.now())
            .map_err(explain)?;
        let state = state.bound_to(duplex.exporter);
        duplex.outgoing.send(m1.into()).await;
        let m2 = match handshake_message(&mut duplex).await {
            Ok(m2) => m2,
            Err(error) => {
                if error.reason() == Reason::Busy {
                    self.keep(service, state.into_ticket());
                }
                return Err(error.into());
            }
        };
        let state = state.on_hello(&m2, self.shared.now()).map_err(explain)?;
        let clock = self.shared.platform.clock.clone();
        let proved = self.shared.private_operation(state.is_resumed(), move || state.prove(clock.now()));
        let (m3, state) = proved.await?.map_err(explain)?;
        duplex.outgoing.send(m3.into()).await;
        let m4 = handshake_message(&mut duplex).await.map_err(|error| match error.reason() {
            Reason::HandshakeRefused => DialError::RefusedLate(error),
            _ => error.into(),
        })?;
        let mut established = state.on_finish(&m4, self.shared.now()).map_err(explain)?;
        let ticket = established.ticket.take();
        let identity = Arc::clone(self.identity);
        let remembered = self.shared.platform.blocking(move || {
            // This side has chosen the services that it calls, so their number needs no limit.
            identity.trust.remember(&established, || true).map(|()| established)
        });
        let established = remembered.await?.map_err(|error| match error {
            NotRemembered::Refused(error) => explain(error),
            NotRemembered::TooMany => DialError::Setup("too many services are new".to_owned()),
            NotRemembered::Store(error) => DialError::Setup(error.to_string()),
        })?;
        self.keep(service, ticket);
        Ok((established, duplex))
    }

    /// Keeps a ticket for the next session. Without one the next handshake is a full one.
    fn keep(self, service: &ServiceId, ticket: Option<Ticket>) {
        if let Err(length) = self.identity.wallet.keep(service, ticket) {
            let text =
                format!("{service} sent a ticket of {length} bytes, more than {MAX_TICKET}; it is dropped");
            let fields = vec![("peer", service.to_string())];
            self.shared.log(Level::Debug, "ticket.ignored", text, fields);
        }
    }

    /// Reads the expectation about the service's key, away from the I/O thread.
    async fn expectation(self, service: &ServiceId) -> Result<Expectation, DialError> {
        let (identity, peer) = (Arc::clone(self.identity), service.clone());
        let known = self.shared.platform.blocking(move || identity.trust.expectation(&peer)).await?;
        known.map_err(|error| DialError::Setup(error.to_string()))
    }

    /// The error for the calls that wait for the connection.
    fn describe(self, service: &ServiceId, target: &Address, error: &DialError) -> CallError {
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
        let advice = if refused { self.likely_cause(service, late) } else { String::new() };
        call_error.message = format!("{service} at {target}: {error}{advice}");
        // Nothing was sent, so a retry is safe after every failure that may be temporary.
        call_error.retryable =
            matches!(call_error.code, Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded);
        call_error
    }

    /// The likely causes of a refusal, since the peer does not state one. They follow from the step of
    /// the handshake, this side's configuration, and whether its key is new.
    fn likely_cause(self, service: &ServiceId, late: bool) -> String {
        let me = &self.shared.config.service_id;
        let remembered = format!(
            "{service} remembers another key of {me}: give this service its former key (security.privateKey, \
         SECURE_MESH_PRIVATE_KEY, or a volume for its key directory), or set security.peerKeys: 'ignore' at \
         {service}"
        );
        let other_service = format!("another service than {service} listens at this address");
        let causes = if late {
            // M1 was accepted, so the secret or the pins match. Only the contents of M3 remain as
            // causes.
            vec!["the two clocks differ by more than 30 s".to_owned(), remembered]
        } else if self.identity.certificates.is_some() {
            vec![
                format!("{service} does not trust the authority of this service's certificate"),
                format!(
                    "its rule of names does not find {me} in this certificate, or the certificate is revoked there"
                ),
                format!("{service} has no security.certificate"),
                other_service,
            ]
        } else if self.identity.local().secrets.is_empty() {
            vec![
                format!("{service} has another key of {me} in its discovery.services, or none"),
                format!("{service} has a security.jwtSecret, which this service has not"),
                other_service,
            ]
        } else {
            let secret = if self.shared.config.is_embedded() {
                "it runs as another user, on another machine or with another state directory, and so has another \
             secret: give both the same security.jwtSecret"
            } else {
                "it has another mesh secret (security.jwtSecret)"
            };
            // No peer can remember a key that was just made.
            let mut causes = vec![secret.to_owned(), remembered];
            if self.identity.key_is_new && !self.shared.config.is_embedded() {
                causes.reverse();
                causes[0] = format!("this service made a new key when it started, and {}", causes[0]);
            }
            causes.push(other_service);
            causes
        };
        format!("; the reason is in the log of {service}. Most likely {}", causes.join("; or "))
    }
}

/// The error of a call for which no session was established in time. Nothing was sent.
pub(super) fn timed_out(service: &ServiceId, target: &Address, time: Duration) -> CallError {
    let text = format!(
        "{service} at {target}: no session was established within {} ms; it accepts no connection, or does not \
         answer on it",
        time.as_millis()
    );
    CallError { attempts: 1, ..CallError::local(Code::Unavailable, Reason::ConnectTimeout, text) }
}
