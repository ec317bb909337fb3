//! The invariants of a node: while it runs, and after its peers are gone.

use super::{ledger::Ledger, node::Node};
use crate::mesh::Gauges;

/// Checks the limits that no node may exceed.
pub(super) fn check_limits(node: &Node, ledger: &Ledger) {
    let Some(core) = node.core() else { return };
    let limits = &core.shared.config.limits;
    let sessions = core.server.sessions().list();
    let (most, most_of_one) = (limits.max_sessions as usize, limits.max_sessions_per_peer as usize);
    if sessions.len() > most {
        ledger.violated(format!("{} has {} sessions of {most}", node.plan.name, sessions.len()));
    }
    for service in super::node::SERVICES {
        let count = sessions.iter().filter(|session| session.info.peer.as_str() == service).count();
        if count > most_of_one {
            ledger
                .violated(format!("{} has {count} sessions of {service}, of {most_of_one}", node.plan.name));
        }
    }
}

/// The remains of ended peers, calls and handshakes. Empty if the state is that
/// of the start.
pub(super) fn leftovers(node: &Node) -> Vec<String> {
    let mut left = Vec::new();
    if let Some(core) = node.core() {
        let gauges = Gauges::of(&core);
        if gauges != Gauges::default() {
            left.push(format!("{gauges:?}"));
        }
    }
    if !node.app.is_idle() {
        left.push("work of the application".to_owned());
    }
    left
}
