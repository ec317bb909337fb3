//! TLS 1.3 beneath the gRPC streams. The room `identity` has the certificates and their checks. This module
//! has the connections: the port, which recognises TLS by the first byte, and the client's connector.

mod accept;
mod connect;

use std::{
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, OnceLock},
};

use rustls::{ClientConfig, ServerConfig};

pub(super) use self::{
    accept::Secured,
    connect::{Outcome, Shaken, TlsConnector},
};
use crate::identity::{IdentityError, tls::refuses_certificate};

/// The message of the status that refuses a connection without TLS. The client recognises that
/// refusal by it.
pub(super) const TLS_REQUIRED: &str = "TLS is required";

/// The label of RFC 9266.
const EXPORTER: &[u8] = b"EXPORTER-Channel-Binding";

/// The client's side of one connection.
#[derive(Clone, Debug)]
pub(crate) struct TlsDial {
    pub(crate) config: Arc<ClientConfig>,
    /// The reason, once the server's certificate is refused.
    pub(crate) refusal: Arc<OnceLock<IdentityError>>,
}

/// The answer to a `ClientHello`, which signs with the certificate's key.
pub(crate) type Answer = Box<dyn FnOnce(Arc<ServerConfig>) + Send>;

/// The part of the mesh in the TLS of its port.
pub(crate) trait TlsPort: Send + Sync + 'static {
    /// Whether connections without TLS are refused.
    fn is_required(&self) -> bool;

    /// Runs `answer` away from the I/O thread, when it is the turn of this address. Does not run it if other
    /// addresses have all turns, or if the mesh is closing.
    fn answer(&self, from: IpAddr, answer: Answer) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Records a failed TLS handshake with the peer at `from`. `refused` is true if the peer refuses
    /// this side's certificate.
    fn failed(&self, from: SocketAddr, refused: bool, why: &str);
}
