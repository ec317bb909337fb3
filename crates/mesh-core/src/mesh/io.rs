//! The mesh as jobs on its I/O thread see it.

use std::sync::Arc;

use super::{
    core::Core,
    events::{CallId, CallSpec, RequestId, StreamId},
    session::streaming,
};
use crate::{
    crypto::rsa::PublicKey,
    discovery::Endpoint,
    error::Reason,
    id::ServiceId,
    record::message::{Failure, Payload},
};

/// A piece of work for the I/O thread.
pub(super) type Job = Box<dyn FnOnce(&Io) + Send>;

/// The mesh as jobs on its I/O thread see it. A job begins calls and answers
/// requests without waiting.
pub struct Io(pub(super) Arc<Core>);

impl Io {
    /// Begins a call. [`Events::settled`](super::Events::settled) reports its end.
    pub fn call(&self, id: CallId, spec: &CallSpec<'_>) {
        let inherited = spec.chain.parent.map(|parent| self.0.server.inherited_from(parent)).transpose();
        self.0.client.call(id, spec, inherited.map(Option::unwrap_or_default));
    }

    /// Sets the instances of a service for new calls. Calls in flight keep theirs.
    pub fn set_instances(&self, service: &ServiceId, instances: Vec<Endpoint<PublicKey>>) {
        self.0.client.set_instances(service, instances);
    }

    /// The source of a service's instances went away, or answers again. While it is away, nobody can tell whether
    /// the list still holds: `discovery.maxStaleMs` limits for how long it is used.
    pub fn set_away(&self, service: &ServiceId, away: bool) {
        self.0.client.set_away(service, away);
    }

    /// Cancels a call. Nothing more is reported about it.
    pub fn cancel(&self, id: CallId) {
        self.0.client.cancel(id);
    }

    /// Sends an item of a stream, or queues it until the peer grants credit.
    /// [`Events::sent`](super::Events::sent) reports its sending. An item for
    /// an ended stream is dropped.
    pub fn item(&self, stream: StreamId, payload: Payload<'_>) {
        match stream {
            StreamId::Call(id) => streaming::send_item(&*self.0.client, id, payload),
            StreamId::Request(id) => streaming::send_item(&*self.0.server, id, payload),
        }
    }

    /// Ends this side's items, after the queued ones. `metadata` goes with the
    /// answer to a request.
    pub fn end(&self, stream: StreamId, metadata: &[u8]) {
        match stream {
            StreamId::Call(id) => self.0.client.end_items(id, metadata),
            StreamId::Request(id) => self.0.server.end_items(id, metadata),
        }
    }

    /// The application has processed items. `cost` is the sum of their lengths,
    /// plus [`ITEM_COST`](crate::record::ITEM_COST) for each.
    pub fn consumed(&self, stream: StreamId, cost: usize) {
        match stream {
            StreamId::Call(id) => streaming::consumed(&*self.0.client, id, cost),
            StreamId::Request(id) => streaming::consumed(&*self.0.server, id, cost),
        }
    }

    /// Answers a request. Late answers are dropped.
    pub fn respond(&self, id: RequestId, metadata: &[u8], payload: Payload<'_>) {
        self.0.server.respond(id, metadata, payload);
    }

    /// The time of a request was over before its handler could run.
    pub fn late(&self, id: RequestId) {
        self.0.server.late(id);
    }

    /// Fails a request. Late failures are dropped. The reason `SHED` becomes `HANDLER_SHED`: by the first a mesh says
    /// that no handler ran, and its callers run the call elsewhere.
    pub fn fail(&self, id: RequestId, failure: &Failure<'_>) {
        let reason = if failure.reason == Reason::Shed.as_str() { "HANDLER_SHED" } else { failure.reason };
        self.0.server.fail(id, &Failure { reason, ..*failure });
    }
}
