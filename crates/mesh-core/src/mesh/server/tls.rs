//! The TLS handshakes at the port. Strangers cause signatures with the certificate's key by them.
//! Therefore each signature is charged to its address, waits for its turn, and is made away from the I/O
//! thread.

use std::{
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use tokio::time::Instant;

use super::{requests::Server, turns::Class};
use crate::{
    error::Reason,
    mesh::sync::lock,
    transport::{Answer, TlsPort},
};

/// The server as the TLS of its port sees it.
pub(crate) struct Port(pub(crate) Arc<Server>);

impl TlsPort for Port {
    fn is_required(&self) -> bool {
        // While a weaker trust is accepted, services without a certificate connect without TLS.
        self.0.identity.accepts().is_none()
    }

    fn answer(&self, from: IpAddr, answer: Answer) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let server = Arc::clone(&self.0);
        Box::pin(async move {
            let charged = lock(&server.admission.connections).charge(from, Instant::now());
            let class = if charged { Class::Within } else { Class::Beyond };
            let Some(turn) = server.admission.turns.take(class).await else {
                return server.shared.stats.count_over_budget();
            };
            let Some(config) = server.identity.tls_server() else { return };
            let answered = server.shared.platform.blocking(move || {
                answer(config);
                drop(turn);
            });
            // An error means that the mesh is closing; the connection ends with it.
            let _ = answered.await;
        })
    }

    fn failed(&self, from: SocketAddr, refused: bool, why: &str) {
        let shared = &self.0.shared;
        shared.stats.count_handshake(false);
        let (reason, text) = if refused {
            let text = "the peer refuses this service's certificate";
            (Reason::HandshakeRefused, format!("{text}; the reason is in its log ({why})"))
        } else {
            (Reason::HandshakeFormat, format!("the TLS handshake failed: {why}"))
        };
        let fields = vec![("address", from.to_string()), ("reason", reason.to_string())];
        shared.log_refusal("tls.refused", from.ip().to_string(), text, fields);
        shared.events.flush();
    }
}
