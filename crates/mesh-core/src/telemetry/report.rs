//! The report of a process about itself: `docs/schemas/admin-api.schema.json` in Rust. Every list has a limit,
//! which [`Report::bound`] keeps, whoever made the report.

#![allow(clippy::cast_precision_loss, reason = "figures for people; beyond 2^53 they are estimates")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    flows::FlowFigures,
    histogram::{BUCKETS, Buckets},
};

/// The largest report, in bytes of JSON.
pub const MAX_REPORT: usize = 256 * 1024;
/// The version of reports.
pub const REPORT_VERSION: u8 = 1;

const MAX_FLOWS: usize = 501;
const MAX_INSTANCES: usize = 1_000;
const MAX_SESSIONS: usize = 1_000;
const MAX_RULES: usize = 200;
const MAX_DENIALS: usize = 200;
const MAX_LIMITS: usize = 32;
const MAX_PROBLEMS: usize = 100;
const MAX_ERRORS: usize = 50;
/// Names in the lists of a rule.
const MAX_NAMES: usize = 50;

/// The report of one process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct Report {
    pub v: u8,
    pub service: String,
    pub instance: String,
    pub version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    pub at: u64,
    pub started_at: u64,
    pub state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    pub mode: String,
    pub tls: bool,
    pub inbound: Vec<FlowView>,
    pub outbound: Vec<FlowView>,
    pub instances: Vec<InstanceView>,
    pub sessions: Vec<SessionView>,
    pub identity: IdentityView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyView>,
    pub denials: Vec<DenialView>,
    pub limits: Vec<LimitView>,
    pub problems: Vec<Problem>,
    pub errors: Vec<ErrorView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_loop_delay_ms: Option<f64>,
    /// Something was left out to keep the report small.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// Calls since the start; cumulative buckets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct Figures {
    pub total: u64,
    pub failed: u64,
    pub codes: BTreeMap<String, u64>,
    pub buckets: Vec<u64>,
    pub sum_ms: f64,
    pub in_flight: u64,
}

/// Calls with one peer, of one method.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct FlowView {
    pub peer: String,
    pub method: String,
    pub kind: String,
    pub last_at: u64,
    #[serde(flatten)]
    pub figures: Figures,
}

/// An instance of another service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct InstanceView {
    pub service: String,
    pub address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    pub weight: f64,
    pub source: String,
    pub connected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ewma_ms: Option<f64>,
    pub in_flight: u64,
    pub share: f64,
    pub breaker: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ejected_until: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<f64>,
}

/// An open session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct SessionView {
    pub peer: String,
    pub direction: String,
    pub address: String,
    pub trust: String,
    pub suite: String,
    pub resumed: bool,
    pub opened_at: u64,
    pub epoch: u64,
    pub streams: u64,
    pub unsent_bytes: u64,
    pub stalled: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spiffe_id: Option<String>,
    pub thumbprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateView>,
}

/// This service's key and certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct IdentityView {
    pub thumbprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateView>,
}

/// A certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct CertificateView {
    pub subject: String,
    pub issuer: String,
    pub serial: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spiffe_id: Option<String>,
    pub not_before: u64,
    pub not_after: u64,
}

/// The authorization policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct PolicyView {
    pub mode: String,
    pub rules: Vec<RuleView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A rule of the policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct RuleView {
    pub name: String,
    pub from: Vec<String>,
    pub to: Vec<String>,
    pub deny: bool,
}

/// Requests that the policy denied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct DenialView {
    pub caller: String,
    pub method: String,
    pub rule: String,
    pub count: u64,
    pub last_at: u64,
}

/// A limit, and how near it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct LimitView {
    pub name: String,
    pub used: u64,
    pub max: u64,
    pub unit: String,
}

/// Something that is wrong, and what to do about it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct Problem {
    pub severity: Severity,
    pub kind: String,
    pub subject: String,
    pub text: String,
    pub repair: String,
    pub since: u64,
}

/// The severity of a problem, the worst first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Calls fail.
    Critical,
    /// Calls will fail, or some do.
    Warning,
    /// Worth knowing.
    #[default]
    Info,
}

/// A call or request that failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct ErrorView {
    pub at: u64,
    pub direction: String,
    pub peer: String,
    pub method: String,
    pub code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

impl Figures {
    /// The figures of a flow.
    #[must_use]
    pub fn of(flow: &FlowFigures) -> Self {
        let durations = flow.durations();
        let of_code = |(code, buckets): &(Option<_>, Buckets)| {
            (code.map_or("OK", crate::error::Code::as_str).to_owned(), buckets.total())
        };
        let codes: BTreeMap<String, u64> = flow.codes.iter().map(of_code).collect();
        let total = durations.total();
        let mut so_far = 0;
        let buckets = durations.counts.iter().map(|count| {
            so_far += count;
            so_far
        });
        Self {
            total,
            failed: total - codes.get("OK").copied().unwrap_or_default(),
            buckets: buckets.collect(),
            codes,
            sum_ms: durations.nanos as f64 / 1e6,
            in_flight: flow.in_flight.into(),
        }
    }

    /// Adds the figures of others. Those of a hostile peer may be any numbers.
    pub fn add(&mut self, other: &Self) {
        self.total = self.total.saturating_add(other.total);
        self.failed = self.failed.saturating_add(other.failed);
        for (code, count) in &other.codes {
            let sum = self.codes.entry(code.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
        self.buckets.resize(BUCKETS, 0);
        for (sum, count) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum = sum.saturating_add(*count);
        }
        self.sum_ms += other.sum_ms;
        self.in_flight = self.in_flight.saturating_add(other.in_flight);
    }
}

impl FlowView {
    /// A flow of a process that started then.
    #[must_use]
    pub fn of(flow: &FlowFigures, started_at: u64) -> Self {
        Self {
            peer: flow.peer.clone(),
            method: flow.method.clone(),
            kind: flow.kind.as_str().to_owned(),
            last_at: flow.last.map_or(0, |last| started_at + last.as_millis() as u64),
            figures: Figures::of(flow),
        }
    }
}

impl Report {
    /// Cuts every list to its limit, then to what [`MAX_REPORT`] bytes of JSON hold. Returns the JSON.
    pub fn bound(&mut self) -> String {
        let mut cut = self.truncated;
        let lengths = [
            cut_to(&mut self.inbound, MAX_FLOWS),
            cut_to(&mut self.outbound, MAX_FLOWS),
            cut_to(&mut self.instances, MAX_INSTANCES),
            cut_to(&mut self.sessions, MAX_SESSIONS),
            cut_to(&mut self.denials, MAX_DENIALS),
            cut_to(&mut self.limits, MAX_LIMITS),
            cut_to(&mut self.problems, MAX_PROBLEMS),
            cut_to(&mut self.errors, MAX_ERRORS),
        ];
        cut |= lengths.contains(&true);
        if let Some(policy) = &mut self.policy {
            cut |= cut_to(&mut policy.rules, MAX_RULES);
            for rule in &mut policy.rules {
                cut |= cut_to(&mut rule.from, MAX_NAMES) | cut_to(&mut rule.to, MAX_NAMES);
            }
        }
        self.truncated = cut;
        // A list of 1,000 is empty after ten halves.
        for _ in 0..80 {
            let text = serde_json::to_string(self).unwrap_or_default();
            if text.len() <= MAX_REPORT {
                return text;
            }
            self.halve();
        }
        *self = Self { v: REPORT_VERSION, truncated: true, ..Self::default() };
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Leaves out half of the longest list.
    fn halve(&mut self) {
        self.truncated = true;
        let rules = self.policy.as_ref().map_or(0, |policy| policy.rules.len());
        let lengths = [
            self.inbound.len(),
            self.outbound.len(),
            self.instances.len(),
            self.sessions.len(),
            self.denials.len(),
            rules,
            self.errors.len() + self.problems.len(),
        ];
        let longest = lengths.iter().enumerate().max_by_key(|(_, length)| **length).map(|(at, _)| at);
        match longest.unwrap_or_default() {
            0 => self.inbound.truncate(self.inbound.len() / 2),
            1 => self.outbound.truncate(self.outbound.len() / 2),
            2 => self.instances.truncate(self.instances.len() / 2),
            3 => self.sessions.truncate(self.sessions.len() / 2),
            4 => self.denials.truncate(self.denials.len() / 2),
            5 => self.policy.iter_mut().for_each(|policy| policy.rules.truncate(rules / 2)),
            _ => {
                self.errors.truncate(self.errors.len() / 2);
                self.problems.truncate(self.problems.len() / 2);
            }
        }
    }
}

fn cut_to<T>(list: &mut Vec<T>, most: usize) -> bool {
    let cut = list.len() > most;
    list.truncate(most);
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_everything_is_cut_to_its_size_and_says_so() {
        let name = "x".repeat(128);
        let session = SessionView { peer: name.clone(), thumbprint: name.clone(), ..SessionView::default() };
        let flow = FlowView { peer: name.clone(), method: name, ..FlowView::default() };
        let mut report = Report {
            sessions: vec![session; 5_000],
            inbound: vec![flow.clone(); 600],
            outbound: vec![flow; 600],
            ..Report::default()
        };
        let text = report.bound();
        assert!(text.len() <= MAX_REPORT && text.len() > MAX_REPORT / 4, "{}", text.len());
        let read: Report = serde_json::from_str(&text).unwrap();
        assert!(read.truncated && read == report);
        assert!(read.sessions.len() <= MAX_SESSIONS && !read.inbound.is_empty());
    }

    #[test]
    fn a_small_report_is_left_alone() {
        let mut report = Report { v: 1, service: "a".to_owned(), ..Report::default() };
        let before = report.clone();
        let text = report.bound();
        assert_eq!(report, before);
        assert!(!text.contains("truncated") && !text.contains("zone"));
    }
}
