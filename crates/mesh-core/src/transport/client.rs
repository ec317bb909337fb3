//! Connections to peers.

use std::{error::Error, sync::Arc, time::Duration};

use hyper_util::client::legacy::connect::HttpConnector;
use tokio_stream::StreamExt;
use tonic::transport::Endpoint;

use crate::{config::NetworkName, discovery::Address};

use super::{
    Duplex, Incoming, KEEP_ALIVE, KEEP_ALIVE_TIMEOUT, Outgoing, TransportError,
    first_bytes::{self, FirstBytes},
    generated::mesh_client::MeshClient,
    max_frame,
    memory::Connector,
    meter::{Meter, MeteredChannel},
    tls::{Outcome, Shaken, TlsConnector, TlsDial},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const STREAM_WINDOW: u32 = 1 << 20;

/// Opens one stream on its own connection without TLS.
#[cfg(test)]
pub(crate) async fn connect(
    network: Option<&NetworkName>,
    address: &Address,
    max_message: u32,
) -> Result<Duplex, TransportError> {
    connect_over(network, address, max_message, None).await
}

/// Opens one stream on its own connection, over a socket or a `network` in
/// memory, and over TLS if `tls` is given.
pub(crate) async fn connect_over(
    network: Option<&NetworkName>,
    address: &Address,
    max_message: u32,
    tls: Option<TlsDial>,
) -> Result<Duplex, TransportError> {
    let failed = |error: tonic::transport::Error| TransportError::Connect {
        target: address.to_string(),
        detail: root_cause(&error),
    };
    let (seen, outcome) = (FirstBytes::default(), Outcome::default());
    let is_plain = tls.is_none();
    let found = || if is_plain { seen.look_like() } else { seen.look_like_without_tls() };
    let not_a_mesh = |found| TransportError::NotAMesh { target: address.to_string(), found };
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(failed)?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(2 * STREAM_WINDOW)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    let tcp = || {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        first_bytes::Connector::new(tcp, seen.clone())
    };
    let memory = |network| Connector::new(network, address.port.get());
    let over = |tls: &TlsDial| (Arc::clone(&tls.config), outcome.clone());
    let channel = match (network, &tls) {
        (None, None) => endpoint.connect_with_connector(tcp()).await,
        (Some(network), None) => endpoint.connect_with_connector(memory(network)).await,
        (None, Some(tls)) => {
            let (config, outcome) = over(tls);
            endpoint.connect_with_connector(TlsConnector::new(tcp(), config, outcome)).await
        }
        (Some(network), Some(tls)) => {
            let (config, outcome) = over(tls);
            endpoint.connect_with_connector(TlsConnector::new(memory(network), config, outcome)).await
        }
    };
    let channel = channel.map_err(|error| {
        let target = address.to_string();
        let refusal = tls.as_ref().and_then(|tls| tls.refusal.get().cloned());
        match (outcome.get(), refusal) {
            (_, Some(source)) => TransportError::Certificate { target, source },
            (Some(Shaken::Refused), None) => TransportError::TlsRefused { target },
            (Some(Shaken::NoTls), None) => found().map_or(TransportError::NoTls { target }, not_a_mesh),
            (Some(Shaken::Other), None) => not_a_mesh("a TLS server that is not a mesh"),
            (Some(Shaken::Done(_)) | None, None) => found().map_or_else(|| failed(error), not_a_mesh),
        }
    })?;
    let (outgoing, frames) = Outgoing::queue();
    let meter = Meter::default();
    let channel = MeteredChannel { channel, meter: meter.clone() };
    let mut client = MeshClient::new(channel).max_decoding_message_size(max_frame(max_message));
    let opened = client.session(frames.map_while(Result::ok)).await;
    let opened = opened.map_err(|status| found().map_or_else(|| status.into(), not_a_mesh))?;
    if !is_grpc(&opened) {
        return Err(not_a_mesh("an HTTP/2 server that does not speak gRPC"));
    }
    let exporter = match outcome.get() {
        Some(Shaken::Done(exporter)) => Some(exporter),
        _ => None,
    };
    Ok(Duplex { incoming: Incoming::new(opened.into_inner(), meter), outgoing, exporter })
}

/// Whether a gRPC server sent the answer, with any status.
fn is_grpc<T>(answer: &tonic::Response<T>) -> bool {
    let kind = answer.metadata().get("content-type");
    kind.is_some_and(|kind| kind.as_encoded_bytes().starts_with(b"application/grpc"))
}

/// The last error of a chain, which is the message of the system.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
