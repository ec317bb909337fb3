//! The SPIFFE Workload API: an agent on this machine, such as that of SPIRE, gives a process its identity through a Unix
//! socket, and another one before that ends.

mod answer;
mod error;
mod generated;
#[cfg(test)]
mod tests;

use std::{
    fmt, future,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{sleep, timeout},
};
use tonic::{
    Code, Request, Status, Streaming,
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};

pub use self::error::WorkloadError;
use self::generated::{
    X509svidRequest, X509svidResponse, spiffe_workload_api_client::SpiffeWorkloadApiClient,
};
use super::files::Contents;

/// The most bytes of one answer.
const MAX_ANSWER: usize = 1 << 20;
/// The most characters of a text of the agent that are shown.
const MAX_DETAIL: usize = 200;
/// The header without which an agent answers nobody, so that a request that somebody smuggles in has no answer.
const HEADER: &str = "workload.spiffe.io";

/// Times, which tests shorten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How long the start waits for an identity.
    pub(crate) patience: Duration,
    /// How long a connection may go without its first answer.
    pub(crate) answer: Duration,
    /// The delay after the first failure in a row, which doubles up to the longest.
    pub(crate) first_delay: Duration,
    pub(crate) longest_delay: Duration,
    /// The least time between two answers that are taken.
    pub(crate) quiet: Duration,
}

impl Pace {
    pub(crate) const USUAL: Self = Self {
        patience: Duration::from_secs(10),
        answer: Duration::from_secs(5),
        first_delay: Duration::from_millis(500),
        longest_delay: Duration::from_secs(30),
        quiet: Duration::from_secs(1),
    };
}

/// The last identity in good form, and the reason for which there is no newer one.
#[derive(Clone, Default, PartialEq, Eq)]
struct State {
    good: Option<Contents>,
    fault: Option<WorkloadError>,
}

/// Tells which of several identities is this service's, by its SPIFFE id.
pub(crate) type Wanted = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// An agent that is followed until this value is dropped.
pub(crate) struct Followed {
    states: watch::Receiver<State>,
    task: AbortHandle,
}

impl Followed {
    /// Begins to follow the agent at `socket`, on the present runtime. Waits for the first identity for a while.
    ///
    /// # Errors
    /// `WORKLOAD_API` with the last failure, if none came.
    pub(crate) async fn begin(socket: &Path, wanted: Wanted, pace: Pace) -> Result<Self, WorkloadError> {
        let (sender, states) = watch::channel(State::default());
        let agent = Agent { socket: socket.to_owned(), wanted, pace, sender };
        let mut followed = Self { states, task: tokio::spawn(agent.follow()).abort_handle() };
        let first = followed.states.wait_for(|state| state.good.is_some());
        let came = timeout(pace.patience, first).await.is_ok_and(|first| first.is_ok());
        if came {
            return Ok(followed);
        }
        let fault = followed.states.borrow().fault.clone();
        let silent = || WorkloadError::Silent { socket: socket.to_owned(), seconds: pace.patience.as_secs() };
        Err(fault.unwrap_or_else(silent))
    }

    /// The last identity: chain, key, anchors and lists in PEM, the lists empty if there are none.
    pub(crate) fn latest(&self) -> Latest {
        Latest(self.states.clone())
    }

    /// Waits for another identity, or another failure, than were delivered last.
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn changed(&mut self) -> Result<Contents, WorkloadError> {
        loop {
            if self.states.changed().await.is_err() {
                future::pending::<()>().await;
            }
            let State { good, fault } = self.states.borrow_and_update().clone();
            match (fault, good) {
                (Some(fault), _) => return Err(fault),
                (None, Some(good)) => return Ok(good),
                (None, None) => {}
            }
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Followed").finish_non_exhaustive()
    }
}

/// The last identity that an agent has given.
pub(crate) struct Latest(watch::Receiver<State>);

impl Latest {
    /// The identity; `None` before the first one.
    pub(crate) fn contents(&self) -> Option<Contents> {
        self.0.borrow().good.clone()
    }
}

struct Agent {
    socket: PathBuf,
    wanted: Wanted,
    pace: Pace,
    sender: watch::Sender<State>,
}

impl Agent {
    async fn follow(self) {
        let mut delay = self.pace.first_delay;
        loop {
            let (fault, answered) = self.listen().await;
            self.update(|state| state.fault = Some(fault));
            if answered {
                delay = self.pace.first_delay;
            }
            sleep(delay).await;
            delay = (2 * delay).min(self.pace.longest_delay);
        }
    }

    /// Takes the answers of one connection until it fails. Returns the failure, and whether there was a good answer.
    async fn listen(&self) -> (WorkloadError, bool) {
        let mut good = false;
        let opened = timeout(self.pace.answer, self.open()).await;
        let (mut answers, mut next) = match opened.unwrap_or_else(|_| Err(self.silent())) {
            Ok(opened) => opened,
            Err(fault) => return (fault, good),
        };
        loop {
            match answer::read(&next, &*self.wanted) {
                Ok(contents) => {
                    good = true;
                    self.update(|state| *state = State { good: Some(contents), fault: None });
                }
                Err(fault) => {
                    let fault = self.answer(fault);
                    self.update(|state| state.fault = Some(fault));
                }
            }
            drop(next);
            // The network holds back what comes in the meantime.
            sleep(self.pace.quiet).await;
            // The next answer may be a day away.
            next = match answers.message().await {
                Ok(Some(next)) => next,
                Ok(None) => return (self.answer("the end of its stream"), good),
                Err(status) => return (self.failed(&status), good),
            };
        }
    }

    /// Connects, and waits for the first answer.
    async fn open(&self) -> Result<(Streaming<X509svidResponse>, X509svidResponse), WorkloadError> {
        let channel = self.connect().await?;
        let mut client = SpiffeWorkloadApiClient::new(channel).max_decoding_message_size(MAX_ANSWER);
        let mut request = Request::new(X509svidRequest {});
        request.metadata_mut().insert(HEADER, MetadataValue::from_static("true"));
        let answers = client.fetch_x509svid(request).await.map_err(|status| self.failed(&status))?;
        let mut answers = answers.into_inner();
        let first = answers.message().await.map_err(|status| self.failed(&status))?;
        Ok((answers, first.ok_or_else(|| self.answer("the end of its stream"))?))
    }

    async fn connect(&self) -> Result<Channel, WorkloadError> {
        let away = |error: tonic::transport::Error| WorkloadError::Away {
            socket: self.socket.clone(),
            detail: root_cause(&error),
        };
        // No signs of life are asked for: agents end connections that ask often.
        let endpoint = Endpoint::from_shared(format!("unix:{}", self.socket.display())).map_err(away)?;
        endpoint.connect().await.map_err(away)
    }

    /// Changes the state, and wakes its user if it is another one.
    fn update(&self, change: impl FnOnce(&mut State)) {
        self.sender.send_if_modified(|state| {
            let before = state.clone();
            change(state);
            *state != before
        });
    }

    fn failed(&self, status: &Status) -> WorkloadError {
        let socket = self.socket.clone();
        let text: String = status.message().chars().filter(|c| !c.is_control()).take(MAX_DETAIL).collect();
        let detail = if text.is_empty() { status.code().to_string() } else { text };
        match status.code() {
            Code::PermissionDenied => WorkloadError::Refused { socket, detail },
            _ => WorkloadError::Failed { socket, detail },
        }
    }

    fn answer(&self, fault: &'static str) -> WorkloadError {
        WorkloadError::Answer { socket: self.socket.clone(), fault }
    }

    fn silent(&self) -> WorkloadError {
        WorkloadError::Silent { socket: self.socket.clone(), seconds: self.pace.answer.as_secs() }
    }
}

/// The last of a chain of errors: the system's own word.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
