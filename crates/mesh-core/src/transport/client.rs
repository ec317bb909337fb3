//! Connections to peers.

use std::{error::Error, time::Duration};

use tokio_stream::StreamExt;
use tonic::transport::Endpoint;

use crate::{config::NetworkName, discovery::Address};

use super::{
    Duplex, KEEP_ALIVE, KEEP_ALIVE_TIMEOUT, Outgoing, TransportError, generated::mesh_client::MeshClient,
    max_frame, memory::Connector,
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
        None => endpoint.connect().await,
        Some(network) => endpoint.connect_with_connector(Connector::new(network, address.port.get())).await,
    };
    let channel = channel.map_err(failed)?;
    let (outgoing, frames) = Outgoing::queue();
    let mut client = MeshClient::new(channel).max_decoding_message_size(max_frame(max_message));
    let incoming = client.session(frames.map_while(Result::ok)).await?.into_inner();
    Ok(Duplex { incoming, outgoing })
}

/// The last of a chain of errors: the system's own word.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
