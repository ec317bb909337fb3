//! The picture of the mesh: this process asks every reachable service for its report, and merges the
//! reports.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use super::{
    error::Error,
    events::CallError,
    io::{Io, Job},
    own_calls::OwnCalls,
    report::report,
};
use crate::{
    error::Code,
    id::ServiceId,
    telemetry::{
        picture::{Heard, MeshPicture, heard_from, merge},
        report::Report,
    },
};

/// The most services that are asked.
const MAX_SERVICES: usize = 256;
/// The most services that are asked at the same time.
const AT_ONCE: usize = 16;
/// The time that one service has for its answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The time that all of them together have.
const IN_ALL: Duration = Duration::from_secs(4);
/// The most bytes of reports that are kept.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Runs `job` on the I/O thread and returns its result.
pub(super) fn ask<T: Send + 'static>(
    jobs: &mpsc::WeakUnboundedSender<Job>,
    question: impl FnOnce(&Io) -> T + Send + 'static,
) -> oneshot::Receiver<T> {
    let (sender, receiver) = oneshot::channel();
    if let Some(jobs) = jobs.upgrade() {
        let _ = jobs.send(Box::new(move |io| {
            let _ = sender.send(question(io));
        }));
    }
    receiver
}

/// The picture of this moment.
pub(super) async fn picture(
    jobs: mpsc::WeakUnboundedSender<Job>,
    calls: Arc<OwnCalls>,
) -> Result<MeshPicture, Error> {
    let first = ask(&jobs, |io| (report(&io.0), io.0.client.known_services()));
    let (own, known) = first.await.map_err(|_| Error::Thread)?;
    let end = Instant::now() + IN_ALL;
    let mut heard: BTreeMap<String, Heard> = BTreeMap::new();
    let mut seen: BTreeSet<String> = BTreeSet::from([own.service.clone()]);
    let mut queue: VecDeque<String> = VecDeque::new();
    let (mut asked, mut bytes) = (JoinSet::new(), 0);
    let mut note = |queue: &mut VecDeque<String>, services: Vec<String>| {
        for service in services {
            if seen.len() <= MAX_SERVICES && seen.insert(service.clone()) {
                queue.push_back(service);
            }
        }
    };
    note(&mut queue, known.iter().cloned().chain(named(&own)).collect());
    loop {
        while asked.len() < AT_ONCE
            && let Some(service) = queue.pop_front()
        {
            asked.spawn(ask_service(jobs.clone(), Arc::clone(&calls), service));
        }
        let Ok(next) = timeout_at(end, asked.join_next()).await else { break };
        let Some(next) = next else { break };
        let Ok((service, answers)) = next else { continue };
        let said = match answers {
            Ok(answers) => {
                bytes += answers.iter().map(Vec::len).sum::<usize>();
                take_in(&service, &answers, bytes)
            }
            Err(why) => Heard::Nothing(why),
        };
        if let Heard::Reports(reports) = &said {
            note(&mut queue, reports.iter().flat_map(named).collect());
        }
        heard.insert(service, said);
    }
    for service in queue.into_iter().chain(known).filter(|service| *service != own.service) {
        let late = Heard::Nothing("it did not answer in time".to_owned());
        heard.entry(service).or_insert(late);
    }
    // The own report is made again, so that it is as recent as those of the others.
    let own = ask(&jobs, |io| report(&io.0)).await.unwrap_or(own);
    Ok(merge(&own, &heard))
}

fn take_in(service: &str, answers: &[Vec<u8>], bytes: usize) -> Heard {
    if bytes > MAX_BYTES {
        return Heard::Nothing("the reports of other services use up the memory for reports".to_owned());
    }
    let Ok(id) = service.parse::<ServiceId>() else {
        return Heard::Nothing("its name is not a valid service id".to_owned());
    };
    let mut reports: Vec<Report> = Vec::new();
    let mut fault = None;
    for answer in answers {
        match heard_from(&id, answer) {
            // Two sessions may lead to the same process.
            Ok(report) if reports.iter().any(|other| other.instance == report.instance) => {}
            Ok(report) => reports.push(report),
            Err(why) => fault = Some(why),
        }
    }
    match fault {
        Some(why) if reports.is_empty() => Heard::Nothing(why.to_owned()),
        _ => Heard::Reports(reports),
    }
}

/// The services that a report names.
fn named(report: &Report) -> Vec<String> {
    let flows = report.inbound.iter().chain(&report.outbound).map(|flow| &flow.peer);
    let sessions = report.sessions.iter().map(|session| &session.peer);
    let instances = report.instances.iter().map(|instance| &instance.service);
    let all: BTreeSet<&String> = flows.chain(sessions).chain(instances).collect();
    all.into_iter().filter(|service| service.parse::<ServiceId>().is_ok()).cloned().collect()
}

/// Asks every process of a service.
async fn ask_service(
    jobs: mpsc::WeakUnboundedSender<Job>,
    calls: Arc<OwnCalls>,
    service: String,
) -> (String, Result<Vec<Vec<u8>>, String>) {
    let asking = service.clone();
    let begun = ask(&jobs, move |io| {
        let client = &io.0.client;
        let begin = |way| {
            let (id, answer) = calls.begin();
            client.ask(id, &asking, &way, PATIENCE);
            answer
        };
        client.ways(&asking).into_iter().map(begin).collect::<Vec<_>>()
    });
    let Ok(answers) = begun.await else { return (service, Err("the mesh is closing".to_owned())) };
    let mut reports = Vec::new();
    let mut fault = None;
    for answer in answers {
        match timeout(PATIENCE, answer).await {
            Ok(Ok(Ok(bytes))) => reports.push(bytes),
            Ok(Ok(Err(error))) => fault = Some(why(&error)),
            Ok(Err(_)) | Err(_) => fault = Some("it did not answer in time".to_owned()),
        }
    }
    let outcome = match fault {
        Some(why) if reports.is_empty() => Err(why),
        _ => Ok(reports),
    };
    (service, outcome)
}

/// The reason why a service has no report.
fn why(error: &CallError) -> String {
    match error.code {
        Code::PermissionDenied => "its option observe does not permit this service to observe it".to_owned(),
        Code::Unimplemented => "its version has no reports".to_owned(),
        Code::NotFound => "this service does not know its address".to_owned(),
        _ => error.message.chars().take(300).collect(),
    }
}
