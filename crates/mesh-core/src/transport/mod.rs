//! gRPC by tonic: incoming and outgoing connections, and frames in both
//! directions. The layer above gives frames their meaning.

mod bind;
mod client;
mod codec;
mod connections;
mod first_bytes;
mod generated;
mod holdings;
mod listener;
pub(crate) mod memory;
mod meter;
mod server;
mod status;
mod tls;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::Stream;

use crate::{
    budget::{Account, Charge},
    error::{Code, Coded, Reason},
    handshake::Exporter,
    identity::IdentityError,
};

use self::meter::Meter;
pub(crate) use self::{
    bind::Place,
    client::connect_over,
    codec::FrameCodec,
    connections::Connections,
    generated::Frame,
    holdings::Holdings,
    listener::{ConnectionInfo, Listener},
    meter::FrameFault,
    server::{Accept, serve},
    status::{busy, refusal, shutting_down, unable},
    tls::{Answer, TlsDial, TlsPort},
};

#[cfg(test)]
pub(crate) use self::client::connect;

/// The time without traffic after which either side probes a connection with an
/// HTTP/2 PING.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// The time for the answer to that PING. The session with a vanished peer ends
/// after both times together; until then its calls can only run into their
/// deadlines.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The most frames in the queue for HTTP/2; then the writer waits.
const OUTGOING_FRAMES: usize = 4;
/// The most bytes in that queue, unless one frame alone is larger.
const OUTGOING_BYTES: usize = 256 * 1024;

/// The largest frame: one message of the largest size, or a batch of small ones.
pub(crate) const fn max_frame(max_message: u32) -> usize {
    max_message as usize + 128 * 1024
}

/// A failure of the network, in words for the caller.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The peer cannot be reached.
    #[error("cannot reach {target}: {detail}")]
    Connect {
        /// Host and port.
        target: String,
        /// The message of the system.
        detail: String,
    },
    /// Another kind of server listens at the address.
    #[error("{found} listens at {target} instead of a mesh: correct its port in discovery.services")]
    NotAMesh {
        /// Host and port.
        target: String,
        /// The kind of server, as in `an SSH server`.
        found: &'static str,
    },
    /// The peer does not support TLS, and this side requires it.
    #[error(
        "{target} does not support TLS, which this service requires; give that service a certificate (security.certificate, or \
         security.tls with cert, key and ca), or set security.tls: 'off' here"
    )]
    NoTls {
        /// Host and port.
        target: String,
    },
    /// This side refuses the certificate that the peer shows in TLS.
    #[error("TLS with {target}: {source}")]
    Certificate {
        /// Host and port.
        target: String,
        /// The check that failed.
        source: IdentityError,
    },
    /// The peer refuses the TLS handshake, or does not hold the key of its certificate.
    #[error("{target} refuses the TLS handshake, or does not hold the key of its certificate")]
    TlsRefused {
        /// Host and port.
        target: String,
    },
    /// The mesh cannot listen on the address.
    #[error("cannot listen on {address}: {detail}")]
    Listen {
        /// Host and port.
        address: String,
        /// The message of the system.
        detail: String,
    },
    /// The peer refused or ended the stream.
    #[error("{}", describe(.0))]
    Status(Box<tonic::Status>),
}

/// The meaning of a peer's status. The status's own message is a stranger's input and is not
/// repeated.
fn describe(status: &tonic::Status) -> &'static str {
    match status.code() {
        tonic::Code::Unauthenticated => "handshake refused",
        tonic::Code::ResourceExhausted => "too many handshakes, sessions or bytes",
        tonic::Code::FailedPrecondition if status.message() == tls::TLS_REQUIRED => {
            "it requires TLS; give this service a certificate (security.certificate, or security.tls with cert, key \
             and ca)"
        }
        tonic::Code::FailedPrecondition => "it supports other protocol versions",
        tonic::Code::Unimplemented => "it is a gRPC server, but not a mesh",
        // A status without a source comes from the peer; a failed connection on this side has a
        // source.
        tonic::Code::Unavailable if std::error::Error::source(status).is_none() => {
            "it accepts no sessions at present; its own log has the reason"
        }
        _ => "the connection was lost",
    }
}

impl From<tonic::Status> for TransportError {
    fn from(status: tonic::Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// One bidirectional stream, from either side.
#[derive(Debug)]
pub(crate) struct Duplex {
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: Outgoing,
    /// The value that names the TLS connection beneath; `None` without TLS.
    pub(crate) exporter: Option<Exporter>,
}

impl Duplex {
    /// The next frame; `None` after the last.
    pub(crate) async fn receive(&mut self) -> Result<Option<Bytes>, TransportError> {
        self.incoming.receive().await
    }
}

/// The receiving half of a stream.
#[derive(Debug)]
pub(crate) struct Incoming {
    frames: tonic::Streaming<Frame>,
    meter: Meter,
    /// Frames received so far.
    received: u64,
}

impl Incoming {
    fn new(frames: tonic::Streaming<Frame>, meter: Meter) -> Self {
        Self { frames, meter, received: 0 }
    }

    /// Permits large frames, and charges them to `account`, once there is a session.
    pub(crate) fn open(&self, account: &Arc<Account>) {
        self.meter.open(account);
    }

    /// The fault, if this side ended the stream because of a large frame.
    pub(crate) fn fault(&self) -> Option<FrameFault> {
        self.meter.fault()
    }

    /// The next frame; `None` after the last. Releases the charge of the previous
    /// frame.
    pub(crate) async fn receive(&mut self) -> Result<Option<Bytes>, TransportError> {
        self.meter.release_before(self.received);
        let frame = self.frames.message().await?;
        self.received += 1;
        Ok(frame.map(|frame| frame.data))
    }
}

/// The sending half of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    frames: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
}

/// A frame with its share of the queue, which is released when HTTP/2 takes the frame.
#[derive(Debug)]
struct Queued {
    frame: Result<Frame, tonic::Status>,
    charge: Option<Arc<Charge>>,
    _room: Option<OwnedSemaphorePermit>,
}

/// The queue from which HTTP/2 takes frames.
#[derive(Debug)]
pub(crate) struct OutgoingFrames {
    frames: mpsc::Receiver<Queued>,
    /// The charge for the last frame. HTTP/2 asks for the next frame when it has sent this one,
    /// which releases the charge.
    charge: Option<Arc<Charge>>,
}

impl Outgoing {
    /// A queue: its sending and its receiving half.
    pub(crate) fn queue() -> (Self, OutgoingFrames) {
        let (frames, taken) = mpsc::channel(OUTGOING_FRAMES);
        (
            Self { frames, room: Arc::new(Semaphore::new(OUTGOING_BYTES)) },
            OutgoingFrames { frames: taken, charge: None },
        )
    }

    /// Sends a frame, once there is room for it. False if the stream has ended.
    pub(crate) async fn send(&self, data: Bytes) -> bool {
        self.send_held(data, None).await
    }

    /// As [`send`](Self::send), with the charge for the frame, which is released when HTTP/2 has
    /// sent it.
    pub(crate) async fn send_held(&self, data: Bytes, charge: Option<Arc<Charge>>) -> bool {
        // The semaphore is never closed. A stream that ends drops its frames, which releases their
        // room.
        let room = Arc::clone(&self.room).acquire_many_owned(data.len().min(OUTGOING_BYTES) as u32).await;
        self.frames.send(Queued { frame: Ok(Frame { data }), charge, _room: room.ok() }).await.is_ok()
    }

    /// Ends the stream with a status that the peer sees.
    pub(crate) async fn fail(&self, status: tonic::Status) {
        // A peer that does not read misses the status; the stream ends nevertheless.
        let _ = self.frames.send(Queued { frame: Err(status), charge: None, _room: None }).await;
    }
}

impl Stream for OutgoingFrames {
    type Item = Result<Frame, tonic::Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.charge = None;
        self.frames.poll_recv(cx).map(|queued| {
            let Queued { frame, charge, _room } = queued?;
            self.charge = charge;
            Some(frame)
        })
    }
}

impl Coded for TransportError {
    fn code(&self) -> Code {
        match self {
            Self::Connect { .. } => Code::Unavailable,
            Self::NotAMesh { .. } | Self::Listen { .. } | Self::NoTls { .. } => Code::FailedPrecondition,
            Self::Certificate { .. } | Self::TlsRefused { .. } => Code::Unauthenticated,
            Self::Status(status) => match status.code() {
                tonic::Code::Unauthenticated => Code::Unauthenticated,
                tonic::Code::ResourceExhausted => Code::ResourceExhausted,
                tonic::Code::FailedPrecondition => Code::FailedPrecondition,
                tonic::Code::Unimplemented => Code::Unimplemented,
                // A mesh sends no other status. The connection broke, or
                // somebody broke it, and the cause proves nothing about the
                // peer.
                _ => Code::Unavailable,
            },
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Connect { .. } => Reason::ConnectFailed,
            Self::NotAMesh { .. } => Reason::WrongPort,
            Self::Listen { .. } => Reason::Listen,
            Self::NoTls { .. } => Reason::TlsRequired,
            Self::Certificate { source, .. } => source.reason(),
            Self::TlsRefused { .. } => Reason::HandshakeRefused,
            Self::Status(status) => match status.code() {
                tonic::Code::Unauthenticated => Reason::HandshakeRefused,
                tonic::Code::ResourceExhausted => Reason::Busy,
                tonic::Code::FailedPrecondition if status.message() == tls::TLS_REQUIRED => {
                    Reason::TlsRequired
                }
                tonic::Code::FailedPrecondition => Reason::Version,
                tonic::Code::Unimplemented => Reason::HandshakeFormat,
                _ => Reason::SessionLost,
            },
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        (self.reason() == Reason::Busy).then_some(Duration::from_millis(200))
    }
}
