//! The picture of the mesh: this process asks every service that it can reach, and merges what they say.

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
    error::{Code, Reason},
    id::ServiceId,
    telemetry::{
        picture::{Heard, MeshPicture, Silence, heard_from, merge},
        report::Report,
    },
};

/// Services that are asked.
const MAX_SERVICES: usize = 256;
/// Services that are asked at once.
const AT_ONCE: usize = 16;
/// The time limit of one service.
const PATIENCE: Duration = Duration::from_secs(2);
/// The time limit of all services together.
const IN_ALL: Duration = Duration::from_secs(4);
/// Bytes of reports that are taken in at most.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Asks the I/O thread.
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

/// The services that are still to be asked: one that each reporter names, then the next of each, and so on. A report that
/// names hundreds does not use up the places of the others.
struct Turns {
    named: VecDeque<VecDeque<String>>,
    seen: BTreeSet<String>,
}

impl Turns {
    fn add(&mut self, names: Vec<String>) {
        self.named.push_back(names.into());
    }
}

impl Iterator for Turns {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        while let Some(mut names) = self.named.pop_front() {
            let next = names.pop_front();
            if !names.is_empty() {
                self.named.push_back(names);
            }
            // The first is this service, which is not asked.
            if let Some(service) = next
                && self.seen.len() <= MAX_SERVICES
                && self.seen.insert(service.clone())
            {
                return Some(service);
            }
        }
        None
    }
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
    let mut turns = Turns { named: VecDeque::new(), seen: BTreeSet::from([own.service.clone()]) };
    let (mut asked, mut bytes) = (JoinSet::new(), 0);
    turns.add(known);
    turns.add(named(&own));
    loop {
        while asked.len() < AT_ONCE
            && let Some(service) = turns.next()
        {
            asked.spawn(ask_service(jobs.clone(), Arc::clone(&calls), service));
        }
        let Ok(next) = timeout_at(end, asked.join_next()).await else { break };
        let Some(next) = next else { break };
        let Ok((service, answers)) = next else { continue };
        let said = match answers {
            Ok(answers) => take_in(&service, &answers, &mut bytes),
            Err(silence) => Heard::Nothing(silence),
        };
        if let Heard::Reports(reports) = &said {
            turns.add(reports.iter().flat_map(named).collect());
        }
        heard.insert(service, said);
    }
    while turns.next().is_some() {}
    for service in turns.seen.into_iter().filter(|service| *service != own.service) {
        heard.entry(service).or_insert_with(|| Heard::Nothing(late()));
    }
    // As fresh as what the others said.
    let own = ask(&jobs, |io| report(&io.0)).await.unwrap_or(own);
    Ok(merge(&own, &heard))
}

fn late() -> Silence {
    silence("it did not answer in time", "Look at its CPU and its event loop, and at the network in between.")
}

fn silence(why: &str, repair: &str) -> Silence {
    Silence { why: why.to_owned(), repair: repair.to_owned() }
}

/// Takes over the answers of a service. `bytes` is what all of them are so far.
fn take_in(service: &str, answers: &[Vec<u8>], bytes: &mut usize) -> Heard {
    let not_understood = |why: &str| {
        Heard::Nothing(silence(
            why,
            "Run the same version on both sides; if it does, look at what runs there.",
        ))
    };
    let Ok(id) = service.parse::<ServiceId>() else { return not_understood("it has no name") };
    let mut reports: Vec<Report> = Vec::new();
    let mut fault = None;
    for answer in answers {
        match heard_from(&id, answer) {
            // Two sessions may lead to one process.
            Ok((report, _)) if reports.iter().any(|other| other.instance == report.instance) => {}
            Ok((_, size)) if *bytes + size > MAX_BYTES => {
                fault = Some("the reports of others take all the room");
            }
            Ok((report, size)) => {
                *bytes += size;
                reports.push(report);
            }
            Err(why) => fault = Some(why),
        }
    }
    match fault {
        Some(why) if reports.is_empty() => not_understood(why),
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
) -> (String, Result<Vec<Vec<u8>>, Silence>) {
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
    let Ok(answers) = begun.await else { return (service, Err(silence("the mesh is closing", ""))) };
    let mut reports = Vec::new();
    let mut fault = None;
    for answer in answers {
        match timeout(PATIENCE, answer).await {
            Ok(Ok(Ok(bytes))) => reports.push(bytes),
            Ok(Ok(Err(error))) => fault = Some(why(&error)),
            Ok(Err(_)) | Err(_) => fault = Some(late()),
        }
    }
    let outcome = match fault {
        Some(why) if reports.is_empty() => Err(why),
        _ => Ok(reports),
    };
    (service, outcome)
}

/// The reason for which a service could not be asked.
fn why(error: &CallError) -> Silence {
    match error.code {
        Code::PermissionDenied => silence(
            "it does not permit this service to observe it",
            "Set its option observe, as in observe: { from: [this service] }; a policy that denies by default also needs \
             a rule for securestack.observe.",
        ),
        Code::Unimplemented => silence("its version has no reports", "Update the package there."),
        Code::NotFound => silence(
            "this service does not know its address",
            "If it listens, add its address to discovery here, or open the admin port of a service that calls it. One that \
             only calls cannot be asked.",
        ),
        Code::DeadlineExceeded => late(),
        _ => {
            let reason = Reason::ALL.iter().find(|reason| reason.as_str() == error.reason);
            let text: String = error.message.chars().take(300).collect();
            silence(&text, reason.map_or("", |reason| reason.remedy()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_names_hundreds_does_not_use_up_the_places_of_the_others() {
        let mut turns = Turns { named: VecDeque::new(), seen: BTreeSet::from(["me".to_owned()]) };
        turns.add((0..1_000).map(|number| format!("evil-{number}")).collect());
        turns.add(vec!["orders".to_owned(), "me".to_owned(), "stock".to_owned()]);
        let first: Vec<_> = turns.by_ref().take(4).collect();
        assert_eq!(first, ["evil-0", "orders", "evil-1", "evil-2"]);
        let next: Vec<_> = turns.by_ref().take(2).collect();
        assert!(next.contains(&"stock".to_owned()), "{next:?}");
        assert_eq!(turns.by_ref().count(), MAX_SERVICES - 6);
        turns.add(vec!["late".to_owned()]);
        assert_eq!(turns.next(), None);
    }

    #[test]
    fn reports_of_short_words_are_counted_by_what_they_become() {
        let empty = vec!["{}"; 1_000].join(",");
        let text = |number: usize| {
            format!("{{\"v\":1,\"instance\":\"{number}\",\"sessions\":[{empty}],\"instances\":[{empty}]}}")
                .into_bytes()
        };
        let answers: Vec<_> = (0..200).map(text).collect();
        let mut bytes = 0;
        let Heard::Reports(reports) = take_in("evil", &answers, &mut bytes) else { panic!("some are taken") };
        assert!(reports.len() < 100 && bytes <= MAX_BYTES, "{} reports, {bytes} bytes", reports.len());
        assert!(matches!(take_in("next", &answers[..1], &mut MAX_BYTES.clone()), Heard::Nothing(_)));
    }
}
