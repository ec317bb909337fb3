use super::*;
use crate::telemetry::report::{InstanceView, MAX_REPORT, Severity};

fn id(text: &str) -> ServiceId {
    text.parse().unwrap()
}

fn flow(peer: &str, method: &str, total: u64) -> FlowView {
    let figures = Figures { total, buckets: vec![total; BUCKETS], ..Figures::default() };
    FlowView {
        peer: peer.to_owned(),
        method: method.to_owned(),
        kind: "unary".to_owned(),
        last_at: 1,
        figures,
    }
}

fn report(service: &str, inbound: Vec<FlowView>, outbound: Vec<FlowView>) -> Report {
    Report { v: 1, at: 7, service: service.to_owned(), inbound, outbound, ..Report::default() }
}

#[test]
fn what_the_callee_says_counts_and_the_rest_is_hearsay() {
    let own = report("gateway", vec![], vec![flow("orders", "get", 10), flow("stock", "get", 3)]);
    let orders = vec![
        report("orders", vec![flow("gateway", "get", 6)], vec![]),
        report("orders", vec![flow("gateway", "get", 3), flow("billing", "put", 1)], vec![]),
    ];
    let silence = Silence { why: "it does not permit it".to_owned(), repair: "Permit it.".to_owned() };
    let heard = BTreeMap::from([
        ("orders".to_owned(), Heard::Reports(orders)),
        ("stock".to_owned(), Heard::Nothing(silence)),
    ]);
    let picture = merge(&own, &heard);
    let nodes: Vec<_> = picture.nodes.iter().map(|node| (node.service.as_str(), node.report)).collect();
    assert_eq!(
        nodes,
        [
            ("billing", Word::Hearsay),
            ("gateway", Word::Own),
            ("orders", Word::Direct),
            ("stock", Word::Hearsay)
        ]
    );
    assert_eq!(picture.nodes[2].instances.len(), 2);
    assert_eq!(picture.nodes[3].unreachable.as_deref(), Some("it does not permit it"));
    assert_eq!(picture.nodes[3].repair.as_deref(), Some("Permit it."));
    assert_eq!(picture.nodes[3].seen_by, ["gateway"]);
    let billing = &picture.nodes[0];
    assert!(
        billing.unreachable.is_some() && billing.repair.is_some(),
        "each hearsay has its reason: {billing:?}"
    );
    let edges: Vec<_> = picture
        .edges
        .iter()
        .map(|edge| (edge.from.as_str(), edge.to.as_str(), edge.by, edge.figures.total))
        .collect();
    assert_eq!(
        edges,
        [
            ("billing", "orders", By::Callee, 1),
            ("gateway", "orders", By::Both, 9),
            ("gateway", "stock", By::Caller, 3),
        ]
    );
    let json = serde_json::to_value(&picture).unwrap();
    assert_eq!(json["nodes"][1]["report"], "self");
}

#[test]
fn a_peer_speaks_for_itself_only() {
    let forged = serde_json::to_vec(&report("bank", vec![], vec![flow("orders", "get", 1)])).unwrap();
    let (heard, _) = heard_from(&id("evil"), &forged).unwrap();
    assert_eq!(heard.service, "evil");
    let own = report("me", vec![], vec![]);
    let picture = merge(&own, &BTreeMap::from([("evil".to_owned(), Heard::Reports(vec![heard]))]));
    assert_eq!(picture.edges[0].from, "evil");
    assert!(picture.nodes.iter().all(|node| node.service != "bank"));
}

#[test]
fn a_report_that_is_too_large_deep_or_malformed_is_refused() {
    let evil = id("evil");
    let long = format!("{{\"v\":1}}{}", " ".repeat(MAX_REPORT));
    assert!(heard_from(&evil, &long.as_bytes()[..MAX_REPORT]).is_ok());
    assert!(heard_from(&evil, long.as_bytes()).is_err());
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    // Members that nobody knows are passed over, without a stack; within those that are known there is a limit.
    assert!(heard_from(&evil, format!("{{\"v\":1,\"x\":{deep}}}").as_bytes()).is_ok());
    assert!(heard_from(&evil, format!("{{\"v\":1,\"inbound\":[{{\"x\":{deep}}}]}}").as_bytes()).is_err());
    for text in [
        "",
        "[]x",
        "{",
        "{\"v\":2}",
        "{\"v\":1,\"inbound\":{}}",
        "{\"v\":1,\"at\":-1}",
        "{\"v\":1,\"at\":1e400}",
    ] {
        assert!(heard_from(&evil, text.as_bytes()).is_err(), "{text}");
    }
    assert!(heard_from(&evil, b"{\"v\":1,\"future\":[1,2]}").is_ok(), "a later version may say more");
}

#[test]
fn hostile_numbers_and_strings_are_made_harmless() {
    let mut evil = report("evil", vec![flow("orders", &"<script>".repeat(1_000), u64::MAX)], vec![]);
    evil.inbound[0].figures.sum_ms = -1.0;
    evil.inbound[0].figures.buckets = vec![u64::MAX; 1_000];
    evil.inbound[0].figures.codes = (0..1_000).map(|code| (code.to_string(), u64::MAX)).collect();
    let (heard, _) = heard_from(&id("evil"), &serde_json::to_vec(&evil).unwrap()).unwrap();
    let flow = &heard.inbound[0];
    assert_eq!(flow.method.chars().count(), MAX_TEXT);
    assert_eq!((flow.figures.total, flow.figures.buckets.len()), (MAX_COUNT, BUCKETS));
    assert!(flow.figures.codes.len() <= 17 && flow.figures.sum_ms >= 0.0);
    let own = report("orders", vec![], vec![]);
    let two = Heard::Reports(vec![heard.clone(), heard]);
    let picture = merge(&own, &BTreeMap::from([("evil".to_owned(), two)]));
    assert!(picture.edges[0].figures.total >= MAX_COUNT);
}

#[test]
fn invented_services_and_edges_have_a_limit_and_no_strange_names() {
    let mut evil = report("evil", vec![], vec![]);
    for number in 0..3_000 {
        evil.instances.push(InstanceView { service: format!("s{number}"), ..InstanceView::default() });
    }
    evil.instances.push(InstanceView { service: "<b>".to_owned(), ..InstanceView::default() });
    evil.inbound = (0..400).map(|number| flow(&format!("x{number}"), "m", 1)).collect();
    evil.inbound.push(flow("../..", "m", 1));
    let own = report("me", vec![], vec![]);
    let heard: BTreeMap<_, _> = (0..20)
        .map(|number| {
            let mut report = evil.clone();
            for flow in &mut report.inbound {
                flow.peer = format!("{}y{number}", flow.peer);
            }
            (format!("evil{number}"), Heard::Reports(vec![report]))
        })
        .collect();
    let picture = merge(&own, &heard);
    assert!(picture.nodes.len() <= MAX_NODES + 21, "{}", picture.nodes.len());
    assert_eq!(picture.edges.len(), MAX_EDGES);
    assert!(picture.nodes.iter().all(|node| is_service(&node.service)));
    assert!(picture.edges.iter().all(|edge| is_service(&edge.from)));
}

#[test]
fn the_size_of_a_report_is_that_with_the_members_it_left_out() {
    let empty = vec!["{}"; 1_000].join(",");
    let text = format!("{{\"v\":1,\"sessions\":[{empty}],\"instances\":[{empty}]}}");
    let (report, size) = heard_from(&id("evil"), text.as_bytes()).unwrap();
    assert!(size > 20 * text.len(), "{size} of {}", text.len());
    assert!(size <= MAX_REPORT && report.sessions.len() <= 1_000);
}

#[test]
fn services_that_name_thousands_do_not_hide_what_the_others_say() {
    let problem = |severity| Problem { severity, text: "x".to_owned(), ..Problem::default() };
    let loud = |number: usize| {
        let mut report = report("", vec![], vec![]);
        report.outbound =
            (0..400).map(|flow_number| flow(&format!("a{number}-{flow_number}"), "m", 1)).collect();
        report.problems = vec![problem(Severity::Critical); 100];
        report
    };
    let mut heard: BTreeMap<_, _> = (0..5)
        .map(|number| {
            (format!("evil{number}"), Heard::Reports((0..16).map(|at| loud(number * 16 + at)).collect()))
        })
        .collect();
    let mut honest = report("", vec![flow("zone", "m", 1)], vec![flow("zoo", "m", 1)]);
    honest.problems = vec![problem(Severity::Warning)];
    heard.insert("zebra".to_owned(), Heard::Reports(vec![honest]));
    let picture = merge(&report("me", vec![], vec![]), &heard);
    assert_eq!(
        (picture.nodes.len(), picture.edges.len(), picture.problems.len()),
        (MAX_NODES, MAX_EDGES, MAX_PROBLEMS)
    );
    assert!(
        ["zebra", "zone", "zoo"].iter().all(|name| picture.nodes.iter().any(|node| node.service == *name))
    );
    assert!(picture.edges.iter().any(|edge| edge.from == "zone" && edge.to == "zebra"));
    assert!(picture.problems.iter().any(|problem| problem.reporter == "zebra"));
}
