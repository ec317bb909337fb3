//! The policy in force: its source, its replacement while requests arrive, and the record of denials.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use crate::{
    authz::{Caller, Effect, Explanation, Mode, Policy, PolicyRules},
    config::{MAX_POLICY_FILE, PolicySource},
    error::Reason,
    mesh::{
        error::Error,
        events::{Level, SessionInfo},
        shared::Shared,
        sync::lock,
    },
    providers::files::{Read, Watched},
};

/// The option that names the file.
const FILE: &str = "authorization.file";

/// The state of the authorization of a mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyStatus {
    /// Whether denials take effect.
    pub mode: Mode,
    /// The number of rules.
    pub rules: usize,
    /// The policy file, if there is one.
    pub file: Option<PathBuf>,
    /// The fault of the policy file, while the previous policy is in force instead.
    pub problem: Option<String>,
}

/// The authorization of requests by the policy in force.
pub(crate) struct Authorization {
    shared: Arc<Shared>,
    /// Whether `authorization` is configured.
    configured: bool,
    file: Option<PathBuf>,
    state: Mutex<State>,
}

struct State {
    policy: Arc<Policy>,
    problem: Option<String>,
    /// The watched file, until its follower takes it.
    watched: Option<Watched>,
}

impl Authorization {
    /// Uses the policy of the options, or reads its file. Blocks.
    pub(crate) fn load(shared: Arc<Shared>) -> Result<Arc<Self>, Error> {
        let (rules, file, watched) = match &shared.config.authorization {
            None => {
                (PolicyRules { default: Effect::Allow, mode: Mode::Enforce, rules: Vec::new() }, None, None)
            }
            Some(PolicySource::Options(rules)) => (rules.clone(), None, None),
            Some(PolicySource::File(path)) => {
                let (read, watched) = Watched::new(vec![path.clone()], MAX_POLICY_FILE);
                (parse(path, read)?, Some(path.clone()), Some(watched))
            }
        };
        let configured = shared.config.authorization.is_some();
        let policy = Arc::new(Policy::new(rules));
        let state = Mutex::new(State { policy, problem: None, watched });
        Ok(Arc::new(Self { shared, configured, file, state }))
    }

    /// Replaces the policy whenever its file changes, until the mesh stops. Sessions and requests in
    /// progress continue; the new policy decides about the next request.
    pub(crate) async fn follow(self: Arc<Self>) {
        let watched = lock(&self.state).watched.take();
        let (Some(mut watched), Some(path)) = (watched, self.file.clone()) else { return };
        loop {
            let read = tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => return,
                read = watched.changed() => read,
            };
            let at = path.clone();
            let policy = self.shared.platform.blocking(move || parse(&at, read).map(Policy::new));
            let Ok(policy) = policy.await else { return };
            self.shared.guarded(|| self.replace(policy));
            self.shared.events.flush();
        }
    }

    fn replace(&self, policy: Result<Policy, Error>) {
        let policy = match policy {
            Ok(policy) => policy,
            Err(error) => {
                let text = format!("{error}; the previous policy stays in force");
                lock(&self.state).problem = Some(text.clone());
                let fields = vec![("reason", Reason::File.to_string())];
                return self.shared.log(Level::Error, "policy.broken", text, fields);
            }
        };
        let (mode, rules) = (policy.mode().as_str(), policy.len().to_string());
        let previous = {
            let mut state = lock(&self.state);
            state.problem = None;
            std::mem::replace(&mut state.policy, Arc::new(policy))
        };
        // The drop of a large index takes a while, so it happens outside of the lock.
        drop(previous);
        let text = format!("a policy of {rules} rules is in force");
        self.shared.log(
            Level::Info,
            "policy.changed",
            text,
            vec![("mode", mode.to_owned()), ("rules", rules)],
        );
    }

    /// The message for the caller if its request is denied. It reveals neither the rule that decided nor whether the
    /// method exists.
    pub(super) fn denial(&self, session: &SessionInfo, method: &str, metadata: &[u8]) -> Option<String> {
        if !self.configured {
            return None;
        }
        let policy = Arc::clone(&lock(&self.state).policy);
        let peer = session.peer.as_str();
        let decision =
            policy.decide(Caller { service_id: peer, spiffe_id: session.spiffe_id() }, method, metadata);
        if decision.allowed {
            return None;
        }
        let (rule, mode) = (decision.rule_name(), policy.mode());
        let enforced = mode == Mode::Enforce;
        self.shared.stats.count_denial(enforced);
        self.shared.record(|metrics| metrics.denial(rule, peer, method, enforced));
        self.shared.sight.denied(peer, method, rule, self.shared.elapsed());
        let text = if enforced {
            format!("{peer} may not call {method}: {rule} decided")
        } else {
            format!("{peer} called {method}, which {rule} would deny; the policy only audits")
        };
        let fields = vec![
            ("peer", peer.to_owned()),
            ("method", method.to_owned()),
            ("rule", rule.to_owned()),
            ("mode", mode.as_str().to_owned()),
            ("reason", Reason::PermissionDenied.to_string()),
        ];
        self.shared.log_refusal("request.denied", format!("{peer} by {rule}"), text, fields);
        enforced.then(|| format!("{peer} may not call {method}"))
    }

    /// Explains the decision about a request.
    pub(crate) fn explain(&self, caller: Caller<'_>, method: &str, metadata: &[u8]) -> Explanation {
        let policy = Arc::clone(&lock(&self.state).policy);
        policy.explain(caller, method, metadata)
    }

    /// The policy in force; `None` if `authorization` is not configured.
    pub(crate) fn policy(&self) -> Option<Arc<Policy>> {
        self.configured.then(|| Arc::clone(&lock(&self.state).policy))
    }

    /// The state of the authorization; `None` if it is not configured.
    pub(crate) fn status(&self) -> Option<PolicyStatus> {
        let state = lock(&self.state);
        let policy = &state.policy;
        self.configured.then(|| PolicyStatus {
            mode: policy.mode(),
            rules: policy.len(),
            file: self.file.clone(),
            problem: state.problem.clone(),
        })
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization").field("status", &self.status()).finish_non_exhaustive()
    }
}

fn parse(path: &Path, read: Read) -> Result<PolicyRules, Error> {
    let contents = read.map_err(|source| Error::File { option: FILE, source })?;
    let bytes = contents.files().first().map_or(&[][..], |file| file.as_slice());
    Ok(PolicyRules::of_file(path, bytes)?)
}
