//! The problems of a process, in sentences with their repairs.

#![allow(clippy::cast_precision_loss, reason = "figures for people; beyond 2^53 they are estimates")]

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::{
    recorded::{Direction, Refusals, Totals},
    report::{Problem, Report, Severity},
};
use crate::error::Reason;

/// Calls in the recent past from which a share of failures says something.
const ENOUGH: u64 = 5;
/// The share of failures that is worth a warning, and the one that is critical.
const FAILING: f64 = 0.1;
const BROKEN: f64 = 0.5;
/// An instance this many times slower than the median of its service is slow, if it is so by so many ms.
const SLOW: f64 = 3.0;
const SLOW_MS: f64 = 20.0;
/// The share of a limit that is near it.
const NEAR: f64 = 0.8;
/// The time for which a refusal matters, in ms.
const LATELY: u64 = 10 * 60_000;
/// A certificate is about to end within a week, in ms, or within two fifths of its life if that is shorter; and very
/// soon within a day, or within three twentieths. Short ones are renewed at half of their life.
const SOON: u64 = 7 * 86_400_000;
const AT_ONCE: u64 = 86_400_000;

/// Facts beside the report.
#[derive(Clone, Debug, Default)]
pub struct Background {
    /// Calls and faults of the recent past.
    pub recent: Totals,
    /// The peers that were refused.
    pub refused: BTreeMap<String, Refusals>,
    /// Former secrets that are still accepted.
    pub secrets_in_grace: usize,
    /// Peers whose keys are trusted since they were first seen.
    pub first_contact: usize,
    /// A fault of the key directory, with path and repair.
    pub key_directory: Option<String>,
    /// The reason for which the history is not kept, with the repair.
    pub history: Option<String>,
    /// Streams that stand still.
    pub stalled: u64,
    /// Whether others than this machine reach the listener.
    pub is_exposed: bool,
}

/// How long a problem may be away and be the same one when it is back, in ms.
const PAUSE: u64 = 60_000;
/// Problems whose begin is kept.
const MAX_KEPT: usize = 1_000;

/// The times at which problems began. A process has no record of them but what it noticed itself.
#[derive(Debug, Default)]
pub struct Onsets(Mutex<BTreeMap<[String; 2], Onset>>);

#[derive(Clone, Copy, Debug)]
struct Onset {
    since: u64,
    last: u64,
}

impl Onsets {
    /// Gives problems that were there before the time at which they were first seen.
    pub fn settle(&self, problems: &mut [Problem], now: u64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, onset| now.saturating_sub(onset.last) <= PAUSE);
        for problem in problems {
            let key = [problem.kind.clone(), problem.subject.clone()];
            if !kept.contains_key(&key) && kept.len() >= MAX_KEPT {
                continue;
            }
            let onset = kept.entry(key).or_insert(Onset { since: problem.since, last: now });
            // Some know their begin better.
            onset.since = onset.since.min(problem.since);
            onset.last = now;
            problem.since = onset.since;
        }
    }
}

/// The problems of a process, the worst first.
#[must_use]
pub fn problems(report: &Report, background: &Background) -> Vec<Problem> {
    let mut found = Found { at: report.at, problems: Vec::new() };
    methods(&mut found, background);
    instances(&mut found, report);
    certificate(&mut found, report);
    refused(&mut found, background);
    trust(&mut found, report, background);
    limits(&mut found, report);
    if let Some(problem) = report.policy.as_ref().and_then(|policy| policy.problem.as_deref()) {
        let text = format!("the policy file cannot be used: {problem}");
        found.add(Severity::Critical, "policy-broken", &report.service, text, Reason::File.remedy());
    }
    if let Some(fault) = &background.key_directory {
        let repair = "Mend what the message says; until then new peers are kept out.";
        found.add(Severity::Critical, "key-directory", &report.service, fault.clone(), repair);
    }
    if let Some(fault) = &background.history {
        let text = "the history is in memory only: a restart ends it".to_owned();
        found.add(Severity::Warning, "history-not-kept", &report.service, text, &format!("{fault}."));
    }
    if background.stalled > 0 {
        let text =
            format!("{} streams stand still: their readers have not read for 10 s", background.stalled);
        let repair = "Look for `stall` in the log: it names the peer, the method, and whose reader it is.";
        found.add(Severity::Warning, "stalled-stream", &report.service, text, repair);
    }
    found.problems.sort_by(|a, b| (a.severity, &a.kind, &a.subject).cmp(&(b.severity, &b.kind, &b.subject)));
    found.problems
}

struct Found {
    at: u64,
    problems: Vec<Problem>,
}

impl Found {
    fn add(&mut self, severity: Severity, kind: &str, subject: &str, text: String, repair: &str) {
        self.add_since(severity, kind, subject, text, repair, self.at);
    }

    fn add_since(
        &mut self,
        severity: Severity,
        kind: &str,
        subject: &str,
        text: String,
        repair: &str,
        since: u64,
    ) {
        let (kind, subject, repair) = (kind.to_owned(), subject.to_owned(), repair.to_owned());
        self.problems.push(Problem { severity, kind, subject, text, repair, since });
    }
}

fn methods(found: &mut Found, background: &Background) {
    for ((direction, peer, method), (calls, faults)) in &background.recent {
        let share = *faults as f64 / (*calls).max(1) as f64;
        if *calls < ENOUGH || share < FAILING {
            continue;
        }
        let percent = (share * 100.0).round();
        let (text, repair) = match direction {
            Direction::Out => (
                format!("{faults} of the last {calls} calls to {method} of {peer} failed ({percent} %)"),
                format!("Look at the recent errors of {method} below; its service's log has each errorId."),
            ),
            Direction::In => (
                format!(
                    "{faults} of the last {calls} requests of {peer} for {method} failed here ({percent} %)"
                ),
                format!(
                    "Find the errorIds of {method} in the log of this service: they lead to the exceptions."
                ),
            ),
        };
        let severity = if share >= BROKEN { Severity::Critical } else { Severity::Warning };
        found.add(severity, "method-failing", method, text, &repair);
    }
}

fn instances(found: &mut Found, report: &Report) {
    let mut services: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for instance in &report.instances {
        services.entry(&instance.service).or_default().extend(instance.ewma_ms);
    }
    for instance in &report.instances {
        let (service, address) = (instance.service.as_str(), instance.address.as_str());
        if instance.breaker == "open" {
            let text = format!("{service} at {address} fails too often, and is left alone");
            let repair = "Read the log of that instance; restart it, or take it out of discovery.";
            found.add(Severity::Critical, "breaker-open", address, text, repair);
        }
        if let Some(until) = instance.ejected_until.filter(|until| *until > report.at) {
            let left = (until - report.at).div_ceil(1_000);
            let text =
                format!("{service} at {address} fails more than the others, and is left out for {left} s");
            let repair = "Find out why this instance fails; it gets calls again by itself.";
            found.add(Severity::Warning, "instance-ejected", address, text, repair);
        }
        let Some(own) = instance.ewma_ms else { continue };
        let mut others = services.get(service).cloned().unwrap_or_default();
        if others.len() < 2 {
            continue;
        }
        others.sort_by(f64::total_cmp);
        // Of two, the faster one.
        let median = others[(others.len() - 1) / 2];
        if own > SLOW * median && own - median > SLOW_MS {
            let text = format!("{service} at {address} takes {own:.0} ms, the others about {median:.1} ms");
            let repair = "Look at the load of that machine; the balance sends it fewer calls meanwhile.";
            found.add(Severity::Warning, "instance-slow", address, text, repair);
        }
    }
}

fn certificate(found: &mut Found, report: &Report) {
    let Some(certificate) = &report.identity.certificate else { return };
    let left = certificate.not_after.saturating_sub(report.at);
    let life = certificate.not_after.saturating_sub(certificate.not_before);
    let (soon, at_once) = (SOON.min(life / 5 * 2), AT_ONCE.min(life / 20 * 3));
    if left > soon {
        return;
    }
    let hours = left / 3_600_000;
    let time = if hours >= 48 { format!("{} days", hours / 24) } else { format!("{hours} hours") };
    let text = match left {
        0 => "the certificate of this service has ended; peers refuse it".to_owned(),
        _ => format!("the certificate of this service ends in {time}"),
    };
    let severity = if left <= at_once { Severity::Critical } else { Severity::Warning };
    let repair = "Renew it; the mesh reads the file again by itself, or call reloadIdentity().";
    let since = certificate.not_after.saturating_sub(soon);
    found.add_since(severity, "certificate-expiring", &report.service, text, repair, since);
}

fn refused(found: &mut Found, background: &Background) {
    for (subject, refusals) in &background.refused {
        if found.at.saturating_sub(refusals.last) > LATELY {
            continue;
        }
        let Refusals { reason, text, count, since, .. } = refusals;
        let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
        let text = format!("a peer at {subject} was refused {times}: {text}");
        let repair = Reason::from_name(reason).map_or("Look at the log of this service.", Reason::remedy);
        // The remedies are for a peer of one's own.
        let repair = &format!("If this peer is yours: {repair} Otherwise find out what runs at {subject}.");
        found.add_since(Severity::Warning, "peer-refused", subject, text, repair, *since);
    }
}

fn trust(found: &mut Found, report: &Report, background: &Background) {
    let service = &report.service;
    if background.secrets_in_grace > 0 {
        let count = background.secrets_in_grace;
        let text = format!("{count} former secrets are still accepted, until their grace is over");
        let repair =
            "Give every service the new secret; rotateSecret with graceMs: 0 ends the grace at once.";
        found.add(Severity::Info, "secret-in-grace", service, text, repair);
    }
    if background.first_contact > 0 {
        let count = background.first_contact;
        let text = format!("the keys of {count} peers are trusted since they were first seen");
        let repair = "Pin their publicKey in discovery.services, or use security.certificate.";
        found.add(Severity::Info, "first-contact-trust", service, text, repair);
    }
    if report.address.is_some() && !report.tls && background.is_exposed {
        let text =
            "the listener speaks no TLS: calls are encrypted, the names of services in handshakes and \
                    the times of calls can be seen on the network"
                .to_owned();
        let repair = "Nothing, if that is acceptable; otherwise put the mesh behind TLS.";
        found.add(Severity::Info, "plaintext-listener", service, text, repair);
    }
}

fn limits(found: &mut Found, report: &Report) {
    for limit in &report.limits {
        let share = limit.used as f64 / limit.max.max(1) as f64;
        if share < NEAR {
            continue;
        }
        let (name, used, max) = (&limit.name, limit.used, limit.max);
        let text = format!("{name} is {:.0} % used: {used} of {max}", share * 100.0);
        let severity = if used >= max { Severity::Critical } else { Severity::Warning };
        let repair = format!("Raise {name}, or find out who uses it up.");
        found.add(severity, "limit-near", name, text, &repair);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::report::{CertificateView, IdentityView, InstanceView, LimitView, PolicyView};

    fn kinds(report: &Report, background: &Background) -> Vec<String> {
        let problems = problems(report, background);
        assert!(problems.iter().all(|problem| problem.repair.ends_with('.') && !problem.text.is_empty()));
        problems.into_iter().map(|problem| problem.kind).collect()
    }

    fn instance(address: &str, ewma_ms: f64, breaker: &str) -> InstanceView {
        InstanceView {
            service: "orders".to_owned(),
            address: address.to_owned(),
            ewma_ms: Some(ewma_ms),
            breaker: breaker.to_owned(),
            ..InstanceView::default()
        }
    }

    #[test]
    fn nothing_is_wrong_with_a_process_that_is_well() {
        let instances = vec![instance("a:1", 2.0, "closed"), instance("a:2", 3.0, "closed")];
        let report = Report { at: 1_000, instances, ..Report::default() };
        let key = (Direction::Out, "orders".to_owned(), "get".to_owned());
        let recent = Totals::from([(key, (100, 1))]);
        assert!(kinds(&report, &Background { recent, ..Background::default() }).is_empty());
    }

    #[test]
    fn a_problem_has_been_there_since_it_began() {
        let report =
            |at, breaker| Report { at, instances: vec![instance("a:1", 2.0, breaker)], ..Report::default() };
        let onsets = Onsets::default();
        let since = |at, breaker| {
            let mut found = problems(&report(at, breaker), &Background::default());
            onsets.settle(&mut found, at);
            found.first().map(|problem| problem.since)
        };
        assert_eq!(since(1_000, "open"), Some(1_000));
        assert_eq!(since(50_000, "open"), Some(1_000));
        assert_eq!(since(60_000, "closed"), None);
        assert_eq!(since(100_000, "open"), Some(1_000), "it was away for less than a minute");
        assert_eq!(since(161_000, "open"), Some(161_000), "it was away for longer");
        let mut many: Vec<_> =
            (0..5_000).map(|n| Problem { subject: n.to_string(), ..Problem::default() }).collect();
        onsets.settle(&mut many, 161_000);
        assert!(onsets.0.lock().unwrap().len() <= MAX_KEPT);
    }

    #[test]
    fn each_fault_is_found_and_the_worst_is_first() {
        let now = 1_000_000_000;
        let certificate =
            Some(CertificateView { not_after: now + 5 * 86_400_000, ..CertificateView::default() });
        let ejected = InstanceView { ejected_until: Some(now + 1_500), ..instance("a:3", 2.0, "closed") };
        let report = Report {
            at: now,
            address: Some("0.0.0.0:1".to_owned()),
            instances: vec![instance("a:1", 2.0, "open"), instance("a:2", 300.0, "closed"), ejected],
            identity: IdentityView { thumbprint: String::new(), certificate },
            policy: Some(PolicyView { problem: Some("x".to_owned()), ..PolicyView::default() }),
            limits: vec![LimitView {
                name: "limits.maxSessions".to_owned(),
                used: 9,
                max: 10,
                ..LimitView::default()
            }],
            ..Report::default()
        };
        let key = (Direction::Out, "orders".to_owned(), "get".to_owned());
        let refusals = Refusals {
            reason: "HELLO_MAC".to_owned(),
            text: "it does not know the secret".to_owned(),
            count: 3,
            since: now,
            last: now,
        };
        let background = Background {
            recent: Totals::from([(key, (10, 2))]),
            refused: BTreeMap::from([("10.0.0.9".to_owned(), refusals)]),
            secrets_in_grace: 1,
            first_contact: 2,
            key_directory: Some("/keys is full".to_owned()),
            history: Some("free some space".to_owned()),
            stalled: 1,
            is_exposed: true,
        };
        assert_eq!(
            kinds(&report, &background),
            [
                "breaker-open",
                "key-directory",
                "policy-broken",
                "certificate-expiring",
                "history-not-kept",
                "instance-ejected",
                "instance-slow",
                "limit-near",
                "method-failing",
                "peer-refused",
                "stalled-stream",
                "first-contact-trust",
                "plaintext-listener",
                "secret-in-grace",
            ]
        );
        let problems = problems(&report, &background);
        let refused = problems.iter().find(|problem| problem.kind == "peer-refused").unwrap();
        assert!(refused.repair.contains(Reason::HelloMac.remedy()));
        assert!(refused.repair.ends_with("Otherwise find out what runs at 10.0.0.9."));
    }
}
