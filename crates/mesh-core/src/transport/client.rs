//! Connections to peers.

use std::{error::Error, time::Duration};

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
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const STREAM_WINDOW: u32 = 1 << 20;

/// Opens one stream on a connection of its own, over a socket or on a
/// `network` in memory.
pub(crate) async fn connect(
    network: Option<&NetworkName>,
    address: &Address,
    max_message: u32,
) -> Result<Duplex, TransportError> {
    let failed = |error: tonic::transport::Error| TransportError::Connect {
        target: address.to_string(),
        detail: root_cause(&error),
    };
    let seen = FirstBytes::default();
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
    let channel = match network {
        None => {
            let mut tcp = HttpConnector::new();
            tcp.set_nodelay(true);
            tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
            endpoint.connect_with_connector(first_bytes::Connector::new(tcp, seen.clone())).await
        }
        Some(network) => endpoint.connect_with_connector(Connector::new(network, address.port.get())).await,
    };
    let channel = channel.map_err(|error| seen.look_like().map_or_else(|| failed(error), not_a_mesh))?;
    let (outgoing, frames) = Outgoing::queue();
    let meter = Meter::default();
    let channel = MeteredChannel { channel, meter: meter.clone() };
    let mut client = MeshClient::new(channel).max_decoding_message_size(max_frame(max_message));
    let opened = client.session(frames.map_while(Result::ok)).await;
    let opened = opened.map_err(|status| seen.look_like().map_or_else(|| status.into(), not_a_mesh))?;
    if !is_grpc(&opened) {
        return Err(not_a_mesh("an HTTP/2 server that does not speak gRPC"));
    }
    Ok(Duplex { incoming: Incoming::new(opened.into_inner(), meter), outgoing })
}

/// Whether an answer is one of a gRPC server's, whatever it says.
fn is_grpc<T>(answer: &tonic::Response<T>) -> bool {
    let kind = answer.metadata().get("content-type");
    kind.is_some_and(|kind| kind.as_encoded_bytes().starts_with(b"application/grpc"))
}

/// The last of a chain of errors: the system's own word.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
