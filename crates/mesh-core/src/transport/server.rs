//! The gRPC server: the mesh's own service, and the standard health and
//! reflection services for ordinary gRPC tools.

use std::sync::Arc;

use tokio_stream::StreamExt;
use tonic::{Request, Response, Status, Streaming, service::InterceptorLayer, transport::Server};

use super::{
    ConnectionInfo, Duplex, Frame, Incoming, KEEP_ALIVE, KEEP_ALIVE_TIMEOUT, Listener, Outgoing,
    OutgoingFrames, TransportError,
    generated::{
        DESCRIPTOR,
        mesh_server::{Mesh, MeshServer},
    },
    max_frame,
    meter::{Meter, MeteredService},
    tls::{Secured, TLS_REQUIRED, TlsPort},
};

const STREAM_WINDOW: u32 = 1 << 20;
const MAX_STREAMS: u32 = 32;
const MAX_HEADERS: u32 = 8 * 1024;
const MAX_RESET_STREAMS: usize = 16;

/// The receiver of the streams that peers open.
pub(crate) trait Accept: Send + Sync + 'static {
    /// Decides about a new stream before anything is set up for it.
    fn admit(&self) -> Result<(), Status>;

    /// Takes over a stream, in a task of its own.
    fn accept(&self, duplex: Duplex, connection: ConnectionInfo);
}

struct Service(Arc<dyn Accept>);

#[tonic::async_trait]
impl Mesh for Service {
    type SessionStream = OutgoingFrames;

    async fn session(
        &self,
        request: Request<Streaming<Frame>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let connection = request
            .extensions()
            .get::<ConnectionInfo>()
            .cloned()
            .ok_or_else(|| Status::internal("no connection"))?;
        self.0.admit()?;
        let (outgoing, frames) = Outgoing::queue();
        // A metered service attaches a meter to each request.
        let meter = request.extensions().get::<Meter>().cloned().unwrap_or_default();
        let exporter = connection.exporter();
        let duplex = Duplex { incoming: Incoming::new(request.into_inner(), meter), outgoing, exporter };
        self.0.accept(duplex, connection);
        Ok(Response::new(frames))
    }
}

/// Serves until the listener ends. Open streams continue in their own tasks.
pub(crate) async fn serve(
    listener: Listener,
    accept: Arc<dyn Accept>,
    tls: Option<Arc<dyn TlsPort>>,
    max_message: u32,
) -> Result<(), TransportError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<MeshServer<Service>>().await;
    let internal = |error: tonic_reflection::server::Error| TransportError::Listen {
        address: "reflection".to_owned(),
        detail: error.to_string(),
    };
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTOR)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(internal)?;
    let port = tls.clone();
    let touch = InterceptorLayer::new(move |request: Request<()>| {
        if let Some(connection) = request.extensions().get::<ConnectionInfo>() {
            let required = port.as_ref().is_some_and(|tls| tls.is_required());
            if required && connection.exporter().is_none() {
                return Err(Status::failed_precondition(TLS_REQUIRED));
            }
            connection.touch();
        }
        Ok(request)
    });
    let mesh = MeshServer::new(Service(accept)).max_decoding_message_size(max_frame(max_message));
    let incoming = listener.map(move |accepted| accepted.map(|stream| Secured::new(stream, tls.clone())));
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(2 * STREAM_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_header_list_size(MAX_HEADERS)
        .http2_max_pending_accept_reset_streams(Some(MAX_RESET_STREAMS))
        .http2_max_local_error_reset_streams(Some(MAX_RESET_STREAMS))
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .layer(touch)
        .add_service(MeteredService(mesh))
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming(incoming)
        .await
        .map_err(|error| TransportError::Listen { address: "server".to_owned(), detail: error.to_string() })
}
