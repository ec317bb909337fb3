//! Large frames wait for room in the memory budget before their first byte is read.
//!
//! A body in front of tonic's decoder reads the lengths of the passing frames. A
//! frame above 96 KiB passes once the account of its session is charged for it. Until
//! then the body reads nothing, so that HTTP/2 stops the peer. The charge is released
//! when the receiver asks for the next frame.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame as BodyFrame};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{
    Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
    server::NamedService,
    transport::{Channel, Error},
};

use crate::budget::{Account, Charge, NoRoom};

/// The largest frame without a charge, because each session has one buffer of this
/// size anyway. A frame of small messages has 64 KiB plus less than one record.
const SMALL: usize = 96 * 1024;
/// The largest frame of a stream without a session. A handshake message has 16
/// KiB at most.
const BEFORE_SESSION: usize = 32 * 1024;
/// The longest wait of a frame for room.
const PATIENCE: Duration = Duration::from_secs(10);
/// The time between two attempts of a frame to get room.
const TICK: Duration = Duration::from_millis(5);
/// The time that a peer has for a frame that holds room, plus a second for each
/// [`FRAME_RATE`] bytes of it.
const FRAME_TIME: Duration = Duration::from_secs(30);
/// The least rate at which such a frame must arrive, in bytes per second.
const FRAME_RATE: u32 = 64 * 1024;

/// The fault of a large frame that ended its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameFault {
    #[error("there was no room for a large frame within {} s (limits.maxMemoryBytes)", PATIENCE.as_secs())]
    NoRoom,
    #[error("the peer began a large frame and did not complete it in time")]
    Unfinished,
    #[error("the peer sent a frame that is too large for a handshake")]
    BeforeSession,
}

/// The large frames of one stream; its body and its receiver share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The account of the session; `None` before there is one.
    account: Option<Arc<Account>>,
    /// The charges for unprocessed frames, with the numbers of the frames.
    charges: VecDeque<(u64, Charge)>,
    fault: Option<FrameFault>,
}

impl Meter {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Permits large frames, and charges them to the session's account.
    pub(super) fn open(&self, account: &Arc<Account>) {
        self.lock().account = Some(Arc::clone(account));
    }

    /// The fault, if a large frame ended the stream.
    pub(super) fn fault(&self) -> Option<FrameFault> {
        self.lock().fault
    }

    /// Releases the charges of the frames with lower numbers, which are processed.
    pub(super) fn release_before(&self, number: u64) {
        let mut state = self.lock();
        while state.charges.pop_front_if(|(of, _)| *of < number).is_some() {}
    }

    /// Charges the account for a frame.
    fn charge(&self, number: u64, len: usize) -> Result<(), FrameFault> {
        let mut state = self.lock();
        let Some(account) = &state.account else {
            return if len <= BEFORE_SESSION { Ok(()) } else { Err(FrameFault::BeforeSession) };
        };
        if len <= SMALL {
            return Ok(());
        }
        match account.charge_if_room(len) {
            Ok(charge) => {
                state.charges.push_back((number, charge));
                Ok(())
            }
            // Only a frame above the decoder's limit never fits, and the decoder refuses it.
            Err(NoRoom::Ever(_)) => Ok(()),
            Err(NoRoom::Now(_)) => Err(FrameFault::NoRoom),
        }
    }

    fn fail(&self, fault: FrameFault) -> Status {
        self.lock().fault = Some(fault);
        Status::resource_exhausted(fault.to_string())
    }
}

/// Finds the beginning and the end of each frame of a stream. A frame has one byte,
/// its length in four bytes, and its content.
#[derive(Debug, Default)]
struct Framing {
    /// The number of the frame that begins, or has begun last.
    next: u64,
    /// The bytes of its header so far.
    header: [u8; 5],
    filled: usize,
    /// The missing bytes of its content.
    left: usize,
    /// Whether the next frame may pass.
    may_pass: bool,
}

/// The next step in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The number of bytes that may pass.
    Pass(usize),
    /// The last byte of the header of a frame of this length, which needs room.
    Ask(usize),
}

impl Framing {
    fn step(&mut self, bytes: &[u8]) -> Step {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if self.left > 0 {
                let content = self.left.min(bytes.len() - at);
                self.left -= content;
                at += content;
                continue;
            }
            self.header[self.filled] = *byte;
            if self.filled < 4 {
                self.filled += 1;
            } else {
                let [_, length @ ..] = self.header;
                let length = u32::from_be_bytes(length) as usize;
                if length > BEFORE_SESSION && !self.may_pass {
                    return if at > 0 { Step::Pass(at) } else { Step::Ask(length) };
                }
                (self.may_pass, self.filled, self.left) = (false, 0, length);
                self.next += 1;
            }
            at += 1;
        }
        Step::Pass(at)
    }
}

/// A body whose large frames wait for room.
struct Metered {
    body: Body,
    meter: Meter,
    framing: Framing,
    /// The bytes that were read and have not passed.
    rest: Bytes,
    /// While a frame waits for room: the end of its patience, and the timer of its next attempt.
    wait: Option<(Instant, Pin<Box<Sleep>>)>,
    /// While a frame holds room: its number, and the timer of its deadline.
    due: Option<(u64, Pin<Box<Sleep>>)>,
}

impl Metered {
    fn new(body: Body, meter: Meter) -> Self {
        Self { body, meter, framing: Framing::default(), rest: Bytes::new(), wait: None, due: None }
    }

    /// Waits until there is room for the next frame.
    fn poll_room(&mut self, len: usize, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        loop {
            match self.meter.charge(self.framing.next, len) {
                Ok(()) => break,
                Err(FrameFault::NoRoom) => {}
                Err(fault) => return Poll::Ready(Err(self.meter.fail(fault))),
            }
            let now = Instant::now();
            let (until, tick) =
                self.wait.get_or_insert_with(|| (now + PATIENCE, Box::pin(sleep_until(now + TICK))));
            if now >= *until {
                return Poll::Ready(Err(self.meter.fail(FrameFault::NoRoom)));
            }
            ready!(tick.as_mut().poll(cx));
            tick.as_mut().reset(now + TICK);
        }
        self.wait = None;
        if len > SMALL {
            let time = FRAME_TIME + Duration::from_secs((len as u64) / u64::from(FRAME_RATE));
            self.due = Some((self.framing.next + 1, Box::pin(sleep_until(Instant::now() + time))));
        }
        self.framing.may_pass = true;
        Poll::Ready(Ok(()))
    }

    /// Whether a frame that holds room is late.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        self.due.as_mut().is_some_and(|(_, due)| due.as_mut().poll(cx).is_ready())
    }
}

impl HttpBody for Metered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Status>>> {
        let this = &mut *self;
        loop {
            if this.rest.is_empty() {
                if this.is_late(cx) {
                    return Poll::Ready(Some(Err(this.meter.fail(FrameFault::Unfinished))));
                }
                let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(cx)?) else {
                    return Poll::Ready(None);
                };
                match frame.into_data() {
                    Ok(bytes) => this.rest = bytes,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                }
            }
            match this.framing.step(&this.rest) {
                Step::Pass(len) => {
                    let ended = |(number, _): &(u64, _)| {
                        *number < this.framing.next
                            || (*number == this.framing.next && this.framing.left == 0)
                    };
                    if this.due.as_ref().is_some_and(ended) {
                        this.due = None;
                    }
                    return Poll::Ready(Some(Ok(BodyFrame::data(this.rest.split_to(len)))));
                }
                Step::Ask(len) => {
                    if let Err(status) = ready!(this.poll_room(len, cx)) {
                        return Poll::Ready(Some(Err(status)));
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }
}

/// A gRPC service whose requests are metered; each has its [`Meter`] with it.
#[derive(Clone)]
pub(super) struct MeteredService<S>(pub(super) S);

impl<S: NamedService> NamedService for MeteredService<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Service<http::Request<Body>>> Service<http::Request<Body>> for MeteredService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> S::Future {
        let meter = Meter::default();
        let mut request = request.map(|body| Body::new(Metered::new(body, meter.clone())));
        request.extensions_mut().insert(meter);
        self.0.call(request)
    }
}

/// A channel with one stream, whose responses are metered.
pub(super) struct MeteredChannel {
    pub(super) channel: Channel,
    pub(super) meter: Meter,
}

impl Service<http::Request<Body>> for MeteredChannel {
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = BoxFuture<Self::Response, Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let (answer, meter) = (self.channel.call(request), self.meter.clone());
        Box::pin(async move { Ok(answer.await?.map(|body| Body::new(Metered::new(body, meter)))) })
    }
}

#[cfg(test)]
mod tests;
