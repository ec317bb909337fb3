//! The socket that a mesh listens on.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpSocket, lookup_host};

use super::TransportError;

/// The most connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// The address on which a mesh listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// A host name or an address; `None` for every interface.
    pub(crate) host: Option<&'a str>,
    /// The port; with 0 the system chooses one.
    pub(crate) port: u16,
    /// Whether other processes of the same user may listen on it as well (`SO_REUSEPORT`).
    pub(crate) shared: bool,
}

impl Place<'_> {
    /// Binds, and listens.
    pub(super) async fn listen(self) -> Result<TcpListener, TransportError> {
        let bound = match self.host {
            Some(host) => self.listen_on(host).await,
            // With IPv6 one dual-stack socket serves both families.
            None => match self.listen_on("::").await {
                Ok(socket) if cfg!(unix) => Ok(socket),
                _ => self.listen_on("0.0.0.0").await,
            },
        };
        bound.map_err(|error| TransportError::Listen {
            address: format!("{}:{}", self.host.unwrap_or("*"), self.port),
            detail: match error.kind() {
                io::ErrorKind::AddrInUse if !self.shared => format!(
                    "{error}. Stop the other process, choose another port, or set reusePort: true in each of \
                     the processes that are to share it"
                ),
                io::ErrorKind::AddrInUse => format!(
                    "{error}. The process that listens on it has not set reusePort: true, or belongs to another user"
                ),
                _ => error.to_string(),
            },
        })
    }

    async fn listen_on(self, host: &str) -> io::Result<TcpListener> {
        let mut failure = None;
        for address in lookup_host((host, self.port)).await? {
            match self.listen_at(address) {
                Ok(listener) => return Ok(listener),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the host has no address")))
    }

    fn listen_at(self, address: SocketAddr) -> io::Result<TcpListener> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // On Windows the option of this name would let any process take over the port.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        if self.shared {
            #[cfg(unix)]
            socket.set_reuseport(true)?;
            #[cfg(not(unix))]
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "reusePort is not supported on this system",
            ));
        }
        socket.bind(address)?;
        socket.listen(BACKLOG)
    }
}
