//! The mesh from inside its I/O thread.

use std::sync::Arc;

use super::{
    core::Core,
    events::{CallId, CallSpec, RequestId, StreamId},
    session::streaming,
};
use crate::{
    crypto::rsa::PublicKey,
    discovery::Endpoint,
    id::ServiceId,
    record::message::{Failure, Payload},
};

/// A piece of work for the I/O thread.
pub(super) type Job = Box<dyn FnOnce(&Io) + Send>;

/// The mesh from inside its I/O thread, where calls are made and requests
/// answered without waiting.
pub struct Io(pub(super) Arc<Core>);

impl Io {
    /// Begins a call; its end comes through [`Events::settled`](super::Events::settled).
    pub fn call(&self, id: CallId, spec: &CallSpec<'_>) {
        let inherited = spec.chain.parent.map(|parent| self.0.server.inherited_from(parent)).transpose();
        self.0.client.call(id, spec, inherited.map(Option::unwrap_or_default));
    }

    /// Sets the instances of a service, for calls from now on; calls under way keep theirs.
    pub fn set_instances(&self, service: &ServiceId, instances: Vec<Endpoint<PublicKey>>) {
        self.0.client.set_instances(service, instances);
    }

    /// The source of a service's instances went away, or answers again. While it is away, nobody can tell whether
    /// the list still holds: `discovery.maxStaleMs` limits for how long it is used.
    pub fn set_away(&self, service: &ServiceId, away: bool) {
        self.0.client.set_away(service, away);
    }

    /// Gives a call up: nothing is reported of it any more.
    pub fn cancel(&self, id: CallId) {
        self.0.client.cancel(id);
    }

    /// Sends an item of a stream, or queues it until the peer lets it go;
    /// [`Events::sent`](super::Events::sent) reports when it has gone. Dropped
    /// if the stream is over.
    pub fn item(&self, stream: StreamId, payload: Payload<'_>) {
        match stream {
            StreamId::Call(id) => streaming::send_item(&*self.0.client, id, payload),
            StreamId::Request(id) => streaming::send_item(&*self.0.server, id, payload),
        }
    }

    /// Ends this side's items, after those that are queued. `metadata` goes
    /// with the answer to a request.
    pub fn end(&self, stream: StreamId, metadata: &[u8]) {
        match stream {
            StreamId::Call(id) => self.0.client.end_items(id, metadata),
            StreamId::Request(id) => self.0.server.end_items(id, metadata),
        }
    }

    /// The application is done with items that cost so much: the length of
    /// each and [`ITEM_COST`](crate::record::ITEM_COST).
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

    /// Fails a request. Late failures are dropped.
    pub fn fail(&self, id: RequestId, failure: &Failure<'_>) {
        self.0.server.fail(id, failure);
    }
}
