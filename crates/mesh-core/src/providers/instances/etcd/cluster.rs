//! Connections to the members of an etcd cluster.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use super::{
    super::error::ProviderError,
    generated::{AuthenticateRequest, auth_client::AuthClient},
    tls::{ALPN, Connector},
};
use crate::{
    config::{Password, ServerUrl},
    providers::stream::Tls,
};

/// The time for a connection, and for the answer to one question.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3);
/// The silence after which a connection is probed, and the time limit of the answer.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// The most bytes of one answer: 1,000 instances of 8 KiB.
pub(super) const MAX_ANSWER: usize = 16 << 20;
/// The most characters of an error text of etcd that are shown.
const MAX_DETAIL: usize = 200;

/// The members, of which one is used at a time.
pub(super) struct Cluster {
    endpoints: Vec<ServerUrl>,
    tls: Arc<Tls>,
    user: Option<String>,
    password: Option<Password>,
    current: AtomicUsize,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cluster").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

/// A connection to one member, which knows who asks.
#[derive(Clone, Debug)]
pub(super) struct Member {
    endpoint: String,
    pub(super) channel: Channel,
    token: Option<MetadataValue<Ascii>>,
}

impl Cluster {
    pub(super) fn new(
        endpoints: Vec<ServerUrl>,
        ca: Option<PathBuf>,
        user: Option<String>,
        password: Option<Password>,
    ) -> Self {
        let tls = Arc::new(Tls::new(ca, ALPN));
        Self { endpoints, tls, user, password, current: AtomicUsize::new(0) }
    }

    /// Connects to the current member, or to the first of the others that answers.
    pub(super) async fn connect(&self) -> Result<Member, ProviderError> {
        let first = self.current.load(Ordering::Relaxed);
        let mut last = None;
        for step in 0..self.endpoints.len() {
            let index = (first + step) % self.endpoints.len();
            match self.connect_to(&self.endpoints[index]).await {
                Ok(member) => {
                    self.current.store(index, Ordering::Relaxed);
                    return Ok(member);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| failed("no endpoint", "there is none".to_owned())))
    }

    /// Another member is tried next, since the current one has failed.
    pub(super) fn turn(&self) {
        self.current.fetch_add(1, Ordering::Relaxed);
    }

    async fn connect_to(&self, url: &ServerUrl) -> Result<Member, ProviderError> {
        let shown = url.to_string();
        let endpoint = shown.as_str();
        let unreachable = |error: tonic::transport::Error| failed(endpoint, root_cause(&error));
        // TLS is the connector's, so that there is one way of it in this package.
        let settings = Endpoint::from_shared(format!("http://{}", url.authority()))
            .map_err(unreachable)?
            .connect_timeout(TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(TIMEOUT)
            .keep_alive_while_idle(true);
        let connected = if url.tls {
            settings.connect_with_connector(Connector { url: url.clone(), tls: Arc::clone(&self.tls) }).await
        } else {
            settings.connect().await
        };
        let channel = connected.map_err(unreachable)?;
        let mut member = Member { endpoint: endpoint.to_owned(), channel, token: None };
        if let (Some(user), Some(password)) = (&self.user, &self.password) {
            let request = AuthenticateRequest { name: user.clone(), password: password.reveal().to_owned() };
            let answer = AuthClient::new(member.channel.clone()).authenticate(member.request(request)).await;
            let token = answer.map_err(|status| member.failed(&status))?.into_inner().token;
            let token = token.parse().map_err(|_| failed(endpoint, "its token cannot be used".to_owned()))?;
            member.token = Some(token);
        }
        Ok(member)
    }
}

impl Member {
    /// A question with a time limit.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = self.stream(message);
        request.set_timeout(TIMEOUT);
        request
    }

    /// A stream of questions, which lasts.
    pub(super) fn stream<T>(&self, messages: T) -> Request<T> {
        let mut request = Request::new(messages);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("token", token.clone());
        }
        request
    }

    /// An error in the words of etcd.
    pub(super) fn failed(&self, status: &Status) -> ProviderError {
        let text: String = status.message().chars().take(MAX_DETAIL).collect();
        failed(&self.endpoint, if text.is_empty() { status.code().to_string() } else { text })
    }

    pub(super) fn failed_with(&self, detail: &str) -> ProviderError {
        failed(&self.endpoint, detail.to_owned())
    }
}

fn failed(endpoint: &str, detail: String) -> ProviderError {
    ProviderError::Etcd { endpoint: endpoint.to_owned(), detail }
}

/// The last of a chain of errors: the system's own word.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
