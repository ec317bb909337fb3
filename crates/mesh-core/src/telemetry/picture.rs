//! The picture of the mesh, merged from the reports of its processes. A report is the word of the service that
//! proved its identity when it was asked, and of nobody else; what it says about others is hearsay.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    histogram::BUCKETS,
    report::{Figures, FlowView, Problem, Report},
};
use crate::id::ServiceId;

/// Services and edges of a picture.
const MAX_NODES: usize = 1_000;
const MAX_EDGES: usize = 5_000;
/// Methods of an edge.
const MAX_METHODS: usize = 200;
/// Problems of a picture.
const MAX_PROBLEMS: usize = 500;
/// The longest string of a report, in characters.
const MAX_TEXT: usize = 500;
/// The largest count, which is still exact in JavaScript.
const MAX_COUNT: u64 = 1 << 53;

/// The merged picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct MeshPicture {
    pub v: u8,
    pub at: u64,
    pub observer: String,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    pub problems: Vec<Reported>,
}

/// A service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct Node {
    pub service: String,
    pub report: Word,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repair: Option<String>,
    pub instances: Vec<Report>,
    pub seen_by: Vec<String>,
}

/// The source of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// The process that shows the picture.
    #[serde(rename = "self")]
    Own,
    /// The service's own.
    Direct,
    /// Only that of others.
    #[default]
    Hearsay,
}

/// Calls of one service to another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct Edge {
    pub from: String,
    pub to: String,
    pub figures: Figures,
    pub methods: Vec<FlowView>,
    pub by: By,
}

/// The sides that report an edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The caller alone.
    #[default]
    Caller,
    /// The callee alone.
    Callee,
    /// Both; the figures are the callee's.
    Both,
}

/// A problem, and the service whose word it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the schema describes the members")]
pub struct Reported {
    #[serde(flatten)]
    pub problem: Problem,
    pub reporter: String,
}

/// The reports about a service.
#[derive(Clone, Debug)]
pub enum Heard {
    /// The reports of its processes.
    Reports(Vec<Report>),
    /// It could not be asked.
    Nothing(Silence),
}

/// The reason for which a service could not be asked, and the repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// The cause, after the name of the service.
    pub why: String,
    /// A sentence.
    pub repair: String,
}

impl Silence {
    /// There are more services than are asked.
    fn of_many() -> Self {
        Self {
            why: "it was not asked: there are more services than one process asks".to_owned(),
            repair: "Open the admin port of a process that calls it.".to_owned(),
        }
    }
}

/// Takes over the report of a peer that has proved to be `service`, and returns the length of its JSON now: members
/// that it left out have been added. The report is assigned to `service`, whatever it claims, its lists are limited,
/// and its numbers are checked.
pub fn heard_from(service: &ServiceId, bytes: &[u8]) -> Result<(Report, usize), &'static str> {
    if bytes.len() > super::report::MAX_REPORT {
        return Err("its report is too large");
    }
    let mut report: Report = serde_json::from_slice(bytes).map_err(|_| "its report cannot be read")?;
    if report.v != super::report::REPORT_VERSION {
        return Err("its report has another version");
    }
    report.service = service.to_string();
    let size = report.bound().len();
    let names = [&mut report.instance, &mut report.version, &mut report.state, &mut report.mode];
    names.into_iter().chain(&mut report.zone).chain(&mut report.address).for_each(cut);
    cut(&mut report.identity.thumbprint);
    for flow in report.inbound.iter_mut().chain(&mut report.outbound) {
        [&mut flow.peer, &mut flow.method, &mut flow.kind].into_iter().for_each(cut);
        tame(&mut flow.figures);
        flow.last_at = flow.last_at.min(MAX_COUNT);
    }
    for problem in &mut report.problems {
        let texts = [&mut problem.kind, &mut problem.subject, &mut problem.text, &mut problem.repair];
        texts.into_iter().for_each(cut);
    }
    for error in &mut report.errors {
        let texts = [&mut error.peer, &mut error.method, &mut error.code, &mut error.message];
        texts.into_iter().chain(&mut error.reason).for_each(cut);
    }
    for instance in &mut report.instances {
        [&mut instance.service, &mut instance.address].into_iter().for_each(cut);
    }
    for session in &mut report.sessions {
        [&mut session.peer, &mut session.address].into_iter().for_each(cut);
    }
    Ok((report, size))
}

fn cut(text: &mut String) {
    if let Some((at, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(at);
    }
}

/// Makes figures plausible: finite, within what JavaScript counts exactly, and with as many buckets as there are.
fn tame(figures: &mut Figures) {
    let counts = [&mut figures.total, &mut figures.failed, &mut figures.in_flight];
    let codes = figures.codes.values_mut();
    counts
        .into_iter()
        .chain(codes)
        .chain(&mut figures.buckets)
        .for_each(|count| *count = (*count).min(MAX_COUNT));
    figures.buckets.resize(BUCKETS, 0);
    while figures.codes.len() > 17 {
        figures.codes.pop_last();
    }
    if !figures.sum_ms.is_finite() || figures.sum_ms < 0.0 {
        figures.sum_ms = 0.0;
    }
}

#[derive(Default)]
struct Pair {
    by_caller: Vec<FlowView>,
    by_callee: Vec<FlowView>,
}

/// Merges what was heard. `own` is the report of the process that asks. Where there is more than a picture holds, each
/// service is heard in turn: one that names a thousand others does not hide what the rest say.
#[must_use]
pub fn merge(own: &Report, heard: &BTreeMap<String, Heard>) -> MeshPicture {
    let mut said: BTreeMap<&str, Vec<&Report>> = BTreeMap::from([(own.service.as_str(), vec![own])]);
    for (service, heard) in heard {
        if let Heard::Reports(reports) = heard {
            said.entry(service).or_default().extend(reports);
        }
    }
    let mut seen: BTreeMap<String, BTreeSet<String>> =
        said.keys().map(|service| ((*service).to_owned(), BTreeSet::new())).collect();
    in_turns(&said, peers, |service, peer| {
        let has_room = seen.len() < MAX_NODES || seen.contains_key(peer);
        if has_room && is_service(peer) && peer != service {
            seen.entry(peer.to_owned()).or_default().insert(service.to_owned());
        }
    });
    let mut pairs: BTreeMap<(String, String), Pair> = BTreeMap::new();
    in_turns(&said, flows, |service, (of_callee, flow)| {
        let ends = (flow.peer.clone(), service.to_owned());
        let key = if of_callee { ends } else { (ends.1, ends.0) };
        if is_service(&flow.peer) && (pairs.len() < MAX_EDGES || pairs.contains_key(&key)) {
            let pair = pairs.entry(key).or_default();
            add(if of_callee { &mut pair.by_callee } else { &mut pair.by_caller }, flow);
        }
    });
    let nodes = seen.into_iter().map(|(service, by)| node(service, by, own, heard)).collect();
    let edges = pairs.into_iter().filter_map(|((from, to), pair)| edge(from, to, pair)).collect();
    let mut problems = Vec::new();
    in_turns(&said, problems_of, |service, problem| {
        if problems.len() < MAX_PROBLEMS {
            problems.push(Reported { problem: problem.clone(), reporter: service.to_owned() });
        }
    });
    problems.sort_by(|a, b| {
        let key = |reported: &Reported| (reported.problem.severity, reported.problem.kind.clone());
        (key(a), &a.reporter).cmp(&(key(b), &b.reporter))
    });
    MeshPicture { v: 1, at: own.at, observer: own.service.clone(), nodes, edges, problems }
}

/// Takes an item of each service, then the next of each, and so on.
fn in_turns<'a, T, I: Iterator<Item = T>>(
    said: &BTreeMap<&'a str, Vec<&'a Report>>,
    items: impl Fn(&'a Report) -> I,
    mut take: impl FnMut(&'a str, T),
) {
    let items = &items;
    let of_service = |(service, reports): (&&'a str, &Vec<&'a Report>)| {
        (*service, reports.clone().into_iter().flat_map(items))
    };
    let mut services: Vec<_> = said.iter().map(of_service).collect();
    while !services.is_empty() {
        services.retain_mut(|(service, items)| items.next().map(|item| take(service, item)).is_some());
    }
}

/// The services that a report names.
fn peers(report: &Report) -> impl Iterator<Item = &str> {
    let flows = report.inbound.iter().chain(&report.outbound).map(|flow| flow.peer.as_str());
    let instances = report.instances.iter().map(|instance| instance.service.as_str());
    let sessions = report.sessions.iter().map(|session| session.peer.as_str());
    flows.chain(instances).chain(sessions)
}

/// The flows of a report, and whether they are those of the callee.
fn flows(report: &Report) -> impl Iterator<Item = (bool, &FlowView)> {
    report.inbound.iter().map(|flow| (true, flow)).chain(report.outbound.iter().map(|flow| (false, flow)))
}

/// The problems of a report, the worst first.
fn problems_of(report: &Report) -> impl Iterator<Item = &Problem> {
    let mut problems: Vec<_> = report.problems.iter().collect();
    problems.sort_by_key(|problem| problem.severity);
    problems.into_iter()
}

fn is_service(peer: &str) -> bool {
    peer.parse::<ServiceId>().is_ok()
}

fn node(service: String, by: BTreeSet<String>, own: &Report, heard: &BTreeMap<String, Heard>) -> Node {
    let is_own = service == own.service;
    let (report, instances, silence) = match heard.get(&service) {
        _ if is_own => {
            let others = match heard.get(&service) {
                Some(Heard::Reports(reports)) => reports.clone(),
                _ => Vec::new(),
            };
            (Word::Own, std::iter::once(own.clone()).chain(others).collect(), None)
        }
        Some(Heard::Reports(reports)) if !reports.is_empty() => (Word::Direct, reports.clone(), None),
        Some(Heard::Nothing(silence)) => (Word::Hearsay, Vec::new(), Some(silence.clone())),
        _ => (Word::Hearsay, Vec::new(), Some(Silence::of_many())),
    };
    let (unreachable, repair) = silence.map(|Silence { why, repair }| (why, repair)).unzip();
    Node { service, report, unreachable, repair, instances, seen_by: by.into_iter().collect() }
}

/// Adds a flow to those of the same method.
fn add(flows: &mut Vec<FlowView>, flow: &FlowView) {
    let same = |other: &&mut FlowView| (&other.method, &other.kind) == (&flow.method, &flow.kind);
    if let Some(other) = flows.iter_mut().find(same) {
        other.figures.add(&flow.figures);
        other.last_at = other.last_at.max(flow.last_at);
    } else if flows.len() < MAX_METHODS {
        flows.push(flow.clone());
    }
}

fn edge(from: String, to: String, pair: Pair) -> Option<Edge> {
    let (by, methods) = match (pair.by_caller.is_empty(), pair.by_callee.is_empty()) {
        (true, true) => return None,
        (false, true) => (By::Caller, pair.by_caller),
        (true, false) => (By::Callee, pair.by_callee),
        (false, false) => (By::Both, pair.by_callee),
    };
    let mut figures = Figures { buckets: vec![0; BUCKETS], ..Figures::default() };
    for flow in &methods {
        figures.add(&flow.figures);
    }
    Some(Edge { from, to, figures, methods, by })
}

#[cfg(test)]
mod tests;
