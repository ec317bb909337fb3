//! Makes the report of this process from the parts of its mesh.

use std::net::IpAddr;

use super::{core::Core, figures::note_moment, server::Authorization, session::Session};
use crate::{
    config::Effect,
    handshake::Trust,
    identity::Certified,
    telemetry::{
        problems::{Background, problems},
        report::{
            CertificateView, FlowView, IdentityView, PolicyView, REPORT_VERSION, Report, RuleView,
            SessionView,
        },
    },
};

/// The most rules of the policy in a report.
const MAX_RULES: usize = 200;

/// The report of this process now.
pub(super) fn report(core: &Core) -> Report {
    note_moment(core);
    let (shared, sight) = (&core.shared, &core.shared.sight);
    let started_at = sight.started().as_millis();
    let flows = |flows: &crate::telemetry::Flows| {
        flows.read().iter().map(|flow| FlowView::of(flow, started_at)).collect()
    };
    let moment = sight.moment();
    let mut report = Report {
        v: REPORT_VERSION,
        service: sight.service().to_owned(),
        instance: sight.instance().to_owned(),
        version: sight.version().to_owned(),
        zone: None,
        at: shared.now().as_millis(),
        started_at,
        state: state(core).to_owned(),
        address: core.listening.as_ref().and_then(|listening| listening.address).map(|at| at.to_string()),
        mode: mode(core).to_owned(),
        tls: core.identity.speaks_tls(),
        inbound: flows(&sight.inbound),
        outbound: flows(&sight.outbound),
        instances: core.client.instances(),
        sessions: sessions(core),
        identity: identity(core),
        policy: policy(&core.authorization),
        denials: sight.denials(),
        limits: moment.limits,
        problems: Vec::new(),
        errors: sight.errors(),
        event_loop_delay_ms: moment.event_loop_delay.map(|delay| delay * 1e3),
        truncated: false,
    };
    report.problems = problems(&report, &background(core));
    shared.reporter.onsets.settle(&mut report.problems, report.at);
    report
}

fn state(core: &Core) -> &'static str {
    if core.shared.stop.is_cancelled() {
        "closed"
    } else if core.shared.draining.is_cancelled() {
        "draining"
    } else {
        "ready"
    }
}

fn mode(core: &Core) -> &'static str {
    let config = &core.shared.config;
    let pins = config.services.iter().any(|service| service.public_key.is_some());
    match (config.certificate.is_some(), config.secret.is_some(), pins) {
        (true, ..) => "certificate",
        (false, true, true) => "pinned+secret",
        (false, true, false) => "shared-secret",
        (false, false, true) => "pinned",
        (false, false, false) => "embedded",
    }
}

fn background(core: &Core) -> Background {
    let shared = &core.shared;
    let (calling, answering) = (core.client.sessions().list(), core.server.sessions().list());
    let infos = calling.iter().map(|held| &held.info).chain(answering.iter().map(|held| &held.info));
    let remembered = infos.filter(|info| info.trust == Trust::Secret && !info.embedded);
    let peers: std::collections::HashSet<_> = remembered.map(|info| &info.peer).collect();
    let is_local = |address: IpAddr| address.is_loopback();
    let address = core.listening.as_ref().and_then(|listening| listening.address);
    Background {
        recent: shared.sight.recent(),
        refused: shared.sight.refusals(),
        secrets_in_grace: core.identity.local().secrets.len().saturating_sub(1),
        first_contact: peers.len(),
        key_directory: core.identity.trust.fault(),
        history: shared.sight.history_fault(),
        stalled: shared.sight.moment().streams_stalled,
        is_exposed: address.is_some_and(|address| !is_local(address.ip())),
    }
}

fn identity(core: &Core) -> IdentityView {
    let thumbprint = core.identity.local().key.public_key().thumbprint().to_string();
    let certificate = core.identity.certificates.as_ref().map(|own| certificate(&own.own()));
    IdentityView { thumbprint, certificate }
}

fn certificate(certified: &Certified) -> CertificateView {
    CertificateView {
        subject: certified.subject.clone(),
        issuer: certified.issuer.clone(),
        serial: certified.serial_hex(),
        spiffe_id: certified.spiffe_id().map(str::to_owned),
        not_before: certified.certificate_begins.as_millis(),
        not_after: certified.certificate_expires.as_millis(),
    }
}

fn sessions(core: &Core) -> Vec<SessionView> {
    let (calling, answering) = (core.client.sessions().list(), core.server.sessions().list());
    let out = calling.iter().map(|held| {
        let address = held.target().map(ToString::to_string).unwrap_or_default();
        session(held, address, held.load().0)
    });
    let inbound = answering.iter().map(|held| {
        let address = held.from().map(|from| from.to_string()).unwrap_or_default();
        session(held, address, held.requests().len())
    });
    out.chain(inbound).collect()
}

fn session(session: &Session, address: String, streams: usize) -> SessionView {
    let info = &session.info;
    SessionView {
        peer: info.peer.to_string(),
        direction: if info.inbound { "in" } else { "out" }.to_owned(),
        address,
        trust: info.trust_name().to_owned(),
        suite: info.suite.to_owned(),
        resumed: info.resumed,
        opened_at: session.created.as_millis(),
        epoch: session.epoch().into(),
        streams: streams as u64,
        unsent_bytes: session.unsent() as u64,
        stalled: 0,
        spiffe_id: info.spiffe_id().map(str::to_owned),
        thumbprint: info.claims.jkt.clone().unwrap_or_default(),
        certificate: info.certified.as_deref().map(certificate),
    }
}

fn policy(authorization: &Authorization) -> Option<PolicyView> {
    let (status, policy) = (authorization.status()?, authorization.policy()?);
    let texts = |list: &[_]| list.iter().map(ToString::to_string).collect();
    let rules = policy.rules().iter().take(MAX_RULES).map(|rule| RuleView {
        name: rule.name.clone(),
        from: texts(&rule.from),
        to: rule.to.iter().map(ToString::to_string).collect(),
        deny: rule.effect == Effect::Deny,
    });
    Some(PolicyView {
        mode: status.mode.as_str().to_owned(),
        rules: rules.collect(),
        file: status.file.map(|file| file.display().to_string()),
        problem: status.problem,
    })
}
