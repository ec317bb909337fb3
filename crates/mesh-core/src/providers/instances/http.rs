//! Questions over HTTP/1.1 to the servers of discovery: one connection each, bounded in time and size.

use std::{fmt::Write, path::PathBuf, pin::Pin, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::handshake,
    header::{HOST, HeaderMap, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout};

use crate::{
    config::ServerUrl,
    providers::stream::{Tls, connect},
};

/// The time for a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// The time for the body of an answer.
const WHOLE: Duration = Duration::from_secs(30);
/// The most bytes of one answer, and of one line of a stream of lines.
pub(super) const MAX_ANSWER: usize = 16 << 20;
/// The most characters of an error text of a server that are shown.
const MAX_DETAIL: usize = 200;

/// A server that is asked over HTTP.
#[derive(Debug)]
pub(super) struct Server {
    url: ServerUrl,
    tls: Option<Tls>,
}

/// An answer that has begun.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Incoming,
    unread: BytesMut,
}

impl Server {
    pub(super) fn new(url: ServerUrl, ca: Option<PathBuf>) -> Self {
        let tls = url.tls.then(|| Tls::new(ca, b"http/1.1"));
        Self { url, tls }
    }

    /// The place of the server, for errors.
    pub(super) fn place(&self) -> String {
        self.url.to_string()
    }

    /// Asks, and waits so long for the beginning of the answer.
    ///
    /// # Errors
    /// A sentence. It holds no header, and so no token.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, HeaderValue)],
        body: Option<Bytes>,
        patience: Duration,
    ) -> Result<Answer, String> {
        let stream = timeout(CONNECT, connect(&self.url.host, self.url.port, self.tls.as_ref())).await;
        let stream = stream.map_err(|_| "no connection in time".to_owned())??;
        let (mut sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::spawn(async move { drop(connection.await) });
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.url.authority())
            .header(USER_AGENT, "secure-stack-mesh");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = Once(body.filter(|body| !body.is_empty()));
        let request = request.body(body).map_err(|error| error.to_string())?;
        let answer = timeout(patience, sender.send_request(request)).await;
        let answer: Response<Incoming> =
            answer.map_err(|_| "no answer in time".to_owned())?.map_err(|error| error.to_string())?;
        let (head, body) = answer.into_parts();
        Ok(Answer { status: head.status, headers: head.headers, body, unread: BytesMut::new() })
    }
}

impl Answer {
    /// The whole body, unless it is too large or does not come in time.
    pub(super) async fn whole(mut self) -> Result<Bytes, String> {
        let (mut whole, end) = (BytesMut::new(), Instant::now() + WHOLE);
        while let Some(piece) = self.piece(end.saturating_duration_since(Instant::now())).await? {
            if whole.len() + piece.len() > MAX_ANSWER {
                return Err(format!("an answer of more than {MAX_ANSWER} bytes"));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// The next line of a stream of lines; `None` at its end. Waits so long for each piece.
    pub(super) async fn line(&mut self, patience: Duration) -> Result<Option<Bytes>, String> {
        let mut seen = 0;
        loop {
            if let Some(at) = self.unread[seen..].iter().position(|byte| *byte == b'\n') {
                let line = self.unread.split_to(seen + at + 1).freeze();
                return Ok(Some(line.slice(..line.len() - 1)));
            }
            seen = self.unread.len();
            if seen > MAX_ANSWER {
                return Err(format!("a line of more than {MAX_ANSWER} bytes"));
            }
            match self.piece(patience).await? {
                Some(piece) => self.unread.extend_from_slice(&piece),
                None if self.unread.is_empty() => return Ok(None),
                None => return Err("an answer that ends within a line".to_owned()),
            }
        }
    }

    /// The beginning of the text that a server sends with an error, in one line.
    pub(super) async fn refusal(self) -> String {
        let status = self.status;
        let text = self.whole().await.unwrap_or_default();
        let text = String::from_utf8_lossy(&text[..text.len().min(4 * MAX_DETAIL)]);
        let text: String = text.trim().chars().filter(|c| !c.is_control()).take(MAX_DETAIL).collect();
        format!("status {}: {text}", status.as_u16())
    }

    async fn piece(&mut self, patience: Duration) -> Result<Option<Bytes>, String> {
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx));
            let frame = timeout(patience, frame).await.map_err(|_| "an answer that stalls".to_owned())?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(error.to_string()),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

/// A body of one piece.
struct Once(Option<Bytes>);

impl Body for Once {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(self.0.take().map(|piece| Ok(http_body::Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.0.as_ref().map_or(0, Bytes::len) as u64)
    }
}

/// A text within a path or a question: everything but letters, digits, `-`, `_` and `.` is encoded.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_leave_its_place() {
        assert_eq!(encoded("a/b?c&d=e f\r\n"), "a%2Fb%3Fc%26d%3De%20f%0D%0A");
    }
}
