//! Connections to peers.

use std::{
    error::Error,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::mpsc,
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{
    codegen::{Service, http::Uri},
    transport::Endpoint,
};

use crate::{config::NetworkName, discovery::Address};

use super::{
    Duplex, KEEP_ALIVE, KEEP_ALIVE_TIMEOUT, OUTGOING_FRAMES, Outgoing, TransportError, Watch,
    generated::mesh_client::MeshClient, max_frame, memory,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const STREAM_WINDOW: u32 = 1 << 20;

/// Opens one stream on a connection of its own, over a socket or on a `network`
/// in memory. The socket is added to `watch` once the [`Duplex`] is told that the
/// peer is proven.
pub(crate) async fn connect(
    network: Option<&NetworkName>,
    address: &Address,
    max_message: u32,
    watch: Option<&Watch>,
) -> Result<Duplex, TransportError> {
    let failed = |error: tonic::transport::Error| TransportError::Connect {
        target: address.to_string(),
        detail: root_cause(&error),
    };
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(failed)?
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(2 * STREAM_WINDOW)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    let proven = Arc::default();
    let channel = match network {
        None => endpoint.connect_with_connector(Connector::new(watch, &proven)).await,
        Some(network) => {
            let connector = memory::Connector::new(network, address.port.get());
            endpoint.connect_with_connector(connector).await
        }
    };
    let channel = channel.map_err(failed)?;
    let (sender, receiver) = mpsc::channel(OUTGOING_FRAMES);
    let mut client = MeshClient::new(channel).max_decoding_message_size(max_frame(max_message));
    let incoming = client.session(ReceiverStream::new(receiver).map_while(Result::ok)).await?.into_inner();
    Ok(Duplex { incoming, outgoing: Outgoing(sender), proven })
}

/// Connects over TCP: to the first address of a name that answers.
struct Connector {
    tcp: HttpConnector,
    watch: Option<Watch>,
    proven: Arc<AtomicBool>,
}

impl Connector {
    fn new(watch: Option<&Watch>, proven: &Arc<AtomicBool>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_nodelay(true);
        Self { tcp, watch: watch.cloned(), proven: Arc::clone(proven) }
    }
}

type ConnectError = Box<dyn Error + Send + Sync>;

impl Service<Uri> for Connector {
    type Response = TokioIo<Connection>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Connection>, ConnectError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.tcp.call(uri);
        let (watch, proven) = (self.watch.clone(), Arc::clone(&self.proven));
        Box::pin(async move {
            let socket = connecting.await?.into_inner();
            Ok(TokioIo::new(Connection { socket, watch, proven }))
        })
    }
}

/// A connection made here. Its socket is watched once the peer has proved who it is.
struct Connection {
    socket: TcpStream,
    watch: Option<Watch>,
    proven: Arc<AtomicBool>,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.proven.load(Ordering::Relaxed)
            && let Some(watch) = self.watch.take()
        {
            // Without it the I/O thread finds what comes.
            let _ = watch.add(&self.socket);
        }
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

/// The last of a chain of errors: the system's own word.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
