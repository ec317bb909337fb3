//! Calls of the mesh itself, which ask other processes for their reports.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{call::Call, calls::Client, session::ClientSession};
use crate::{
    discovery::Address,
    mesh::{
        chain::Inherited,
        events::{CallError, CallId, CallSpec, Chain},
        own_calls::OBSERVE,
    },
    record::message::{CallKind, Payload},
};

/// The most processes of one service that are asked.
const MAX_PROCESSES: usize = 16;

/// The way to ask a process.
pub(crate) enum Way {
    /// Over a session that is open.
    Session(Arc<ClientSession>),
    /// Over any session, which may have to be opened first.
    Any,
}

impl Client {
    /// The services that discovery knows.
    pub(crate) fn known_services(&self) -> Vec<String> {
        let mut services: Vec<String> =
            self.registry.list().iter().map(|entry| entry.endpoint.id.to_string()).collect();
        services.dedup();
        services
    }

    /// The ways to the processes of a service: one for each instance with a session.
    pub(crate) fn ways(&self, service: &str) -> Vec<Way> {
        let sessions = self.sessions.list();
        let of_service = sessions.into_iter().filter(|session| session.info.peer.as_str() == service);
        let usable = of_service.filter(|session| !session.is_over());
        let by_target: BTreeMap<Option<Address>, Arc<ClientSession>> =
            usable.map(|session| (session.target().cloned(), session)).collect();
        if by_target.is_empty() {
            return vec![Way::Any];
        }
        by_target.into_values().take(MAX_PROCESSES).map(Way::Session).collect()
    }

    /// Asks a process for its report. The answer is that of the call `id`.
    pub(crate) fn ask(self: &Arc<Self>, id: CallId, service: &str, way: &Way, timeout: Duration) {
        let spec = CallSpec {
            service,
            method: OBSERVE,
            kind: CallKind::Unary,
            payload: Payload::EMPTY,
            metadata: b"",
            timeout: Some(timeout),
            idempotent: false,
            sticky: None,
            hedge: Some(false),
            priority: None,
            chain: Chain::FIRST,
        };
        let Way::Session(session) = way else { return self.call(id, &spec, Ok(Inherited::default())) };
        let made = Call::new(
            &spec,
            &self.shared.config,
            self.shared.budget.own(),
            self.count(),
            Inherited::default(),
        )
        .and_then(|mut call| {
            call.send(id, session)?;
            Ok::<_, CallError>(call)
        });
        match made {
            Ok(call) => self.adopt(id, call),
            Err(error) => self.shared.events.settled(id, Err(error)),
        }
    }
}
