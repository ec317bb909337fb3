//! A server whose messages the test makes, for honest clients.

use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{
    hostile::{Raw, local_as, raw_key},
    *,
};
use crate::{
    clock::Timestamp,
    crypto::rsa::Thumbprint,
    handshake::{Expectation, Local, Responder},
    id::ServiceId,
    transport::{Accept, ConnectionInfo, Duplex, Listener, Place, serve},
};

/// Passes each stream to the test.
struct Door(mpsc::UnboundedSender<(Duplex, ConnectionInfo)>);

impl Accept for Door {
    fn admit(&self) -> Result<(), Status> {
        Ok(())
    }

    fn accept(&self, duplex: Duplex, connection: ConnectionInfo) {
        let _ = self.0.send((duplex, connection));
    }
}

/// The service `server`, which the test plays.
pub(super) struct RawServer {
    port: u16,
    streams: mpsc::UnboundedReceiver<(Duplex, ConnectionInfo)>,
    /// The guards that keep the connections from counting as those of strangers.
    proved: Vec<Box<dyn Send>>,
}

impl RawServer {
    pub(super) async fn listen() -> Self {
        let (sender, streams) = mpsc::unbounded_channel();
        let (limit, patience) = (100, Duration::from_mins(5));
        let stop = CancellationToken::new();
        let place = Place { host: Some("127.0.0.1"), port: 0, shared: false };
        let listener = Listener::bind(place, limit, patience, stop).await.unwrap();
        let port = listener.address().unwrap().port();
        tokio::spawn(serve(listener, Arc::new(Door(sender)), None, 1 << 20));
        Self { port, streams, proved: Vec::new() }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The next client, after its proof.
    pub(super) async fn accept(&mut self) -> Raw {
        let (mut duplex, connection) = self.streams.recv().await.unwrap();
        self.proved.push(Box::new(connection.hold_for_session()));
        let now = Timestamp::now();
        let m1 = duplex.receive().await.unwrap().unwrap();
        let local = local_as("server", raw_key());
        let (m2, state) = Responder::on_hello(local, &m1, |_| Expectation::Unknown, now).unwrap();
        duplex.outgoing.send(m2.into()).await;
        let m3 = duplex.receive().await.unwrap().unwrap();
        let (m4, session) = state.on_finish(&m3, now).unwrap().accept(now).unwrap();
        duplex.outgoing.send(m4.into()).await;
        Raw::of(duplex, session)
    }

    /// Answers each client as a pinned service does, with public knowledge only,
    /// and leaves after the client's proof.
    pub(super) async fn pose(mut self, local: Arc<Local>, client: Thumbprint) {
        while let Some((mut duplex, _)) = self.streams.recv().await {
            let now = Timestamp::now();
            let Ok(Some(m1)) = duplex.receive().await else { continue };
            let expect = |_: &ServiceId| Expectation::Pinned(client);
            let (m2, _) = Responder::on_hello(Arc::clone(&local), &m1, expect, now).unwrap();
            duplex.outgoing.send(m2.into()).await;
            let _ = duplex.receive().await;
        }
    }
}
